//! Simulated sockets and mailboxes, seen from a shard and from a test's client.

use super::Client;
use crate::ids::ShardId;
use crate::io::Awaiting;
use crate::io::mailbox::Mailbox;
use crate::io::simulated::{World, WorldConfig};
use crate::io::{
    Class, Completion, Io, IoFailure, Op, Outcome, ReceiveInto, Received, SocketHandle, Token,
};
use std::net::SocketAddr;

fn world(seed: u64, shards: usize) -> (World, Vec<Io>) {
    let config = WorldConfig {
        arena_bytes: 4 << 20,
        ..WorldConfig::default()
    };
    World::new(seed, shards, config)
}

const fn token(key: u64) -> Token {
    Token {
        class: Class::Net,
        key,
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::new([127, 0, 0, 1].into(), 0)
}

/// Steps until something is done.
fn wait(world: &World, io: &mut Io) -> Completion {
    let mut done = Vec::new();
    loop {
        io.poll(&mut done);
        if let Some(completion) = done.pop() {
            assert!(done.is_empty());
            return completion;
        }
        assert!(world.step(), "nothing happens any more");
    }
}

fn drain(world: &World) {
    while world.step() {}
}

fn connected(world: &World, io: &mut Io) -> (Client, SocketHandle, SocketHandle) {
    let (listener, address) = io.listen(any_port()).unwrap();
    let client = world.connect(address).unwrap();
    io.submit(token(0), Op::Accept { listener });
    match wait(world, io).outcome {
        Outcome::Accept(Ok((socket, _))) => (client, socket, listener),
        other => panic!("{other:?}"),
    }
}

fn receive_slot(world: &World, io: &mut Io, socket: SocketHandle) -> Result<Vec<u8>, IoFailure> {
    let into = ReceiveInto::Slot;
    io.submit(token(1), Op::Receive { socket, into });
    match wait(world, io).outcome {
        Outcome::Receive(Ok(Received::Slot(slot))) => Ok(slot.to_vec()),
        Outcome::Receive(Err(failure)) => Err(failure),
        other => panic!("{other:?}"),
    }
}

fn numbered(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index * 7 % 251) as u8).collect()
}

#[test]
fn a_stream_arrives_whole_in_order_and_in_pieces() {
    let mut pieces = 0;
    for seed in 0..10 {
        let (world, mut ios) = world(seed, 1);
        let (client, socket, _) = connected(&world, &mut ios[0]);
        let sent = numbered(20_000);
        client.send(&sent);
        client.close();
        let mut got = Vec::new();
        loop {
            let bytes = receive_slot(&world, &mut ios[0], socket).unwrap();
            if bytes.is_empty() {
                break;
            }
            pieces += 1;
            got.extend_from_slice(&bytes);
        }
        assert_eq!(got, sent, "seed {seed}");
    }
    assert!(pieces > 100, "cut into no more than slots: {pieces}");
}

