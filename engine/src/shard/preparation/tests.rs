//! Preparation, recycling and ballast on the simulated disk.

use super::super::file_table::{Content, FileEvent, FileTable, SegmentFile, Want};
use super::super::identity::Owner;
use super::super::token::LogKind;
use super::{Admission, Preparation, PreparationConfig, PreparationEvent, call_file};
use crate::ids::{FileId, JournalId, PartitionHandle, TopicId};
use crate::io::simulated::{DiskFault, FaultTarget, ScriptedFault, World, WorldConfig};
use crate::io::{Dir, FileOp, FileReply, Io, IoFailure, Op, Outcome};
use crate::partition::{NewSegment, ReleasedFile, SpaceWanted};
use crate::segment::file_format::SegmentIdentity;

const KIB: u64 = 1024;
const MIB: u64 = 1 << 20;

struct Fixture {
    world: World,
    io: Io,
    table: FileTable,
    preparation: Preparation,
    prepared: Vec<(FileId, u64)>,
    full: Vec<bool>,
    failures: Vec<IoFailure>,
}

fn config() -> PreparationConfig {
    PreparationConfig {
        journal: JournalId(3),
        ballast_bytes: MIB,
        spare_bytes_max: 64 * MIB,
        spare_free_divisor: 20,
        spare_file_bytes_min: MIB,
        depth_max: 4,
    }
}

fn owner(handle: u64) -> Owner {
    Owner {
        handle: PartitionHandle(handle),
        topic_id: TopicId([handle as u8; 16]),
        index: handle as i32,
    }
}

fn on_disk(space_bytes: u64) -> Fixture {
    let mut config = WorldConfig::default();
    config.disk.space_bytes = space_bytes;
    let (world, ios) = World::new(11, 1, config);
    begin(world, ios, 1)
}

fn begin(world: World, mut ios: Vec<Io>, next_number: u64) -> Fixture {
    let mut io = ios.remove(0);
    let mut preparation = Preparation::new(config(), next_number);
    preparation.begin(&mut io).unwrap();
    Fixture {
        world,
        io,
        table: FileTable::new(8),
        preparation,
        prepared: Vec::new(),
        full: Vec::new(),
        failures: Vec::new(),
    }
}

impl Fixture {
    /// Runs until nothing happens any more, or until `ns` have passed.
    fn settle_for(&mut self, ns: u64) {
        let end_ns = self.io.now_ns() + ns;
        loop {
            self.turn();
            if self.io.now_ns() >= end_ns || self.world.is_crashed() {
                break;
            }
            if self.world.operations_in_flight() == 0 {
                let Some(deadline) = self.preparation.next_deadline_ns() else {
                    break;
                };
                let awaiting = crate::io::Awaiting::Anything;
                self.io.park(Some(deadline.min(end_ns)), awaiting);
            }
            if !self.world.step() {
                break;
            }
        }
        self.turn();
    }

    fn settle(&mut self) {
        self.settle_for(500_000_000);
    }

    fn turn(&mut self) {
        let mut done = Vec::new();
        self.io.poll(&mut done);
        for completion in done {
            let (kind, slot) = LogKind::parse(completion.token.key).unwrap();
            if kind == LogKind::OpenFile {
                self.table.complete(&mut self.io, slot, completion.outcome);
            } else {
                let (io, table) = (&mut self.io, &mut self.table);
                self.preparation
                    .complete(io, table, kind, slot, completion.outcome);
            }
        }
        while let Some(event) = self.table.next_event() {
            let is_mine = match event {
                FileEvent::Drained(_) => true,
                FileEvent::Opened { waiter, .. } => {
                    LogKind::parse(waiter).unwrap().0 == LogKind::Prepare
                }
            };
            if is_mine {
                let (io, table) = (&mut self.io, &mut self.table);
                self.preparation.file_event(io, table, event);
            }
        }
        self.preparation.end_turn(&mut self.io, &mut self.table);
        while let Some(event) = self.preparation.next_event() {
            match event {
                PreparationEvent::Prepared {
                    file, prepared_to, ..
                } => self.prepared.push((file, prepared_to)),
                PreparationEvent::DiskFull(is_full) => self.full.push(is_full),
                PreparationEvent::BallastSpent => {}
                PreparationEvent::Failed(failure) => self.failures.push(failure),
            }
        }
    }

