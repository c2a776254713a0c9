//! SyncGroup 0-5: the leader says who gets what; everyone waits until that is durable, and gets
//! their part. Version 3 has static members, 5 checks the protocol.

use super::group_requests::{Destination, GroupWait};
use crate::broker::BrokerShard;
use crate::groups::effects::{MemberRef, Sync, SyncAnswer};
use crate::protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use crate::request::{Refusal, Request, RequestHead};

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: SyncGroupRequest<'_> = request.decode()?;
    match broker.go_to_coordinator(request, asked.group_id) {
        Ok(Destination::Here) => {}
        Ok(Destination::Sent) => return Ok(()),
        Err(error) => {
            respond(broker, &request.head, &SyncAnswer::refused(error));
            return Ok(());
        }
    }
    let asker = broker.wait_for_group(GroupWait::Sync(request.head))?;
    let assignments = asked.assignments.iter();
    let assignments: Vec<_> = assignments
        .map(|it| (it.member_id, it.assignment))
        .collect();
    let sync = Sync {
        asker,
        group_id: asked.group_id,
        member: MemberRef {
            member_id: asked.member_id,
            instance_id: asked.group_instance_id,
            generation: asked.generation_id,
        },
        protocol_type: asked.protocol_type,
        protocol_name: asked.protocol_name,
        assignments: &assignments,
    };
    let now = broker.group_now();
    broker.groups.coordinator.sync(&sync, now);
    broker.carry_out_groups();
    Ok(())
}

/// Answers the request.
pub fn respond(broker: &mut BrokerShard, head: &RequestHead, answer: &SyncAnswer) {
    let response = SyncGroupResponse {
        error_code: answer.error.code(),
        protocol_type: answer.protocol_type.as_deref(),
        protocol_name: answer.protocol_name.as_deref(),
        assignment: &answer.assignment,
        ..SyncGroupResponse::default()
    };
    broker.reply(head, &response);
}
