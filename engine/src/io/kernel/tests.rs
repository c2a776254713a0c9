//! One shard on the real kernel: files, sockets, and that nothing is left in flight.

use crate::ids::ShardId;
use crate::io::arena::{ArenaBuf, ArenaSlice};
use crate::io::group::{KernelConfig, allowed_cores, run_shards};
use crate::io::mailbox::Mailbox;
use crate::io::op::{
    Class, Completion, DetachedSocket, Dir, FileHandle, FileOp, FilePath, FileReply, IoFailure, Op,
    Outcome, ReceiveInto, Received, SocketHandle, Token,
};
use crate::io::probe::DurableBy;
use crate::io::test_dir::TestDir;
use crate::io::{Awaiting, Backend, Io};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

const SECOND: u64 = 1_000_000_000;

/// Runs `body` on one shard and checks that it left nothing in flight.
fn on_a_shard(body: impl Fn(&mut Io) + Send + Sync + 'static) {
    let dir = TestDir::new("kernel");
    let config = KernelConfig {
        cores: vec![allowed_cores()[0]],
        arena_bytes: 16 << 20,
        data_dir: dir.path().join("data"),
        journal_dir: dir.path().join("data/journal"),
        mailbox_capacity: 4,
        durable_by: None,
    };
    let body = move |mut io: Io, _mailbox: Mailbox<()>| {
        let before = io.arena().used_bytes();
        body(&mut io);
        assert_eq!(ring(&mut io).in_flight(), 0, "operations in flight");
        assert_eq!(io.arena().used_bytes(), before, "arena bytes in use");
    };
    run_shards(&config, body).unwrap();
}

fn ring(io: &mut Io) -> &mut super::Ring {
    match &mut io.backend {
        Backend::Kernel(ring) => ring,
        Backend::Simulated(_) => unreachable!(),
    }
}

const fn token(key: u64) -> Token {
    Token {
        class: Class::Net,
        key,
    }
}

/// Polls and parks until `count` completions came, at most ten seconds.
fn wait_for(io: &mut Io, count: usize) -> Vec<Completion> {
    let deadline = io.now_ns() + 10 * SECOND;
    let mut done = Vec::new();
    loop {
        io.poll(&mut done);
        if done.len() >= count {
            return done;
        }
        assert!(io.now_ns() < deadline, "{} of {count} came", done.len());
        io.park(Some(deadline), Awaiting::Anything);
    }
}

fn one(io: &mut Io) -> Outcome {
    let mut done = wait_for(io, 1);
    assert_eq!(done.len(), 1);
    done.remove(0).outcome
}

fn file_op(io: &mut Io, op: FileOp) -> Result<FileReply, IoFailure> {
    match io.call(Op::File(op)) {
        Outcome::File(result) => result,
        other => panic!("{other:?}"),
    }
}

fn path(name: &str) -> FilePath {
    FilePath::new(Dir::Segments, name)
}

/// A new file of `bytes` zeros.
fn prepared(io: &mut Io, name: &str, bytes: u64) -> FileHandle {
    let reply = file_op(io, FileOp::Create { path: path(name) });
    let Ok(FileReply::Opened { file, bytes: 0 }) = reply else {
        panic!("{reply:?}");
    };
    let fill = FileOp::ZeroFill {
        file,
        from: 0,
        to: bytes,
    };
    assert_eq!(file_op(io, fill), Ok(FileReply::Done));
    assert_eq!(file_op(io, FileOp::SyncData { file }), Ok(FileReply::Done));
    file
}

fn block(io: &mut Io, byte: u8, bytes: usize) -> ArenaSlice {
    let mut buf = io.arena().alloc(bytes).unwrap();
    buf.extend_from_slice(&vec![byte; bytes]);
    buf.freeze()
}

fn write(io: &mut Io, file: FileHandle, position: u64, parts: Vec<ArenaSlice>) {
    let op = Op::Write {
        file,
        position,
        parts,
        durable: true,
    };
    match io.call(op) {
        Outcome::Write(parts, Ok(())) => assert!(parts.is_empty()),
        other => panic!("{other:?}"),
    }
}