    fn want(&mut self, handle: u64, segment: &NewSegment, from: u64, to: u64) {
        let wanted = SpaceWanted {
            file: segment.file,
            generation: segment.generation,
            from,
            to,
            is_urgent: true,
        };
        self.preparation
            .want_space(owner(handle), segment.file_bytes, wanted);
    }

    /// A prepared file of partition `handle`.
    fn made(&mut self, handle: u64, bytes: u64) -> NewSegment {
        let segment = self.preparation.next_file(owner(handle), bytes);
        self.want(handle, &segment, 0, bytes);
        self.settle();
        assert_eq!(self.prepared.pop(), Some((segment.file, bytes)));
        segment
    }

    fn release(&mut self, segment: &NewSegment, bytes: u64) {
        let file = ReleasedFile {
            file: segment.file,
            generation: segment.generation,
            bytes,
            prepared: bytes,
        };
        self.preparation
            .release(&mut self.io, &mut self.table, file);
    }

    fn names(&mut self) -> Vec<String> {
        let dir = Dir::Segments;
        match call_file(&mut self.io, FileOp::List { dir }) {
            Ok(FileReply::Listed(files)) => files.into_iter().map(|(name, _)| name).collect(),
            other => panic!("listing answered {other:?}"),
        }
    }

    fn identity(&mut self, file: FileId) -> Option<SegmentIdentity> {
        read_identity(&mut self.io, file)
    }

    fn power_cut(self) -> Self {
        let next_number = self.preparation.next_number();
        let Self { world, io, .. } = self;
        world.crash_never();
        world.power_cut();
        drop(io);
        let ios = world.restart(1);
        begin(world, ios, next_number)
    }
}

fn read_identity(io: &mut Io, file: FileId) -> Option<SegmentIdentity> {
    let path = SegmentFile::records(file).path();
    let Ok(FileReply::Opened { file, .. }) = call_file(io, FileOp::Open { path }) else {
        return None;
    };
    let buf = io.arena().alloc(4096).unwrap();
    let position = 0;
    let outcome = io.call(Op::Read {
        file,
        position,
        buf,
    });
    io.close_file(file);
    match outcome {
        Outcome::Read(block, Ok(())) => SegmentIdentity::decode(&block),
        _ => None,
    }
}

fn segment_files(names: &[String]) -> Vec<&String> {
    names.iter().filter(|name| name.ends_with(".seg")).collect()
}

#[test]
fn a_prepared_file_survives_a_power_cut_with_its_identity() {
    let mut f = on_disk(1 << 30);
    let segment = f.preparation.next_file(owner(5), 4 * MIB);
    assert_eq!((segment.generation, segment.prepared), (0, 0));
    f.want(5, &segment, 0, 64 * KIB);
    f.settle();
    assert_eq!(f.prepared, [(segment.file, 64 * KIB)]);
    let mut f = f.power_cut();
    let expected = owner(5).identity(segment.file, 0);
    assert_eq!(f.identity(segment.file), Some(expected));
}

#[test]
fn nothing_is_reported_before_the_folder_is_synced() {
    // Whatever moment the power fails at: a reported file is there.
    let mut reported = 0;
    for operations in 1..60 {
        let mut f = on_disk(1 << 30);
        f.world
            .crash_after(operations, crate::io::simulated::Crash::PowerCut);
        let segments: Vec<_> = (1..4)
            .map(|handle| {
                let segment = f.preparation.next_file(owner(handle), MIB);
                f.want(handle, &segment, 0, 64 * KIB);
                segment
            })
            .collect();
        f.settle();
        let prepared = std::mem::take(&mut f.prepared);
        reported += prepared.len();
        let mut f = f.power_cut();
        for (file, _) in prepared {
            let identity = f.identity(file);
            assert_eq!(identity.map(|found| found.file), Some(file));
        }
        // What was under way is made again over whatever the crash left.
        for segment in &segments {
            f.want(segment_handle(&segments, segment), segment, 0, 64 * KIB);
        }
        f.settle();
        assert_eq!(f.prepared.len(), 3, "crash after {operations}");
        assert!(f.failures.is_empty());
    }
    assert!(reported > 10, "some crashes come after a report");
}

