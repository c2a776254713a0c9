//! The four codecs of record batches: opening payloads with a bound, and making them for tools.
//!
//! The broker stores compressed batches as they came; it opens one only to find a record by its
//! timestamp, and never on a data core. Whatever the bytes say, at most `bytes_max` bytes come out,
//! and memory beyond them stays within the codec's own window: 8 MiB or `bytes_max`.

use super::Compression;
use std::io::{Read, Write};

/// The framing of Java's snappy library: this, then two version numbers, then blocks.
const SNAPPY_FRAMING: [u8; 8] = *b"\x82SNAPPY\0";
const SNAPPY_FRAMING_BYTES: usize = 16;
const SNAPPY_BLOCK_BYTES: usize = 32 * 1024;
/// A snappy element of 3 bytes makes at most 64, so a block cannot grow by more than this.
const SNAPPY_GROWTH_MAX: usize = 22;
const READ_BYTES: usize = 64 * 1024;
const ZSTD_WINDOW_LOG_MIN: u32 = 23;
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Why a payload could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// The bytes are not what the codec writes.
    #[error("{codec} payload of {bytes} bytes cannot be opened: {reason}")]
    Corrupt {
        /// The codec's name.
        codec: &'static str,
        /// Bytes of the payload.
        bytes: usize,
        /// What the codec says.
        reason: String,
    },
    /// More would come out than is allowed.
    #[error("{codec} payload of {bytes} bytes opens to more than {bytes_max} bytes")]
    TooLarge {
        /// The codec's name.
        codec: &'static str,
        /// Bytes of the payload.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
}

/// Appends the opened `payload` to `output`: at most `bytes_max` bytes.
///
/// # Errors
/// See [`CompressionError`]; `output` then holds what came out before.
pub fn decompress(
    codec: Compression,
    payload: &[u8],
    bytes_max: usize,
    output: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let mut opening = Opening {
        codec,
        payload,
        bytes_max,
        left: bytes_max,
        output,
    };
    match codec {
        Compression::None => opening.read_all(payload),
        Compression::Gzip => opening.read_all(flate2::bufread::MultiGzDecoder::new(payload)),
        Compression::Snappy => opening.snappy(),
        Compression::Lz4 => opening.read_all(lz4_flex::frame::FrameDecoder::new(payload)),
        Compression::Zstd => opening.zstd(),
    }
}

/// Appends the compressed `input` to `output`.
///
/// # Errors
/// `Corrupt` when the codec refuses, which for bytes in memory means that they are too many.
pub fn compress(
    codec: Compression,
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let result = match codec {
        Compression::None => output.write_all(input).map_err(|error| error.to_string()),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(output, flate2::Compression::default());
            let written = encoder.write_all(input).and_then(|()| encoder.try_finish());
            written.map_err(|error| error.to_string())
        }
        Compression::Snappy => compress_snappy(input, output).map_err(|error| error.to_string()),
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(output);
            let written = encoder.write_all(input).map_err(|error| error.to_string());
            written.and_then(|()| {
                encoder
                    .finish()
                    .map(drop)
                    .map_err(|error| error.to_string())
            })
        }
        Compression::Zstd => {
            zstd::stream::copy_encode(input, output, zstd::DEFAULT_COMPRESSION_LEVEL)
                .map_err(|error| error.to_string())
        }
    };
    let corrupt = |reason| CompressionError::Corrupt {
        codec: codec.name(),
        bytes: input.len(),
        reason,
    };
    result.map_err(corrupt)
}

fn compress_snappy(input: &[u8], output: &mut Vec<u8>) -> Result<(), snap::Error> {
    output.extend_from_slice(&SNAPPY_FRAMING);
    output.extend_from_slice(&1_i32.to_be_bytes());
    output.extend_from_slice(&1_i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in input.chunks(SNAPPY_BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block)?;
        // A block of 32 KiB grows to less than 40 KiB.
        let bytes = u32::try_from(compressed.len()).unwrap_or(u32::MAX);
        output.extend_from_slice(&bytes.to_be_bytes());
        output.extend_from_slice(&compressed);
    }
    Ok(())
}

struct Opening<'a> {
    codec: Compression,
    payload: &'a [u8],
    bytes_max: usize,
    left: usize,
    output: &'a mut Vec<u8>,
}

