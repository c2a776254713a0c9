//! Tests of the arena through its public face.

use super::{ARENA_BLOCK_MAX, ARENA_BLOCK_MIN, Arena, ArenaBuf, ArenaSlice};

fn filled(arena: &mut Arena, bytes: &[u8]) -> ArenaBuf {
    let mut buf = arena.alloc(bytes.len()).unwrap();
    buf.extend_from_slice(bytes);
    buf
}

#[test]
fn blocks_are_aligned_and_at_least_as_large_as_asked() {
    let mut arena = Arena::new(8 << 20).unwrap();
    for (bytes, block) in [
        (0, ARENA_BLOCK_MIN),
        (1, ARENA_BLOCK_MIN),
        (2048, 2048),
        (2049, 4096),
        (5000, 8192),
        (ARENA_BLOCK_MAX - 1, ARENA_BLOCK_MAX),
        (ARENA_BLOCK_MAX, ARENA_BLOCK_MAX),
    ] {
        let buf = arena.alloc(bytes).unwrap();
        assert_eq!(buf.spare(), block);
        assert_eq!(buf.block_bytes(), block);
        assert!(buf.address().is_multiple_of(block));
        assert_eq!(arena.used_bytes(), block);
    }
    assert!(arena.alloc(ARENA_BLOCK_MAX + 1).is_none());
    assert_eq!(arena.used_bytes(), 0);
}

#[test]
fn a_full_arena_refuses_and_recovers_when_memory_returns() {
    let mut arena = Arena::new(4 << 20).unwrap();
    let mut held: Vec<_> = std::iter::from_fn(|| arena.alloc(2048)).collect();
    assert_eq!(held.len(), (4 << 20) / 2048);
    assert_eq!(arena.used_bytes(), arena.capacity_bytes());
    held.truncate(1);
    assert!(arena.alloc(ARENA_BLOCK_MAX).is_some());
    assert_eq!(arena.used_bytes(), 2048);
}

#[test]
fn splitting_keeps_bytes_and_pins_the_block_until_the_last_handle() {
    let mut arena = Arena::new(2 << 20).unwrap();
    let mut buf = filled(&mut arena, b"head-body-tail");
    let head = buf.split_to(4);
    assert_eq!((&*head, head.spare()), (&b"head"[..], 0));
    buf.advance(1);
    let rest = buf.split_frozen();
    assert_eq!(&*rest, b"body-tail");
    assert_eq!((buf.len(), buf.spare()), (0, 2048 - 14));
    buf.extend_from_slice(b"more");
    let more = buf.freeze();
    let tail = rest.slice(5..9);
    assert_eq!(&*tail, b"tail");
    assert_eq!(&*tail.joined(&more).unwrap(), b"tailmore");
    assert!(more.joined(&tail).is_none());
    drop((head, rest, more));
    assert_eq!(arena.used_bytes(), 2048);
    drop(tail);
    assert_eq!(arena.used_bytes(), 0);
}

#[test]
fn neighbouring_blocks_never_join() {
    let mut arena = Arena::new(2 << 20).unwrap();
    let mut slices: Vec<_> = (0..4)
        .map(|_| filled(&mut arena, &[1; 2048]).freeze())
        .collect();
    slices.sort_by_key(ArenaSlice::address);
    for pair in slices.windows(2) {
        assert_eq!(pair[0].address() + 2048, pair[1].address());
        assert!(pair[0].joined(&pair[1]).is_none());
    }
}

#[test]
fn skip_moves_the_start_of_an_empty_buffer() {
    let mut arena = Arena::new(2 << 20).unwrap();
    let mut buf = arena.alloc(8192).unwrap();
    buf.skip(100);
    assert_eq!(buf.address() % 4096, 100);
    assert_eq!(buf.spare(), 8092);
    buf.extend_zeroed(8092);
    assert_eq!(buf.spare(), 0);
    assert!(buf.iter().all(|&byte| byte == 0));
}

#[test]
#[should_panic(expected = "range end index 2049")]
fn writing_past_the_room_is_refused() {
    let mut arena = Arena::new(2 << 20).unwrap();
    arena.alloc(2048).unwrap().extend_from_slice(&[0; 2049]);
}

