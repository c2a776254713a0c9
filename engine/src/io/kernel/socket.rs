//! Socket addresses and options: what the ring needs beside submissions.
#![expect(
    unsafe_code,
    reason = "C structures for addresses and messages start as zeroes"
)]

use super::super::op::IoFailure;
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

pub(super) const fn empty_message() -> libc::msghdr {
    // SAFETY: null pointers and zero lengths are a valid, empty message.
    unsafe { std::mem::zeroed() }
}

pub(super) const fn empty_address() -> libc::sockaddr_storage {
    // SAFETY: zeroes are a valid address of no family.
    unsafe { std::mem::zeroed() }
}

/// The address that the kernel stored, if it is an internet address.
pub(super) fn internet_address(
    storage: &libc::sockaddr_storage,
    bytes: libc::socklen_t,
) -> Option<SocketAddr> {
    let mut copy = SockAddrStorage::zeroed();
    // SAFETY: `SockAddrStorage` is a view of the same C structure.
    *unsafe { copy.view_as::<libc::sockaddr_storage>() } = *storage;
    // SAFETY: filled by the kernel with an address of `bytes` bytes.
    unsafe { SockAddr::new(copy, bytes) }.as_socket()
}

/// Requests are answered at once: never wait to fill a segment.
pub(super) fn set_no_delay(socket: BorrowedFd<'_>) {
    if let Err(error) = rustix::net::sockopt::set_tcp_nodelay(socket, true) {
        log::debug!("TCP_NODELAY: {error}");
    }
}

/// A listening socket. Blocking like all sockets here: a ring never blocks in them, and with
/// O_NONBLOCK it would hand out EAGAIN instead of waiting.
pub(in crate::io) fn listen(address: SocketAddr) -> Result<(OwnedFd, SocketAddr), IoFailure> {
    let open = || -> std::io::Result<(Socket, SocketAddr)> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let bound = socket.local_addr()?.as_socket();
        Ok((socket, bound.unwrap_or(address)))
    };
    let (socket, bound) =
        open().map_err(|error| IoFailure::Os(error.raw_os_error().unwrap_or(libc::EINVAL)))?;
    Ok((socket.into(), bound))
}