impl Opening<'_> {
    fn corrupt(&self, reason: impl ToString) -> CompressionError {
        CompressionError::Corrupt {
            codec: self.codec.name(),
            bytes: self.payload.len(),
            reason: reason.to_string(),
        }
    }

    const fn too_large(&self) -> CompressionError {
        CompressionError::TooLarge {
            codec: self.codec.name(),
            bytes: self.payload.len(),
            bytes_max: self.bytes_max,
        }
    }

    /// Reads to the end, growing the output with what really comes.
    fn read_all(&mut self, mut reader: impl Read) -> Result<(), CompressionError> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let count = match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.corrupt(error)),
            };
            self.left = self
                .left
                .checked_sub(count)
                .ok_or_else(|| self.too_large())?;
            self.output
                .extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
    }

    fn zstd(&mut self) -> Result<(), CompressionError> {
        let payload = self.payload;
        let window_log = usize::BITS
            .saturating_sub(self.bytes_max.leading_zeros())
            .clamp(ZSTD_WINDOW_LOG_MIN, ZSTD_WINDOW_LOG_MAX);
        let mut decoder = zstd::stream::read::Decoder::with_buffer(payload)
            .map_err(|error| self.corrupt(error))?;
        decoder
            .window_log_max(window_log)
            .map_err(|error| self.corrupt(error))?;
        self.read_all(decoder)
    }

    fn snappy(&mut self) -> Result<(), CompressionError> {
        if !self.payload.starts_with(&SNAPPY_FRAMING) {
            return self.snappy_block(self.payload);
        }
        let mut rest = self.payload;
        while !rest.is_empty() {
            // The framing may begin again wherever a block may begin.
            if rest.starts_with(&SNAPPY_FRAMING) {
                rest = rest
                    .get(SNAPPY_FRAMING_BYTES..)
                    .ok_or_else(|| self.corrupt("it ends within its framing"))?;
                continue;
            }
            let (length, behind) = rest
                .split_first_chunk::<4>()
                .ok_or_else(|| self.corrupt("it ends within a block's length"))?;
            let (block, behind) = behind
                .split_at_checked(u32::from_be_bytes(*length) as usize)
                .ok_or_else(|| self.corrupt("it ends within a block"))?;
            self.snappy_block(block)?;
            rest = behind;
        }
        Ok(())
    }

    fn snappy_block(&mut self, block: &[u8]) -> Result<(), CompressionError> {
        let bytes = snap::raw::decompress_len(block).map_err(|error| self.corrupt(error))?;
        if bytes > block.len().saturating_mul(SNAPPY_GROWTH_MAX) {
            return Err(self.corrupt(format!("a block of {} says {bytes}", block.len())));
        }
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or_else(|| self.too_large())?;
        let start = self.output.len();
        self.output.resize(start.saturating_add(bytes), 0);
        let place = self.output.get_mut(start..).unwrap_or_default();
        let result = snap::raw::Decoder::new().decompress(block, place);
        result.map(drop).map_err(|error| self.corrupt(error))
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "test bytes")]
mod tests {
    use super::*;

    const CODECS: [Compression; 4] = [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    /// Half text that repeats, half bytes that do not.
    fn input(bytes: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_u32;
        (0..bytes)
            .map(|index| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if index % 8192 < 4096 {
                    b"package "[index % 8]
                } else {
                    state.to_be_bytes()[0]
                }
            })
            .collect()
    }

    fn compressed(codec: Compression, bytes: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        compress(codec, bytes, &mut output).unwrap();
        output
    }

    fn opened(codec: Compression, payload: &[u8], max: usize) -> Result<Vec<u8>, CompressionError> {
        let mut output = Vec::new();
        decompress(codec, payload, max, &mut output).map(|()| output)
    }

    #[test]
    fn every_codec_gives_back_what_it_took() {
        for codec in Compression::ALL {
            for bytes in [0, 1, 100, SNAPPY_BLOCK_BYTES, 300_000] {
                let input = input(bytes);
                let payload = compressed(codec, &input);
                assert_eq!(
                    opened(codec, &payload, bytes).unwrap(),
                    input,
                    "{codec:?} {bytes}"
                );
            }
        }
    }

    #[test]
    fn one_byte_above_the_bound_is_too_large() {
        let input = input(300_000);
        for codec in Compression::ALL {
            let payload = compressed(codec, &input);
            let error = opened(codec, &payload, input.len() - 1).unwrap_err();
            assert!(
                matches!(error, CompressionError::TooLarge { .. }),
                "{codec:?}: {error}"
            );
        }
    }

    #[test]
    fn a_bomb_stops_at_the_bound() {
        let zeros = vec![0; 32 << 20];
        for codec in CODECS {
            let payload = compressed(codec, &zeros);
            let mut output = Vec::new();
            let error = decompress(codec, &payload, 1 << 20, &mut output).unwrap_err();
            assert!(
                matches!(error, CompressionError::TooLarge { .. }),
                "{codec:?}: {error}"
            );
            assert!(
                output.capacity() <= 3 << 20,
                "{codec:?} {}",
                output.capacity()
            );
        }
    }

    #[test]
    fn raw_snappy_and_repeated_framing_are_opened() {
        let input = input(50_000);
        let raw = snap::raw::Encoder::new().compress_vec(&input).unwrap();
        assert_eq!(
            opened(Compression::Snappy, &raw, input.len()).unwrap(),
            input
        );
        let framed = compressed(Compression::Snappy, &input);
        let twice = [framed.as_slice(), framed.as_slice()].concat();
        let wanted = [input.as_slice(), input.as_slice()].concat();
        assert_eq!(
            opened(Compression::Snappy, &twice, wanted.len()).unwrap(),
            wanted
        );
    }

    #[test]
    fn a_snappy_length_that_its_bytes_cannot_give_sizes_nothing() {
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
        let mut output = Vec::new();
        let error = decompress(Compression::Snappy, &lie, usize::MAX, &mut output).unwrap_err();
        assert!(matches!(error, CompressionError::Corrupt { .. }), "{error}");
        assert_eq!(output.capacity(), 0);
    }

    #[test]
    fn a_zstd_window_above_the_bound_is_refused() {
        // A frame whose descriptor asks for a window of 2^31 bytes.
        let frame = [
            0x28,
            0xb5,
            0x2f,
            0xfd,
            0x00,
            (31 - 10) << 3,
            0x01,
            0x00,
            0x00,
        ];
        let error = opened(Compression::Zstd, &frame, 1 << 20).unwrap_err();
        assert!(matches!(error, CompressionError::Corrupt { .. }), "{error}");
    }

    #[test]
    fn damaged_payloads_never_give_more_than_the_bound() {
        let input = input(20_000);
        for codec in CODECS {
            let good = compressed(codec, &input);
            for position in (0..good.len()).step_by(7) {
                let mut damaged = good.clone();
                damaged[position] ^= 0x55;
                if let Ok(output) = opened(codec, &damaged, 30_000) {
                    assert!(output.len() <= 30_000);
                }
                if let Ok(output) = opened(codec, &good[..position], 30_000) {
                    assert!(output.len() < input.len(), "{codec:?} {position}");
                }
            }
        }
    }
}