fn segment_handle(segments: &[NewSegment], segment: &NewSegment) -> u64 {
    let place = segments.iter().position(|other| other.file == segment.file);
    place.unwrap() as u64 + 1
}

#[test]
fn a_found_file_keeps_its_records_whatever_its_identity() {
    for is_open in [false, true] {
        for is_torn in [false, true] {
            find_file_with_records(is_open, is_torn);
        }
    }
}

fn find_file_with_records(is_open: bool, is_torn: bool) {
    let mut f = on_disk(1 << 30);
    let segment = f.made(5, MIB);
    let file = SegmentFile::records(segment.file);
    let mut bytes = f.io.arena().alloc(4096).unwrap();
    bytes.extend_from_slice(&[0xab; 4096]);
    let key = LogKind::Placed.key(0);
    let handle = match f.table.want(&mut f.io, file, key) {
        Want::Ready(handle) => handle,
        Want::Opening => panic!("a file just made is open"),
    };
    let outcome = f.io.call(Op::Write {
        file: handle,
        position: 4096,
        parts: vec![bytes.freeze()],
        durable: true,
    });
    assert!(matches!(outcome, Outcome::Write(_, Ok(()))));
    if is_torn {
        // The power failed while the identity was written again with the first records.
        let mut garbage = f.io.arena().alloc(4096).unwrap();
        garbage.extend_from_slice(&[0x77; 4096]);
        let outcome = f.io.call(Op::Write {
            file: handle,
            position: 0,
            parts: vec![garbage.freeze()],
            durable: true,
        });
        assert!(matches!(outcome, Outcome::Write(_, Ok(()))));
    }
    let mut f = f.power_cut();
    if is_open {
        // A reader has the file open when its partition asks for space.
        let key = LogKind::ColdRead.key(0);
        assert_eq!(f.table.want(&mut f.io, file, key), Want::Opening);
        f.settle();
    }
    f.want(5, &segment, 0, 2 * MIB);
    f.settle();
    assert_eq!(f.prepared, [(segment.file, MIB)], "no more than its size");
    let path = file.path();
    let content = call_file(
        &mut f.io,
        FileOp::ReadAll {
            path,
            bytes_max: 8 * MIB,
        },
    );
    let Ok(FileReply::Content(content)) = content else {
        panic!("{content:?}");
    };
    assert_eq!(content[4096..8192], [0xab; 4096]);
    assert!(owner(5).owns(segment.file, 0, &content[..4096]));
}

#[test]
fn growth_goes_on_where_the_prepared_space_ends() {
    let mut f = on_disk(1 << 30);
    let segment = f.preparation.next_file(owner(1), 8 * MIB);
    for (from, to) in [(0, 64 * KIB), (64 * KIB, MIB), (MIB, 8 * MIB)] {
        f.want(1, &segment, from, to);
        f.want(1, &segment, from, to);
        f.settle();
        assert_eq!(f.prepared.drain(..).as_slice(), [(segment.file, to)]);
    }
}

#[test]
fn a_want_that_crossed_its_answer_touches_nothing() {
    let mut f = on_disk(1 << 30);
    let segment = f.made(1, 256 * KIB);
    let before = f.world.counters().disk_events;
    f.want(1, &segment, 0, 256 * KIB);
    f.settle();
    assert_eq!(f.world.counters().disk_events, before);
    assert!(f.prepared.is_empty());
}

#[test]
fn a_busy_partition_finds_its_next_file_prepared() {
    let mut f = on_disk(1 << 30);
    let first = f.preparation.next_file(owner(1), 4 * MIB);
    f.want(1, &first, 0, 64 * KIB);
    f.settle();
    f.want(1, &first, 64 * KIB, 4 * MIB);
    f.settle();
    let second = f.preparation.next_file(owner(1), 4 * MIB);
    assert_ne!(second.file, first.file);
    assert!(second.prepared >= MIB);
    let stranger = f.preparation.next_file(owner(2), 4 * MIB);
    assert_eq!(stranger.prepared, 0);
}

#[test]
fn a_released_file_comes_back_with_the_next_generation_and_all_its_space() {
    let mut f = on_disk(1 << 30);
    let segment = f.made(1, 4 * MIB);
    f.release(&segment, 4 * MIB);
    f.settle();
    let again = f.preparation.next_file(owner(2), 4 * MIB);
    assert_eq!((again.file, again.generation), (segment.file, 1));
    assert_eq!(again.prepared, 0, "its identity is not written yet");
    f.settle();
    assert_eq!(f.prepared, [(segment.file, 4 * MIB)]);
    let mut f = f.power_cut();
    let identity = f.identity(segment.file).unwrap();
    assert_eq!(identity, owner(2).identity(segment.file, 1));
}