#[test]
#[should_panic(expected = "of 4 bytes")]
fn a_slice_out_of_range_is_refused() {
    let mut arena = Arena::new(2 << 20).unwrap();
    let slice = filled(&mut arena, b"abcd").freeze();
    let _part = slice.slice(2..5);
}

#[test]
fn poison_overwrites_a_block_when_its_last_handle_goes() {
    let mut arena = Arena::new(2 << 20).unwrap();
    arena.set_poison_on_free(true);
    let buf = filled(&mut arena, b"secret");
    let address = buf.address();
    let slice = buf.freeze();
    let again = slice.clone();
    drop(slice);
    assert_eq!(&*again, b"secret");
    drop(again);
    let mut buf = arena.alloc(6).unwrap();
    assert_eq!(buf.address(), address);
    assert_eq!(&buf.spare_mut()[..6], &[0xDD; 6]);
}

#[test]
fn handles_come_home_from_other_threads() {
    let mut arena = Arena::new(16 << 20).unwrap();
    arena.set_poison_on_free(true);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..3)
            .map(|_| {
                let (sender, receiver) = std::sync::mpsc::sync_channel::<ArenaSlice>(64);
                scope.spawn(move || {
                    for slice in receiver {
                        let first = slice[0];
                        assert!(slice.iter().all(|&byte| byte == first));
                        let part = slice.slice(slice.len() / 2..slice.len());
                        drop(slice);
                        assert!(part.iter().all(|&byte| byte == first));
                    }
                });
                sender
            })
            .collect();
        for round in 0..20_000usize {
            let bytes = 1 + (round * 7919) % 9000;
            let mut buf = loop {
                match arena.alloc(bytes) {
                    Some(buf) => break buf,
                    None => std::thread::yield_now(),
                }
            };
            buf.extend_from_slice(&vec![round as u8; bytes]);
            let slice = buf.freeze();
            for sender in &senders[..1 + round % 3] {
                sender.send(slice.clone()).unwrap();
            }
        }
    });
    assert_eq!(arena.used_bytes(), 0);
}

#[test]
fn memory_outlives_the_arena_until_the_last_handle() {
    for round in 0..200 {
        let mut arena = Arena::new(2 << 20).unwrap();
        let slices: Vec<_> = (0..8)
            .map(|i| filled(&mut arena, &[i; 100]).freeze())
            .collect();
        let threads: Vec<_> = slices
            .into_iter()
            .map(|slice| std::thread::spawn(move || slice.iter().map(|&b| u32::from(b)).sum()))
            .collect::<Vec<std::thread::JoinHandle<u32>>>();
        if round % 2 == 0 {
            std::thread::yield_now();
        }
        drop(arena);
        let sum: u32 = threads.into_iter().map(|t| t.join().unwrap()).sum();
        assert_eq!(sum, (0..8).sum::<u32>() * 100);
    }
}

#[test]
fn slabs_cover_the_region_and_no_foreign_memory() {
    let mut arena = Arena::new(6 << 20).unwrap();
    assert_eq!(arena.slabs(), 3);
    let buf = arena.alloc(4096).unwrap();
    let slab = arena.slab_of(buf.address()).unwrap();
    let (start, bytes) = arena.slab_range(slab);
    assert!(start <= buf.address() && buf.address() + 4096 <= start + bytes);
    let mut other = Arena::new(2 << 20).unwrap();
    assert_eq!(arena.slab_of(other.alloc(1).unwrap().address()), None);
}

#[test]
fn a_block_is_reclaimed_only_by_its_last_handle() {
    let mut arena = Arena::new(ARENA_BLOCK_MAX).unwrap();
    let mut buf = arena.alloc(ARENA_BLOCK_MAX).unwrap();
    buf.extend_from_slice(b"commit");
    let address = buf.address();
    let slice = buf.freeze();
    let other = slice.slice(2..4);
    let slice = slice.reclaim().unwrap_err();
    assert_eq!(&*slice, b"commit");
    drop(slice);
    let again = other.reclaim().unwrap();
    assert_eq!(again.address(), address);
    assert_eq!(again.spare(), ARENA_BLOCK_MAX);
    assert!(arena.alloc(4096).is_none(), "the block never went home");
    drop(again);
    assert!(arena.alloc(4096).is_some());
}
