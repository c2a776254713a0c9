//! ListGroups 0-5: the groups of the node that was asked, which are all groups where there is one
//! node. Version 4 filters by state, 5 by type.

use super::group_questions::{GroupAnswer, PlacedAnswers};
use crate::broker::BrokerShard;
use crate::groups::describing::ListedGroup as Listed;
use crate::net::FrameBytes;
use crate::protocol::ErrorCode;
use crate::protocol::messages::list_groups_response::ListedGroup;
use crate::protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use crate::request::{Refusal, Request, RequestHead, decode_again};
use millrace_engine::ids::ShardId;

const CLASSIC: &str = "classic";

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let _: ListGroupsRequest<'_> = request.decode()?;
    let shards: Vec<_> = if broker.catalog.nodes.len() > 1 {
        vec![Ok(broker.me)]
    } else {
        let all = 0..broker.shared.shards;
        all.map(|index| Ok(ShardId(u16::try_from(index).unwrap_or(0))))
            .collect()
    };
    broker.ask_group_shards(request, &shards, respond)
}

/// The coordinator's answer.
pub fn answer(broker: &BrokerShard, places: &[u32]) -> PlacedAnswers {
    let coordinator = &broker.groups.coordinator;
    places
        .iter()
        .map(|place| {
            let answer = if coordinator.is_loading() {
                GroupAnswer::Error(ErrorCode::CoordinatorLoadInProgress)
            } else {
                GroupAnswer::Listed(coordinator.list())
            };
            (*place, answer)
        })
        .collect()
}

fn respond(
    broker: &mut BrokerShard,
    head: &RequestHead,
    frame: &FrameBytes,
    answers: &[GroupAnswer],
) {
    let Ok(asked) = decode_again::<ListGroupsRequest<'_>>(frame) else {
        return;
    };
    let is_in = |filter: &[&str], word: &str| {
        filter.is_empty() || filter.iter().any(|it| it.eq_ignore_ascii_case(word))
    };
    let states = asked.states_filter.to_vec();
    let types = asked.types_filter.to_vec();
    let mut error = ErrorCode::None;
    let mut groups = Vec::new();
    for answer in answers {
        match answer {
            GroupAnswer::Listed(listed) if is_in(&types, CLASSIC) => {
                let wanted = listed.iter().filter(|group| is_in(&states, group.state));
                groups.extend(wanted.map(listed_group));
            }
            GroupAnswer::Error(why) => error = *why,
            _ => {}
        }
    }
    let response = ListGroupsResponse {
        error_code: error.code(),
        groups: groups.into(),
        ..ListGroupsResponse::default()
    };
    broker.reply(head, &response);
}

fn listed_group(group: &Listed) -> ListedGroup<'_> {
    ListedGroup {
        group_id: &group.group_id,
        protocol_type: &group.protocol_type,
        group_state: group.state,
        group_type: CLASSIC,
    }
}