fn read(
    io: &mut Io,
    file: FileHandle,
    position: u64,
    bytes: usize,
) -> (ArenaBuf, Option<IoFailure>) {
    let buf = io.arena().alloc(bytes).unwrap();
    assert_eq!(buf.spare(), bytes);
    match io.call(Op::Read {
        file,
        position,
        buf,
    }) {
        Outcome::Read(buf, result) => (buf, result.err()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_written_durably_is_read_back() {
    on_a_shard(|io| {
        let file = prepared(io, "a", 64 << 10);
        let single = vec![block(io, 1, 4096)];
        write(io, file, 4096, single);
        let two = vec![block(io, 2, 8192), block(io, 3, 4096)];
        write(io, file, 8192, two);
        // Ranges of different slabs cannot go as one registered vector.
        let large = vec![block(io, 4, 2 << 20).slice(0..4096), block(io, 5, 4096)];
        write(io, file, 20480, large);
        let (buf, failure) = read(io, file, 0, 32 << 10);
        assert_eq!(failure, None);
        let expected = [0, 1, 2, 2, 3, 4, 5, 0].map(|byte| [byte; 4096]).concat();
        assert_eq!(&*buf, &expected[..]);
        drop(buf);
        let counters = io.counters();
        assert_eq!((counters.writes, counters.durable_writes), (3, 3));
        assert_eq!(counters.written_bytes, 6 * 4096);
        assert_eq!((counters.reads, counters.read_bytes), (1, 32 << 10));
        io.close_file(file);
    });
}

#[test]
fn the_flushing_way_of_durable_writes_works_too() {
    on_a_shard(|io| {
        ring(io).durable_by = DurableBy::Fdatasync;
        let file = prepared(io, "a", 8192);
        let parts = vec![block(io, 7, 4096), block(io, 8, 4096)];
        write(io, file, 0, parts);
        let (buf, failure) = read(io, file, 0, 8192);
        assert_eq!((failure, buf[0], buf[8191]), (None, 7, 8));
        drop(buf);
        // A write that fails takes its flush along, and its own reason is told.
        let part = block(io, 9, 4096);
        let op = Op::Write {
            file,
            position: 1 << 62,
            parts: vec![part],
            durable: true,
        };
        let outcome = io.call(op);
        let is_too_big = matches!(outcome, Outcome::Write(_, Err(IoFailure::Os(libc::EFBIG))));
        assert!(is_too_big, "{outcome:?}");
    });
}

#[test]
fn a_read_past_the_end_is_short() {
    on_a_shard(|io| {
        let file = prepared(io, "a", 4096);
        let (buf, failure) = read(io, file, 0, 8192);
        let short = IoFailure::Short {
            done: 4096,
            wanted: 8192,
        };
        assert_eq!((failure, buf.len()), (Some(short), 4096));
    });
}

#[test]
fn appending_into_prepared_space_needs_no_kernel_worker() {
    on_a_shard(|io| {
        let blocks = 256;
        let file = prepared(io, "a", blocks * 4096);
        if ring(io).durable_by == DurableBy::Fdatasync {
            return;
        }
        let before = kernel_workers();
        let part = block(io, 6, 4096);
        for position in 0..blocks {
            let parts = vec![part.clone()];
            io.submit(
                token(position),
                Op::Write {
                    file,
                    position: position * 4096,
                    parts,
                    durable: true,
                },
            );
        }
        drop(part);
        for completion in wait_for(io, blocks as usize) {
            assert!(matches!(completion.outcome, Outcome::Write(_, Ok(()))));
        }
        assert_eq!(kernel_workers(), before);
        // A flush always needs one: this test would notice.
        ring(io).durable_by = DurableBy::Fdatasync;
        let parts = vec![block(io, 6, 4096)];
        write(io, file, 0, parts);
        assert!(kernel_workers() > before);
    });
}

/// Workers that the kernel made for this shard's thread. They are threads of this process, named
/// after the thread they work for.
fn kernel_workers() -> usize {
    let own = rustix::thread::gettid().as_raw_nonzero();
    let worker = format!("iou-wrk-{own}");
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == worker).count()
}

#[test]
fn a_closed_file_is_refused_even_if_its_place_is_used_again() {
    on_a_shard(|io| {
        let closed = prepared(io, "a", 4096);
        io.close_file(closed);
        let open = prepared(io, "b", 4096);
        assert_ne!(closed, open);
        let (_, failure) = read(io, closed, 0, 4096);
        assert_eq!(failure, Some(IoFailure::Os(libc::EBADF)));
        let (_, failure) = read(io, open, 0, 4096);
        assert_eq!(failure, None);
    });
}

fn connected(io: &mut Io) -> (SocketHandle, TcpStream) {
    let (listener, address) = io.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let client = TcpStream::connect(address).unwrap();
    let Outcome::Accept(Ok((socket, peer))) = io.call(Op::Accept { listener }) else {
        panic!("not accepted");
    };
    assert_eq!(peer, client.local_addr().unwrap());
    io.close_socket(listener);
    (socket, client)
}

fn receive(io: &mut Io, socket: SocketHandle, into: ReceiveInto) -> Result<Received, IoFailure> {
    match io.call(Op::Receive { socket, into }) {
        Outcome::Receive(result) => result,
        other => panic!("{other:?}"),
    }
}

#[test]
fn bytes_come_into_slots_and_go_back_in_one_send() {
    on_a_shard(|io| {
        let (socket, mut client) = connected(io);
        // More rounds than there are slots: used slots must be provided again.
        for round in 0..1000u32 {
            let text = format!("request {round}");
            client.write_all(text.as_bytes()).unwrap();
            let Ok(Received::Slot(buf)) = receive(io, socket, ReceiveInto::Slot) else {
                panic!("nothing received");
            };
            assert_eq!(&*buf, text.as_bytes());
            let request = buf.freeze();
            let parts = vec![request.slice(0..3), request.slice(3..request.len())];
            let Outcome::Send(parts, Ok(())) = io.call(Op::Send { socket, parts }) else {
                panic!("not sent");
            };
            assert!(parts.is_empty() && parts.capacity() >= 2);
            let mut answer = vec![0; text.len()];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(answer, text.as_bytes());
        }
        client.shutdown(Shutdown::Write).unwrap();
        let Ok(Received::Slot(end)) = receive(io, socket, ReceiveInto::Slot) else {
            panic!("no end of the stream");
        };
        assert!(end.is_empty());
        drop(end);
        io.close_socket(socket);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty());
    });
}

#[test]
fn filling_a_buffer_waits_for_all_of_it_or_the_end() {
    on_a_shard(|io| {
        let (socket, client) = connected(io);
        let mut buf = io.arena().alloc(1 << 20).unwrap();
        buf.extend_from_slice(b"head");
        let wanted = buf.spare();
        let sender = std::thread::spawn(move || {
            let mut client = client;
            let bytes: Vec<u8> = (0..wanted).map(|i| (i % 251) as u8).collect();
            for piece in bytes.chunks(50_000) {
                client.write_all(piece).unwrap();
            }
            client.write_all(b"tail").unwrap();
        });
        let received = receive(io, socket, ReceiveInto::Buffer { buf, fill: true });
        let Ok(Received::Buffer(buf, added)) = received else {
            panic!("{received:?}");
        };
        assert_eq!((added as usize, buf.spare()), (wanted, 0));
        assert_eq!(&buf[..4], b"head");
        assert!(
            buf[4..]
                .iter()
                .enumerate()
                .all(|(i, &byte)| byte == (i % 251) as u8)
        );
        drop(buf);
        sender.join().unwrap();
        let buf = io.arena().alloc(2048).unwrap();
        let received = receive(io, socket, ReceiveInto::Buffer { buf, fill: true });
        let Ok(Received::Buffer(buf, 4)) = received else {
            panic!("{received:?}");
        };
        assert_eq!(&*buf, b"tail");
        drop(buf);
        assert_eq!(io.counters().received_bytes, wanted as u64 + 4);
        io.close_socket(socket);
    });
}

#[test]
fn a_large_send_to_a_slow_reader_arrives_whole_and_in_order() {
    on_a_shard(|io| {
        let (socket, mut client) = connected(io);
        // More ranges than one message takes, and more bytes than the socket buffers.
        let parts: Vec<_> = (0..3000u32).map(|i| block(io, i as u8, 4096)).collect();
        let reader = std::thread::spawn(move || {
            let mut piece = vec![0; 4096];
            for i in 0..3000u32 {
                client.read_exact(&mut piece).unwrap();
                assert!(piece.iter().all(|&byte| byte == i as u8));
            }
        });
        let outcome = io.call(Op::Send { socket, parts });
        assert!(matches!(outcome, Outcome::Send(_, Ok(()))), "{outcome:?}");
        reader.join().unwrap();
        assert_eq!(io.counters().sent_bytes, 3000 * 4096);
        io.close_socket(socket);
    });
}

#[test]
fn cancelled_operations_complete_as_cancelled_and_others_go_on() {
    on_a_shard(|io| {
        let (socket, mut client) = connected(io);
        let (listener, _) = io.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        io.submit(token(1), Op::Accept { listener });
        io.submit(
            token(2),
            Op::Receive {
                socket,
                into: ReceiveInto::Slot,
            },
        );
        io.cancel(token(1));
        let mut done = wait_for(io, 1);
        let first = done.remove(0);
        assert_eq!(first.token, token(1));
        let is_cancelled = matches!(first.outcome, Outcome::Accept(Err(IoFailure::Cancelled)));
        assert!(is_cancelled, "{first:?}");
        client.write_all(b"x").unwrap();
        let outcome = one(io);
        assert!(matches!(outcome, Outcome::Receive(Ok(Received::Slot(_)))));
        drop(outcome);
        io.close_socket(listener);
        io.close_socket(socket);
    });
}

#[test]
fn closing_a_socket_ends_its_operations_first() {
    on_a_shard(|io| {
        let (socket, mut client) = connected(io);
        let buf = io.arena().alloc(4096).unwrap();
        let into = ReceiveInto::Buffer { buf, fill: true };
        io.submit(token(1), Op::Receive { socket, into });
        io.poll(&mut Vec::new());
        io.close_socket(socket);
        let outcome = one(io);
        let is_cancelled = matches!(outcome, Outcome::Receive(Err(IoFailure::Cancelled)));
        assert!(is_cancelled, "{outcome:?}");
        let into = ReceiveInto::Slot;
        assert_eq!(
            receive(io, socket, into).err(),
            Some(IoFailure::Os(libc::EBADF))
        );
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "the peer sees the end");
    });
}

