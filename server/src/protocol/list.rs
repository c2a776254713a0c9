//! An array field, decoded without memory of its own.
//!
//! Decoding walks the elements once to check them and keeps only the bytes they lie in; iterating
//! decodes each element again. So a request costs no memory beyond its frame, whatever counts it
//! claims. Lists to be encoded are made from a vector or a borrowed slice.

use std::fmt;

use super::error::{DecodeError, EncodeError};
use super::primitives::{Nullable, Version, Wire};
use super::primitives::{put_long_length, put_null_length, read_present};
use super::reader::Reader;
use super::sink::Sink;

/// An array of a message.
#[derive(Clone)]
pub struct List<'a, T> {
    items: Items<'a, T>,
}

#[derive(Clone)]
enum Items<'a, T> {
    // INVARIANT: `bytes` hold exactly `count` elements, checked when the list was decoded.
    Wire {
        bytes: &'a [u8],
        count: usize,
        v: Version,
    },
    Slice(&'a [T]),
    Owned(Vec<T>),
}

impl<'a, T> List<'a, T> {
    /// A list without elements.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            items: Items::Owned(Vec::new()),
        }
    }

    /// How many elements there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.items {
            Items::Wire { count, .. } => *count,
            Items::Slice(items) => items.len(),
            Items::Owned(items) => items.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, T: Wire<'a>> List<'a, T> {
    /// The elements in order, each by value.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, 'a, T> {
        Iter(match &self.items {
            Items::Wire { bytes, count, v } => Source::Wire {
                reader: Reader::new(bytes),
                left: *count,
                v: *v,
            },
            Items::Slice(items) => Source::Items(items.iter()),
            Items::Owned(items) => Source::Items(items.iter()),
        })
    }

    /// The first element.
    #[must_use]
    pub fn first(&self) -> Option<T> {
        self.iter().next()
    }

    /// The elements as a vector.
    #[must_use]
    pub fn to_vec(&self) -> Vec<T> {
        self.iter().collect()
    }

    /// Appends an element; the first time, a list that borrows becomes a vector.
    pub fn push(&mut self, item: T) {
        if let Items::Owned(items) = &mut self.items {
            items.push(item);
            return;
        }
        let mut items = self.to_vec();
        items.push(item);
        self.items = Items::Owned(items);
    }
}

/// Iterates over a list.
#[derive(Debug, Clone)]
pub struct Iter<'l, 'a, T>(Source<'l, 'a, T>);

#[derive(Debug, Clone)]
enum Source<'l, 'a, T> {
    Wire {
        reader: Reader<'a>,
        left: usize,
        v: Version,
    },
    Items(std::slice::Iter<'l, T>),
}

impl<'a, T: Wire<'a>> Iterator for Iter<'_, 'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Source::Wire { reader, left, v } => {
                *left = left.checked_sub(1)?;
                let item = T::read(reader, *v, "element of a checked list");
                debug_assert!(item.is_ok(), "a checked list holds a bad element");
                item.ok()
            }
            Source::Items(items) => items.next().cloned(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Source::Wire { left, .. } => (*left, Some(*left)),
            Source::Items(items) => items.size_hint(),
        }
    }
}

impl<'a, T: Wire<'a>> ExactSizeIterator for Iter<'_, 'a, T> {}

impl<'l, 'a, T: Wire<'a>> IntoIterator for &'l List<'a, T> {
    type Item = T;
    type IntoIter = Iter<'l, 'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<Vec<T>> for List<'_, T> {
    fn from(items: Vec<T>) -> Self {
        Self {
            items: Items::Owned(items),
        }
    }
}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Self {
            items: Items::Slice(items),
        }
    }
}

impl<T, const N: usize> From<[T; N]> for List<'_, T> {
    fn from(items: [T; N]) -> Self {
        Self::from(Vec::from(items))
    }
}

impl<T> FromIterator<T> for List<'_, T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::from(Vec::from_iter(items))
    }
}

impl<'a, T: Wire<'a> + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<'a, T: Wire<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Wire<'a>> Nullable<'a> for List<'a, T> {
    fn read_nullable(
        reader: &mut Reader<'a>,
        v: Version,
        field: &'static str,
    ) -> Result<Option<Self>, DecodeError> {
        let Some(count) = reader.count(v, T::SIZE_MIN, field)? else {
            return Ok(None);
        };
        let bytes = reader.rest();
        for _ in 0..count {
            T::read(reader, v, field)?;
        }
        let used = bytes.len().saturating_sub(reader.rest().len());
        let bytes = bytes.get(..used).unwrap_or_default();
        Ok(Some(Self {
            items: Items::Wire { bytes, count, v },
        }))
    }

    fn write_null<S: Sink>(sink: &mut S, v: Version) -> Result<(), EncodeError> {
        put_null_length(sink, v)
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for List<'a, T> {
    const SIZE_MIN: usize = 1;

    fn read(reader: &mut Reader<'a>, v: Version, field: &'static str) -> Result<Self, DecodeError> {
        read_present(reader, v, field)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        put_long_length(sink, v, self.len(), field)?;
        match &self.items {
            Items::Wire { .. } => self.iter().try_for_each(|item| item.write(sink, v, field)),
            Items::Slice(items) => items.iter().try_for_each(|item| item.write(sink, v, field)),
            Items::Owned(items) => items.iter().try_for_each(|item| item.write(sink, v, field)),
        }
    }
}
