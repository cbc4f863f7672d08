//! Products of matrices, and of a matrix and a vector: `cargo bench --bench matmul`.
//!
//! Throughput counts floating-point operations: `2 m n k`.

use barelm::kernels::mat::{MatMut, MatRef};
use barelm::kernels::matmul::{Accum, matmul, matmul_nt, matmul_workspace_len, matvec};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i % 17) as f32 * 0.1 - 0.8).collect()
}

fn squares(c: &mut Criterion) {
    let mut group = c.benchmark_group("matmul");
    for n in [64, 128, 256, 512] {
        let (a, b, mut dst) = (values(n * n), values(n * n), vec![0.0; n * n]);
        let mut workspace = vec![0.0; matmul_workspace_len(n, n, n)];
        group.throughput(Throughput::Elements(2 * (n * n * n) as u64));
        group.bench_function(format!("n = {n}"), |bencher| {
            bencher.iter(|| {
                let dst = MatMut::new(black_box(&mut dst), n, n).expect("sized so");
                let [a, b] = [&a, &b].map(|x| MatRef::new(x, n, n).expect("sized so"));
                matmul(dst, a, b, Accum::Replace, &mut workspace)
            });
        });
    }
    group.finish();
}

/// Scores of 2048 positions over a vocabulary of 1024.
fn scores(c: &mut Criterion) {
    let (m, n, k) = (2048, 1024, 128);
    let (a, b, mut dst) = (values(m * k), values(n * k), vec![0.0; m * n]);
    let mut workspace = vec![0.0; matmul_workspace_len(m, n, k)];
    let mut group = c.benchmark_group("matmul nt");
    group.throughput(Throughput::Elements(2 * (m * n * k) as u64));
    group.bench_function(format!("{m} x {k} by {k} x {n}"), |bencher| {
        bencher.iter(|| {
            let dst = MatMut::new(black_box(&mut dst), m, n).expect("sized so");
            let a = MatRef::new(&a, m, k).expect("sized so");
            let b = MatRef::new(&b, n, k).expect("sized so");
            matmul_nt(dst, a, b, Accum::Replace, &mut workspace)
        });
    });
    group.finish();
}

fn vector(c: &mut Criterion) {
    let n = 768;
    let (a, x, mut dst) = (values(n * n), values(n), vec![0.0; n]);
    let mut group = c.benchmark_group("matvec");
    group.throughput(Throughput::Elements(2 * (n * n) as u64));
    group.bench_function(format!("n = {n}"), |b| {
        b.iter(|| {
            let a = MatRef::new(&a, n, n).expect("sized so");
            matvec(black_box(&mut dst), a, black_box(&x))
        });
    });
    group.finish();
}

criterion_group!(benches, squares, scores, vector);
criterion_main!(benches);