#[test]
fn without_memory_for_slots_a_receive_says_so_and_works_later() {
    on_a_shard(|io| {
        let (socket, mut client) = connected(io);
        let mut hoard: Vec<_> = std::iter::from_fn(|| io.arena().alloc(2048)).collect();
        let mut held = Vec::new();
        let failure = loop {
            client.write_all(b"x").unwrap();
            match receive(io, socket, ReceiveInto::Slot) {
                Ok(received) => held.push(received),
                Err(failure) => break failure,
            }
        };
        assert_eq!((failure, held.len()), (IoFailure::NoSlot, 256));
        hoard.clear();
        let received = receive(io, socket, ReceiveInto::Slot).unwrap();
        let Received::Slot(buf) = &received else {
            panic!("{received:?}");
        };
        assert_eq!(&**buf, b"x");
        io.close_socket(socket);
    });
}

#[test]
fn a_socket_moves_between_tables_alive() {
    on_a_shard(|io| {
        let (socket, mut client) = connected(io);
        let detached = io.detach_socket(socket);
        assert!(matches!(detached, DetachedSocket::Kernel(_)));
        let socket = io.attach_socket(detached);
        client.write_all(b"still here").unwrap();
        let received = receive(io, socket, ReceiveInto::Slot).unwrap();
        let Received::Slot(buf) = received else {
            panic!("{received:?}");
        };
        assert_eq!(&*buf, b"still here");
        io.close_socket(socket);
    });
}

