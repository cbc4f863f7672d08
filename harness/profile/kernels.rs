//! Every kernel at a usual shape, on one thread.
//!
//! How work is counted:
//!
//! - A product of `m x k` by `k x n` is `2 m n k` operations. Attention is its two products,
//!   `4 n m d` (half of that with a causal mask), and its backward pass five products; their
//!   exponentials are not counted.
//! - `exp` is [`EXP_FLOPS`] an element, what its polynomial takes; a sigmoid is that and four more,
//!   a softmax that and four more; a sigmoid by table is four, and reads its table's entry.
//! - Bytes are every operand once: read, and read and written where it is changed. A write counts
//!   like a read, although reads are what the bound was measured with.
//! - The percentage in the shape of a loop of CBOW is its share of the time of all four.
//! - A window of CBOW with `c` context words and a path of `l` nodes reads and writes `c + l` rows.

use super::machine::{Machine, Work};
use super::report::Row;
use super::timing::median_seconds;
use super::word_vectors;
use crate::Result;
use crate::cbow_trainer::HuffmanTree;
use crate::kernels::attention::{
    AttentionGradients, AttentionInputs, Mask, attend_one, attend_one_workspace_len,
    attention_backward, attention_backward_workspace_len, attention_forward,
    attention_forward_workspace_len,
};
use crate::kernels::blas1::{axpy, dot, update};
use crate::kernels::cbow::{CbowMut, StepOptions, step, step_workspace_len};
use crate::kernels::exp::exp_in_place;
use crate::kernels::mat::{MatMut, MatRef};
use crate::kernels::matmul::{Accum, matmul, matmul_nt, matmul_workspace_len, matvec};
use crate::kernels::rng::Rng;
use crate::kernels::sigmoid::{SigmoidMethod, sigmoid_in_place};
use crate::kernels::softmax::softmax_in_place;
use crate::kernels::top_k::top_k_of_products;
use std::hint::black_box;

/// Operations of one exponential: range reduction, a polynomial of degree five, the ends.
const EXP_FLOPS: f64 = 20.0;
/// Bytes of an element.
const F32: usize = size_of::<f32>();
/// Rows of the tables that words are looked up in.
pub(super) const VOCAB_SIZE: usize = 20_000;
/// Windows of the text that the CBOW kernels pass over in one call.
pub(super) const WINDOWS: usize = 1000;

/// A row for each kernel.
///
/// # Errors
/// [`crate::Error::Interrupted`].
pub(super) fn measure(machine: &Machine, seconds: f64) -> Result<Vec<Row>> {
    let mut bench = Bench {
        machine,
        seconds,
        rows: Vec::new(),
    };
    vectors(&mut bench)?;
    elementwise(&mut bench)?;
    products(&mut bench)?;
    attention(&mut bench)?;
    cached_query(&mut bench)?;
    words(&mut bench)?;
    bench.rows.extend(word_vectors::measure(machine, seconds)?);
    Ok(bench.rows)
}

/// The rows so far.
struct Bench<'a> {
    machine: &'a Machine,
    seconds: f64,
    rows: Vec<Row>,
}

impl Bench<'_> {
    fn row(
        &mut self,
        name: &'static str,
        shape: impl Into<String>,
        work: Work,
        f: impl FnMut(),
    ) -> Result<()> {
        let seconds = median_seconds(self.seconds, f)?;
        let row = self.machine.rate(name, shape.into(), work, seconds);
        self.rows.push(row);
        Ok(())
    }
}

/// Work that touches each byte of its data `passes` times.
fn work(flops: usize, floats: usize, passes: f64) -> Work {
    Work {
        flops: flops as f64,
        bytes: (floats * F32) as f64 * passes,
        working_set: floats * F32,
    }
}

/// Numbers between -1 and 1.
fn values(len: usize) -> Vec<f32> {
    let mut rng = Rng::new(len as u64);
    (0..len).map(|_| rng.uniform() * 2.0 - 1.0).collect()
}

fn mat(data: &[f32], rows: usize, cols: usize) -> MatRef<'_> {
    MatRef::new(data, rows, cols).expect("made for this shape")
}

fn mat_mut(data: &mut [f32], rows: usize, cols: usize) -> MatMut<'_> {
    MatMut::new(data, rows, cols).expect("made for this shape")
}