#[test]
fn a_file_in_use_is_not_reused() {
    let mut f = on_disk(1 << 30);
    let segment = f.made(1, 2 * MIB);
    let file = SegmentFile::records(segment.file);
    let key = LogKind::ColdRead.key(0);
    assert!(matches!(f.table.want(&mut f.io, file, key), Want::Ready(_)));
    f.release(&segment, 2 * MIB);
    f.settle();
    let other = f.preparation.next_file(owner(2), 2 * MIB);
    assert_ne!(other.file, segment.file, "a reader is on it");
    f.table.give_back(&mut f.io, file);
    f.settle();
    let again = f.preparation.next_file(owner(3), 2 * MIB);
    assert_eq!((again.file, again.generation), (segment.file, 1));
}

#[test]
fn a_small_released_file_is_removed_for_good() {
    let mut f = on_disk(1 << 30);
    let segment = f.made(1, 256 * KIB);
    f.release(&segment, 256 * KIB);
    f.settle();
    assert!(segment_files(&f.names()).is_empty());
    let mut f = f.power_cut();
    assert!(segment_files(&f.names()).is_empty());
}

#[test]
fn spares_stay_below_their_share_of_the_disk() {
    // A twentieth of 100 MiB is 5 MiB: two files of 2 MiB are kept, the third is removed.
    let mut f = on_disk(100 * MIB);
    let segments: Vec<_> = (1..4).map(|handle| f.made(handle, 2 * MIB)).collect();
    for segment in &segments {
        f.release(segment, 2 * MIB);
    }
    f.settle();
    assert_eq!(segment_files(&f.names()).len(), 2);
}

#[test]
fn a_reserved_file_of_a_deleted_partition_serves_another() {
    let mut f = on_disk(1 << 30);
    let first = f.preparation.next_file(owner(1), 4 * MIB);
    f.want(1, &first, 0, 4 * MIB);
    f.settle();
    f.preparation
        .forget_partition(&mut f.io, &mut f.table, PartitionHandle(1));
    f.settle();
    let reserved = f.preparation.next_file(owner(2), 4 * MIB);
    assert_eq!(reserved.generation, 1);
    assert_ne!(reserved.file, first.file);
}

#[test]
fn orphans_are_swept_and_named_files_are_not() {
    let mut f = on_disk(1 << 30);
    let kept = f.made(1, 256 * KIB);
    let orphan = f.made(2, 256 * KIB);
    for name in ["0004000000000001.seg", "0000000000000001.idx"] {
        let path = crate::io::FilePath::new(Dir::Segments, name);
        call_file(&mut f.io, FileOp::Create { path }).unwrap();
    }
    let mut f = f.power_cut_kept();
    f.preparation.sweep_orphans(&mut f.io, vec![kept.file]);
    let fresh = f.made(4, 256 * KIB);
    f.settle();
    let names = f.names();
    let has = |id| names.contains(&SegmentFile::records(id).path().name);
    assert!(has(kept.file) && has(fresh.file) && !has(orphan.file));
    // Other journals' files are theirs to sweep.
    assert!(names.iter().any(|name| name == "0000000000000001.idx"));
    let mine = names.iter().filter_map(|name| SegmentFile::parse(name));
    assert!(mine.filter(|file| file.content == Content::Records).count() >= 2);
}

impl Fixture {
    /// The process dies and the disk keeps everything.
    fn power_cut_kept(self) -> Self {
        let next_number = self.preparation.next_number();
        let Self { world, io, .. } = self;
        world.kill();
        drop(io);
        let ios = world.restart(1);
        begin(world, ios, next_number)
    }
}

