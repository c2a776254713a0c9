//! Why bytes could not be decoded, or a message could not be encoded.
//!
//! A `DecodeError` is the peer's fault and names the field, the value and the bound. An
//! `EncodeError` is ours, or says that the caller's buffer is full. Neither owns memory, so that a
//! flood of bad frames costs nothing.

/// A frame whose bytes do not follow the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} at position {position}: {fault}")]
pub struct DecodeError {
    /// The field that was being read, as `Message.field.field`.
    pub field: &'static str,
    /// Where in the frame (after its size) the field begins.
    pub position: usize,
    /// What is wrong with it.
    pub fault: DecodeFault,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeFault {
    /// The field ends beyond the frame.
    #[error("needs {needed} bytes, but {remaining} remain in the frame")]
    Truncated {
        /// Bytes the field takes.
        needed: usize,
        /// Bytes left in the frame.
        remaining: usize,
    },
    /// The field ends inside the frame, but these bytes have not been received.
    #[error("needs {needed} bytes, of which {received} have been received")]
    NotReceived {
        /// Bytes the field takes.
        needed: usize,
        /// Bytes of it that are here.
        received: usize,
    },
    /// A length below zero that does not mean null.
    #[error("length {value} is negative")]
    NegativeLength {
        /// The length as read.
        value: i32,
    },
    /// More array elements than the remaining bytes can hold.
    #[error("count {count} exceeds {bound}, the most that the remaining bytes can hold")]
    Count {
        /// The count as read.
        count: usize,
        /// The largest count possible here.
        bound: usize,
    },
    /// Null where the version does not allow it.
    #[error("is null, which version {version} does not allow")]
    Null {
        /// The message's version.
        version: i16,
    },
    /// A string that is not UTF-8.
    #[error("is not UTF-8 from its byte {valid_up_to} on")]
    Utf8 {
        /// Bytes of the string that are valid.
        valid_up_to: usize,
    },
    /// A variable-length integer that does not end in time.
    #[error("variable-length integer exceeds {bits} bits")]
    Varint {
        /// The widest value allowed.
        bits: u32,
    },
    /// Tagged fields that do not ascend.
    #[error("tag {tag} follows tag {previous}, tags must ascend")]
    TagOrder {
        /// The tag as read.
        tag: u32,
        /// The tag before it.
        previous: u32,
    },
    /// A tagged field whose content is shorter than its size.
    #[error("tag {tag} has {unused} bytes after its content")]
    TagSize {
        /// The tag as read.
        tag: u32,
        /// Bytes left over.
        unused: usize,
    },
    /// A version this codec does not know.
    #[error("version {version} is outside {min}-{max}")]
    Version {
        /// The version asked for.
        version: i16,
        /// The lowest one known.
        min: i16,
        /// The highest one known.
        max: i16,
    },
    /// An API key this codec does not know.
    #[error("api key {key} is unknown")]
    ApiKey {
        /// The key as read.
        key: i16,
    },
    /// Bytes after the end of the message.
    #[error("{unused} bytes follow the end of the message")]
    Trailing {
        /// Bytes left over.
        unused: usize,
    },
}

/// A message that cannot be written as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The fixed sink is full; nothing of the last piece was written.
    #[error("sink has {left} bytes left of {needed} needed, use a larger buffer")]
    Full {
        /// Bytes of the piece to be written.
        needed: usize,
        /// Bytes left in the sink.
        left: usize,
    },
    /// A string, byte field or array longer than its length prefix can say.
    #[error("{field}: length {length} exceeds {bound}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length.
        length: usize,
        /// The longest possible.
        bound: usize,
    },
    /// Null where the version does not allow it.
    #[error("{field}: is null, which version {version} does not allow")]
    Null {
        /// The field.
        field: &'static str,
        /// The version to be written.
        version: i16,
    },
    /// A version this codec does not know.
    #[error("{message}: version {version} is outside {min}-{max}")]
    Version {
        /// The message.
        message: &'static str,
        /// The version asked for.
        version: i16,
        /// The lowest one known.
        min: i16,
        /// The highest one known.
        max: i16,
    },
    /// More elements than were announced.
    #[error("{field}: more elements than announced")]
    TooMany {
        /// The array.
        field: &'static str,
    },
    /// Fewer elements than were announced.
    #[error("{field}: {left} elements fewer than announced")]
    Missing {
        /// The array.
        field: &'static str,
        /// How many are missing.
        left: usize,
    },
}
