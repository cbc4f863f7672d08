//! Attention, forward, backward and one query, beside this machine's peak.
//!
//! `cargo bench --bench attention`. Elements are floating-point operations: `4 d` for each pair of
//! query and key that the mask lets see each other forward, `10 d` backward. Before Criterion's
//! figures, each shape's share of the peak is printed: the median of samples that lie between two
//! of the peak, so that neighbours and changes of frequency touch both.

use barelm_kernels::attention::*;
use barelm_kernels::mat::{MatMut, MatRef};
use barelm_kernels::simd::{Backend, Kernel, Simd, dispatch};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Multiply-adds of registers alone, in enough independent chains to hide their latency.
struct Peak;

impl Peak {
    const STEPS: usize = 96 * 1024;
    const FLOPS: f64 = (2 * 16 * Self::STEPS) as f64;
}

impl Kernel for Peak {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        if const { S::REGISTERS >= 32 } {
            chains::<S, 16>(simd)
        } else if const { S::REGISTERS >= 8 } {
            chains::<S, 6>(simd)
        } else {
            chains::<S, 2>(simd)
        }
    }
}

#[inline(always)]
fn chains<S: Simd, const N: usize>(simd: S) -> f32 {
    let (a, b) = (simd.splat(black_box(0.999)), simd.splat(0.5));
    let mut sums = [simd.splat(1.0); N];
    for _ in 0..Peak::STEPS / N {
        for sum in &mut sums {
            *sum = simd.mul_add(*sum, a, b);
        }
    }
    let mut total = simd.splat(0.0);
    for sum in sums {
        total = simd.add(total, sum);
    }
    simd.reduce_sum(total)
}

/// Whether Cargo runs the benches as tests.
fn is_test() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

fn timed(f: &mut dyn FnMut()) -> Duration {
    let start = Instant::now();
    f();
    start.elapsed()
}

/// Prints the share of the peak at which `f` does `flops` operations.
fn print_share(name: &str, flops: f64, f: &mut dyn FnMut()) {
    let peak = &mut || {
        black_box(dispatch(Peak));
    };
    let samples = if is_test() { 1 } else { 301 };
    let mut shares: Vec<f64> = (0..samples)
        .map(|_| {
            let before = timed(peak).as_secs_f64();
            let seconds = timed(f).as_secs_f64();
            let peak_seconds = (before + timed(peak).as_secs_f64()) / 2.0;
            flops / seconds / (Peak::FLOPS / peak_seconds)
        })
        .collect();
    shares.sort_by(f64::total_cmp);
    eprintln!("{name}: {:.1} % of peak", 100.0 * shares[samples / 2]);
}

/// Operands of `heads` heads, each `n x d`.
struct Heads {
    count: usize,
    n: usize,
    d: usize,
    mask: Mask,
    /// Queries, keys, values, outputs, gradient of the outputs.
    tensors: [Vec<f32>; 5],
    /// Gradients of queries, keys, values.
    gradients: [Vec<f32>; 3],
    log_sums: Vec<f32>,
    workspace: Vec<f32>,
}

impl Heads {
    fn new([count, n, d]: [usize; 3], mask: Mask) -> Self {
        let len = count * n * d;
        let values = |seed: usize| -> Vec<f32> {
            let value = |i: usize| ((seed * len + i) as f32 * 0.37).sin();
            (0..len).map(value).collect()
        };
        let backward = attention_backward_workspace_len(n, n, d, d);
        let workspace = backward.max(attention_forward_workspace_len(d, d));
        Self {
            count,
            n,
            d,
            mask,
            tensors: [1, 2, 3, 4, 5].map(values),
            gradients: [0, 0, 0].map(|_| vec![0.0; len]),
            log_sums: vec![0.0; count * n],
            workspace: vec![0.0; workspace],
        }
    }

    fn name(&self, what: &str) -> String {
        let mask = if self.mask == Mask::Full {
            "full"
        } else {
            "causal"
        };
        format!("{what} {}x{}x{} {mask}", self.count, self.n, self.d)
    }

    /// Operations at `each` for a pair of a query and a key it sees, and dimension.
    fn flops(&self, each: usize) -> f64 {
        let pairs = match self.mask {
            Mask::Full => self.n * self.n,
            Mask::Causal { .. } => self.n * (self.n + 1) / 2,
        };
        (each * self.count * pairs * self.d) as f64
    }

