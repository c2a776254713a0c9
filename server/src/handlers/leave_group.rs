//! LeaveGroup 0-5: members go, and the others share their part. Since version 3 several at once,
//! static ones by their instance id alone.

use super::group_requests::Destination;
use crate::broker::BrokerShard;
use crate::protocol::ErrorCode;
use crate::protocol::messages::leave_group_request::MemberIdentity;
use crate::protocol::messages::leave_group_response::MemberResponse;
use crate::protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};
use crate::request::{Refusal, Request};

const BATCH_VERSION: i16 = 3;

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: LeaveGroupRequest<'_> = request.decode()?;
    let is_batch = request.head.version >= BATCH_VERSION;
    let members = if is_batch {
        asked.members.to_vec()
    } else {
        vec![MemberIdentity {
            member_id: asked.member_id,
            ..MemberIdentity::default()
        }]
    };
    let left = match broker.go_to_coordinator(request, asked.group_id) {
        Ok(Destination::Sent) => return Ok(()),
        Err(error) => Err(error),
        Ok(Destination::Here) => {
            let names = members.iter();
            let names: Vec<_> = names
                .map(|member| (member.member_id, member.group_instance_id))
                .collect();
            let now = broker.group_now();
            broker.groups.coordinator.leave(asked.group_id, &names, now)
        }
    };
    let code = |result: &Result<(), ErrorCode>| result.err().unwrap_or(ErrorCode::None).code();
    let response = match &left {
        Err(error) => LeaveGroupResponse {
            error_code: error.code(),
            ..LeaveGroupResponse::default()
        },
        Ok(left) if is_batch => LeaveGroupResponse {
            members: members
                .iter()
                .zip(left)
                .map(|(member, result)| MemberResponse {
                    member_id: member.member_id,
                    group_instance_id: member.group_instance_id,
                    error_code: code(result),
                })
                .collect(),
            ..LeaveGroupResponse::default()
        },
        Ok(left) => LeaveGroupResponse {
            error_code: left.first().map_or(0, code),
            ..LeaveGroupResponse::default()
        },
    };
    broker.reply(&request.head, &response);
    broker.carry_out_groups();
    Ok(())
}