#[test]
fn parking_ends_at_the_deadline() {
    on_a_shard(|io| {
        let start = io.now_ns();
        let deadline = start + 3_000_000;
        io.poll(&mut Vec::new());
        while io.now_ns() < deadline {
            io.park(Some(deadline), Awaiting::Disk);
        }
        let enters = io.counters().enters;
        assert!(enters < 20, "{enters} enters: it did not sleep");
        assert_eq!(io.shard(), ShardId(0));
    });
}

#[test]
fn more_operations_than_the_rings_hold_all_complete() {
    on_a_shard(|io| {
        let (socket, client) = connected(io);
        let part = block(io, 1, 2048).slice(0..1);
        let reader = std::thread::spawn(move || {
            let mut client = client;
            let mut bytes = vec![0; 5000];
            client.read_exact(&mut bytes).unwrap();
        });
        for key in 0..5000 {
            let parts = vec![part.clone()];
            io.submit(token(key), Op::Send { socket, parts });
        }
        drop(part);
        let mut keys: Vec<_> = wait_for(io, 5000)
            .iter()
            .map(|done| done.token.key)
            .collect();
        keys.sort_unstable();
        assert!(keys.into_iter().eq(0..5000));
        reader.join().unwrap();
        io.close_socket(socket);
    });
}

