//! How a record is printed.

use anyhow::Result;
use millrace_engine::record_batch::records::Record;
use serde_json::{Value, json};
use std::io::Write;
use std::str::FromStr;

/// A record and where it came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Consumed<'a> {
    /// Partition.
    pub(super) partition: i32,
    /// The record.
    pub(super) record: Record<'a>,
}

/// A format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON object per line.
    Json,
    /// Pieces in order.
    Pieces(Vec<Piece>),
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    Value,
    Headers,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "value" => parse_pieces("%v\\n").map(Self::Pieces),
            "key-value" => parse_pieces("%k\\t%v\\n").map(Self::Pieces),
            _ if text.contains('%') => parse_pieces(text).map(Self::Pieces),
            _ => Err(format!(
                "`{text}` is none of value, key-value, json, a text with %v"
            )),
        }
    }
}

fn parse_pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let piece = match character {
            '\\' => {
                plain.push(match characters.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some('0') => '\0',
                    Some('\\') => '\\',
                    _ => return Err(format!("`{text}`: \\ needs n, t, r, 0 or \\ behind it")),
                });
                continue;
            }
            '%' => match characters.next() {
                Some('t') => Piece::Topic,
                Some('p') => Piece::Partition,
                Some('o') => Piece::Offset,
                Some('T') => Piece::Timestamp,
                Some('k') => Piece::Key,
                Some('v' | 's') => Piece::Value,
                Some('h') => Piece::Headers,
                Some('%') => {
                    plain.push('%');
                    continue;
                }
                _ => {
                    return Err(format!(
                        "`{text}`: % needs t, p, o, T, k, v, h or % behind it"
                    ));
                }
            },
            other => {
                plain.push(other);
                continue;
            }
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(piece);
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

impl Format {
    /// Prints one record.
    pub(super) fn write(
        &self,
        out: &mut impl Write,
        topic: &str,
        consumed: Consumed<'_>,
    ) -> Result<()> {
        match self {
            Self::Json => writeln!(out, "{}", to_json(topic, consumed))?,
            Self::Pieces(pieces) => {
                for piece in pieces {
                    write_piece(out, piece, topic, consumed)?;
                }
            }
        }
        Ok(())
    }
}

fn write_piece(
    out: &mut impl Write,
    piece: &Piece,
    topic: &str,
    consumed: Consumed<'_>,
) -> std::io::Result<()> {
    let record = consumed.record;
    match piece {
        Piece::Text(text) => out.write_all(text.as_bytes()),
        Piece::Topic => out.write_all(topic.as_bytes()),
        Piece::Partition => write!(out, "{}", consumed.partition),
        Piece::Offset => write!(out, "{}", record.offset),
        Piece::Timestamp => write!(out, "{}", record.timestamp),
        Piece::Key => out.write_all(record.key.unwrap_or_default()),
        Piece::Value => out.write_all(record.value.unwrap_or_default()),
        Piece::Headers => {
            for (index, (name, value)) in record.headers.enumerate() {
                out.write_all(if index == 0 { b"" } else { b"," })?;
                out.write_all(name)?;
                out.write_all(b"=")?;
                out.write_all(value.unwrap_or(b"NULL"))?;
            }
            Ok(())
        }
    }
}

fn to_json(topic: &str, consumed: Consumed<'_>) -> Value {
    let record = consumed.record;
    let headers: Vec<Value> = record
        .headers
        .map(
            |(name, value)| json!({ "name": text_or_hex(Some(name)), "value": text_or_hex(value) }),
        )
        .collect();
    json!({
        "topic": topic,
        "partition": consumed.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": text_or_hex(record.key),
        "value": text_or_hex(record.value),
        "headers": headers,
    })
}

/// Text as it is; other bytes as `{"hex": "…"}`, so that nothing is lost or mistaken.
fn text_or_hex(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => Value::Null,
        Some((_, Ok(text))) => Value::String(text.to_owned()),
        Some((bytes, Err(_))) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "hex": hex })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_engine::record_batch::builder::BatchBuilder;
    use millrace_engine::record_batch::check;
    use millrace_engine::record_batch::records::{Records, payload};

    fn printed(format: &str) -> String {
        let mut builder = BatchBuilder::default();
        builder.push(
            77,
            Some(b"k"),
            Some(b"v\xff"),
            &[(b"a", Some(b"1")), (b"b", None)],
        );
        let batch = builder.build().unwrap();
        let header = check(&batch).unwrap();
        let record = Records::new(&header, payload(&batch))
            .next()
            .unwrap()
            .unwrap();
        let format: Format = format.parse().unwrap();
        let mut out = Vec::new();
        format
            .write(
                &mut out,
                "topic",
                Consumed {
                    partition: 3,
                    record,
                },
            )
            .unwrap();
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn pieces_are_printed_in_order() {
        assert_eq!(
            printed("%t %p %o %T %k %h%%\\n"),
            "topic 3 0 77 k a=1,b=NULL%\n"
        );
        assert_eq!(printed("key-value"), "k\tv\u{fffd}\n");
    }

    #[test]
    fn json_keeps_bytes_that_are_no_text() {
        let line = printed("json");
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["value"]["hex"], "76ff");
        assert_eq!(value["key"], "k");
        assert_eq!(value["headers"][1]["value"], Value::Null);
        assert!(line.ends_with('\n'));
    }

    #[test]
    fn wrong_formats_say_what_is_allowed() {
        for wrong in ["yaml", "%x", "%v\\", "%"] {
            assert!(wrong.parse::<Format>().is_err(), "{wrong}");
        }
    }
}
