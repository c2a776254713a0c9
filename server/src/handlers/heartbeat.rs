//! Heartbeat 0-4: a member says that it lives, and hears when the group rebalances. Costs two
//! look-ups; nothing is allocated and no timer is touched.

use super::group_requests::Destination;
use crate::broker::BrokerShard;
use crate::groups::effects::MemberRef;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use crate::request::{Refusal, Request};

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: HeartbeatRequest<'_> = request.decode()?;
    let error = match broker.go_to_coordinator(request, asked.group_id) {
        Ok(Destination::Sent) => return Ok(()),
        Err(error) => error,
        Ok(Destination::Here) => {
            let member = MemberRef {
                member_id: asked.member_id,
                instance_id: asked.group_instance_id,
                generation: asked.generation_id,
            };
            let now = broker.group_now();
            let coordinator = &mut broker.groups.coordinator;
            let beaten = coordinator.heartbeat(asked.group_id, member, now);
            beaten.err().unwrap_or(ErrorCode::None)
        }
    };
    let response = HeartbeatResponse {
        error_code: error.code(),
        ..HeartbeatResponse::default()
    };
    broker.reply(&request.head, &response);
    Ok(())
}
