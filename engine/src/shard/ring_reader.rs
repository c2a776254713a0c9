//! Reads whole journal files at start, in large pieces side by side. A block that the device does
//! not give refuses the start: tried again it may come, and what it holds may be acknowledged.
//! Only `millrace log accept-loss` goes on without it.

use super::commit::JournalOp;
use super::error::OpenError;
use crate::io::{Class, FileHandle, Io, IoFailure, Op, Outcome};
use crate::limits::BLOCK_BYTES;

/// Reads in flight.
const DEPTH: usize = 8;
/// Tries of one block that is interrupted each time; then the start fails, and may be repeated.
const READ_TRIES_MAX: u32 = 16;
/// Tries of one block that the device cannot read.
const FAILED_TRIES_MAX: u32 = 3;
/// Bytes of one read, and what it may shrink to when memory is short.
const READ_BYTES: u64 = 1 << 20;
const READ_BYTES_MIN: u64 = 64 << 10;

/// A block that the device cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// Where it begins.
    pub(super) position: u64,
    failure: IoFailure,
}

/// Bytes of one read of a file of `bytes` bytes for which there is memory; `None` when there is
/// not enough for any.
fn read_bytes(io: &mut Io, bytes: u64) -> Option<u64> {
    let sizes = std::iter::successors(Some(READ_BYTES), |size| Some(size / 2));
    sizes
        .take_while(|&size| size >= READ_BYTES_MIN)
        .map(|size| size.min(bytes))
        .find(|&size| io.arena().alloc(size as usize).is_some())
}

/// Reads `[0, bytes)` of `file` into `out`, which is overwritten.
pub(super) fn read_file(
    io: &mut Io,
    name: &str,
    whole: (FileHandle, u64),
    out: &mut Vec<u8>,
) -> Result<(), OpenError> {
    let unreadable = read_what_can_be(io, name, whole, out)?;
    match unreadable.first() {
        None => Ok(()),
        Some(Unreadable { position, failure }) => Err(OpenError::Refused {
            object: name.to_owned(),
            problem: format!(
                "the block at {position} could not be read in {FAILED_TRIES_MAX} tries \
                 ({failure}), and may hold acknowledged records"
            ),
            remedy: "check the disk (dmesg) and start again; if it stays unreadable, 'millrace \
                     log accept-loss' says what it holds and gives it up"
                .to_owned(),
        }),
    }
}

/// The same, with zeros for the blocks that cannot be read; says which these are.
pub(super) fn read_what_can_be(
    io: &mut Io,
    name: &str,
    (file, bytes): (FileHandle, u64),
    out: &mut Vec<u8>,
) -> Result<Vec<Unreadable>, OpenError> {
    let mut unreadable = Vec::new();
    out.clear();
    out.resize(bytes as usize, 0);
    let step = read_bytes(io, bytes).ok_or_else(|| OpenError::no_memory(name))?;
    let mut next = 0;
    let mut in_flight = 0;
    let mut done = Vec::new();
    let stopped = |failure| OpenError::Io {
        object: name.to_owned(),
        failure,
    };
    while next < bytes || in_flight > 0 {
        while next < bytes && in_flight < DEPTH {
            let length = step.min(bytes - next);
            let Some(op) = read_op(io, file, next, length) else {
                break;
            };
            io.submit(JournalOp::CheckpointPiece(next).token(), op);
            next += length;
            in_flight += 1;
        }
        if in_flight == 0 {
            return Err(OpenError::no_memory(name));
        }
        io.wait(&mut done).map_err(stopped)?;
        for completion in done.drain(..) {
            // Others may still be under way for a shard that was taken apart just now.
            let JournalOp::CheckpointPiece(position) = JournalOp::parse(completion.token.key)
            else {
                continue;
            };
            if completion.token.class != Class::Journal {
                continue;
            }
            let Outcome::Read(buf, result) = completion.outcome else {
                continue;
            };
            in_flight -= 1;
            let start = position as usize;
            let length = step.min(bytes - position) as usize;
            match result {
                Ok(()) => out[start..start + length].copy_from_slice(&buf[..length]),
                Err(IoFailure::Stopped) => return Err(stopped(IoFailure::Stopped)),
                Err(_) => {
                    drop(buf);
                    let piece = &mut out[start..start + length];
                    unreadable.extend(read_blocks(io, name, (file, position), piece)?);
                }
            }
        }
    }
    Ok(unreadable)
}

fn read_op(io: &mut Io, file: FileHandle, position: u64, length: u64) -> Option<Op> {
    let mut buf = io.arena().alloc(length as usize)?;
    // A read fills all spare room: leave exactly the wanted bytes.
    let surplus = buf.spare() - length as usize;
    buf.skip(surplus);
    Some(Op::Read {
        file,
        position,
        buf,
    })
}

/// Reads block by block what could not be read in one piece.
fn read_blocks(
    io: &mut Io,
    name: &str,
    (file, from): (FileHandle, u64),
    out: &mut [u8],
) -> Result<Vec<Unreadable>, OpenError> {
    let mut unreadable = Vec::new();
    for (index, block) in out.chunks_mut(BLOCK_BYTES as usize).enumerate() {
        let position = from + index as u64 * BLOCK_BYTES;
        match read_block(io, name, (file, position), block)? {
            Ok(()) => {}
            Err(failure) if failure == IoFailure::Stopped || failure.is_interrupted() => {
                return Err(OpenError::Io {
                    object: name.to_owned(),
                    failure,
                });
            }
            Err(failure) => unreadable.push(Unreadable { position, failure }),
        }
    }
    Ok(unreadable)
}

/// Reads one block, again if it fails.
fn read_block(
    io: &mut Io,
    name: &str,
    (file, position): (FileHandle, u64),
    block: &mut [u8],
) -> Result<Result<(), IoFailure>, OpenError> {
    let mut tries = 0;
    loop {
        let Some(op) = read_op(io, file, position, block.len() as u64) else {
            return Err(OpenError::no_memory(name));
        };
        tries += 1;
        let (buf, result) = match io.call(op) {
            Outcome::Read(buf, result) => (buf, result),
            other => unreachable!("a read was answered by {other:?}"),
        };
        match result {
            Ok(()) => {
                block.copy_from_slice(&buf[..block.len()]);
                return Ok(Ok(()));
            }
            // Interrupted says nothing about the block: it must not pass for damage.
            Err(failure) if failure.is_interrupted() && tries < READ_TRIES_MAX => {}
            Err(failure) if failure != IoFailure::Stopped && tries < FAILED_TRIES_MAX => {}
            Err(failure) => return Ok(Err(failure)),
        }
    }
}

/// Writes one block, not yet durably.
pub(super) fn write_block(
    io: &mut Io,
    name: &str,
    (file, position): (FileHandle, u64),
    block: &[u8; BLOCK_BYTES as usize],
) -> Result<(), OpenError> {
    let buf = io.arena().alloc(block.len());
    let mut buf = buf.ok_or_else(|| OpenError::no_memory(name))?;
    buf.extend_from_slice(block);
    let op = Op::Write {
        file,
        position,
        parts: vec![buf.freeze()],
        durable: false,
    };
    match io.call(op) {
        Outcome::Write(_, Ok(())) => Ok(()),
        Outcome::Write(_, Err(failure)) => Err(OpenError::Io {
            object: name.to_owned(),
            failure,
        }),
        other => unreachable!("a write was answered by {other:?}"),
    }
}
