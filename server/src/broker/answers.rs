//! What leaves a shard: mail to the others, responses to clients; and finding whom to ask.

use super::BrokerShard;
use crate::mail::Mail;
use crate::net::{ConnectionKey, Response};
use crate::protocol::{EncodeError, ErrorCode, Message, encode_response};
use crate::request::RequestHead;
use crate::topics::catalog::{PartitionPlace, Topic};
use millrace_engine::ids::ShardId;

impl BrokerShard {
    /// Sends mail; what does not fit the mailbox waits in order.
    pub(crate) fn send(&mut self, to: ShardId, mail: Mail) {
        let outbox = &mut self.outboxes[to.index()];
        if outbox.is_empty() {
            match self.mailbox.send(&mut self.io, to, mail) {
                Ok(()) => return,
                Err(mail) => outbox.push_back(mail),
            }
        } else {
            outbox.push_back(mail);
        }
        self.outbox_len += 1;
    }

    pub(super) fn flush_outboxes(&mut self) {
        if self.outbox_len == 0 {
            return;
        }
        for (index, outbox) in self.outboxes.iter_mut().enumerate() {
            let to = ShardId(u16::try_from(index).unwrap_or(0));
            while let Some(mail) = outbox.pop_front() {
                if let Err(mail) = self.mailbox.send(&mut self.io, to, mail) {
                    outbox.push_front(mail);
                    break;
                }
                self.outbox_len -= 1;
            }
        }
    }

    /// A partition's place and topic.
    pub(crate) fn find(
        &self,
        topic: &str,
        index: i32,
    ) -> Result<(PartitionPlace, &Topic), ErrorCode> {
        let topic = self
            .catalog
            .topic(topic)
            .ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let place = topic
            .partition(index)
            .ok_or(ErrorCode::UnknownTopicOrPartition)?;
        Ok((place, topic))
    }

    /// Closes a connection.
    pub(crate) fn close(&mut self, connection: ConnectionKey) {
        self.net.close(&mut self.io, connection);
    }

    /// Writes and sends a response.
    pub(crate) fn reply<'a, M: Message<'a>>(&mut self, head: &RequestHead, response: &M) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let written = encode_response(&mut scratch, head.version, head.correlation_id, response);
        self.respond_bytes(head, written, &scratch);
        self.scratch = scratch;
    }

    /// Sends an encoded response.
    pub(crate) fn respond_bytes(
        &mut self,
        head: &RequestHead,
        written: Result<(), EncodeError>,
        bytes: &[u8],
    ) {
        if head.shard != self.me {
            let bytes = written.is_ok().then(|| bytes.to_vec());
            self.send(head.shard, Mail::Respond(Box::new((*head, bytes))));
            return;
        }
        if let Err(error) = written {
            log::error!(
                "response to {:?} version {}: {error}",
                head.api,
                head.version
            );
            self.close(head.connection);
            return;
        }
        let response = match self.net.to_slice(&mut self.io, bytes) {
            Some(slice) => Response::One(slice),
            None => Response::Heap(bytes.to_vec()),
        };
        self.net.respond(head.connection, head.slot, response);
    }
}
