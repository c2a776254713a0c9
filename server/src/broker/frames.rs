//! Frames of connections: taken while nothing presses, and given to the handler of their API.

use super::{BrokerShard, FRAMES_MAX};
use crate::handlers::{self, api_versions};
use crate::net::{ConnectionKey, Frame, LargeFramePlanner, LargePlan, NextFrame};
use crate::protocol::produce::first_records;
use crate::protocol::{ApiKey, ErrorCode, Reader, RequestHeader};
use crate::request::{Refusal, Request, RequestHead};
use crate::topics::catalog::Catalog;
use millrace_engine::ids::ShardId;
use millrace_engine::shard::Shard;

impl BrokerShard {
    /// Too much waits for other shards or for memory: no new requests.
    pub(super) fn is_pressed(&self) -> bool {
        let waiting_max = self.shared.settings.hops_waiting_max;
        !self.stalled_hops.is_empty()
            || self.outbox_len >= waiting_max
            || self.validations.len() >= waiting_max
    }

    pub(super) fn take_frames(&mut self) {
        let mut ready = std::mem::take(&mut self.ready);
        self.net.drain_ready(&mut ready);
        for key in ready.drain(..) {
            self.take_frames_of(key);
        }
        self.ready = ready;
    }

    pub(super) fn take_frames_of(&mut self, key: ConnectionKey) {
        for _ in 0..FRAMES_MAX {
            if self.is_pressed() {
                self.held.push(key);
                return;
            }
            let planner = Planner {
                catalog: &self.catalog,
                engine: &self.engine,
                me: self.me,
            };
            match self.net.next_frame(&mut self.io, key, &planner) {
                NextFrame::Wait => return,
                NextFrame::Close(error) => {
                    log::debug!("connection closed: {error}");
                    self.close(key);
                    return;
                }
                NextFrame::Frame(frame) => {
                    if self.dispatch(key, frame).is_err() {
                        self.close(key);
                        return;
                    }
                }
            }
        }
        self.net.look_again(key);
    }

    pub(super) fn dispatch(&mut self, key: ConnectionKey, frame: Frame) -> Result<(), Refusal> {
        let bytes: &[u8] = match &frame {
            Frame::Whole(bytes) => bytes,
            Frame::Split { prefix, .. } => prefix,
        };
        let mut reader = Reader::new(bytes);
        let header = RequestHeader::decode(&mut reader)?;
        let slot = self.net.open_slot(key).ok_or(Refusal::Close)?;
        let mut head = RequestHead {
            shard: self.me,
            peer: self.net.peer(key).ok_or(Refusal::Close)?,
            connection: key,
            slot,
            correlation_id: header.correlation_id,
            api: header.api_key,
            version: header.api_version,
        };
        let Some(api) = handlers::api(header.api_key, header.api_version) else {
            if header.api_key != ApiKey::ApiVersions {
                let (api, version) = (header.api_key, header.api_version);
                log::debug!("request refused: {api:?} version {version} is not served");
                return Err(Refusal::Close);
            }
            // KAFKA: KIP-511: in version 0, so that the client can read it and ask again.
            head.version = 0;
            api_versions::respond(self, &head, ErrorCode::UnsupportedVersion);
            return Ok(());
        };
        match &frame {
            Frame::Split { .. } => handlers::produce::handle_split(self, head, frame),
            Frame::Whole(bytes) => {
                let request = Request {
                    head,
                    header,
                    reader,
                    frame: bytes,
                };
                (api.handler)(self, &request)
            }
        }
    }
}

struct Planner<'a> {
    catalog: &'a Catalog,
    engine: &'a Shard,
    me: ShardId,
}

impl LargeFramePlanner for Planner<'_> {
    fn plan(&self, received: &[u8], frame_bytes: usize) -> LargePlan {
        // What is wrong with the request is found, and said, when it is handled.
        let Ok(first) = first_records(received, frame_bytes) else {
            return LargePlan::Whole;
        };
        let Some(first) = first else {
            return LargePlan::NeedMore;
        };
        let is_alone = first.start.topic_count == 1 && first.partition_count == 1;
        let topic = self.catalog.topic(first.topic_name).filter(|_| is_alone);
        let place = topic.and_then(|topic| topic.partition(first.partition_index));
        match (place, first.records) {
            (Some(place), Some(records)) if place.shard == self.me => LargePlan::Split {
                prefix_bytes: records.start,
                batch_bytes: records.len(),
                remainder: self.engine.append_remainder(place.handle),
                log: place.handle.0,
            },
            _ => LargePlan::Whole,
        }
    }
}
