//! InitProducerId 0-4, for idempotent producers: a producer id that no producer of this data
//! directory ever had. Shards take blocks of ids from the controller, which makes each block
//! durable before it gives it out. Transactional ids are refused: there are no transactions yet.

use super::create_topics::ask_controller;
use crate::broker::BrokerShard;
use crate::net::FrameBytes;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use crate::request::{Refusal, Request, RequestHead};
use crate::topics::controller::{Job, JobReply};

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: InitProducerIdRequest<'_> = request.decode()?;
    if asked.transactional_id.is_some() {
        respond(
            broker,
            &request.head,
            Err(ErrorCode::TransactionalIdAuthorizationFailed),
        );
    } else if let Some(id) = broker.producer_ids.next() {
        respond(broker, &request.head, Ok(id));
    } else {
        ask_controller(broker, request, Job::ProducerIds, finish);
    }
    Ok(())
}

fn finish(broker: &mut BrokerShard, head: &RequestHead, _: &FrameBytes, reply: &JobReply) {
    let mut block = reply.producer_ids.clone();
    let id = match reply.error {
        Some(error) => Err(error),
        None => block.next().ok_or(ErrorCode::CoordinatorNotAvailable),
    };
    if id.is_ok() && broker.producer_ids.is_empty() {
        broker.producer_ids = block;
    }
    respond(broker, head, id);
}

fn respond(broker: &mut BrokerShard, head: &RequestHead, id: Result<i64, ErrorCode>) {
    let response = InitProducerIdResponse {
        error_code: id.err().unwrap_or(ErrorCode::None).code(),
        producer_id: id.unwrap_or(-1),
        producer_epoch: if id.is_ok() { 0 } else { -1 },
        ..InitProducerIdResponse::default()
    };
    broker.reply(head, &response);
}
