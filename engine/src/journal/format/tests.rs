//! Round trips and hostile bytes for commits.

use super::{
    COMMIT_HEADER_BYTES, CommitId, Damage, Entry, Kind, TableBuilder, encode_echo, read_header,
    round_up_to_block, seal_commit,
};
use crate::ids::{FileId, JournalId, PartitionHandle};
use crate::journal::check::JournalKey;
use crate::journal::ring::{Place, RingShape};
use crate::partition::BatchDescriptor;

const KEY: JournalKey = JournalKey([9; 16]);
const SHAPE: RingShape = RingShape {
    files: 4,
    file_bytes: 1 << 20,
};

fn id() -> CommitId {
    CommitId {
        journal: JournalId(3),
        epoch: 5,
        sequence: 77,
        previous: [1; 16],
        place: Place {
            file: 2,
            position: 8192,
        },
        mark: 75,
    }
}

fn descriptor(base_offset: i64) -> BatchDescriptor {
    BatchDescriptor {
        base_offset,
        last_offset: base_offset + 4,
        bytes: 100_000,
        max_timestamp: 1_700_000_000_000,
        producer_id: 12,
        producer_epoch: 3,
        base_sequence: 44,
        attributes: 4,
    }
}

fn sample() -> Vec<u8> {
    let mut table = TableBuilder::default();
    let mut payload = Vec::new();
    let append = Entry {
        leader_epoch: 6,
        previous_sequence: 70,
        base_offset: 10,
        end_offset: 20,
        ceiling: Some(1000),
        file: FileId(0xff),
        generation: 2,
        position: 5000,
        length: 200_000,
        placed_start: 8192,
        placed_end: 200_704,
        image_bytes: 904,
        inline_bytes: 3192,
        ..Entry::control(Kind::Append, PartitionHandle(42), 0)
    };
    table.push(append, &[descriptor(10), descriptor(15)], &[7, 8, 9]);
    payload.extend_from_slice(&[1; 904]);
    payload.extend_from_slice(&[2; 3192]);
    table.push(
        Entry::control(Kind::Registry, PartitionHandle(0), 7),
        &[],
        &[],
    );
    payload.extend_from_slice(b"control");
    let mut commit = vec![0; COMMIT_HEADER_BYTES];
    commit.extend_from_slice(table.table());
    commit.extend_from_slice(&encode_echo(PartitionHandle(1), 99));
    commit.extend_from_slice(&payload);
    assert_eq!(commit.len(), table.commit_bytes(1));
    commit.resize(round_up_to_block(commit.len()), 0);
    seal_commit(&mut commit, &KEY, &id(), &table, 1);
    commit
}

#[test]
fn a_commit_is_read_back_as_it_was_sealed() {
    let commit = sample();
    let header = read_header(&commit, &KEY, JournalId(3), &SHAPE, id().place).unwrap();
    assert_eq!(header.id, id());
    assert_eq!(header.length, commit.len() as u64);
    let content = header.content(&commit).unwrap();
    let entries: Vec<_> = content.entries().collect();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].entry.kind, Kind::Append);
    assert_eq!(entries[0].entry.handle, PartitionHandle(42));
    assert_eq!(entries[0].entry.ceiling, Some(1000));
    assert_eq!(entries[0].entry.placed_end, 200_704);
    assert_eq!(entries[0].image, &[1; 904]);
    assert_eq!(entries[0].inline, &[2; 3192]);
    let batches: Vec<_> = entries[0].descriptors().collect();
    assert_eq!(batches, [descriptor(10), descriptor(15)]);
    let crcs: Vec<_> = entries[0].placed_crcs().collect();
    assert_eq!(crcs, [7, 8, 9]);
    assert_eq!(entries[1].inline, b"control");
    assert_eq!(entries[1].entry.ceiling, None);
    let echo: Vec<_> = content.echo().collect();
    assert_eq!(echo, [(PartitionHandle(1), 99)]);
}

#[test]
fn a_header_counts_only_with_its_key_at_its_place_in_its_journal() {
    let commit = sample();
    let place = id().place;
    let elsewhere = Place {
        file: 2,
        position: 12_288,
    };
    let other_key = JournalKey([8; 16]);
    assert!(read_header(&commit, &KEY, JournalId(3), &SHAPE, place).is_some());
    assert!(read_header(&commit, &other_key, JournalId(3), &SHAPE, place).is_none());
    assert!(read_header(&commit, &KEY, JournalId(4), &SHAPE, place).is_none());
    assert!(read_header(&commit, &KEY, JournalId(3), &SHAPE, elsewhere).is_none());
}

#[test]
fn every_flipped_bit_of_a_commit_is_noticed_and_says_what_is_left() {
    let commit = sample();
    let header = read_header(&commit, &KEY, JournalId(3), &SHAPE, id().place).unwrap();
    let table_end = COMMIT_HEADER_BYTES + header.table_bytes as usize + 16;
    let payload_end = table_end + header.payload_bytes as usize;
    for at in 0..payload_end {
        let mut hurt = commit.clone();
        hurt[at] ^= 1 << (at % 8);
        let found = read_header(&hurt, &KEY, JournalId(3), &SHAPE, id().place);
        if at < COMMIT_HEADER_BYTES {
            assert!(found.is_none(), "byte {at} of the header");
            continue;
        }
        let result = found.unwrap().content(&hurt).map(|_| ());
        let expected = if at < table_end {
            Damage::Table
        } else {
            Damage::Payload
        };
        assert_eq!(result, Err(expected), "byte {at}");
    }
}

#[test]
fn bytes_that_pass_no_check_never_panic() {
    let commit = sample();
    let mut seed = 1_u64;
    for length in (0..commit.len()).step_by(37) {
        let mut bytes = commit[..length].to_vec();
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if let Some(byte) = bytes.get_mut(seed as usize % commit.len()) {
                *byte = (seed >> 56) as u8;
            }
        }
        if let Some(header) = read_header(&bytes, &KEY, JournalId(3), &SHAPE, id().place) {
            _ = header.content(&bytes);
        }
    }
}

#[test]
fn a_table_that_lies_about_its_payload_is_damage_even_with_a_good_crc() {
    let mut table = TableBuilder::default();
    table.push(
        Entry::control(Kind::Registry, PartitionHandle(0), 5000),
        &[],
        &[],
    );
    let mut commit = vec![0; COMMIT_HEADER_BYTES];
    commit.extend_from_slice(table.table());
    commit.resize(8192, 0);
    // A builder that announced 5000 bytes; the reader sees only what the header claims.
    let mut honest = TableBuilder::default();
    honest.push(
        Entry::control(Kind::Registry, PartitionHandle(0), 10),
        &[],
        &[],
    );
    seal_commit(&mut commit, &KEY, &id(), &honest, 0);
    let header = read_header(&commit, &KEY, JournalId(3), &SHAPE, id().place).unwrap();
    assert_eq!(header.content(&commit).map(|_| ()), Err(Damage::Table));
}
