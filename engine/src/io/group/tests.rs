//! Groups of shards on the real kernel: messages, wake-ups, the housekeeper, refusals.

use super::{KernelConfig, ShardSeat, allowed_cores, run_shards, start_shards};
use crate::ids::ShardId;
use crate::io::mailbox::Mailbox;
use crate::io::op::{Dir, FileOp, FilePath, FileReply, IoFailure, Op, Outcome};
use crate::io::remote::RemoteError;
use crate::io::test_dir::TestDir;
use crate::io::{Awaiting, Class, Io, Token};

fn config(dir: &TestDir, cores: Vec<usize>) -> KernelConfig {
    KernelConfig {
        cores,
        arena_bytes: 4 << 20,
        data_dir: dir.path().join("data"),
        journal_dir: dir.path().join("journal"),
        mailbox_capacity: 8,
        durable_by: None,
    }
}

/// Two shards pass a number to and fro; each sleeps until its turn comes.
fn play(cores: Vec<usize>) {
    const ROUNDS: u64 = 2000;
    let dir = TestDir::new("play");
    let ends = run_shards(
        &config(&dir, cores),
        |mut io: Io, mut mailbox: Mailbox<u64>| {
            let peer = ShardId(1 - io.shard().0);
            let (mut mail, mut done) = (Vec::new(), Vec::new());
            let mut last = 0;
            if io.shard() == ShardId(0) {
                mailbox.send(&mut io, peer, 1).unwrap();
            }
            while last < ROUNDS {
                io.poll(&mut done);
                mailbox.receive(&mut io, 16, &mut mail);
                for (from, number) in mail.drain(..) {
                    assert_eq!((from, number > last), (peer, true));
                    last = number;
                    if number <= ROUNDS {
                        mailbox.send(&mut io, peer, number + 1).unwrap();
                    }
                }
                if last < ROUNDS {
                    io.park(None, Awaiting::Anything);
                }
            }
            // The last number may wait for a peer that sleeps: it goes out with this.
            io.poll(&mut done);
            io.counters().doorbells
        },
    );
    let doorbells: u64 = ends.unwrap().iter().sum();
    assert!(doorbells <= ROUNDS + 2, "{doorbells} doorbells");
}

#[test]
fn two_shards_wake_each_other_on_two_cores() {
    let cores = allowed_cores();
    play(vec![cores[0], *cores.last().unwrap()]);
}

#[test]
fn two_shards_wake_each_other_on_one_core() {
    let core = allowed_cores()[0];
    play(vec![core, core]);
}

#[test]
fn a_full_mailbox_gives_the_message_back_and_keeps_order() {
    let dir = TestDir::new("full");
    run_shards(
        &config(&dir, vec![allowed_cores()[0]]),
        |mut io: Io, mut mailbox: Mailbox<u32>| {
            let own = io.shard();
            for number in 0..8 {
                mailbox.send(&mut io, own, number).unwrap();
            }
            assert_eq!(mailbox.send(&mut io, own, 8), Err(8));
            let mut mail = Vec::new();
            mailbox.receive(&mut io, 3, &mut mail);
            assert_eq!(mail.len(), 3);
            // What is left keeps the shard awake: this returns, or the test never ends.
            io.park(None, Awaiting::Anything);
            mailbox.receive(&mut io, 16, &mut mail);
            let numbers = mail.into_iter().map(|(from, number)| {
                assert_eq!(from, own);
                number
            });
            assert!(numbers.eq(0..8));
        },
    )
    .unwrap();
}

