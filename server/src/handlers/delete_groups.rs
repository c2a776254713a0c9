//! DeleteGroups 0-2: groups without members, with all their offsets; answered when durable.

use super::group_questions::{GroupAnswer, PlacedAnswers};
use crate::broker::BrokerShard;
use crate::net::FrameBytes;
use crate::protocol::ErrorCode;
use crate::protocol::messages::delete_groups_response::DeletableGroupResult;
use crate::protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};
use crate::request::{Refusal, Request, RequestHead, decode_again};
use millrace_engine::ids::ShardId;

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: DeleteGroupsRequest<'_> = request.decode()?;
    let groups = asked.groups_names.to_vec();
    broker.ask_coordinators(request, groups.into_iter(), respond)
}

/// The coordinator's answers for what cannot be deleted; the others come when they are.
pub fn answer(
    broker: &mut BrokerShard,
    from: (ShardId, u64),
    frame: &FrameBytes,
    places: &[u32],
) -> Option<PlacedAnswers> {
    let asked = decode_again::<DeleteGroupsRequest<'_>>(frame).ok()?;
    let groups = asked.groups_names.to_vec();
    let now = broker.group_now();
    let mut answers = Vec::new();
    for place in places {
        let group_id = groups.get(*place as usize).copied().unwrap_or_default();
        let Ok(asker) = broker.wait_for_deletion(from, *place) else {
            let error = ErrorCode::CoordinatorNotAvailable;
            answers.push((*place, GroupAnswer::Error(error)));
            continue;
        };
        let coordinator = &mut broker.groups.coordinator;
        if let Err(error) = coordinator.delete_group(asker, group_id, now) {
            broker.group_wait_over(asker);
            answers.push((*place, GroupAnswer::Error(error)));
        }
    }
    Some(answers)
}

fn respond(
    broker: &mut BrokerShard,
    head: &RequestHead,
    frame: &FrameBytes,
    answers: &[GroupAnswer],
) {
    let Ok(asked) = decode_again::<DeleteGroupsRequest<'_>>(frame) else {
        return;
    };
    let results = asked.groups_names.iter().zip(answers);
    let results = results.map(|(group_id, answer)| {
        let error = match answer {
            GroupAnswer::Error(error) => *error,
            _ => ErrorCode::UnknownServerError,
        };
        DeletableGroupResult {
            group_id,
            error_code: error.code(),
        }
    });
    let response = DeleteGroupsResponse {
        results: results.collect(),
        ..DeleteGroupsResponse::default()
    };
    broker.reply(head, &response);
}