fn vectors(bench: &mut Bench<'_>) -> Result<()> {
    for n in [128, 4096] {
        let (x, mut y) = (values(n), values(n));
        bench.row("dot", format!("{n}"), work(2 * n, 2 * n, 1.0), || {
            black_box(dot(black_box(&x), black_box(&y)).expect("equal lengths"));
        })?;
        bench.row("axpy", format!("{n}"), work(2 * n, 2 * n, 1.5), || {
            axpy(1e-9, black_box(&x), black_box(&mut y)).expect("equal lengths");
        })?;
    }
    let n = 128;
    let (x, mut theta, mut gradient) = (values(n), values(n), values(n));
    let five_thirds = 5.0 / 3.0;
    let update_work = work(4 * n, 3 * n, five_thirds);
    bench.row("fused update", format!("{n}"), update_work, || {
        let (theta, gradient) = (black_box(&mut theta), black_box(&mut gradient));
        update(1e-9, black_box(&x), theta, gradient).expect("equal lengths");
    })
}

fn elementwise(bench: &mut Bench<'_>) -> Result<()> {
    let n = 1024;
    let x = values(n);
    let mut y = x.clone();
    let elements = |flops: f64| Work {
        flops: flops * n as f64,
        ..work(0, 2 * n, 1.5)
    };
    // Each call starts from the same scores: the copy is a small part of it.
    let mut each = |name, flops, f: fn(&mut [f32])| {
        bench.row(name, format!("{n}"), elements(flops), || {
            y.copy_from_slice(black_box(&x));
            f(black_box(&mut y));
        })
    };
    each("sigmoid table", 4.0, |y| {
        sigmoid_in_place(SigmoidMethod::Table, y);
    })?;
    each("sigmoid polynomial", EXP_FLOPS + 4.0, |y| {
        sigmoid_in_place(SigmoidMethod::Polynomial, y);
    })?;
    each("exp", EXP_FLOPS, exp_in_place)?;
    each("softmax", EXP_FLOPS + 4.0, softmax_in_place)
}

fn products(bench: &mut Bench<'_>) -> Result<()> {
    for n in [128, 512, 1024] {
        product(bench, "matmul", [n, n, n], false)?;
    }
    product(bench, "matmul", [2048, 1024, 128], false)?;
    product(bench, "matmul nt", [2048, 1024, 128], true)?;
    let n = 768;
    let (a, x, mut dst) = (values(n * n), values(n), vec![0.0; n]);
    let matvec_work = work(2 * n * n, n * n + 2 * n, 1.0);
    bench.row("matvec", format!("{n} x {n}"), matvec_work, || {
        matvec(black_box(&mut dst), mat(&a, n, n), black_box(&x)).expect("made to fit");
    })
}

/// One product of `m x k` by `k x n`, or by a transposed `n x k`.
fn product(
    bench: &mut Bench<'_>,
    name: &'static str,
    [m, n, k]: [usize; 3],
    transposed: bool,
) -> Result<()> {
    let (a, b) = (values(m * k), values(k * n));
    let (mut dst, mut workspace) = (vec![0.0; m * n], vec![0.0; matmul_workspace_len(m, n, k)]);
    let work = work(2 * m * n * k, m * k + k * n + m * n, 1.0);
    bench.row(name, format!("{m} x {k} by {k} x {n}"), work, || {
        let (dst, a) = (mat_mut(black_box(&mut dst), m, n), mat(&a, m, k));
        let done = match transposed {
            true => matmul_nt(dst, a, mat(&b, n, k), Accum::Replace, &mut workspace),
            false => matmul(dst, a, mat(&b, k, n), Accum::Replace, &mut workspace),
        };
        done.expect("made to fit");
    })
}

fn attention(bench: &mut Bench<'_>) -> Result<()> {
    let (n, d) = (512, 64);
    let (q, k, v) = (values(n * d), values(n * d), values(n * d));
    let (mut out, mut sums) = (vec![0.0; n * d], vec![0.0; n]);
    let mut workspace = vec![0.0; attention_forward_workspace_len(d, d)];
    let causal = Mask::Causal { offset: 0 };
    let shape = || format!("1 x {n} x {d}");
    let inputs = |mask| {
        let [q, k, v] = [&q, &k, &v].map(|x| mat(x, n, d));
        AttentionInputs::new(q, k, v, mask, 0.125, None).expect("made to fit")
    };
    for (name, mask, pairs) in [
        ("attention full", Mask::Full, n * n),
        ("attention causal", causal, n * (n + 1) / 2),
    ] {
        bench.row(name, shape(), work(4 * pairs * d, 4 * n * d, 1.0), || {
            let out = mat_mut(black_box(&mut out), n, d);
            attention_forward(out, &mut sums, inputs(mask), &mut workspace).expect("made to fit");
        })?;
    }
    let dout = values(n * d);
    let mut gradients = [(); 3].map(|()| vec![0.0; n * d]);
    let mut workspace = vec![0.0; attention_backward_workspace_len(n, n, d, d)];
    let backward_work = work(10 * (n * (n + 1) / 2) * d, 8 * n * d, 1.0);
    bench.row("attention backward", shape(), backward_work, || {
        let [dq, dk, dv] = gradients.each_mut().map(|x| {
            // Gradients are added to: from zero each time, lest they overflow.
            x.fill(0.0);
            mat_mut(x, n, d)
        });
        let gradients = AttentionGradients {
            dq,
            dk,
            dv,
            dbias: None,
        };
        let (dout, out) = (mat(&dout, n, d), mat(&out, n, d));
        attention_backward(gradients, dout, out, &sums, inputs(causal), &mut workspace)
            .expect("made to fit");
    })
}