#[test]
fn any_thread_wakes_a_shard_with_a_message() {
    let dir = TestDir::new("remote");
    let cores = vec![allowed_cores()[0]; 2];
    let group = start_shards(&config(&dir, cores), |mut seat: ShardSeat<(), u32>| {
        let (mut done, mut inbox, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        while !seen.contains(&u32::MAX) {
            seat.io.poll(&mut done);
            // Fewer at a time than there are: the rest must not be slept over.
            seat.inbox.receive(&mut seat.io, 2, &mut inbox);
            seen.append(&mut inbox);
            if seen.last() != Some(&u32::MAX) {
                seat.io.park(None, Awaiting::Anything);
            }
        }
        (seen, seat.report.lines.len())
    })
    .unwrap();
    assert!(
        group
            .report()
            .lines
            .iter()
            .any(|line| line.contains("durable 4 KiB write"))
    );
    let remote = group.remote();
    assert_eq!(remote.shards(), 2);
    let other = remote.clone();
    let sender = std::thread::spawn(move || {
        for number in 0..1000 {
            for shard in [ShardId(0), ShardId(1)] {
                while let Err(error) = other.send(shard, number) {
                    assert_eq!(error, RemoteError::Full(number));
                    std::thread::yield_now();
                }
            }
        }
    });
    sender.join().unwrap();
    for shard in [ShardId(0), ShardId(1)] {
        while remote.send(shard, u32::MAX).is_err() {
            std::thread::yield_now();
        }
    }
    let lines = group.report().lines.len();
    for (seen, lines_seen) in group.join() {
        assert!(seen.into_iter().eq((0..1000).chain([u32::MAX])));
        assert_eq!(lines_seen, lines);
    }
    assert_eq!(remote.send(ShardId(0), 7), Err(RemoteError::Ended(7)));
}

fn file_op(io: &mut Io, op: FileOp) -> Result<FileReply, IoFailure> {
    match io.call(Op::File(op)) {
        Outcome::File(result) => result,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_housekeeper_does_every_file_operation() {
    let dir = TestDir::new("housekeeper");
    let root = |name: &str| FilePath::new(Dir::Root, name);
    let body = move |mut io: Io, _mailbox: Mailbox<()>| {
        let io = &mut io;
        let path = root("small");
        let write_all = |content: &[u8]| FileOp::WriteAll {
            path: root("small"),
            content: content.to_vec(),
        };
        let read_all = |bytes_max| FileOp::ReadAll {
            path: root("small"),
            bytes_max,
        };
        let missing = file_op(io, read_all(10)).unwrap_err();
        assert!(missing.is_not_found());
        for content in [&b"first, longer"[..], b"second"] {
            assert_eq!(file_op(io, write_all(content)), Ok(FileReply::Done));
            let bytes = content.len() as u64;
            let whole = Ok(FileReply::Content(content.to_vec()));
            assert_eq!(file_op(io, read_all(bytes)), whole);
            let too_large = file_op(io, read_all(bytes - 1));
            assert_eq!(too_large, Err(IoFailure::Os(libc::EFBIG)));
        }
        let exists = file_op(io, FileOp::Create { path: path.clone() });
        assert_eq!(exists, Err(IoFailure::Os(libc::EEXIST)));
        let opened = file_op(io, FileOp::Open { path: path.clone() });
        let Ok(FileReply::Opened { file, bytes: 6 }) = opened else {
            panic!("{opened:?}");
        };
        let (from, to) = (0, (3 << 20) + 4096);
        let fill = FileOp::ZeroFill { file, from, to };
        assert_eq!(file_op(io, fill), Ok(FileReply::Done));
        assert_eq!(file_op(io, FileOp::SyncData { file }), Ok(FileReply::Done));
        io.close_file(file);
        let closed = file_op(io, FileOp::SyncData { file });
        assert_eq!(closed, Err(IoFailure::Os(libc::EBADF)));
        let sync_dir = FileOp::SyncDir { dir: Dir::Root };
        assert_eq!(file_op(io, sync_dir), Ok(FileReply::Done));
        let listed = file_op(io, FileOp::List { dir: Dir::Root });
        let expected = vec![("small".to_owned(), to)];
        assert_eq!(listed, Ok(FileReply::Listed(expected)));
        let Ok(FileReply::Content(content)) = file_op(io, read_all(to)) else {
            panic!("not read");
        };
        assert!(content.iter().all(|&byte| byte == 0));
        for _ in 0..2 {
            let unlink = FileOp::Unlink { path: path.clone() };
            assert_eq!(file_op(io, unlink), Ok(FileReply::Done));
        }
        let space = file_op(io, FileOp::FreeSpace { dir: Dir::Journal });
        let Ok(FileReply::Space { free, total }) = space else {
            panic!("{space:?}");
        };
        assert!(0 < free && free <= total);
        let outside = FilePath::new(Dir::Root, "../escaped");
        let refused = file_op(io, FileOp::Create { path: outside });
        assert_eq!(refused, Err(IoFailure::Os(libc::EINVAL)));
    };
    run_shards(&config(&dir, vec![allowed_cores()[0]]), body).unwrap();
}

#[test]
fn a_lock_refuses_a_second_group_until_the_first_ends() {
    let dir = TestDir::new("lock");
    let config = config(&dir, vec![allowed_cores()[0]]);
    let take = |mut io: Io, _mailbox: Mailbox<()>| {
        let path = FilePath::new(Dir::Root, "lock");
        file_op(&mut io, FileOp::Lock { path })
    };
    let second = config.clone();
    let both = run_shards(&config, move |io: Io, mailbox: Mailbox<()>| {
        let mut io = io;
        let path = FilePath::new(Dir::Root, "lock");
        let first = file_op(&mut io, FileOp::Lock { path });
        drop(mailbox);
        (first, run_shards(&second, take).unwrap().remove(0))
    });
    let (first, other) = both.unwrap().remove(0);
    assert_eq!(first, Ok(FileReply::Locked(true)));
    assert_eq!(other, Ok(FileReply::Locked(false)));
    let again = run_shards(&config, take).unwrap().remove(0);
    assert_eq!(again, Ok(FileReply::Locked(true)));
}

#[test]
fn long_work_does_not_hold_up_file_operations() {
    let dir = TestDir::new("work");
    let body = |mut io: Io, _mailbox: Mailbox<()>| {
        let (release, wait) = std::sync::mpsc::channel::<u32>();
        let token = Token {
            class: Class::Broker,
            key: 9,
        };
        io.submit(
            token,
            Op::Work(Box::new(move || Box::new(wait.recv().unwrap() + 1))),
        );
        let listed = file_op(&mut io, FileOp::List { dir: Dir::Segments });
        assert_eq!(listed, Ok(FileReply::Listed(Vec::new())));
        release.send(41).unwrap();
        let mut done = Vec::new();
        while done.is_empty() {
            io.park(None, Awaiting::Disk);
            io.poll(&mut done);
        }
        let completion = done.remove(0);
        assert_eq!(completion.token, token);
        let Outcome::Work(result) = completion.outcome else {
            panic!("no result");
        };
        assert_eq!(result.downcast_ref::<u32>(), Some(&42));
    };
    run_shards(&config(&dir, vec![allowed_cores()[0]]), body).unwrap();
}

#[test]
fn what_stands_in_the_way_is_said() {
    let dir = TestDir::new("refused");
    let none = run_shards(&config(&dir, Vec::new()), |_io, _mailbox: Mailbox<()>| ());
    assert!(none.unwrap_err().0.contains("0 shards"));
    let mut blocked = config(&dir, vec![0]);
    blocked.data_dir = dir.path().join("file");
    std::fs::write(&blocked.data_dir, "").unwrap();
    let error = run_shards(&blocked, |_io, _mailbox: Mailbox<()>| ()).unwrap_err();
    assert!(error.0.contains("cannot make the directory"), "{error}");
}

#[test]
fn a_core_that_is_not_there_is_a_line_in_the_report() {
    let dir = TestDir::new("core");
    let group = start_shards(&config(&dir, vec![1000]), |seat: ShardSeat<(), ()>| {
        seat.io.shard()
    });
    let group = group.unwrap();
    let is_said = |line: &String| line.contains("core 1000") && line.contains("not pinned");
    assert!(
        group.report().warnings.iter().any(is_said),
        "{:?}",
        group.report()
    );
    assert_eq!(group.join(), vec![ShardId(0)]);
}
