//! Sigmoids and losses, a thousand at a time: `cargo bench --bench sigmoid`.

use barelm::kernels::sigmoid::{SigmoidMethod, sigmoid_in_place, softplus_in_place};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn sigmoids(c: &mut Criterion) {
    let scores: Vec<f32> = (0..1000).map(|i| (i - 500) as f32 * 0.02).collect();
    let mut values = scores.clone();
    let mut group = c.benchmark_group("sigmoid");
    group.throughput(Throughput::Elements(scores.len() as u64));
    for (name, method) in [
        ("table", SigmoidMethod::Table),
        ("polynomial", SigmoidMethod::Polynomial),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                values.copy_from_slice(&scores);
                sigmoid_in_place(method, black_box(&mut values));
            });
        });
    }
    group.bench_function("softplus", |b| {
        b.iter(|| {
            values.copy_from_slice(&scores);
            softplus_in_place(black_box(&mut values));
        });
    });
    group.finish();
}

criterion_group!(benches, sigmoids);
criterion_main!(benches);
