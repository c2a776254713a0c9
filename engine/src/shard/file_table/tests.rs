//! The file table on the simulated disk.

use super::{FileEvent, FileTable, SegmentFile, Want};
use crate::ids::FileId;
use crate::io::simulated::{World, WorldConfig};
use crate::io::{FileHandle, FileOp, FileReply, Io, IoFailure, Op, Outcome};
use crate::shard::token::LogKind;
use std::collections::BTreeMap;

struct Fixture {
    world: World,
    io: Io,
    table: FileTable,
    opened: BTreeMap<u64, Result<FileHandle, IoFailure>>,
    drained: Vec<SegmentFile>,
}

fn fixture(open_max: usize, files: u64) -> Fixture {
    let (world, mut ios) = World::new(7, 1, WorldConfig::default());
    let mut io = ios.remove(0);
    for id in 0..files {
        let path = SegmentFile::records(FileId(id)).path();
        let Outcome::File(Ok(FileReply::Opened { file, .. })) =
            io.call(Op::File(FileOp::Create { path }))
        else {
            panic!("file {id} was not made");
        };
        io.close_file(file);
    }
    Fixture {
        world,
        io,
        table: FileTable::new(open_max),
        opened: BTreeMap::new(),
        drained: Vec::new(),
    }
}

impl Fixture {
    fn want(&mut self, id: u64) -> Want {
        let file = SegmentFile::records(FileId(id));
        self.table
            .want(&mut self.io, file, LogKind::ColdRead.key(id))
    }

    fn give_back(&mut self, id: u64) {
        let file = SegmentFile::records(FileId(id));
        self.table.give_back(&mut self.io, file);
    }

    fn is_creating(&self) -> bool {
        let is_making = |entry: &super::Entry| entry.state == super::State::Making;
        self.table.entries.iter().any(is_making)
    }

    /// Takes what ended and lets one thing happen; whether there was anything.
    fn io_step(&mut self) -> bool {
        let mut done = Vec::new();
        self.io.poll(&mut done);
        for completion in done {
            let (kind, slot) = LogKind::parse(completion.token.key).unwrap();
            assert_eq!(kind, LogKind::OpenFile);
            self.table.complete(&mut self.io, slot, completion.outcome);
        }
        self.world.step()
    }

    /// Runs until nothing happens any more.
    fn settle(&mut self) {
        loop {
            let has_more = self.io_step();
            while let Some(event) = self.table.next_event() {
                match event {
                    FileEvent::Opened { waiter, result, .. } => {
                        let (_, slot) = LogKind::parse(waiter).unwrap();
                        self.opened.insert(slot, result.map(|(handle, _)| handle));
                    }
                    FileEvent::Drained(file) => self.drained.push(file),
                }
            }
            if !has_more {
                break;
            }
        }
    }
}

#[test]
fn an_open_file_is_shared_and_stays_open_while_it_is_idle() {
    let mut f = fixture(4, 1);
    assert_eq!(f.want(0), Want::Opening);
    assert_eq!(f.want(0), Want::Opening);
    f.settle();
    let handle = f.opened[&0].unwrap();
    f.give_back(0);
    f.give_back(0);
    assert_eq!(f.want(0), Want::Ready(handle));
    assert_eq!(f.table.open_files(), 1);
}

#[test]
fn ten_thousand_files_pass_through_sixty_four_descriptors() {
    let mut f = fixture(64, 10_000);
    for round in 0..100 {
        for id in 0..100 {
            assert_eq!(f.want(round * 100 + id), Want::Opening);
        }
        f.settle();
        assert_eq!(f.table.open_files(), 64);
        assert_eq!(f.opened.len(), 64, "those beyond the bound wait");
        while let Some((id, result)) = f.opened.pop_first() {
            result.unwrap();
            f.give_back(id);
            assert!(f.table.open_files() <= 64);
            f.settle();
        }
    }
    assert_eq!(f.table.open_files(), 64);
    f.table.close_all_idle(&mut f.io);
    assert_eq!(f.table.open_files(), 0);
}

#[test]
fn files_that_nobody_used_for_a_period_are_closed_a_few_at_a_time() {
    let mut f = fixture(64, 10);
    for id in 0..10 {
        f.want(id);
    }
    f.settle();
    assert!(!f.table.has_idle());
    for id in 0..10 {
        f.give_back(id);
    }
    assert!(f.table.has_idle());
    assert!(
        f.table.close_unused(&mut f.io, 4),
        "all were used in this period"
    );
    assert_eq!(f.table.open_files(), 10);
    assert!(matches!(f.want(3), Want::Ready(_)));
    assert!(matches!(f.want(4), Want::Ready(_)));
    f.give_back(3);
    assert!(!f.table.close_unused(&mut f.io, 4));
    assert_eq!(f.table.open_files(), 6);
    assert!(
        f.table.close_unused(&mut f.io, 9),
        "3 was used, 4 is in use"
    );
    assert_eq!(f.table.open_files(), 2);
    f.give_back(4);
    assert!(
        f.table.close_unused(&mut f.io, 9),
        "3 is closed, 4 was used"
    );
    assert_eq!(f.table.open_files(), 1);
    assert!(f.table.close_unused(&mut f.io, 9));
    assert_eq!(f.table.open_files(), 0);
    assert!(!f.table.has_idle());
}