#[test]
fn a_full_disk_refuses_appends_serves_what_was_admitted_and_recovers() {
    let mut f = on_disk(4 * MIB);
    assert_eq!(f.preparation.admit(100 * KIB), Admission::Granted);
    f.preparation.account(0, 400 * KIB);
    let big = f.preparation.next_file(owner(1), 64 * MIB);
    f.want(1, &big, 0, 2 * MIB + 900 * KIB);
    f.settle();
    assert!(f.full.is_empty());
    // 100 KiB are free, and 400 KiB were admitted before anybody knew.
    let late = f.preparation.next_file(owner(2), MIB);
    let mut from = 0;
    for _ in 0..100 {
        f.want(2, &late, from, 400 * KIB);
        f.settle_for(20_000_000);
        from = f.prepared.last().map_or(0, |(_, to)| *to);
    }
    assert_eq!(f.full, [true]);
    assert!(
        f.prepared.contains(&(late.file, 400 * KIB)),
        "{:?}",
        f.prepared
    );
    assert_eq!(f.preparation.admit(1), Admission::Full);
    f.preparation.account(400 * KIB, 0);
    f.settle_for(3_000_000_000);
    assert_eq!(f.full, [true], "no space came back");
    // Space returns: retention releases the big file.
    f.release(&big, 2 * MIB + 900 * KIB);
    f.settle_for(3_000_000_000);
    assert_eq!(f.full, [true, false]);
    assert_eq!(f.preparation.admit(1), Admission::Granted);
    assert!(f.names().contains(&"0003.ballast".to_owned()));
    assert!(f.failures.is_empty());
}

#[test]
fn a_shard_that_starts_on_a_full_disk_is_full_until_space_returns() {
    let mut f = on_disk(512 * KIB);
    f.settle_for(10_000_000);
    assert_eq!(f.full, [true]);
    assert_eq!(f.preparation.admit(1), Admission::Full);
    f.world
        .configure(|config| config.disk.space_bytes = 64 * MIB);
    f.settle_for(3_000_000_000);
    assert_eq!(f.full, [true, false]);
}

#[test]
fn bytes_without_a_place_are_bounded_and_a_large_batch_alone_passes() {
    let mut f = on_disk(1 << 30);
    assert_eq!(f.preparation.admit(64 * MIB), Admission::Granted);
    f.preparation.account(0, 400 * KIB);
    assert_eq!(f.preparation.admit(112 * KIB), Admission::Granted);
    assert_eq!(f.preparation.admit(113 * KIB), Admission::Wait);
    f.preparation.account(400 * KIB, 0);
    assert_eq!(f.preparation.admit(113 * KIB), Admission::Granted);
}

#[test]
fn a_failing_sync_is_reported_and_nothing_counts_as_prepared() {
    let mut f = on_disk(1 << 30);
    f.world.script(ScriptedFault {
        target: FaultTarget::SyncData,
        path: None,
        skip: 0,
        fault: DiskFault::Error(libc::EIO),
    });
    let segment = f.preparation.next_file(owner(1), MIB);
    f.want(1, &segment, 0, 64 * KIB);
    f.settle();
    assert_eq!(f.failures, [IoFailure::Os(libc::EIO)]);
    assert!(f.prepared.is_empty());
}

#[test]
fn a_file_that_is_being_made_is_removed_once_its_sequence_has_ended() {
    for operations in 0..12 {
        let mut f = on_disk(1 << 30);
        let segment = f.preparation.next_file(owner(1), 256 * KIB);
        f.want(1, &segment, 0, 256 * KIB);
        for _ in 0..operations {
            f.turn();
            f.world.step();
        }
        f.release(&segment, 0);
        f.settle();
        let names = f.names();
        assert!(segment_files(&names).is_empty(), "{operations}: {names:?}");
        assert!(!f.preparation.is_busy());
        assert_eq!(f.table.open_files(), 0);
    }
}

#[test]
fn a_file_that_found_no_memory_is_begun_although_nothing_else_happens() {
    let mut disk = on_disk(64 * MIB);
    disk.settle();
    let mut held = Vec::new();
    while let Some(buf) = disk.io.arena().alloc(4096) {
        held.push(buf);
    }
    let segment = disk.preparation.next_file(owner(1), 4 * MIB);
    disk.want(1, &segment, 0, MIB);
    assert_eq!(disk.preparation.next_deadline_ns(), None);
    disk.turn();
    let retry_ns = disk.preparation.next_deadline_ns().unwrap();
    assert!(retry_ns > disk.io.now_ns());
    drop(held);
    disk.settle();
    assert_eq!(disk.prepared, [(segment.file, MIB)]);
}
