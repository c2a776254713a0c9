//! A cursor over the bytes of one frame.
//!
//! Every length is checked against the bytes that remain before it is used, nothing is copied and
//! nothing is allocated. A reader may cover only the first part of a frame: then a field that lies
//! inside the frame but has not been received is told apart from one that lies beyond it.

use super::error::{DecodeError, DecodeFault};
use super::primitives::Version;

/// Reads fields from a frame, front to back.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    position: usize,
    // Bytes of the frame behind `rest` that are not in memory.
    beyond: usize,
}

impl<'a> Reader<'a> {
    /// A reader of a whole frame (without its size).
    #[must_use]
    pub const fn new(frame: &'a [u8]) -> Self {
        Self {
            rest: frame,
            position: 0,
            beyond: 0,
        }
    }

    /// A reader of the piece of a frame that begins at `position`, with `beyond` bytes of the
    /// frame after it that are not in memory.
    #[must_use]
    pub const fn partial(bytes: &'a [u8], position: usize, beyond: usize) -> Self {
        Self {
            rest: bytes,
            position,
            beyond,
        }
    }

    /// The place in the frame of the next byte.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// The bytes in memory that have not been read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Bytes of the frame that have not been read, in memory or not.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len().saturating_add(self.beyond)
    }

    /// An error about `field` at the current position.
    #[must_use]
    pub const fn error(&self, field: &'static str, fault: DecodeFault) -> DecodeError {
        DecodeError {
            field,
            position: self.position,
            fault,
        }
    }

    /// Takes `count` bytes.
    ///
    /// # Errors
    /// When fewer remain, or fewer have been received.
    pub fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.missing(count, field));
        };
        self.rest = rest;
        self.position = self.position.saturating_add(count);
        Ok(taken)
    }

    /// Takes `N` bytes by value.
    ///
    /// # Errors
    /// When fewer remain, or fewer have been received.
    pub fn take_array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.missing(N, field));
        };
        self.rest = rest;
        self.position = self.position.saturating_add(N);
        Ok(*taken)
    }

    #[cold]
    fn missing(&self, needed: usize, field: &'static str) -> DecodeError {
        let remaining = self.remaining();
        let fault = if needed <= remaining {
            DecodeFault::NotReceived {
                needed,
                received: self.rest.len(),
            }
        } else {
            DecodeFault::Truncated { needed, remaining }
        };
        self.error(field, fault)
    }

    /// Takes an unsigned varint of at most 32 bits.
    ///
    /// # Errors
    /// When it is cut off or too wide.
    pub fn uvarint(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.unsigned(32, field).map(|value| value as u32)
    }

    /// Takes a zigzag-coded varint of at most 32 bits.
    ///
    /// # Errors
    /// When it is cut off or too wide.
    pub fn varint(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        let value = self.uvarint(field)?;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    /// Takes a zigzag-coded varint of at most 64 bits.
    ///
    /// # Errors
    /// When it is cut off or too wide.
    pub fn varlong(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        let value = self.unsigned(64, field)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn unsigned(&mut self, bits: u32, field: &'static str) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        let mut shift = 0;
        loop {
            let [byte] = self.take_array(field)?;
            let part = u64::from(byte & 0x7f);
            // The last byte may carry only the bits that are left.
            if shift + 7 > bits && part >> (bits - shift) != 0 {
                return Err(self.error(field, DecodeFault::Varint { bits }));
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift += 7;
            if shift >= bits {
                return Err(self.error(field, DecodeFault::Varint { bits }));
            }
        }
    }

    /// Takes the length of a string: 16 bits, or a varint of length + 1. `None` is null.
    ///
    /// # Errors
    /// When it is cut off or negative.
    pub fn string_length(
        &mut self,
        v: Version,
        field: &'static str,
    ) -> Result<Option<usize>, DecodeError> {
        if v.is_flexible {
            return self.compact_length(field);
        }
        let value = i16::from_be_bytes(self.take_array(field)?);
        self.signed_length(i32::from(value), field)
    }

    /// Takes the length of a byte field or array: 32 bits, or a varint of length + 1. `None` is
    /// null.
    ///
    /// # Errors
    /// When it is cut off or negative.
    pub fn long_length(
        &mut self,
        v: Version,
        field: &'static str,
    ) -> Result<Option<usize>, DecodeError> {
        if v.is_flexible {
            return self.compact_length(field);
        }
        let value = i32::from_be_bytes(self.take_array(field)?);
        self.signed_length(value, field)
    }

    /// Takes the count of an array whose elements take at least `size_min` bytes each.
    ///
    /// # Errors
    /// When it is cut off, negative, or larger than the remaining bytes can hold.
    pub fn count(
        &mut self,
        v: Version,
        size_min: usize,
        field: &'static str,
    ) -> Result<Option<usize>, DecodeError> {
        let Some(count) = self.long_length(v, field)? else {
            return Ok(None);
        };
        let bound = self.remaining() / size_min.max(1);
        if count > bound {
            return Err(self.error(field, DecodeFault::Count { count, bound }));
        }
        Ok(Some(count))
    }

    fn compact_length(&mut self, field: &'static str) -> Result<Option<usize>, DecodeError> {
        Ok((self.uvarint(field)? as usize).checked_sub(1))
    }

    fn signed_length(&self, value: i32, field: &'static str) -> Result<Option<usize>, DecodeError> {
        match value {
            -1 => Ok(None),
            0.. => Ok(Some(value as usize)),
            _ => Err(self.error(field, DecodeFault::NegativeLength { value })),
        }
    }

    /// Takes the tagged fields that end a structure of a flexible version. `known` reads the
    /// fields it knows and returns false for the others, which are skipped.
    ///
    /// # Errors
    /// When they are cut off, do not ascend, or a known one is shorter than its size.
    pub fn tagged_fields<F>(&mut self, field: &'static str, mut known: F) -> Result<(), DecodeError>
    where
        F: FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    {
        let count = self.uvarint(field)? as usize;
        let bound = self.remaining() / 2;
        if count > bound {
            return Err(self.error(field, DecodeFault::Count { count, bound }));
        }
        let mut previous = None;
        for _ in 0..count {
            let tag = self.uvarint(field)?;
            if let Some(previous) = previous.filter(|previous| *previous >= tag) {
                return Err(self.error(field, DecodeFault::TagOrder { tag, previous }));
            }
            previous = Some(tag);
            let size = self.uvarint(field)? as usize;
            let position = self.position;
            let mut content = Self::partial(self.take(size, field)?, position, 0);
            if known(tag, &mut content)? && !content.rest.is_empty() {
                let unused = content.rest.len();
                return Err(content.error(field, DecodeFault::TagSize { tag, unused }));
            }
        }
        Ok(())
    }

    /// Skips the tagged fields of a structure that knows none; nothing in a version that has none.
    ///
    /// # Errors
    /// When they are cut off or do not ascend.
    pub fn skip_tagged_fields(
        &mut self,
        v: Version,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        match self.rest.split_first() {
            _ if !v.is_flexible => Ok(()),
            // PERF: nearly every structure carries no tagged field at all.
            Some((0, rest)) => {
                self.rest = rest;
                self.position = self.position.saturating_add(1);
                Ok(())
            }
            _ => self.tagged_fields(field, |_, _| Ok(false)),
        }
    }

    /// Checks that the frame ends here.
    ///
    /// # Errors
    /// When bytes remain.
    pub const fn finish(&self, message: &'static str) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            unused => Err(self.error(message, DecodeFault::Trailing { unused })),
        }
    }
}
