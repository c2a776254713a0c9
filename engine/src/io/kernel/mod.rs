//! The seam over the Linux kernel: one io_uring per shard.
//! (skeleton; see the io helper's work)
pub(super) mod signal;

use super::arena::Arena;
use super::op::{
    Completion, DetachedSocket, FileHandle, IoFailure, Op, Outcome, SocketHandle, Token,
};
use super::{Awaiting, IoCounters};
use crate::ids::ShardId;
use std::net::SocketAddr;

#[derive(Debug)]
pub(super) struct Ring {}
macro_rules! skeleton {
    ($name:ident) => {
        impl $name {
            pub(super) fn take_bell(&mut self, bell: signal::Bell) -> bool {
                todo!("{bell:?}")
            }
            pub(super) fn ring_own_bell(&mut self, bell: signal::Bell) {
                todo!("{bell:?}")
            }
            pub(super) fn shard(&self) -> ShardId {
                todo!()
            }
            pub(super) fn now_ns(&self) -> u64 {
                todo!()
            }
            pub(super) fn wall_ms(&self) -> i64 {
                todo!()
            }
            pub(super) fn random_u64(&mut self) -> u64 {
                todo!()
            }
            pub(super) fn arena(&mut self) -> &mut Arena {
                todo!()
            }
            pub(super) fn submit(&mut self, token: Token, op: Op) {
                todo!("{token:?} {op:?}")
            }
            pub(super) fn cancel(&mut self, token: Token) {
                todo!("{token:?}")
            }
            pub(super) fn poll(&mut self, done: &mut Vec<Completion>) {
                todo!("{done:?}")
            }
            pub(super) fn park(&mut self, deadline_ns: Option<u64>, awaiting: Awaiting) {
                todo!("{deadline_ns:?} {awaiting:?}")
            }
            pub(super) fn call(&mut self, op: Op) -> Outcome {
                todo!("{op:?}")
            }
            pub(super) fn listen(
                &mut self,
                address: SocketAddr,
            ) -> Result<(SocketHandle, SocketAddr), IoFailure> {
                todo!("{address}")
            }
            pub(super) fn detach_socket(&mut self, socket: SocketHandle) -> DetachedSocket {
                todo!("{socket:?}")
            }
            pub(super) fn attach_socket(&mut self, socket: DetachedSocket) -> SocketHandle {
                todo!("{socket:?}")
            }
            pub(super) fn close_socket(&mut self, socket: SocketHandle) {
                todo!("{socket:?}")
            }
            pub(super) fn close_file(&mut self, file: FileHandle) {
                todo!("{file:?}")
            }
            pub(super) fn ring_doorbell(&mut self, shard: ShardId) {
                todo!("{shard}")
            }
            pub(super) fn counters(&self) -> IoCounters {
                todo!()
            }
        }
    };
}
skeleton!(Ring);
