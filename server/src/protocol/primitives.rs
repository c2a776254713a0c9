//! How the protocol's basic types lie on the wire, read and written by one trait.
//!
//! A *flexible* version writes lengths as unsigned varints of length + 1 and ends each structure
//! with tagged fields; the others write 16- or 32-bit lengths. Strings and byte fields borrow the
//! frame. `Option` is a nullable field.

use std::borrow::Cow;
use std::fmt;

use super::error::{DecodeError, DecodeFault, EncodeError};
use super::reader::Reader;
use super::sink::{Sink, SizeSink};

/// The version of the message being read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The version's number.
    pub number: i16,
    /// Whether it has compact lengths and tagged fields.
    pub is_flexible: bool,
}

/// A value that has a place in a message.
pub trait Wire<'a>: Sized + Clone {
    /// The fewest bytes a value takes, in any version.
    const SIZE_MIN: usize;

    /// Reads a value; `field` names it in an error.
    ///
    /// # Errors
    /// When the bytes are cut off or not such a value.
    fn read(reader: &mut Reader<'a>, v: Version, field: &'static str) -> Result<Self, DecodeError>;

    /// Writes the value; `field` names it in an error.
    ///
    /// # Errors
    /// When the sink is full or the value has no form in this version.
    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        field: &'static str,
    ) -> Result<(), EncodeError>;
}

/// A value whose wire form has a null.
pub trait Nullable<'a>: Wire<'a> {
    /// Reads a value or null.
    ///
    /// # Errors
    /// When the bytes are cut off or neither.
    fn read_nullable(
        reader: &mut Reader<'a>,
        v: Version,
        field: &'static str,
    ) -> Result<Option<Self>, DecodeError>;

    /// Writes the null.
    ///
    /// # Errors
    /// When the sink is full.
    fn write_null<S: Sink>(sink: &mut S, v: Version) -> Result<(), EncodeError>;
}

impl<'a, T: Nullable<'a>> Wire<'a> for Option<T> {
    const SIZE_MIN: usize = T::SIZE_MIN;

    fn read(reader: &mut Reader<'a>, v: Version, field: &'static str) -> Result<Self, DecodeError> {
        T::read_nullable(reader, v, field)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        match self {
            Some(value) => value.write(sink, v, field),
            None => T::write_null(sink, v),
        }
    }
}

/// Reads a value that must not be null.
pub(super) fn read_present<'a, T: Nullable<'a>>(
    reader: &mut Reader<'a>,
    v: Version,
    field: &'static str,
) -> Result<T, DecodeError> {
    let position = reader.position();
    T::read_nullable(reader, v, field)?.ok_or(DecodeError {
        field,
        position,
        fault: DecodeFault::Null { version: v.number },
    })
}

/// Writes a nullable field in a version that does not allow null.
pub(super) fn write_present<'a, T: Wire<'a>, S: Sink>(
    value: Option<&T>,
    sink: &mut S,
    v: Version,
    field: &'static str,
) -> Result<(), EncodeError> {
    let value = value.ok_or(EncodeError::Null {
        field,
        version: v.number,
    })?;
    value.write(sink, v, field)
}

macro_rules! fixed_size_integers {
    ($($integer:ty),+) => {$(
        impl<'a> Wire<'a> for $integer {
            const SIZE_MIN: usize = size_of::<Self>();

            fn read(
                reader: &mut Reader<'a>,
                _v: Version,
                field: &'static str,
            ) -> Result<Self, DecodeError> {
                reader.take_array(field).map(Self::from_be_bytes)
            }

            fn write<S: Sink>(
                &self,
                sink: &mut S,
                _v: Version,
                _field: &'static str,
            ) -> Result<(), EncodeError> {
                sink.put(&self.to_be_bytes())
            }
        }
    )+};
}

fixed_size_integers!(i8, i16, i32, i64);

impl<'a> Wire<'a> for bool {
    const SIZE_MIN: usize = 1;

    fn read(
        reader: &mut Reader<'a>,
        _v: Version,
        field: &'static str,
    ) -> Result<Self, DecodeError> {
        // KAFKA: any byte but zero is true.
        reader.take_array(field).map(|[byte]: [u8; 1]| byte != 0)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        _v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        sink.put(&[u8::from(*self)])
    }
}

/// A 16-byte identifier, such as a topic's; zero means none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The identifier that means none.
    pub const ZERO: Self = Self([0; 16]);
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'a> Wire<'a> for Uuid {
    const SIZE_MIN: usize = 16;

    fn read(
        reader: &mut Reader<'a>,
        _v: Version,
        field: &'static str,
    ) -> Result<Self, DecodeError> {
        reader.take_array(field).map(Self)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        _v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        sink.put(&self.0)
    }
}

impl<'a> Nullable<'a> for &'a str {
    fn read_nullable(
        reader: &mut Reader<'a>,
        v: Version,
        field: &'static str,
    ) -> Result<Option<Self>, DecodeError> {
        let Some(length) = reader.string_length(v, field)? else {
            return Ok(None);
        };
        let position = reader.position();
        let bytes = reader.take(length, field)?;
        std::str::from_utf8(bytes)
            .map(Some)
            .map_err(|error| DecodeError {
                field,
                position,
                fault: DecodeFault::Utf8 {
                    valid_up_to: error.valid_up_to(),
                },
            })
    }

    fn write_null<S: Sink>(sink: &mut S, v: Version) -> Result<(), EncodeError> {
        if v.is_flexible {
            put_uvarint(sink, 0)
        } else {
            sink.put(&(-1_i16).to_be_bytes())
        }
    }
}