    fn forward(&mut self) {
        let (n, d) = (self.n, self.d);
        let [q, k, v, out, _] = &mut self.tensors;
        for h in 0..self.count {
            let head = |x| head(x, h, n, d);
            let inputs = AttentionInputs::new(head(q), head(k), head(v), self.mask, 0.125, None);
            let out = MatMut::new(&mut out[h * n * d..][..n * d], n, d).expect("n x d");
            let log_sums = &mut self.log_sums[h * n..][..n];
            attention_forward(out, log_sums, inputs.expect("fits"), &mut self.workspace)
                .expect("fits");
        }
    }

    fn backward(&mut self) {
        let (n, d) = (self.n, self.d);
        let [q, k, v, out, dout] = &self.tensors;
        for h in 0..self.count {
            let head = |x| head(x, h, n, d);
            let inputs = AttentionInputs::new(head(q), head(k), head(v), self.mask, 0.125, None);
            let [dq, dk, dv] = self
                .gradients
                .each_mut()
                .map(|x| MatMut::new(&mut x[h * n * d..][..n * d], n, d).expect("n x d"));
            let gradients = AttentionGradients {
                dq,
                dk,
                dv,
                dbias: None,
            };
            attention_backward(
                gradients,
                head(dout),
                head(out),
                &self.log_sums[h * n..][..n],
                inputs.expect("fits"),
                &mut self.workspace,
            )
            .expect("fits");
        }
    }
}

fn head(x: &[f32], h: usize, n: usize, d: usize) -> MatRef<'_> {
    MatRef::new(&x[h * n * d..][..n * d], n, d).expect("n x d")
}

fn bench(criterion: &mut Criterion, name: &str, flops: f64, f: &mut dyn FnMut()) {
    print_share(name, flops, f);
    let mut group = criterion.benchmark_group("attention");
    group.throughput(Throughput::Elements(flops as u64));
    group.bench_function(name, |bencher| bencher.iter(&mut *f));
}

fn peak(criterion: &mut Criterion) {
    eprintln!("backend {}", Backend::best().name());
    bench(criterion, "peak", Peak::FLOPS, &mut || {
        black_box(dispatch(Peak));
    });
}

fn forward(criterion: &mut Criterion) {
    let shapes: &[[usize; 3]] = match is_test() {
        true => &[[1, 33, 16]],
        false => &[[1, 512, 64], [8, 1024, 64], [1, 2048, 128]],
    };
    for shape in shapes {
        for mask in [Mask::Full, Mask::Causal { offset: 0 }] {
            let mut heads = Heads::new(*shape, mask);
            let (name, flops) = (heads.name("forward"), heads.flops(4));
            bench(criterion, &name, flops, &mut || heads.forward());
        }
    }
}

fn backward(criterion: &mut Criterion) {
    let shapes: &[[usize; 3]] = match is_test() {
        true => &[[1, 33, 16]],
        false => &[[4, 128, 32], [4, 256, 64], [4, 256, 128]],
    };
    for shape in shapes {
        for mask in [Mask::Full, Mask::Causal { offset: 0 }] {
            let mut heads = Heads::new(*shape, mask);
            heads.forward();
            let (name, flops) = (heads.name("backward"), heads.flops(10));
            bench(criterion, &name, flops, &mut || heads.backward());
        }
    }
}

/// One query against caches of several sizes, in bytes of keys and values read a second.
fn one_query(criterion: &mut Criterion) {
    let d = 64;
    let lengths: &[usize] = if is_test() {
        &[33]
    } else {
        &[128, 1024, 16384]
    };
    for m in lengths {
        let heads = Heads::new([1, *m, d], Mask::Full);
        let [q, k, v, ..] = &heads.tensors;
        let (k, v) = (head(k, 0, *m, d), head(v, 0, *m, d));
        let (mut out, mut workspace) = (vec![0.0; d], vec![0.0; attend_one_workspace_len(*m)]);
        let mut group = criterion.benchmark_group("one query");
        group.throughput(Throughput::Bytes((8 * m * d) as u64));
        group.bench_function(format!("{m}x{d}"), |bencher| {
            bencher.iter(|| attend_one(&mut out, &q[..d], k, v, 0.125, None, &mut workspace));
        });
    }
}

criterion_group!(benches, peak, forward, backward, one_query);
criterion_main!(benches);
