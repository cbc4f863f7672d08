//! Instructions of the hot kernels, for one forced backend; `run` beside this file builds both.
//!
//! A bench is a process of its own under Callgrind, which counts from the call of the function below
//! to its return. Operands are made before that, and are leaked: to free them would be counted.

mod operands;

use barelm_kernels::attention::{AttentionInputs, Mask, attention_forward};
use barelm_kernels::blas1;
use barelm_kernels::cbow::{CbowMut, Projection, StepOptions, step};
use barelm_kernels::int8::{self, Int8Ref};
use barelm_kernels::mat::{MatMut, MatRef};
use barelm_kernels::sigmoid::{SigmoidMethod, sigmoid_in_place};
use iai_callgrind::{library_benchmark, library_benchmark_group, main};
use operands::{Attention, Bytes, Rows, Text, Words};

// A vector with each row of a matrix. Of 300 numbers, the last 12 are no whole step of 16.
#[library_benchmark(setup = operands::rows)]
#[bench::of_64(64)]
#[bench::of_300(300)]
fn dot(rows: &mut Rows) -> f32 {
    let mut total = 0.0;
    for row in rows.matrix.chunks_exact(rows.vector.len()) {
        total += blas1::dot(row, &rows.vector).expect("equal lengths");
    }
    total
}

#[library_benchmark(setup = operands::scores)]
#[bench::table(SigmoidMethod::Table)]
#[bench::polynomial(SigmoidMethod::Polynomial)]
fn sigmoid((method, scores): &mut (SigmoidMethod, Vec<f32>)) {
    sigmoid_in_place(*method, scores);
}

// The log-probability of some tokens, each by its path.
#[library_benchmark(setup = operands::words)]
#[bench::of_100(100)]
fn huffman_walk(words: &mut Words) -> f32 {
    let (tree, dim) = (words.tree.view(), words.dim);
    let thetas = MatRef::new(&words.thetas, tree.inner_nodes(), dim).expect("a row a node");
    let x = &words.vectors[..dim];
    let log_probability = |token: &u32| tree.log_probability(*token, x, thetas).expect("it fits");
    words.text.iter().map(log_probability).sum()
}

// A step for each window of seven words.
#[library_benchmark(setup = operands::words)]
#[bench::of_100(100)]
#[bench::of_300(300)]
fn cbow_step(words: &mut Words) -> f32 {
    let (tree, dim) = (words.tree.view(), words.dim);
    let options = StepOptions {
        learning_rate: 0.01,
        projection: Projection::MeanFullShare,
        sigmoid: SigmoidMethod::Polynomial,
    };
    let mut model = CbowMut {
        vectors: MatMut::new(&mut words.vectors, tree.vocab_size(), dim).expect("a row a token"),
        thetas: MatMut::new(&mut words.thetas, tree.inner_nodes(), dim).expect("a row a node"),
        tree,
    };
    let mut loss = 0.0;
    for [context @ .., target] in words.text.array_windows::<7>() {
        let workspace = &mut words.workspace;
        loss += step(&mut model, context, *target, options, workspace).expect("it fits");
    }
    loss
}

// One head. Of 200 queries and keys, the last are no whole tile and no whole block.
#[library_benchmark(setup = operands::attention)]
#[bench::full([200, 64], Mask::Full)]
#[bench::causal([200, 64], Mask::Causal { offset: 0 })]
fn attention(operands: &mut Attention) {
    let [n, d] = operands.shape;
    let view = |x| MatRef::new(x, n, d).expect("n x d");
    let [q, k, v] = operands.inputs.each_ref().map(|x| view(x));
    let inputs = AttentionInputs::new(q, k, v, operands.mask, 0.125, None).expect("equal shapes");
    let out = MatMut::new(&mut operands.out, n, d).expect("n x d");
    attention_forward(out, &mut operands.log_sums, inputs, &mut operands.workspace)
        .expect("it fits");
}

// Text to ids, by the kernels alone.
#[library_benchmark(setup = operands::text)]
#[bench::synthetic()]
fn encode(text: &mut Text) -> usize {
    let (ids, workspace) = (&mut text.ids, &mut text.workspace);
    text.tokenizer
        .encode_into(&text.bytes, ids, workspace)
        .expect("the buffers are as long as the text")
}

// 301 rows are no multiple of four, 300 columns no whole step.
#[library_benchmark(setup = operands::bytes)]
#[bench::of_301_by_300([301, 300])]
fn int8_matvec(bytes: &mut Bytes) {
    let a = Int8Ref::new(&bytes.matrix, &bytes.scales, bytes.vector.len()).expect("whole rows");
    int8::matvec(&mut bytes.out, a, &bytes.vector, 0.5).expect("it fits");
}

library_benchmark_group!(
    name = kernels;
    benchmarks = dot, sigmoid, huffman_walk, cbow_step, attention, encode, int8_matvec
);

main!(library_benchmark_groups = kernels);
