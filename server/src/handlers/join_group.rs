//! JoinGroup 0-9: a member joins and waits until its generation begins.
//!
//! Version 1 has a rebalance timeout of its own, 4 makes new members come back with an id
//! (KIP-394), 5 has static members (KIP-345), 9 lets a returning leader skip (KIP-814).

use super::group_requests::{Destination, GroupWait};
use crate::broker::BrokerShard;
use crate::groups::effects::{Join, JoinAnswer};
use crate::protocol::messages::join_group_response::JoinGroupResponseMember;
use crate::protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use crate::request::{Refusal, Request, RequestHead};

const REBALANCE_TIMEOUT_VERSION: i16 = 1;
const MEMBER_ID_VERSION: i16 = 4;
const NULL_PROTOCOL_VERSION: i16 = 7;
const SKIP_VERSION: i16 = 9;

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: JoinGroupRequest<'_> = request.decode()?;
    let head = request.head;
    match broker.go_to_coordinator(request, asked.group_id) {
        Ok(Destination::Here) => {}
        Ok(Destination::Sent) => return Ok(()),
        Err(error) => {
            let answer = JoinAnswer::refused(error, asked.member_id);
            respond(broker, &head, &answer);
            return Ok(());
        }
    }
    let asker = broker.wait_for_group(GroupWait::Join(head))?;
    let protocols = asked.protocols.iter();
    let protocols: Vec<_> = protocols.map(|it| (it.name, it.metadata)).collect();
    let random = u128::from(broker.io.random_u64()) << 64 | u128::from(broker.io.random_u64());
    let join = Join {
        asker,
        group_id: asked.group_id,
        member_id: asked.member_id,
        instance_id: asked.group_instance_id,
        client_id: request.header.client_id.unwrap_or_default(),
        client_host: &format!("/{}", head.peer),
        session_timeout_ms: asked.session_timeout_ms,
        rebalance_timeout_ms: if head.version >= REBALANCE_TIMEOUT_VERSION {
            asked.rebalance_timeout_ms
        } else {
            asked.session_timeout_ms
        },
        protocol_type: asked.protocol_type,
        protocols: &protocols,
        needs_member_id: head.version >= MEMBER_ID_VERSION,
        can_skip_assignment: head.version >= SKIP_VERSION,
        random,
    };
    let now = broker.group_now();
    broker.groups.coordinator.join(&join, now);
    broker.carry_out_groups();
    Ok(())
}

/// Answers the request.
pub fn respond(broker: &mut BrokerShard, head: &RequestHead, answer: &JoinAnswer) {
    let protocol_name = answer.protocol_name.as_deref();
    let members = answer.members.iter().map(|member| JoinGroupResponseMember {
        member_id: &member.member_id,
        group_instance_id: member.instance_id.as_deref(),
        metadata: &member.metadata,
    });
    let response = JoinGroupResponse {
        error_code: answer.error.code(),
        generation_id: answer.generation,
        protocol_type: answer.protocol_type.as_deref(),
        // KAFKA: null only since version 7.
        protocol_name: if head.version >= NULL_PROTOCOL_VERSION {
            protocol_name
        } else {
            Some(protocol_name.unwrap_or_default())
        },
        leader: &answer.leader,
        skip_assignment: answer.skip_assignment,
        member_id: &answer.member_id,
        members: members.collect(),
        ..JoinGroupResponse::default()
    };
    broker.reply(head, &response);
}