#[test]
fn a_warm_shard_allocates_nothing_per_operation() {
    on_a_shard(|io| {
        let file = prepared(io, "a", 8192);
        let (socket, mut client) = connected(io);
        let parts = [block(io, 1, 4096), block(io, 2, 4096)];
        let (mut to_write, mut to_send) = (Vec::with_capacity(2), Vec::with_capacity(2));
        let mut done = Vec::with_capacity(4);
        let mut answer = [0; 8192];
        let mut round = |io: &mut Io| {
            let mut writes: Vec<ArenaSlice> = std::mem::take(&mut to_write);
            writes.extend_from_slice(&parts);
            let write = Op::Write {
                file,
                position: 0,
                parts: writes,
                durable: true,
            };
            io.submit(token(1), write);
            let mut sends: Vec<ArenaSlice> = std::mem::take(&mut to_send);
            sends.extend_from_slice(&parts);
            let send = Op::Send {
                socket,
                parts: sends,
            };
            io.submit(token(2), send);
            let into = ReceiveInto::Slot;
            io.submit(token(3), Op::Receive { socket, into });
            client.write_all(b"x").unwrap();
            let mut left = 3;
            while left > 0 {
                io.park(None, Awaiting::Anything);
                io.poll(&mut done);
                for completion in done.drain(..) {
                    left -= 1;
                    match completion.outcome {
                        Outcome::Write(parts, Ok(())) => to_write = parts,
                        Outcome::Send(parts, Ok(())) => to_send = parts,
                        Outcome::Receive(Ok(Received::Slot(slot))) => assert_eq!(&*slot, b"x"),
                        other => panic!("{other:?}"),
                    }
                }
            }
            client.read_exact(&mut answer).unwrap();
        };
        for _ in 0..20 {
            round(io);
        }
        let counted = allocation_counter::measure(|| {
            for _ in 0..20 {
                round(io);
            }
        });
        assert_eq!(counted.count_total, 0, "{counted:?}");
        io.close_socket(socket);
    });
}

#[test]
fn a_shard_that_ends_with_operations_in_flight_waits_for_the_kernel() {
    let dir = TestDir::new("ending");
    let config = KernelConfig {
        cores: vec![allowed_cores()[0]],
        arena_bytes: 4 << 20,
        data_dir: dir.path().to_owned(),
        journal_dir: dir.path().join("journal"),
        mailbox_capacity: 4,
        durable_by: None,
    };
    let clients = run_shards(&config, |mut io: Io, _mailbox: Mailbox<()>| {
        let (socket, client) = connected(&mut io);
        let buf = io.arena().alloc(4096).unwrap();
        let into = ReceiveInto::Buffer { buf, fill: true };
        io.submit(token(1), Op::Receive { socket, into });
        let file = prepared(&mut io, "a", 1 << 20);
        let parts = vec![block(&mut io, 1, 1 << 20)];
        io.submit(
            token(2),
            Op::Write {
                file,
                position: 0,
                parts,
                durable: true,
            },
        );
        client
    });
    for mut client in clients.unwrap() {
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
    let content = std::fs::read(dir.path().join("segments/a")).unwrap();
    assert!(
        content.iter().all(|&byte| byte == 1),
        "the write ended whole"
    );
}

#[test]
fn listening_twice_on_an_address_says_so() {
    on_a_shard(|io| {
        let (listener, address): (_, SocketAddr) =
            io.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let twice = io.listen(address).map(|_| ());
        assert_eq!(twice, Err(IoFailure::Os(libc::EADDRINUSE)));
        io.close_socket(listener);
    });
}