#[test]
fn the_least_recently_used_idle_file_is_closed_first() {
    let mut f = fixture(2, 3);
    for id in [0, 1] {
        f.want(id);
        f.settle();
        f.give_back(id);
    }
    // File 0 is used again, so file 1 has been idle for longer.
    assert!(matches!(f.want(0), Want::Ready(_)));
    f.give_back(0);
    assert_eq!(f.want(2), Want::Opening);
    f.settle();
    f.give_back(2);
    assert!(matches!(f.want(0), Want::Ready(_)));
    assert_eq!(f.want(1), Want::Opening);
}

#[test]
fn a_retired_file_is_drained_only_when_its_last_user_is_gone() {
    let mut f = fixture(2, 1);
    f.want(0);
    f.settle();
    assert!(matches!(f.want(0), Want::Ready(_)));
    f.table.retire(&mut f.io, SegmentFile::records(FileId(0)));
    f.settle();
    f.give_back(0);
    f.settle();
    assert!(f.drained.is_empty(), "one user is left");
    f.give_back(0);
    f.settle();
    assert_eq!(f.drained, [SegmentFile::records(FileId(0))]);
    assert_eq!(f.table.open_files(), 0);
}

#[test]
fn a_file_that_is_being_opened_is_not_drained_before_its_waiter_gave_it_back() {
    let mut f = fixture(1, 2);
    f.want(0);
    f.want(1);
    f.table.retire(&mut f.io, SegmentFile::records(FileId(0)));
    f.table.retire(&mut f.io, SegmentFile::records(FileId(1)));
    f.settle();
    assert!(f.drained.is_empty());
    f.give_back(0);
    f.settle();
    assert_eq!(f.drained.len(), 1);
    assert!(
        f.opened[&1].is_ok(),
        "the queued one was opened in its place"
    );
    f.give_back(1);
    f.settle();
    assert_eq!(f.drained.len(), 2);
}

#[test]
fn a_file_that_is_being_made_is_not_drained_before_its_waiter_gave_it_back() {
    let mut f = fixture(2, 0);
    let file = SegmentFile::index(FileId(7));
    let waiter = LogKind::WriteIndex.key(7);
    assert_eq!(f.table.want_made(&mut f.io, file, waiter), Want::Opening);
    // Past the open that finds nothing, up to the creation under way.
    while f.io_step() && !f.is_creating() {}
    assert!(f.is_creating());
    assert!(!f.table.take_made(), "nothing is made yet");
    f.table.retire(&mut f.io, file);
    assert!(f.table.next_event().is_none(), "its name may still appear");
    f.settle();
    assert!(f.opened[&7].is_ok());
    assert!(f.drained.is_empty());
    assert!(f.table.take_made() && !f.table.take_made());
    f.table.give_back(&mut f.io, file);
    f.settle();
    assert_eq!(f.drained, [file]);
}

#[test]
fn files_made_above_the_bound_do_not_keep_a_waiting_one_out() {
    let mut fixture = fixture(2, 3);
    for id in 0..2 {
        fixture.want(id);
    }
    fixture.settle();
    for id in 10..12 {
        let file = SegmentFile::records(FileId(id));
        let path = file.path();
        let reply = fixture.io.call(Op::File(FileOp::Create { path }));
        let Outcome::File(Ok(FileReply::Opened { file: handle, .. })) = reply else {
            panic!("file {id} was not made");
        };
        fixture.table.adopt(&mut fixture.io, file, handle);
    }
    assert_eq!(fixture.table.open_files(), 4, "nothing was idle");
    for id in [0, 1, 10, 11] {
        fixture.give_back(id);
    }
    assert_eq!(fixture.table.open_files(), 2);
    assert_eq!(fixture.want(2), Want::Opening);
    fixture.settle();
    assert!(fixture.opened[&2].is_ok());
}

#[test]
fn a_missing_file_is_an_error_for_its_waiter_and_takes_no_descriptor() {
    let mut f = fixture(1, 1);
    f.want(99);
    f.want(0);
    f.settle();
    assert!(f.opened[&99].unwrap_err().is_not_found());
    assert!(f.opened[&0].is_ok());
    assert_eq!(f.table.open_files(), 1);
}

#[test]
fn names_are_read_back_and_foreign_names_are_not_ours() {
    for file in [
        SegmentFile::records(FileId(0x12_0000_0000_0034)),
        SegmentFile::index(FileId(1)),
    ] {
        assert_eq!(SegmentFile::parse(&file.path().name), Some(file));
    }
    for name in [
        "0001.ballast",
        "0000000000000001.log",
        "000000000000001.seg",
        "000000000000000G.seg",
        "+00000000000000a.seg",
        "",
    ] {
        assert_eq!(SegmentFile::parse(name), None, "{name}");
    }
}
