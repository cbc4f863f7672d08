//! Exponentials, softmax and cross-entropy over rows of logits, in values a second.
//!
//! `cargo bench --bench softmax`

use barelm_kernels::mat::MatMut;
use barelm_kernels::{exp, softmax};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const ROWS: usize = 16;

fn rows_of_logits(criterion: &mut Criterion) {
    for classes in [1024, 8192] {
        let values = ROWS * classes;
        let logits: Vec<f32> = (0..values).map(|i| (i as f32 * 0.7).sin() * 5.0).collect();
        let targets = [3; ROWS];
        let (mut x, mut losses) = (logits.clone(), [0.0; ROWS]);
        let mut group = criterion.benchmark_group(format!("{ROWS}x{classes}"));
        group.throughput(Throughput::Elements(values as u64));
        // Each starts from the logits again: the copy is the first line, for comparison.
        group.bench_function("copy", |bencher| {
            bencher.iter(|| x.copy_from_slice(black_box(&logits)));
        });
        group.bench_function("exp", |bencher| {
            bencher.iter(|| {
                x.copy_from_slice(black_box(&logits));
                exp::exp_in_place(&mut x);
            });
        });
        group.bench_function("softmax", |bencher| {
            bencher.iter(|| {
                x.copy_from_slice(black_box(&logits));
                x.chunks_mut(classes).for_each(softmax::softmax_in_place);
            });
        });
        group.bench_function("cross_entropy_in_place", |bencher| {
            bencher.iter(|| {
                x.copy_from_slice(black_box(&logits));
                let view = MatMut::new(&mut x, ROWS, classes).expect("rows times classes");
                softmax::cross_entropy_in_place(view, &targets, 1.0, &mut losses)
            });
        });
    }
}

criterion_group!(benches, rows_of_logits);
criterion_main!(benches);
