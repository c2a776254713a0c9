//! Micro-benchmarks of the parts a record passes: batch check, checksum, arena.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use millrace_engine::io::arena::Arena;
use millrace_engine::record_batch;
use std::hint::black_box;

fn batch_of(bytes: usize) -> Vec<u8> {
    let mut batch = vec![0x5a; bytes.max(record_batch::HEADER_BYTES)];
    let length = i32::try_from(batch.len() - 12).unwrap_or(i32::MAX);
    batch[..8].fill(0);
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[12..16].fill(0);
    batch[16] = 2;
    batch[21..23].fill(0);
    batch[23..27].fill(0);
    batch[27..43].fill(0);
    batch[43..57].fill(0xff);
    batch[57..61].copy_from_slice(&1_i32.to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

fn check(c: &mut Criterion) {
    let mut group = c.benchmark_group("record_batch_check");
    for bytes in [128, 1024, 4096, 65_536] {
        let batch = batch_of(bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_with_input(BenchmarkId::from_parameter(bytes), &batch, |b, batch| {
            b.iter(|| record_batch::check(black_box(batch)).map(|header| header.crc));
        });
    }
    group.finish();
}

fn arena(c: &mut Criterion) {
    let mut group = c.benchmark_group("arena");
    let mut arena = Arena::new(64 << 20).expect("64 MiB of address space");
    for bytes in [2048, 16 << 10, 256 << 10] {
        group.bench_function(BenchmarkId::new("alloc_drop", bytes), |b| {
            b.iter(|| black_box(arena.alloc(black_box(bytes))));
        });
    }
    let mut buf = arena.alloc(1 << 20).expect("room for one block");
    buf.extend_zeroed(4096);
    let slice = buf.split_frozen();
    group.bench_function("slice_clone_drop", |b| b.iter(|| black_box(slice.clone())));
    group.finish();
}

criterion_group!(micro, check, arena);
criterion_main!(micro);
