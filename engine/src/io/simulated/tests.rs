//! The simulated disk and machine, through the seam as a shard sees them.

use super::{Crash, DiskFault, FaultTarget, ScriptedFault, World, WorldConfig};
use crate::io::arena::ArenaSlice;
use crate::io::{
    Class, Completion, Dir, FileHandle, FileOp, FilePath, FileReply, Io, IoFailure, Op, Outcome,
    Token,
};

const BLOCK: usize = 4096;

fn world(seed: u64) -> (World, Io) {
    let config = WorldConfig {
        arena_bytes: 2 << 20,
        ..WorldConfig::default()
    };
    let (world, mut ios) = World::new(seed, 1, config);
    (world, ios.remove(0))
}

fn path(name: &str) -> FilePath {
    FilePath::new(Dir::Segments, name)
}

fn file(io: &mut Io, op: FileOp) -> Result<FileReply, IoFailure> {
    match io.call(Op::File(op)) {
        Outcome::File(result) => result,
        other => panic!("a file operation answered {other:?}"),
    }
}

fn create(io: &mut Io, name: &str) -> FileHandle {
    opened(file(io, FileOp::Create { path: path(name) }))
}

fn opened(reply: Result<FileReply, IoFailure>) -> FileHandle {
    match reply {
        Ok(FileReply::Opened { file, .. }) => file,
        other => panic!("opening answered {other:?}"),
    }
}

/// A file of `blocks` zero blocks that survives anything.
fn prepared(io: &mut Io, name: &str, blocks: u64) -> FileHandle {
    let handle = create(io, name);
    let to = blocks * BLOCK as u64;
    file(
        io,
        FileOp::ZeroFill {
            file: handle,
            from: 0,
            to,
        },
    )
    .unwrap();
    file(io, FileOp::SyncData { file: handle }).unwrap();
    file(io, FileOp::SyncDir { dir: Dir::Segments }).unwrap();
    handle
}

fn filled(io: &mut Io, blocks: usize, byte: u8) -> ArenaSlice {
    let mut buf = io.arena().alloc(blocks * BLOCK).unwrap();
    buf.extend_from_slice(&vec![byte; blocks * BLOCK]);
    buf.freeze()
}

fn write_op(io: &mut Io, handle: FileHandle, block: u64, bytes: (usize, u8), durable: bool) -> Op {
    Op::Write {
        file: handle,
        position: block * BLOCK as u64,
        parts: vec![filled(io, bytes.0, bytes.1)],
        durable,
    }
}

fn write(
    io: &mut Io,
    handle: FileHandle,
    block: u64,
    bytes: (usize, u8),
    durable: bool,
) -> Result<(), IoFailure> {
    let op = write_op(io, handle, block, bytes, durable);
    match io.call(op) {
        Outcome::Write(parts, result) => {
            assert!(parts.is_empty());
            result
        }
        other => panic!("a write answered {other:?}"),
    }
}

fn read(io: &mut Io, handle: FileHandle, block: u64, blocks: usize) -> Result<Vec<u8>, IoFailure> {
    let buf = io.arena().alloc(blocks * BLOCK).unwrap();
    let position = block * BLOCK as u64;
    match io.call(Op::Read {
        file: handle,
        position,
        buf,
    }) {
        Outcome::Read(buf, result) => result.map(|()| buf.to_vec()),
        other => panic!("a read answered {other:?}"),
    }
}

fn open(io: &mut Io, name: &str) -> Result<FileReply, IoFailure> {
    file(io, FileOp::Open { path: path(name) })
}

fn token(key: u64) -> Token {
    Token {
        class: Class::Log,
        key,
    }
}

#[test]
fn a_durable_write_survives_every_power_cut() {
    for seed in 0..50 {
        let (world, mut io) = world(seed);
        let handle = prepared(&mut io, "a", 8);
        write(&mut io, handle, 2, (3, 7), true).unwrap();
        drop(io);
        world.power_cut();
        let mut io = world.restart(1).remove(0);
        let handle = opened(open(&mut io, "a"));
        let bytes = read(&mut io, handle, 0, 8).unwrap();
        let expected: Vec<u8> = [0, 0, 7, 7, 7, 0, 0, 0].to_vec();
        for (block, byte) in expected.into_iter().enumerate() {
            assert_eq!(
                bytes[block * BLOCK..(block + 1) * BLOCK],
                [byte; BLOCK],
                "seed {seed}"
            );
        }
    }
}

