//! Where encoded bytes go: a growing vector, a fixed buffer, or a counter of sizes.
//!
//! A sink takes pieces in order; the only bytes ever changed afterwards are frame sizes and counts
//! that were left open with `patch`.

use super::error::EncodeError;

/// Takes encoded bytes.
pub trait Sink {
    /// Appends `bytes`.
    ///
    /// # Errors
    /// When a fixed sink has no room; then nothing of `bytes` was appended.
    fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError>;

    /// Bytes appended so far, the position of the next byte.
    fn position(&self) -> usize;

    /// Replaces four bytes that were appended at `position`; does nothing where none are.
    fn patch(&mut self, position: usize, bytes: [u8; 4]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn position(&self) -> usize {
        self.len()
    }

    fn patch(&mut self, position: usize, bytes: [u8; 4]) {
        patch(self, position, bytes);
    }
}

/// A sink over a fixed buffer, such as a block of a shard's arena.
#[derive(Debug)]
pub struct SliceSink<'s> {
    buffer: &'s mut [u8],
    position: usize,
}

impl<'s> SliceSink<'s> {
    /// A sink that fills `buffer` from its start.
    #[must_use]
    pub const fn new(buffer: &'s mut [u8]) -> Self {
        Self {
            buffer,
            position: 0,
        }
    }

    /// The bytes appended so far.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.position).unwrap_or_default()
    }
}

impl Sink for SliceSink<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let room = self.buffer.get_mut(self.position..).unwrap_or_default();
        let left = room.len();
        let Some(place) = room.get_mut(..bytes.len()) else {
            return Err(EncodeError::Full {
                needed: bytes.len(),
                left,
            });
        };
        place.copy_from_slice(bytes);
        self.position = self.position.saturating_add(bytes.len());
        Ok(())
    }

    fn position(&self) -> usize {
        self.position
    }

    fn patch(&mut self, position: usize, bytes: [u8; 4]) {
        patch(self.buffer, position, bytes);
    }
}

/// A sink that only counts, to learn the size of a tagged field or a frame before it is written.
#[derive(Debug, Default)]
pub struct SizeSink {
    size: usize,
}

impl Sink for SizeSink {
    fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.size = self.size.saturating_add(bytes.len());
        Ok(())
    }

    fn position(&self) -> usize {
        self.size
    }

    fn patch(&mut self, _position: usize, _bytes: [u8; 4]) {}
}

fn patch(buffer: &mut [u8], position: usize, bytes: [u8; 4]) {
    let place = buffer
        .get_mut(position..)
        .and_then(|tail| tail.first_chunk_mut::<4>());
    if let Some(place) = place {
        *place = bytes;
    }
}
