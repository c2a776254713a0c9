//! DescribeGroups 0-6: state and members. A group that is not there is dead, and since version 6
//! (KIP-1043) also `GROUP_ID_NOT_FOUND`.

use super::group_questions::{GroupAnswer, PlacedAnswers};
use crate::broker::BrokerShard;
use crate::groups::describing::DescribedGroup as Description;
use crate::net::FrameBytes;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use crate::protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};
use crate::request::{Refusal, Request, RequestHead, decode_again};
use std::borrow::Cow;

const NOT_FOUND_VERSION: i16 = 6;
/// Everyone may read, describe and delete a group: bits 3, 8 and 6.
const ALL_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: DescribeGroupsRequest<'_> = request.decode()?;
    let groups = asked.groups.to_vec();
    broker.ask_coordinators(request, groups.into_iter(), respond)
}

/// The coordinator's answers.
pub fn answer(broker: &BrokerShard, frame: &FrameBytes, places: &[u32]) -> Option<PlacedAnswers> {
    let asked = decode_again::<DescribeGroupsRequest<'_>>(frame).ok()?;
    let groups = asked.groups.to_vec();
    let coordinator = &broker.groups.coordinator;
    let answers = places.iter().map(|place| {
        let group_id = groups.get(*place as usize).copied().unwrap_or_default();
        let answer = match coordinator.describe(group_id) {
            Ok(described) => GroupAnswer::Described(described),
            Err(error) => GroupAnswer::Error(error),
        };
        (*place, answer)
    });
    Some(answers.collect())
}

fn respond(
    broker: &mut BrokerShard,
    head: &RequestHead,
    frame: &FrameBytes,
    answers: &[GroupAnswer],
) {
    let Ok(asked) = decode_again::<DescribeGroupsRequest<'_>>(frame) else {
        return;
    };
    let operations = if asked.include_authorized_operations {
        ALL_OPERATIONS
    } else {
        i32::MIN
    };
    let groups = asked.groups.iter().zip(answers);
    let groups = groups.map(|(group_id, answer)| match answer {
        GroupAnswer::Described(Some(group)) => described(group_id, group, operations),
        GroupAnswer::Described(None) => missing(group_id, head.version, operations),
        GroupAnswer::Error(error) => DescribedGroup {
            error_code: error.code(),
            group_id,
            ..DescribedGroup::default()
        },
        GroupAnswer::Offsets(_) | GroupAnswer::AllOffsets(_) | GroupAnswer::Listed(_) => {
            DescribedGroup {
                error_code: ErrorCode::UnknownServerError.code(),
                group_id,
                ..DescribedGroup::default()
            }
        }
    });
    let response = DescribeGroupsResponse {
        groups: groups.collect(),
        ..DescribeGroupsResponse::default()
    };
    broker.reply(head, &response);
}

fn missing(group_id: &str, version: i16, operations: i32) -> DescribedGroup<'_> {
    let is_error = version >= NOT_FOUND_VERSION;
    DescribedGroup {
        error_code: if is_error {
            ErrorCode::GroupIdNotFound.code()
        } else {
            0
        },
        error_message: is_error.then(|| Cow::Owned(format!("group {group_id} not found"))),
        group_id,
        group_state: "Dead",
        authorized_operations: operations,
        ..DescribedGroup::default()
    }
}

fn described<'a>(group_id: &'a str, group: &'a Description, operations: i32) -> DescribedGroup<'a> {
    DescribedGroup {
        group_id,
        group_state: group.state,
        protocol_type: &group.protocol_type,
        protocol_data: &group.protocol_name,
        members: group
            .members
            .iter()
            .map(|member| DescribedGroupMember {
                member_id: &member.member_id,
                group_instance_id: member.instance_id.as_deref(),
                client_id: &member.client_id,
                client_host: &member.client_host,
                member_metadata: &member.metadata,
                member_assignment: &member.assignment,
            })
            .collect(),
        authorized_operations: operations,
        ..DescribedGroup::default()
    }
}
