//! Micro-benchmarks of the parts a record passes: batch check, produce frame, arena.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use millrace_bench::requests;
use millrace_engine::io::arena::Arena;
use millrace_engine::record_batch;
use millrace_server::protocol::produce::first_records;
use std::hint::black_box;

fn check(c: &mut Criterion) {
    let mut group = c.benchmark_group("record_batch_check");
    for bytes in [128, 1024, 4096, 65_536] {
        let batch = requests::batch(bytes).expect("above the size of an empty batch");
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

fn produce_frame(c: &mut Criterion) {
    let batch = requests::batch(1024).expect("above the size of an empty batch");
    let frame = requests::produce(requests::TOPIC, 0, &batch).expect("a small frame");
    c.bench_function("produce_first_records", |b| {
        b.iter(|| {
            let found = first_records(black_box(&frame[4..]), frame.len() - 4);
            found.is_ok_and(|place| place.is_some())
        });
    });
}

criterion_group!(micro, check, produce_frame, arena);
criterion_main!(micro);
