//! Little-endian fields for the state a checkpoint carries and for control records. Reading never
//! panics and never reserves more than the bytes that are there could hold.

/// Appends fields to a vector.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

macro_rules! write_fields {
    ($($name:ident: $type:ty),*) => {
        $(pub(super) fn $name(&mut self, value: $type) {
            self.out.extend_from_slice(&value.to_le_bytes());
        })*
    };
}

impl<'a> Writer<'a> {
    pub(super) const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    write_fields!(u8: u8, u16: u16, u32: u32, u64: u64, i32: i32, i64: i64);

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
}

/// Takes fields from bytes that may be anything.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    whole: usize,
}

macro_rules! read_fields {
    ($($name:ident: $type:ty),*) => {
        $(pub(super) fn $name(&mut self) -> Option<$type> {
            self.array().map(<$type>::from_le_bytes)
        })*
    };
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            whole: bytes.len(),
        }
    }

    read_fields!(u8: u8, u16: u16, u32: u32, u64: u64, i32: i32, i64: i64);

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    /// A number of items of at least `item_bytes_min` bytes each, which must fit what remains.
    pub(super) fn count(&mut self, item_bytes_min: usize) -> Option<usize> {
        let count = self.u32()? as usize;
        (count.checked_mul(item_bytes_min)? <= self.rest.len()).then_some(count)
    }

    /// Where reading stands.
    pub(super) const fn at(&self) -> usize {
        self.whole - self.rest.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}