impl<'a> Wire<'a> for &'a str {
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
        // KAFKA: clients refuse strings above 32767 bytes in every version.
        let length = i16::try_from(self.len()).map_err(|_| EncodeError::TooLong {
            field,
            length: self.len(),
            bound: i16::MAX as usize,
        })?;
        if v.is_flexible {
            put_uvarint(sink, u32::from(length.unsigned_abs()).saturating_add(1))?;
        } else {
            sink.put(&length.to_be_bytes())?;
        }
        sink.put(self.as_bytes())
    }
}

// Text that is put together for one response, such as an error's; a decoded one borrows the frame.
impl<'a> Nullable<'a> for Cow<'a, str> {
    fn read_nullable(
        reader: &mut Reader<'a>,
        v: Version,
        field: &'static str,
    ) -> Result<Option<Self>, DecodeError> {
        Ok(<&str>::read_nullable(reader, v, field)?.map(Self::Borrowed))
    }

    fn write_null<S: Sink>(sink: &mut S, v: Version) -> Result<(), EncodeError> {
        <&str>::write_null(sink, v)
    }
}

impl<'a> Wire<'a> for Cow<'a, str> {
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
        (&**self).write(sink, v, field)
    }
}

// Byte fields and records share one form.
impl<'a> Nullable<'a> for &'a [u8] {
    fn read_nullable(
        reader: &mut Reader<'a>,
        v: Version,
        field: &'static str,
    ) -> Result<Option<Self>, DecodeError> {
        match reader.long_length(v, field)? {
            Some(length) => reader.take(length, field).map(Some),
            None => Ok(None),
        }
    }

    fn write_null<S: Sink>(sink: &mut S, v: Version) -> Result<(), EncodeError> {
        put_null_length(sink, v)
    }
}

impl<'a> Wire<'a> for &'a [u8] {
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
        sink.put(self)
    }
}

/// Writes an unsigned varint.
///
/// # Errors
/// When the sink is full.
pub fn put_uvarint<S: Sink>(sink: &mut S, value: u32) -> Result<(), EncodeError> {
    put_unsigned(sink, u64::from(value))
}

/// Writes a zigzag-coded varint.
///
/// # Errors
/// When the sink is full.
pub fn put_varint<S: Sink>(sink: &mut S, value: i32) -> Result<(), EncodeError> {
    put_unsigned(sink, u64::from(((value << 1) ^ (value >> 31)) as u32))
}

/// Writes a zigzag-coded varint of up to 64 bits.
///
/// # Errors
/// When the sink is full.
pub fn put_varlong<S: Sink>(sink: &mut S, value: i64) -> Result<(), EncodeError> {
    put_unsigned(sink, ((value << 1) ^ (value >> 63)) as u64)
}

fn put_unsigned<S: Sink>(sink: &mut S, mut value: u64) -> Result<(), EncodeError> {
    while value >= 0x80 {
        sink.put(&[value as u8 | 0x80])?;
        value >>= 7;
    }
    sink.put(&[value as u8])
}

/// Writes the length of a byte field or the count of an array.
pub(super) fn put_long_length<S: Sink>(
    sink: &mut S,
    v: Version,
    length: usize,
    field: &'static str,
) -> Result<(), EncodeError> {
    let value = i32::try_from(length).map_err(|_| EncodeError::TooLong {
        field,
        length,
        bound: i32::MAX as usize,
    })?;
    if v.is_flexible {
        put_uvarint(sink, value.unsigned_abs().saturating_add(1))
    } else {
        sink.put(&value.to_be_bytes())
    }
}

/// Writes the length that means null in a byte field or array.
pub(super) fn put_null_length<S: Sink>(sink: &mut S, v: Version) -> Result<(), EncodeError> {
    if v.is_flexible {
        put_uvarint(sink, 0)
    } else {
        sink.put(&(-1_i32).to_be_bytes())
    }
}

/// Ends a structure that has no tagged field to write; nothing in a version that has none.
pub(super) fn put_no_tags<S: Sink>(sink: &mut S, v: Version) -> Result<(), EncodeError> {
    if v.is_flexible {
        sink.put(&[0])
    } else {
        Ok(())
    }
}

/// Writes one tagged field: tag, size, value.
pub(super) fn put_tagged<'a, T: Wire<'a>, S: Sink>(
    sink: &mut S,
    v: Version,
    tag: u32,
    value: &T,
    field: &'static str,
) -> Result<(), EncodeError> {
    let mut size = SizeSink::default();
    value.write(&mut size, v, field)?;
    let size = u32::try_from(size.position()).map_err(|_| EncodeError::TooLong {
        field,
        length: size.position(),
        bound: u32::MAX as usize,
    })?;
    put_uvarint(sink, tag)?;
    put_uvarint(sink, size)?;
    value.write(sink, v, field)
}
