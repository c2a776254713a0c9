//! The account itself: it must complain about every kind of broken promise.

use super::oracle::{Ending, Log, Oracle, Sent, Values, config};
use millrace_engine::ids::{PartitionHandle, TopicId};
use millrace_engine::io::simulated::Crash;
use millrace_engine::partition::{Durability, LogOffsets, PartitionSpec};
use millrace_engine::record_batch::builder::BatchBuilder;
use millrace_engine::record_batch::patch;
use std::collections::BTreeMap;
use std::rc::Rc;

const CUT: Ending = Ending::Crashed(Crash::PowerCut);
const KILL: Ending = Ending::Crashed(Crash::Kill);

fn batch(value: u8) -> Rc<Vec<u8>> {
    let mut builder = BatchBuilder::default();
    builder.push(0, None, Some(&[value; 20]), &[]);
    Rc::new(builder.build().unwrap())
}

/// A log with the batches 0, 1, 2, of which those below `exposed` were acknowledged.
fn log(durability: Durability, exposed: i64) -> Log {
    let mut log = Log::new(PartitionSpec {
        handle: PartitionHandle(1),
        topic_id: TopicId([1; 16]),
        index: 0,
        config: config(durability, -1),
    });
    for offset in 0..3 {
        log.batches.push_back(Sent {
            base_offset: offset,
            end_offset: offset + 1,
            leader_epoch: 4,
            bytes: batch(offset as u8),
        });
    }
    log.exposed_end = exposed;
    log
}

fn stored(offset: i64) -> (i64, Vec<u8>) {
    let mut bytes = batch(offset as u8).as_ref().clone();
    patch(&mut bytes, offset, 4);
    (offset, bytes)
}

fn offsets(log_start: i64, log_end: i64) -> LogOffsets {
    LogOffsets {
        log_start,
        last_stable: log_end,
        high_watermark: log_end,
        durable_end: log_end,
        log_end,
        leader_epoch: 5,
    }
}

fn recovered(log: &Log, ending: Ending, log_end: i64, found: &[(i64, Vec<u8>)]) -> String {
    let mut log = log.clone();
    let result = log.check_recovered(ending, &offsets(0, log_end), found);
    result.err().unwrap_or_default()
}

#[test]
fn a_prefix_that_holds_all_promises_is_accepted() {
    let log = log(Durability::Disk, 2);
    let all = [stored(0), stored(1), stored(2)];
    assert_eq!(recovered(&log, CUT, 2, &all[..2]), "");
    assert_eq!(recovered(&log, CUT, 3, &all), "");
    assert_eq!(recovered(&log, Ending::Stopped, 3, &all), "");
}

#[test]
fn lost_changed_invented_and_misplaced_batches_are_noticed() {
    let log = log(Durability::Disk, 2);
    assert!(recovered(&log, CUT, 1, &[stored(0)]).contains("lost"));
    assert!(recovered(&log, Ending::Stopped, 2, &[stored(0), stored(1)]).contains("lost"));
    let mut changed = [stored(0), stored(1)];
    changed[1].1[70] ^= 1;
    assert!(recovered(&log, CUT, 2, &changed).contains("changed"));
    let mut epoch = [stored(0), stored(1)];
    patch(&mut epoch[1].1, 1, 9);
    assert!(recovered(&log, CUT, 2, &epoch).contains("changed"));
    let invented = [stored(0), stored(1), stored(2), stored(3)];
    assert!(recovered(&log, CUT, 4, &invented).contains("never sent"));
    let hole = [stored(0), stored(2)];
    assert!(recovered(&log, CUT, 3, &hole).contains("where 1 was sent"));
}

#[test]
fn offsets_that_do_not_fit_the_batches_are_noticed() {
    let mut log = log(Durability::Disk, 2);
    let found = [stored(0), stored(1)];
    assert!(recovered(&log, CUT, 5, &found).contains("log end"));
    let mut unreadable = offsets(0, 2);
    unreadable.high_watermark = 1;
    let problem = log
        .clone()
        .check_recovered(CUT, &unreadable, &found)
        .unwrap_err();
    assert!(problem.contains("readable"));
    let later = log
        .check_recovered(CUT, &offsets(1, 2), &found[1..])
        .unwrap_err();
    assert!(later.contains("log start"), "nobody asked for it");
}

#[test]
fn relaxed_classes_may_lose_what_they_said_and_never_its_offsets() {
    let memory = log(Durability::Memory, 3);
    assert_eq!(recovered(&memory, KILL, 3, &[stored(0)]), "");
    assert_eq!(recovered(&memory, CUT, 9, &[stored(0)]), "");
    assert!(recovered(&memory, CUT, 2, &[stored(0)]).contains("again"));
    let written = log(Durability::Written, 3);
    assert_eq!(recovered(&written, CUT, 3, &[stored(0)]), "");
    assert!(recovered(&written, KILL, 3, &[stored(0)]).contains("lost"));
    let mut flushed = log(Durability::Memory, 3);
    flushed.durable_end = 2;
    assert!(recovered(&flushed, CUT, 3, &[stored(0)]).contains("lost"));
}

#[test]
fn what_a_recovery_showed_must_stay() {
    let mut log = log(Durability::Memory, 1);
    log.check_recovered(CUT, &offsets(0, 2), &[stored(0), stored(1)])
        .unwrap();
    assert!(recovered(&log, CUT, 2, &[stored(0)]).contains("lost"));
}

#[test]
fn partitions_that_vanish_or_come_back_are_noticed() {
    let with = |is_created, is_deleted| {
        let mut oracle = Oracle::default();
        let mut log = log(Durability::Disk, 0);
        log.is_created = is_created;
        log.is_delete_asked = is_deleted;
        log.is_deleted = is_deleted;
        oracle.logs.insert(PartitionHandle(1), log);
        oracle
    };
    let there = [(PartitionHandle(1), TopicId([1; 16]), 0)];
    let renamed = [(PartitionHandle(1), TopicId([2; 16]), 0)];
    let unknown = [(PartitionHandle(2), TopicId([1; 16]), 0)];
    assert!(with(true, false).check_partitions(CUT, &there).is_ok());
    assert!(with(false, false).check_partitions(CUT, &[]).is_ok());
    assert!(with(true, true).check_partitions(CUT, &[]).is_ok());
    assert!(with(true, false).check_partitions(CUT, &[]).is_err());
    assert!(with(true, true).check_partitions(CUT, &there).is_err());
    assert!(with(true, false).check_partitions(CUT, &renamed).is_err());
    assert!(with(true, false).check_partitions(CUT, &unknown).is_err());
}

#[test]
fn registry_values_may_be_the_durable_one_or_a_later_one() {
    let check = |value: Option<u8>| {
        let mut oracle = Oracle::default();
        let versions = vec![Some(vec![1]), Some(vec![2]), None];
        oracle.registry.insert(
            7,
            Values {
                versions,
                durable: 1,
            },
        );
        let found: BTreeMap<u8, Vec<u8>> =
            value.map(|value| (7, vec![value])).into_iter().collect();
        oracle.check_registry(&found)
    };
    assert!(check(Some(2)).is_ok());
    assert!(check(None).is_ok());
    assert!(check(Some(1)).is_err());
    assert!(check(Some(3)).is_err());
}
