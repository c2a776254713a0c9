//! Frames: a size of four bytes, then that many bytes. Pure; sizes are checked before anything is
//! reserved for them.

use bytes::Bytes;
use millrace_engine::io::arena::{ArenaBuf, ArenaSlice};
use std::ops::{Deref, Range};

/// Bytes of a frame's size field.
pub const SIZE_BYTES: usize = 4;
/// Smallest frame: api key, version, correlation id.
pub const FRAME_BYTES_MIN: usize = 8;

/// Why a connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The size is negative or too small for a request header.
    #[error("frame size {size} is below {FRAME_BYTES_MIN}")]
    TooSmall {
        /// What the peer said.
        size: i32,
    },
    /// The size is above `socket.request.max.bytes`.
    #[error("frame size {size} is above socket.request.max.bytes = {max}")]
    TooLarge {
        /// What the peer said.
        size: i32,
        /// The bound.
        max: usize,
    },
}

/// The size of the frame that begins at `bytes`, without its size field; `None` while fewer than
/// four bytes are there.
///
/// # Errors
/// A size outside `[FRAME_BYTES_MIN, max]`.
pub(super) fn frame_size(bytes: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(size) = bytes.first_chunk::<SIZE_BYTES>() else {
        return Ok(None);
    };
    let size = i32::from_be_bytes(*size);
    let bytes = usize::try_from(size).unwrap_or(0);
    if bytes < FRAME_BYTES_MIN {
        return Err(FrameError::TooSmall { size });
    }
    if bytes > max {
        return Err(FrameError::TooLarge { size, max });
    }
    Ok(Some(bytes))
}

/// Received bytes, shareable, wherever they lie.
#[derive(Clone, Debug)]
pub enum FrameBytes {
    /// In a shard's arena.
    Arena(ArenaSlice),
    /// On the heap: frames larger than the arena's largest block.
    Heap(Bytes),
}

impl FrameBytes {
    /// A part of it.
    ///
    /// # Panics
    /// When out of range: callers hold ranges found by decoding these bytes.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        match self {
            Self::Arena(bytes) => Self::Arena(bytes.slice(range)),
            Self::Heap(bytes) => Self::Heap(bytes.slice(range)),
        }
    }

    /// The part that `part`, a sub-slice of these bytes, is.
    ///
    /// # Panics
    /// When `part` does not lie in these bytes.
    #[must_use]
    pub fn slice_of(&self, part: &[u8]) -> Self {
        if part.is_empty() {
            return self.slice(0..0);
        }
        let start = part.as_ptr().addr().wrapping_sub(self.as_ptr().addr());
        self.slice(start..start.saturating_add(part.len()))
    }
}

impl Deref for FrameBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Arena(bytes) => bytes,
            Self::Heap(bytes) => bytes,
        }
    }
}

/// One request as it was received, without its size field.
#[derive(Debug)]
pub enum Frame {
    /// All in one place.
    Whole(FrameBytes),
    /// A Produce request whose one batch lies in memory of its own.
    Split {
        /// Everything before the batch.
        prefix: ArenaSlice,
        /// The batch, for [`millrace_engine::partition::BatchBytes::Slab`].
        batch: ArenaBuf,
        /// Everything behind the batch.
        suffix: ArenaSlice,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_outside_the_bounds_are_refused_before_anything_is_reserved() {
        assert_eq!(frame_size(&[0, 0, 0], 100), Ok(None));
        assert_eq!(frame_size(&[0, 0, 0, 100], 100), Ok(Some(100)));
        assert!(frame_size(&[0, 0, 0, 101], 100).is_err());
        assert!(frame_size(&[0xff, 0xff, 0xff, 0xff], 100).is_err());
        assert!(frame_size(&[0, 0, 0, 7], 100).is_err());
        assert!(frame_size(b"GET ", 100 << 20).is_err());
    }

    #[test]
    fn a_part_is_found_again_by_its_address() {
        let bytes = FrameBytes::Heap(Bytes::from_static(b"abcdef"));
        let part = &bytes[2..4];
        assert_eq!(&*bytes.slice_of(part), b"cd");
        assert_eq!(&*bytes.slice_of(&bytes[6..]), b"");
    }
}
