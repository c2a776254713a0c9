//! Lines from a file or from standard input, and what of them is key and value.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read, stdin};
use std::path::Path;

const BUFFER_BYTES: usize = 256 * 1024;
/// A longer line fits no batch that a broker takes.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// A line's parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// What stands before the separator, if there is one.
    pub(super) key: Option<&'a [u8]>,
    /// The rest.
    pub(super) value: &'a [u8],
}

/// Cuts a line at the first separator.
pub(super) fn split<'a>(line: &'a [u8], separator: Option<&str>) -> Result<Line<'a>> {
    let Some(separator) = separator.map(str::as_bytes).filter(|text| !text.is_empty()) else {
        return Ok(Line {
            key: None,
            value: line,
        });
    };
    let Some(at) = line
        .windows(separator.len())
        .position(|window| window == separator)
    else {
        let shown: String = String::from_utf8_lossy(line).chars().take(40).collect();
        bail!(
            "line `{shown}` has no separator `{}`; leave --key-separator out to send values only",
            String::from_utf8_lossy(separator)
        );
    };
    Ok(Line {
        key: Some(&line[..at]),
        value: &line[at + separator.len()..],
    })
}

/// The source of lines.
pub(super) struct Input {
    reader: BufReader<Box<dyn Read>>,
    bytes: Option<u64>,
    position: u64,
    is_waiting: bool,
}

impl Input {
    /// Opens a file, or standard input.
    pub(super) fn open(path: Option<&Path>) -> Result<Self> {
        let (source, bytes): (Box<dyn Read>, _) = match path {
            Some(path) => {
                let file = File::open(path).with_context(|| format!("file {}", path.display()))?;
                let bytes = file.metadata()?.len();
                (Box::new(file), Some(bytes))
            }
            None => (Box::new(stdin()), None),
        };
        if path.is_none() && stdin().is_terminal() {
            eprintln!("each line becomes a record; end with ctrl-D");
        }
        let reader = BufReader::with_capacity(BUFFER_BYTES, source);
        Ok(Self {
            reader,
            bytes,
            position: 0,
            is_waiting: false,
        })
    }

    /// Bytes in all, of a file.
    pub(super) const fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Bytes read.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// Whether the next line may have to be waited for: what was read is used up, and it is no
    /// file.
    pub(super) const fn would_wait(&self) -> bool {
        self.is_waiting
    }

    /// The next line without its end; `None` at the end.
    pub(super) fn next_line(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.reader).take(LINE_BYTES_MAX);
        let count = bounded
            .read_until(b'\n', &mut line)
            .context("reading lines")?;
        if count == 0 {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() as u64 == LINE_BYTES_MAX {
            bail!("a line is above {LINE_BYTES_MAX} bytes, the largest batch; cut it");
        }
        self.position += count as u64;
        self.is_waiting = self.bytes.is_none() && self.reader.buffer().is_empty();
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_the_first_separator() {
        let both = split(b"a::b::c", Some("::")).unwrap();
        assert_eq!(
            both,
            Line {
                key: Some(b"a"),
                value: b"b::c"
            }
        );
        let empty = split(b"::", Some("::")).unwrap();
        assert_eq!(
            empty,
            Line {
                key: Some(b""),
                value: b""
            }
        );
        assert_eq!(
            split(b"a:b", None).unwrap(),
            Line {
                key: None,
                value: b"a:b"
            }
        );
        let error = split(b"no key", Some(":")).unwrap_err().to_string();
        assert!(
            error.contains("line `no key` has no separator `:`"),
            "{error}"
        );
    }
}