fn cached_query(bench: &mut Bench<'_>) -> Result<()> {
    let (m, d) = (4096, 64);
    let (q, k, v) = (values(d), values(m * d), values(m * d));
    let (mut out, mut workspace) = (vec![0.0; d], vec![0.0; attend_one_workspace_len(m)]);
    let work = work(4 * m * d, 2 * m * d, 1.0);
    bench.row("one query", format!("{m} x {d}"), work, || {
        let (k, v) = (mat(&k, m, d), mat(&v, m, d));
        let out = black_box(&mut out);
        attend_one(out, black_box(&q), k, v, 0.125, None, &mut workspace).expect("made to fit");
    })
}

/// Ids whose probabilities are about `1 / rank`, as in text, with their Huffman tree.
pub(super) fn zipf_text() -> Result<(Vec<u32>, HuffmanTree)> {
    let mut rng = Rng::new(1);
    let mut draw = || ((VOCAB_SIZE as f32).powf(rng.uniform()) - 1.0) as u32;
    let ids: Vec<u32> = (0..WINDOWS + 6).map(|_| draw()).collect();
    let counts: Vec<u64> = (1..=VOCAB_SIZE)
        .map(|rank| (1_000_000 / rank) as u64)
        .collect();
    Ok((ids, HuffmanTree::from_counts(&counts)?))
}

fn words(bench: &mut Bench<'_>) -> Result<()> {
    let (ids, tree) = zipf_text()?;
    let d = 100;
    let mut vectors = values(VOCAB_SIZE * d);
    vectors.iter_mut().for_each(|x| *x *= 1e-2);
    let mut thetas = vec![0.0; (VOCAB_SIZE - 1) * d];
    let shape = format!("{WINDOWS} words, d = {d}");
    let targets = &ids[6..];
    let nodes: usize = targets.iter().map(|id| tree.view().path(*id).0.len()).sum();

    let walk_work = Work {
        working_set: thetas.len() * F32,
        ..work(nodes * 2 * d, nodes * d, 1.0)
    };
    bench.row("Huffman walk", &shape, walk_work, || {
        let (x, thetas) = (&vectors[..d], mat(&thetas, VOCAB_SIZE - 1, d));
        for id in targets {
            let walked = tree.view().log_probability(*id, x, thetas);
            black_box(walked.expect("made to fit"));
        }
    })?;

    let context = 6 * WINDOWS;
    let step_work = Work {
        working_set: (vectors.len() + thetas.len()) * F32,
        ..work((6 * nodes + 2 * context) * d, (nodes + context) * d, 2.0)
    };
    let mut workspace = vec![0.0; step_workspace_len(d)];
    let options = StepOptions {
        learning_rate: 1e-3,
        projection: Default::default(),
        sigmoid: SigmoidMethod::Polynomial,
    };
    bench.row("CBOW step", &shape, step_work, || {
        let mut model = CbowMut {
            vectors: mat_mut(&mut vectors, VOCAB_SIZE, d),
            thetas: mat_mut(&mut thetas, VOCAB_SIZE - 1, d),
            tree: tree.view(),
        };
        for window in ids.windows(7) {
            if let [context @ .., target] = window {
                let stepped = step(&mut model, context, *target, options, &mut workspace);
                black_box(stepped.expect("made to fit"));
            }
        }
    })?;

    let top_work = work(2 * VOCAB_SIZE * d, VOCAB_SIZE * d, 1.0);
    let shape = format!("10 of {VOCAB_SIZE} x {d}");
    let table = mat(&vectors, VOCAB_SIZE, d);
    let x = values(d);
    bench.row("top-k of products", shape, top_work, || {
        black_box(top_k_of_products::<10>(table, black_box(&x)).expect("made to fit"));
    })
}
