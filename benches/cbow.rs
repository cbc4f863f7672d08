//! The CBOW step, and the trainer on generated text: `cargo bench --bench cbow`.
//!
//! The text has 20,000 words by Zipf's law, so paths are about as long as in real text; its
//! parameters fit in the second cache, unlike those of a large vocabulary.

use barelm::cbow_trainer::{CbowOptions, HuffmanTree, TokenSource, train};
use barelm::kernels::cbow::{CbowMut, StepOptions, step, step_workspace_len};
use barelm::kernels::mat::MatMut;
use barelm::kernels::rng::Rng;
use barelm::kernels::sigmoid::SigmoidMethod;
use barelm::token_stream::Ids;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const VOCAB_SIZE: usize = 20_000;
const TOKENS: usize = 100_000;

/// Ids with probabilities about `1 / rank`.
fn zipf_text() -> Vec<u32> {
    let mut rng = Rng::new(1);
    let mut draw = || ((VOCAB_SIZE as f32).powf(rng.uniform()) - 1.0) as u32;
    (0..TOKENS).map(|_| draw()).collect()
}

fn counts(ids: &[u32]) -> Vec<u64> {
    let mut counts = vec![0; VOCAB_SIZE];
    ids.iter().for_each(|id| counts[*id as usize] += 1);
    counts
}

fn steps(c: &mut Criterion) {
    let ids = zipf_text();
    let tree = HuffmanTree::from_counts(&counts(&ids)).expect("counts are small");
    let options = StepOptions {
        learning_rate: 0.01,
        projection: Default::default(),
        sigmoid: SigmoidMethod::Polynomial,
    };
    let mut group = c.benchmark_group("cbow step");
    group.throughput(Throughput::Elements(1));
    for dim in [100, 200, 300] {
        let mut vectors = vec![1e-3; VOCAB_SIZE * dim];
        let mut thetas = vec![0.0; (VOCAB_SIZE - 1) * dim];
        let mut workspace = vec![0.0; step_workspace_len(dim)];
        let mut windows = ids.windows(7).cycle();
        group.bench_function(format!("d = {dim}"), |b| {
            b.iter(|| {
                let [context @ .., target] = windows.next().expect("it repeats") else {
                    unreachable!("windows have seven words");
                };
                let mut model = CbowMut {
                    vectors: MatMut::new(&mut vectors, VOCAB_SIZE, dim).expect("sized so"),
                    thetas: MatMut::new(&mut thetas, VOCAB_SIZE - 1, dim).expect("sized so"),
                    tree: tree.view(),
                };
                step(&mut model, context, *target, options, &mut workspace)
            });
        });
    }
    group.finish();
}

fn training(c: &mut Criterion) {
    barelm::progress::set_quiet(true);
    let ids = zipf_text();
    let counts = counts(&ids);
    let source = TokenSource {
        ids: Ids::U32(&ids),
        counts: &counts,
    };
    let words: Vec<Vec<u8>> = (0..VOCAB_SIZE).map(|i| i.to_string().into()).collect();
    let mut group = c.benchmark_group("cbow training");
    group
        .throughput(Throughput::Elements(TOKENS as u64))
        .sample_size(10);
    for dim in [100, 200, 300] {
        for threads in [1, 2] {
            let options = CbowOptions {
                dim,
                threads,
                epochs: 1,
                ..CbowOptions::default()
            };
            group.bench_function(format!("d = {dim}, threads = {threads}"), |b| {
                b.iter(|| train(source, words.clone(), &options).expect("it trains"));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, steps, training);
criterion_main!(benches);