#[test]
fn an_unflushed_write_is_lost_kept_or_torn_and_ruins_no_other_block() {
    let mut counters = super::WorldCounters::default();
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..200 {
        let (world, mut io) = world(seed);
        world.configure(|config| config.disk.flush_all_per_million = 0);
        let handle = prepared(&mut io, "a", 4);
        write(&mut io, handle, 0, (4, 1), true).unwrap();
        write(&mut io, handle, 1, (2, 2), false).unwrap();
        assert_eq!(
            read(&mut io, handle, 1, 1).unwrap(),
            [2; BLOCK],
            "reads see the cache"
        );
        drop(io);
        world.power_cut();
        let mut io = world.restart(1).remove(0);
        let handle = opened(open(&mut io, "a"));
        let bytes = read(&mut io, handle, 0, 4).unwrap();
        assert_eq!(bytes[..BLOCK], [1; BLOCK]);
        assert_eq!(bytes[3 * BLOCK..], [1; BLOCK]);
        lost += usize::from(bytes[BLOCK..3 * BLOCK] == [1; 2 * BLOCK]);
        kept += usize::from(bytes[BLOCK..3 * BLOCK] == [2; 2 * BLOCK]);
        counters.blocks_torn += world.counters().blocks_torn;
        counters.blocks_garbage += world.counters().blocks_garbage;
    }
    assert!(lost > 10 && kept > 10, "lost {lost} kept {kept}");
    assert!(counters.blocks_torn > 10, "{counters:?}");
    assert!(counters.blocks_garbage > 10, "{counters:?}");
}

#[test]
fn sync_data_makes_earlier_writes_durable() {
    for seed in 0..30 {
        let (world, mut io) = world(seed);
        let handle = prepared(&mut io, "a", 4);
        write(&mut io, handle, 0, (4, 9), false).unwrap();
        file(&mut io, FileOp::SyncData { file: handle }).unwrap();
        drop(io);
        world.power_cut();
        let mut io = world.restart(1).remove(0);
        let handle = opened(open(&mut io, "a"));
        assert_eq!(read(&mut io, handle, 0, 4).unwrap(), vec![9; 4 * BLOCK]);
    }
}

#[test]
fn a_kill_keeps_the_cache_and_a_later_power_cut_may_lose_it() {
    let mut lost = 0;
    for seed in 0..60 {
        let (world, mut io) = world(seed);
        let handle = prepared(&mut io, "a", 1);
        write(&mut io, handle, 0, (1, 5), false).unwrap();
        drop(io);
        world.kill();
        let mut io = world.restart(1).remove(0);
        let handle = opened(open(&mut io, "a"));
        assert_eq!(read(&mut io, handle, 0, 1).unwrap(), [5; BLOCK]);
        drop(io);
        world.power_cut();
        let mut io = world.restart(1).remove(0);
        let handle = opened(open(&mut io, "a"));
        lost += usize::from(read(&mut io, handle, 0, 1).unwrap() != [5; BLOCK]);
    }
    assert!(lost > 10, "lost {lost}");
}

#[test]
fn names_survive_a_power_cut_for_sure_only_after_a_folder_sync() {
    let (mut created_lost, mut unlinked_back) = (0, 0);
    for seed in 0..60 {
        let (world, mut io) = world(seed);
        prepared(&mut io, "old", 1);
        create(&mut io, "new");
        file(&mut io, FileOp::Unlink { path: path("old") }).unwrap();
        assert_eq!(open(&mut io, "old"), Err(IoFailure::Os(libc::ENOENT)));
        drop(io);
        world.power_cut();
        let mut io = world.restart(1).remove(0);
        created_lost += usize::from(open(&mut io, "new").is_err());
        unlinked_back += usize::from(open(&mut io, "old").is_ok());
        file(&mut io, FileOp::SyncDir { dir: Dir::Segments }).unwrap();
        let before = file(&mut io, FileOp::List { dir: Dir::Segments });
        world.power_cut();
        let mut io = world.restart(1).remove(0);
        assert_eq!(file(&mut io, FileOp::List { dir: Dir::Segments }), before);
    }
    assert!((10..50).contains(&created_lost), "{created_lost}");
    assert!((10..50).contains(&unlinked_back), "{unlinked_back}");
}

