//! Dot product, axpy and the fused update: `cargo bench --bench blas1`.

use barelm::kernels::blas1::{axpy, dot, update};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn vectors(c: &mut Criterion) {
    let mut group = c.benchmark_group("blas1");
    for n in [64, 128, 300, 4096] {
        let x: Vec<f32> = (0..n).map(|i| (i % 17) as f32 * 0.01).collect();
        let (mut y, mut z) = (x.clone(), x.clone());
        group.throughput(Throughput::Elements(n));
        group.bench_function(BenchmarkId::new("dot", n), |b| {
            b.iter(|| dot(black_box(&x), black_box(&y)));
        });
        group.bench_function(BenchmarkId::new("axpy", n), |b| {
            b.iter(|| axpy(1e-9, black_box(&x), black_box(&mut y)));
        });
        group.bench_function(BenchmarkId::new("fused update", n), |b| {
            b.iter(|| update(1e-9, black_box(&x), black_box(&mut y), black_box(&mut z)));
        });
    }
    group.finish();
}

criterion_group!(benches, vectors);
criterion_main!(benches);
