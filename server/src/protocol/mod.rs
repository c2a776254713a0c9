//! The Kafka protocol's bytes, sans I/O: frames, headers and messages, decoded and encoded.
//!
//! Used by the broker's handlers, and as a client's codec by tools, bench and tests. It knows
//! neither engine nor sockets. Whatever the bytes are, decoding never panics and allocates nothing:
//! strings, byte fields and lists borrow the frame, and every length is checked against the bytes
//! that remain. Messages are generated from `schemas/` by `cargo xtask codegen`; `produce` and
//! `fetch` add what the hot paths need.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable
    )
)]

mod api_key;
mod error;
mod error_code;
pub mod fetch;
mod header;
mod list;
mod message;
pub mod messages;
mod primitives;
pub mod produce;
mod reader;
mod sink;

pub use api_key::ApiKey;
pub use error::{DecodeError, DecodeFault, EncodeError};
pub use error_code::ErrorCode;
pub use header::{RequestHeader, ResponseHeader};
pub use list::{Iter, List};
pub use message::{Message, Request};
pub use message::{decode_api_versions, decode_request, decode_response};
pub use message::{encode_request, encode_response};
pub use primitives::{Nullable, Uuid, Version, Wire, put_uvarint, put_varint, put_varlong};
pub use reader::Reader;
pub use sink::{Sink, SizeSink, SliceSink};

use primitives::{put_no_tags, put_tagged, write_present};