#[test]
fn growth_that_was_not_synced_may_fall_back() {
    let (mut shorter, mut whole) = (0, 0);
    for seed in 0..60 {
        let (world, mut io) = world(seed);
        let handle = prepared(&mut io, "a", 2);
        let (from, to) = (2 * BLOCK as u64, 6 * BLOCK as u64);
        file(
            &mut io,
            FileOp::ZeroFill {
                file: handle,
                from,
                to,
            },
        )
        .unwrap();
        drop(io);
        world.power_cut();
        let mut io = world.restart(1).remove(0);
        match open(&mut io, "a").unwrap() {
            FileReply::Opened { bytes, .. } if bytes == to => whole += 1,
            FileReply::Opened { bytes, .. } => {
                assert!(bytes >= from && bytes < to, "{bytes}");
                shorter += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(shorter > 5 && whole > 5, "shorter {shorter} whole {whole}");
}

#[test]
fn writes_in_flight_at_a_power_cut_are_there_partly_or_not() {
    let mut outcomes = [0; 3];
    for seed in 0..120 {
        let (world, mut io) = world(seed);
        let handle = prepared(&mut io, "a", 8);
        let op = write_op(&mut io, handle, 0, (8, 3), true);
        io.submit(token(1), op);
        world.power_cut();
        drop(io);
        let mut io = world.restart(1).remove(0);
        let handle = opened(open(&mut io, "a"));
        let bytes = read(&mut io, handle, 0, 8).unwrap();
        let there = bytes.iter().filter(|&&byte| byte == 3).count();
        outcomes[if there == 0 {
            0
        } else if there == bytes.len() {
            2
        } else {
            1
        }] += 1;
    }
    assert!(
        outcomes.iter().all(|&count| count > 8),
        "none, part, whole: {outcomes:?}"
    );
}

#[test]
fn completions_come_only_through_steps_and_in_any_order() {
    let (mut in_order, mut out_of_order) = (0, 0);
    for seed in 0..40 {
        let (world, mut io) = world(seed);
        let handle = prepared(&mut io, "a", 8);
        for key in 0..2 {
            let op = write_op(&mut io, handle, key, (1, 1), true);
            io.submit(token(key), op);
        }
        let mut done: Vec<Completion> = Vec::new();
        io.poll(&mut done);
        assert!(done.is_empty());
        while world.step() {}
        io.poll(&mut done);
        assert!(world.take_runnable(io.shard()));
        match done.iter().map(|done| done.token.key).collect::<Vec<_>>()[..] {
            [0, 1] => in_order += 1,
            [1, 0] => out_of_order += 1,
            ref other => panic!("{other:?}"),
        }
    }
    assert!(
        in_order > 5 && out_of_order > 5,
        "{in_order} {out_of_order}"
    );
}

#[test]
fn after_a_crash_everything_says_stopped() {
    let (world, mut io) = world(1);
    let handle = prepared(&mut io, "a", 4);
    let op = write_op(&mut io, handle, 0, (1, 1), true);
    world.crash_after(2, Crash::PowerCut);
    io.submit(token(1), op);
    assert!(!world.is_crashed());
    assert_eq!(
        write(&mut io, handle, 1, (1, 2), true),
        Err(IoFailure::Stopped)
    );
    assert!(world.is_crashed());
    assert!(!world.step());
    assert_eq!(read(&mut io, handle, 0, 1), Err(IoFailure::Stopped));
    assert_eq!(open(&mut io, "a"), Err(IoFailure::Stopped));
    let op = write_op(&mut io, handle, 0, (1, 1), true);
    io.submit(token(7), op);
    let mut done = Vec::new();
    io.poll(&mut done);
    assert!(matches!(
        done[..],
        [Completion {
            token: Token { key: 7, .. },
            outcome: Outcome::Write(_, Err(IoFailure::Stopped))
        }]
    ));
    let mut next = world.restart(1).remove(0);
    assert!(open(&mut next, "a").is_ok());
    assert_eq!(
        open(&mut io, "a"),
        Err(IoFailure::Stopped),
        "an earlier life stays dead"
    );
}

#[test]
fn a_full_disk_refuses_growth_and_takes_it_again_after_a_removal() {
    let (world, mut io) = world(1);
    world.configure(|config| config.disk.space_bytes = 10 * BLOCK as u64);
    let handle = create(&mut io, "a");
    let to = 8 * BLOCK as u64;
    file(
        &mut io,
        FileOp::ZeroFill {
            file: handle,
            from: 0,
            to,
        },
    )
    .unwrap();
    assert_eq!(
        file(&mut io, FileOp::FreeSpace { dir: Dir::Root }),
        Ok(FileReply::Space {
            free: 2 * BLOCK as u64,
            total: 10 * BLOCK as u64
        })
    );
    let full = write(&mut io, handle, 8, (3, 1), true).unwrap_err();
    assert!(full.is_full());
    write(&mut io, handle, 0, (8, 1), true).unwrap();
    file(&mut io, FileOp::Unlink { path: path("a") }).unwrap();
    let other = create(&mut io, "b");
    assert!(
        write(&mut io, other, 0, (3, 1), true)
            .unwrap_err()
            .is_full(),
        "a is still open"
    );
    io.close_file(handle);
    write(&mut io, other, 0, (10, 1), true).unwrap();
}

fn script(target: FaultTarget, fault: DiskFault) -> ScriptedFault {
    ScriptedFault {
        target,
        path: Some(path("a")),
        skip: 1,
        fault,
    }
}

#[test]
fn scripted_faults_hit_the_operation_they_are_meant_for() {
    let (world, mut io) = world(1);
    let handle = prepared(&mut io, "a", 8);
    let other = prepared(&mut io, "b", 8);
    world.script(script(FaultTarget::Write, DiskFault::Error(libc::EIO)));
    write(&mut io, other, 0, (1, 1), true).unwrap();
    write(&mut io, other, 0, (1, 1), true).unwrap();
    write(&mut io, handle, 0, (1, 1), true).unwrap();
    assert_eq!(
        write(&mut io, handle, 0, (1, 1), true),
        Err(IoFailure::Os(libc::EIO))
    );
    write(&mut io, handle, 0, (1, 1), true).unwrap();

    world.script(script(FaultTarget::Write, DiskFault::ShortWrite(1)));
    write(&mut io, handle, 0, (1, 1), true).unwrap();
    let short = IoFailure::Short {
        done: 4096,
        wanted: 8192,
    };
    assert_eq!(write(&mut io, handle, 0, (2, 1), true), Err(short));

    world.script(script(FaultTarget::Read, DiskFault::Error(libc::EIO)));
    read(&mut io, handle, 0, 1).unwrap();
    assert_eq!(read(&mut io, handle, 0, 1), Err(IoFailure::Os(libc::EIO)));

    write(&mut io, handle, 4, (1, 6), false).unwrap();
    world.script(ScriptedFault {
        skip: 0,
        ..script(FaultTarget::SyncData, DiskFault::Error(libc::EIO))
    });
    let failed = file(&mut io, FileOp::SyncData { file: handle });
    assert_eq!(failed, Err(IoFailure::Os(libc::EIO)));
    assert_eq!(
        read(&mut io, handle, 4, 1).unwrap(),
        [0; BLOCK],
        "a failed flush forgets"
    );
    assert_eq!(world.counters().disk_faults, 4);
}

#[test]
fn a_dishonest_disk_loses_misplaces_flips_and_returns_stale_bytes() {
    let (world, mut io) = world(3);
    let handle = prepared(&mut io, "a", 64);
    let now = |target, fault| ScriptedFault {
        skip: 0,
        ..script(target, fault)
    };
    world.script(now(FaultTarget::Write, DiskFault::LostWrite));
    write(&mut io, handle, 0, (1, 1), true).unwrap();
    assert_eq!(read(&mut io, handle, 0, 1).unwrap(), [0; BLOCK]);

    world.script(now(FaultTarget::Write, DiskFault::BitFlip));
    write(&mut io, handle, 0, (1, 1), true).unwrap();
    let bytes = read(&mut io, handle, 0, 1).unwrap();
    let wrong: u32 = bytes.iter().map(|byte| (byte ^ 1).count_ones()).sum();
    assert_eq!(wrong, 1);

    world.script(now(FaultTarget::Write, DiskFault::Misdirected));
    write(&mut io, handle, 1, (1, 2), true).unwrap();
    let all = read(&mut io, handle, 0, 64).unwrap();
    assert_eq!(
        all.iter().filter(|&&byte| byte == 2).count(),
        BLOCK,
        "it is somewhere"
    );
    assert_ne!(
        all[BLOCK..2 * BLOCK],
        [2; BLOCK],
        "and not where it belongs"
    );

    write(&mut io, handle, 5, (1, 8), false).unwrap();
    world.script(now(FaultTarget::Read, DiskFault::StaleRead));
    assert_eq!(
        read(&mut io, handle, 5, 1).unwrap(),
        all[5 * BLOCK..6 * BLOCK]
    );

    let before = read(&mut io, handle, 9, 1).unwrap();
    assert_eq!(
        world.content(&path("a")).unwrap()[9 * BLOCK..10 * BLOCK],
        before
    );
    assert_eq!(world.content(&path("none")), None);
    assert_eq!(world.names(Dir::Segments), ["a"]);
    assert!(world.rot(&path("a"), 9));
    assert_ne!(read(&mut io, handle, 9, 1).unwrap(), before);
    assert!(!world.rot(&path("a"), 64));
    assert!(!world.rot(&path("none"), 0));
}

#[test]
fn equal_seeds_give_equal_runs() {
    let run = |seed| {
        let (world, mut io) = world(seed);
        let handle = prepared(&mut io, "a", 16);
        for block in 0..8 {
            let op = write_op(&mut io, handle, block, (1, block as u8), block % 2 == 0);
            io.submit(token(block), op);
            world.step();
        }
        world.power_cut();
        let mut io = world.restart(1).remove(0);
        let handle = opened(open(&mut io, "a"));
        (
            read(&mut io, handle, 0, 16).unwrap(),
            world.event_hash(),
            world.counters(),
        )
    };
    assert_eq!(run(11), run(11));
    assert_ne!(run(11).1, run(12).1);
}

#[test]
fn time_passes_while_a_shard_works_and_a_deadline_wakes_it() {
    let (world, mut io) = world(1);
    assert!(world.take_runnable(io.shard()), "a new shard runs once");
    let first = io.now_ns();
    let passed = (0..100).map(|_| io.now_ns()).next_back().unwrap() - first;
    assert!(passed > 0);
    let deadline = io.now_ns() + 5_000_000;
    io.park(Some(deadline + 1_000_000), super::Awaiting::Disk);
    io.park(Some(deadline), super::Awaiting::Disk);
    assert!(!world.take_runnable(io.shard()));
    assert!(world.step());
    assert!(world.take_runnable(io.shard()));
    assert_eq!(world.now_ns(), deadline);
    assert!(!world.step(), "the later deadline was replaced");
    let wall = io.wall_ms();
    world.jump_wall(-10_000);
    assert!(io.wall_ms() <= wall - 9_000);
    assert!(io.now_ns() >= deadline);
}

#[test]
fn a_lock_is_held_until_the_process_ends() {
    let (world, mut io) = world(1);
    let lock = |io: &mut Io| {
        file(
            io,
            FileOp::Lock {
                path: FilePath::new(Dir::Root, "lock"),
            },
        )
    };
    assert_eq!(lock(&mut io), Ok(FileReply::Locked(true)));
    assert_eq!(lock(&mut io), Ok(FileReply::Locked(false)));
    world.kill();
    let mut io = world.restart(1).remove(0);
    assert_eq!(lock(&mut io), Ok(FileReply::Locked(true)));
}

#[test]
fn arenas_are_reused_over_restarts() {
    let (world, io) = world(1);
    drop(io);
    world.kill();
    let mut io = world.restart(1).remove(0);
    let _held = io.arena().alloc(BLOCK).unwrap();
    drop(io);
    world.kill();
    let mut io = world.restart(1).remove(0);
    assert_eq!(
        io.arena().used_bytes(),
        0,
        "an arena in use is not handed on"
    );
}
