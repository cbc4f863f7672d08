//! The nearest of a million vectors of 300 numbers, 1.2 GB, beside what reading them costs at
//! least: `cargo bench --bench neighbors`. Both lines give the same bytes a second.

use barelm::kernels::mat::MatRef;
use barelm::kernels::peak;
use barelm::kernels::top_k::top_k_of_cosines;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const ROWS: usize = 1_000_000;
const DIM: usize = 300;

fn nearest(criterion: &mut Criterion) {
    let vectors: Vec<f32> = (0..ROWS * DIM)
        .map(|i| (i as u32).wrapping_mul(2_654_435_761) as f32 / 4e9 - 0.5)
        .collect();
    let (inverse_norms, question) = (vec![1.0; ROWS], &vectors[..DIM]);
    let table = MatRef::new(&vectors, ROWS, DIM).expect("rows are whole");
    let mut group = criterion.benchmark_group(format!("{ROWS} x {DIM}"));
    group
        .throughput(Throughput::Bytes(size_of_val(&vectors[..]) as u64))
        .sample_size(10);
    group.bench_function("read", |b| b.iter(|| peak::sum(black_box(&vectors))));
    group.bench_function("ten nearest", |b| {
        b.iter(|| top_k_of_cosines::<10>(table, &inverse_norms, black_box(question)));
    });
    group.finish();
}

criterion_group!(benches, nearest);
criterion_main!(benches);
