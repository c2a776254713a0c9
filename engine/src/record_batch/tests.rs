//! What `parse`, `check` and `patch` do with a good batch and with any other bytes.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test bytes"
)]

use super::*;

/// A batch of three uncompressed records, written out by hand from the format's description.
fn batch() -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&0_i64.to_be_bytes());
    bytes.extend_from_slice(&0_i32.to_be_bytes());
    bytes.extend_from_slice(&(-1_i32).to_be_bytes());
    bytes.push(2);
    bytes.extend_from_slice(&0_u32.to_be_bytes());
    bytes.extend_from_slice(&0_i16.to_be_bytes());
    bytes.extend_from_slice(&2_i32.to_be_bytes());
    bytes.extend_from_slice(&1000_i64.to_be_bytes());
    bytes.extend_from_slice(&1002_i64.to_be_bytes());
    bytes.extend_from_slice(&(-1_i64).to_be_bytes());
    bytes.extend_from_slice(&(-1_i16).to_be_bytes());
    bytes.extend_from_slice(&(-1_i32).to_be_bytes());
    bytes.extend_from_slice(&3_i32.to_be_bytes());
    for delta in 0..3_u8 {
        // Length 7, attributes, timestamp delta, offset delta, null key, one byte, no headers.
        bytes.extend_from_slice(&[7 << 1, 0, delta << 1, delta << 1, 1, 1 << 1, b'v', 0]);
    }
    seal(&mut bytes);
    bytes
}

/// Makes length and crc fit the bytes again.
fn seal(bytes: &mut [u8]) {
    let length = i32::try_from(bytes.len() - LENGTH_OVERHEAD_BYTES).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc(bytes);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

fn check_changed(change: impl FnOnce(&mut Vec<u8>)) -> Result<Header, BatchError> {
    let mut bytes = batch();
    change(&mut bytes);
    seal(&mut bytes);
    check(&bytes)
}

#[test]
fn check_accepts_a_good_batch_and_reads_every_field() {
    let bytes = batch();
    let header = check(&bytes).unwrap();
    assert_eq!(header.batch_bytes as usize, bytes.len());
    assert_eq!(header.partition_leader_epoch, -1);
    assert_eq!((header.record_count, header.last_offset_delta), (3, 2));
    assert_eq!((header.base_timestamp, header.max_timestamp), (1000, 1002));
    assert_eq!(
        (
            header.producer_id,
            header.producer_epoch,
            header.base_sequence
        ),
        (-1, -1, -1)
    );
    assert_eq!(header.compression(), Some(Compression::None));
    assert_eq!(header.timestamp_type(), TimestampType::CreateTime);
    assert!(!header.is_transactional() && !header.is_control() && !header.has_producer());
}

#[test]
fn the_crc_of_a_batch_is_that_of_the_public_test_vector() {
    let mut bytes = vec![0; CRC_SPAN_START];
    bytes.extend_from_slice(b"123456789");
    assert_eq!(crc(&bytes), 0xe306_9283);
}

#[test]
fn patch_changes_offset_and_epoch_and_keeps_the_crc_valid() {
    let mut bytes = batch();
    patch(&mut bytes, 1 << 40, 7);
    let header = check(&bytes).unwrap();
    assert_eq!(
        (header.base_offset, header.partition_leader_epoch),
        (1 << 40, 7)
    );
    assert_eq!(
        (header.last_offset(), header.end_offset()),
        ((1 << 40) + 2, (1 << 40) + 3)
    );
    patch(&mut bytes, 0, -1);
    assert_eq!(bytes, batch());
}

#[test]
fn every_flipped_bit_behind_the_leader_epoch_is_noticed() {
    let good = batch();
    for position in 12 + 4..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[position] ^= 1 << bit;
            let error = check(&bytes).unwrap_err();
            let is_magic = position == MAGIC_POSITION;
            assert_eq!(
                matches!(error, BatchError::BadMagic { .. }),
                is_magic,
                "{position}"
            );
            assert_eq!(
                matches!(error, BatchError::CorruptCrc { .. }),
                !is_magic,
                "{position}"
            );
        }
    }
}