#[test]
fn a_receive_with_fill_waits_for_all_and_one_without_does_not() {
    let (world, mut ios) = world(1, 1);
    let io = &mut ios[0];
    let (client, socket, _) = connected(&world, io);
    client.send(&numbered(10_000));
    drain(&world);
    let mut buf = io.arena().alloc(16_384).unwrap();
    buf.extend_zeroed(4_096);
    let into = ReceiveInto::Buffer { buf, fill: true };
    io.submit(token(1), Op::Receive { socket, into });
    drain(&world);
    let mut done = Vec::new();
    io.poll(&mut done);
    assert!(done.is_empty(), "12288 bytes are wanted, 10000 are there");
    client.send(&numbered(5_000));
    let mut buf = match wait(&world, io).outcome {
        Outcome::Receive(Ok(Received::Buffer(buf, added))) => {
            assert_eq!((buf.len(), added), (16_384, 12_288));
            buf
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(buf[4_096..14_096], numbered(10_000));
    buf.truncate(0);
    drain(&world);
    let into = ReceiveInto::Buffer { buf, fill: false };
    io.submit(token(1), Op::Receive { socket, into });
    match wait(&world, io).outcome {
        Outcome::Receive(Ok(Received::Buffer(buf, added))) => {
            assert_eq!(added, 15_000 - 12_288);
            assert_eq!(buf[..], numbered(5_000)[2_288..]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_send_ends_once_the_window_took_all_of_it() {
    let (world, mut ios) = world(1, 1);
    world.configure(|config| config.network.window_bytes = 3_000);
    let io = &mut ios[0];
    let (client, socket, _) = connected(&world, io);
    let mut parts = Vec::new();
    for _ in 0..4 {
        let mut buf = io.arena().alloc(2_048).unwrap();
        buf.extend_from_slice(&numbered(2_000));
        parts.push(buf.freeze());
    }
    io.submit(token(1), Op::Send { socket, parts });
    drain(&world);
    let mut done = Vec::new();
    io.poll(&mut done);
    assert!(done.is_empty(), "the client reads nothing");
    let mut got = Vec::new();
    while client.receive(&mut got) > 0 {
        drain(&world);
    }
    assert_eq!(got, numbered(2_000).repeat(4));
    io.poll(&mut done);
    let [
        Completion {
            outcome: Outcome::Send(parts, Ok(())),
            ..
        },
    ] = &done[..]
    else {
        panic!("one finished send, not {done:?}");
    };
    assert!(parts.is_empty());
    assert_eq!(io.counters().sent_bytes, 8_000);
}

#[test]
fn a_reset_reaches_both_ends_and_a_close_the_other() {
    let (world, mut ios) = world(1, 1);
    let io = &mut ios[0];
    let (client, socket, listener) = connected(&world, io);
    client.reset();
    let reset = receive_slot(&world, io, socket);
    assert_eq!(reset, Err(IoFailure::Os(libc::ECONNRESET)));
    io.close_socket(socket);

    let (client, socket, _) = connected(&world, io);
    io.close_socket(socket);
    assert!(!client.is_ended());
    drain(&world);
    assert!(client.is_ended());
    let into = ReceiveInto::Slot;
    io.submit(token(1), Op::Receive { socket, into });
    let closed = wait(&world, io).outcome;
    assert!(matches!(
        closed,
        Outcome::Receive(Err(IoFailure::Os(libc::EBADF)))
    ));

    world.configure(|config| config.network.reset_per_million = 1_000_000);
    let (client, socket, _) = connected(&world, io);
    client.send(b"lost");
    let reset = receive_slot(&world, io, socket);
    assert_eq!(reset, Err(IoFailure::Os(libc::ECONNRESET)));
    drain(&world);
    assert!(client.is_reset());
    assert_eq!(world.counters().resets, 1);
    io.close_socket(listener);
}

#[test]
fn a_silent_client_is_never_heard_of_again() {
    let (world, mut ios) = world(1, 1);
    let io = &mut ios[0];
    let (client, socket, _) = connected(&world, io);
    client.go_silent();
    client.send(b"never arrives");
    client.close();
    let into = ReceiveInto::Slot;
    io.submit(token(1), Op::Receive { socket, into });
    drain(&world);
    let mut done = Vec::new();
    io.poll(&mut done);
    assert!(done.is_empty());
    io.cancel(token(1));
    let cancelled = wait(&world, io).outcome;
    assert!(matches!(
        cancelled,
        Outcome::Receive(Err(IoFailure::Cancelled))
    ));
}

#[test]
fn a_socket_moves_between_shards_with_what_it_received() {
    let (world, mut ios) = world(1, 2);
    let (client, socket, _) = connected(&world, &mut ios[0]);
    client.send(b"hello");
    drain(&world);
    let detached = ios[0].detach_socket(socket);
    let socket = ios[1].attach_socket(detached);
    assert_eq!(receive_slot(&world, &mut ios[1], socket).unwrap(), b"hello");
}

#[test]
fn no_free_slot_leaves_the_bytes_for_the_next_receive() {
    let (world, mut ios) = world(1, 1);
    let io = &mut ios[0];
    let (client, socket, _) = connected(&world, io);
    client.send(b"patience");
    drain(&world);
    let mut held = Vec::new();
    while let Some(buf) = io.arena().alloc(2_048) {
        held.push(buf);
    }
    assert_eq!(receive_slot(&world, io, socket), Err(IoFailure::NoSlot));
    held.clear();
    assert_eq!(receive_slot(&world, io, socket).unwrap(), b"patience");
}

#[test]
fn addresses_in_use_and_without_a_listener_are_refused() {
    let (world, mut ios) = world(1, 1);
    let (listener, address) = ios[0]
        .listen(SocketAddr::new([127, 0, 0, 1].into(), 9092))
        .unwrap();
    assert_eq!(ios[0].listen(address), Err(IoFailure::Os(libc::EADDRINUSE)));
    ios[0].close_socket(listener);
    let refused = world.connect(address).map(|_| ());
    assert_eq!(refused, Err(IoFailure::Os(libc::ECONNREFUSED)));
    assert!(ios[0].listen(address).is_ok());
}

#[test]
fn a_crash_resets_every_client() {
    let (world, mut ios) = world(1, 1);
    let (client, ..) = connected(&world, &mut ios[0]);
    world.kill();
    assert!(client.is_reset());
    assert_eq!(ios[0].listen(any_port()), Err(IoFailure::Stopped));
}

#[test]
fn mail_keeps_its_order_per_pair_arrives_late_and_is_bounded() {
    let (world, mut ios) = world(5, 3);
    let mut boxes: Vec<Mailbox<u32>> = world.mailboxes(4);
    for io in &mut ios {
        assert!(world.take_runnable(io.shard()));
        io.park(None, Awaiting::Anything);
    }
    for number in 0..4 {
        boxes[0].send(&mut ios[0], ShardId(2), number).unwrap();
        boxes[1].send(&mut ios[1], ShardId(2), 10 + number).unwrap();
    }
    assert_eq!(boxes[0].send(&mut ios[0], ShardId(2), 99), Err(99));
    let mut out = Vec::new();
    boxes[2].receive(&mut ios[2], 10, &mut out);
    assert!(out.is_empty(), "nothing arrives without time");
    drain(&world);
    assert!(world.take_runnable(ShardId(2)));
    assert!(!world.take_runnable(ShardId(1)));
    boxes[2].receive(&mut ios[2], 3, &mut out);
    assert_eq!(out.len(), 3);
    boxes[2].receive(&mut ios[2], 10, &mut out);
    let of = |from: u16| out.iter().filter(move |(sender, _)| sender.0 == from);
    assert!(of(0).map(|(_, number)| *number).eq(0..4));
    assert!(of(1).map(|(_, number)| *number).eq(10..14));
    assert!(world.counters().doorbells_merged > 0);
    boxes[0].send(&mut ios[0], ShardId(2), 5).unwrap();
}

#[test]
fn a_doorbell_never_rings_before_its_mail_is_visible() {
    for seed in 0..100 {
        let (world, mut ios) = world(seed, 2);
        let mut boxes: Vec<Mailbox<u32>> = world.mailboxes(100);
        assert!(world.take_runnable(ShardId(1)));
        let mut got = Vec::new();
        for number in 0..20 {
            boxes[0].send(&mut ios[0], ShardId(1), number).unwrap();
            world.step();
            if world.take_runnable(ShardId(1)) {
                boxes[1].receive(&mut ios[1], 100, &mut got);
            }
        }
        while world.step() {
            if world.take_runnable(ShardId(1)) {
                boxes[1].receive(&mut ios[1], 100, &mut got);
            }
        }
        assert_eq!(got.len(), 20, "seed {seed}: a wake-up was lost");
    }
}

#[test]
fn a_client_is_named_when_something_arrives_and_not_before() {
    let (world, mut ios) = world(1, 1);
    let io = &mut ios[0];
    let (client, socket, _) = connected(&world, io);
    drain(&world);
    assert_eq!(world.take_news(), [] as [u32; 0]);
    let mut buf = io.arena().alloc(2_048).unwrap();
    buf.extend_from_slice(b"hello");
    let parts = vec![buf.freeze()];
    io.submit(token(1), Op::Send { socket, parts });
    drain(&world);
    assert_eq!(world.take_news(), [client.id()]);
    assert_eq!(world.take_news(), [] as [u32; 0]);
    let mut got = Vec::new();
    assert_eq!(client.receive(&mut got), 5);
    assert_eq!(client.receive(&mut got), 0);
    world.kill();
    assert_eq!(world.take_news(), [client.id()], "the connection broke");
    assert!(client.is_reset());
}

#[test]
fn a_deaf_client_hears_nothing_and_is_heard() {
    let (world, mut ios) = world(1, 1);
    let io = &mut ios[0];
    let (client, socket, _) = connected(&world, io);
    client.go_deaf();
    client.send(b"ping");
    assert_eq!(receive_slot(&world, io, socket).unwrap(), b"ping");
    let mut buf = io.arena().alloc(2_048).unwrap();
    buf.extend_from_slice(b"pong");
    let parts = vec![buf.freeze()];
    io.submit(token(2), Op::Send { socket, parts });
    drain(&world);
    assert_eq!(client.receive(&mut Vec::new()), 0);
    assert!(!client.is_ended() && !client.is_reset());
}

#[test]
fn somebody_outside_is_woken_at_a_time_and_time_passes_while_the_machine_is_off() {
    let (world, ios) = world(1, 1);
    drain(&world);
    let time = world.now_ns() + 7_000_000_000;
    world.wake_at(time);
    assert!(world.step() && world.now_ns() == time);
    assert!(!world.step(), "nothing else is going to happen");
    let hash = world.event_hash();
    world.fold(&[1]);
    assert_ne!(world.event_hash(), hash);
    drop(ios);
    world.power_cut();
    world.stay_off(1_000);
    assert_eq!(world.now_ns(), time + 1_000);
}

#[test]
fn a_stream_with_late_pieces_through_splits_arrives_whole_and_in_order() {
    let (world, mut ios) = world(3, 1);
    let (client, socket, _) = connected(&world, &mut ios[0]);
    let began_ns = world.now_ns();
    world.configure(|config| {
        config.network.late_per_million = 500_000;
        config.network.split_per_million = 500_000;
    });
    let sent = numbered(200_000);
    client.send(&sent);
    let mut got = Vec::new();
    while got.len() < sent.len() {
        got.extend(receive_slot(&world, &mut ios[0], socket).unwrap());
    }
    assert_eq!(got, sent);
    let counters = world.counters();
    assert!(
        counters.late_pieces > 0 && counters.splits > 0,
        "{counters:?}"
    );
    assert!(world.now_ns() - began_ns > 1_000_000_000);
}

#[test]
fn a_split_that_holds_nothing_back_is_not_counted() {
    let (world, mut ios) = world(1, 1);
    let (client, socket, _) = connected(&world, &mut ios[0]);
    world.configure(|config| config.network.split_per_million = 1_000_000);
    client.go_silent();
    client.send(b"lost");
    drain(&world);
    world.configure(|config| config.network.split_per_million = 0);
    assert_eq!(world.counters().splits, 0);
    ios[0].close_socket(socket);
}
