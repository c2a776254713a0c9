//! Reading and writing of little-endian fields for the variable parts of journal and checkpoint.
//!
//! [`Reader`] never panics and never allocates: every length is checked against the bytes that
//! remain. A field that is not there makes the whole record invalid.

/// Takes fields from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Bytes not read yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(front)
    }

    /// Bytes behind a `u32` length.
    pub fn sized(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.bytes(usize::try_from(len).ok()?)
    }

    /// A count of things of at least `each` bytes: never more than could be there.
    pub fn count(&mut self, each: usize) -> Option<usize> {
        let count = usize::try_from(self.u32()?).ok()?;
        (count.checked_mul(each)? <= self.bytes.len()).then_some(count)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*front)
    }

    /// 16 bytes.
    pub fn id(&mut self) -> Option<[u8; 16]> {
        self.array()
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A `u16`.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// A `u32`.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A `u64`.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// An `i32`.
    pub fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    /// An `i64`.
    pub fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }
}

/// Appends `bytes` behind their length as `u32`.
///
/// # Panics
/// When there are 4 GiB or more: callers hold bounded bytes.
pub fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).expect("callers hold less than 4 GiB");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::{Reader, put_sized};

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        let mut bytes = Vec::new();
        put_sized(&mut bytes, b"abc");
        assert_eq!(Reader::new(&bytes).sized(), Some(&b"abc"[..]));
        for cut in 0..bytes.len() {
            assert_eq!(Reader::new(&bytes[..cut]).sized(), None);
        }
        bytes[3] = 0xff;
        assert_eq!(Reader::new(&bytes).sized(), None);
    }

    #[test]
    fn a_count_is_bounded_by_what_remains() {
        let bytes = [3, 0, 0, 0, 1, 2, 3];
        assert_eq!(Reader::new(&bytes).count(1), Some(3));
        assert_eq!(Reader::new(&bytes).count(2), None);
    }
}