#[test]
fn every_truncation_is_a_bad_length() {
    let good = batch();
    assert_eq!(
        check(&[]),
        Err(BatchError::NotOneBatch {
            bytes: 0,
            batch_bytes: 0
        })
    );
    for end in 1..good.len() {
        assert!(
            matches!(check(&good[..end]), Err(BatchError::BadLength { .. })),
            "{end}"
        );
    }
}

#[test]
fn two_batches_or_trailing_bytes_are_not_one_batch() {
    let good = batch();
    let twice = [good.as_slice(), good.as_slice()].concat();
    let wanted = BatchError::NotOneBatch {
        bytes: twice.len(),
        batch_bytes: good.len(),
    };
    assert_eq!(check(&twice), Err(wanted));
    let longer = [good.as_slice(), &[0]].concat();
    assert!(matches!(
        check(&longer),
        Err(BatchError::NotOneBatch { .. })
    ));
}

#[test]
fn impossible_lengths_are_refused_without_looking_further() {
    for length in [
        i32::MIN,
        -1,
        0,
        48,
        (BATCH_BYTES_MAX - 11).cast_signed(),
        i32::MAX,
    ] {
        let mut bytes = batch();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        assert!(
            matches!(check(&bytes), Err(BatchError::BadLength { .. })),
            "{length}"
        );
        assert!(
            matches!(Header::parse(&bytes), Err(BatchError::BadLength { .. })),
            "{length}"
        );
    }
}

#[test]
fn older_magics_are_named_even_when_shorter_than_a_header() {
    for magic in [0, 1, 3, -1_i8] {
        let mut bytes = batch();
        bytes[MAGIC_POSITION] = magic.cast_unsigned();
        bytes.truncate(40);
        assert_eq!(check(&bytes), Err(BatchError::BadMagic { magic }));
    }
}

#[test]
fn counts_that_do_not_fit_are_refused() {
    let counts = [
        (0, -1),
        (-1, -2),
        (3, 3),
        (2, 2),
        (i32::MAX, 2),
        (i32::MIN, i32::MAX),
    ];
    for (record_count, last_offset_delta) in counts {
        let result = check_changed(|bytes| {
            bytes[57..61].copy_from_slice(&i32::to_be_bytes(record_count));
            bytes[23..27].copy_from_slice(&i32::to_be_bytes(last_offset_delta));
        });
        assert_eq!(
            result,
            Err(BatchError::BadCount {
                record_count,
                last_offset_delta
            })
        );
    }
}

#[test]
fn control_batches_and_unknown_compression_are_refused() {
    assert_eq!(
        check_changed(|bytes| bytes[22] = 0x20),
        Err(BatchError::ControlBatch)
    );
    for bits in 5..8_u8 {
        let wanted = Err(BatchError::UnknownCompression {
            bits: i16::from(bits),
        });
        assert_eq!(check_changed(|bytes| bytes[22] = bits), wanted);
    }
    for codec in Compression::ALL {
        let bits = codec.bits().to_be_bytes()[1];
        let header = check_changed(|bytes| bytes[22] = bits | 0x18).unwrap();
        assert_eq!(header.compression(), Some(codec));
        assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
        assert!(header.is_transactional());
    }
}

#[test]
fn a_producer_needs_an_epoch_and_a_sequence() {
    let with = |epoch: i16, sequence: i32| {
        check_changed(|bytes| {
            bytes[43..51].copy_from_slice(&9_i64.to_be_bytes());
            bytes[51..53].copy_from_slice(&epoch.to_be_bytes());
            bytes[53..57].copy_from_slice(&sequence.to_be_bytes());
        })
    };
    assert!(with(0, 0).unwrap().has_producer());
    assert!(matches!(with(-1, 0), Err(BatchError::BadSequence { .. })));
    assert!(matches!(with(0, -1), Err(BatchError::BadSequence { .. })));
}
