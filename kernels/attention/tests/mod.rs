//! A case of attention, and the naive f64 reference that everything is compared with.

mod agreement;
mod extremes;

use super::backward::Backward;
use super::decode::AttendOne;
use super::forward::Forward;
use super::*;
use crate::error::{BufferTooSmall, KernelError};
use crate::mat::MatMut;
use crate::simd::Backend;
use crate::testing::{assert_close, on_every_backend, tolerance, values};
use std::{vec, vec::Vec};

/// Unused elements after each row: operands are heads of a wider tensor.
const GAP: usize = 3;

/// Operands of one call, owned.
#[derive(Clone)]
struct Case {
    n: usize,
    m: usize,
    d: usize,
    dv: usize,
    mask: Mask,
    scale: f32,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    bias: Option<Vec<f32>>,
}

fn view(data: &[f32], rows: usize, cols: usize) -> MatRef<'_> {
    MatRef::with_stride(data, rows, cols, cols + GAP).unwrap()
}

fn view_mut(data: &mut [f32], rows: usize, cols: usize) -> MatMut<'_> {
    MatMut::with_stride(data, rows, cols, cols + GAP).unwrap()
}

impl Case {
    fn new([n, m, d, dv]: [usize; 4], mask: Mask, with_bias: bool) -> Self {
        let distances = n.max(m).max(mask.offset() + n);
        Self {
            n,
            m,
            d,
            dv,
            mask,
            scale: 1.5 / (d.max(1) as f32).sqrt(),
            q: values(n * (d + GAP), 1),
            k: values(m * (d + GAP), 2),
            v: values(m * (dv + GAP), 3),
            bias: with_bias.then(|| values(distances, 4)),
        }
    }

    fn inputs(&self) -> AttentionInputs<'_> {
        AttentionInputs::new(
            view(&self.q, self.n, self.d),
            view(&self.k, self.m, self.d),
            view(&self.v, self.m, self.dv),
            self.mask,
            self.scale,
            self.bias.as_deref(),
        )
        .unwrap()
    }

    /// Outputs (with the gaps, which must stay 9) and log-sums.
    fn forward(&self, backend: Backend) -> (Vec<f32>, Vec<f32>) {
        let len = attention_forward_workspace_len(self.d, self.dv);
        let mut out = vec![9.0; self.n * (self.dv + GAP)];
        let mut log_sums = vec![9.0; self.n];
        backend.run(Forward {
            out: view_mut(&mut out, self.n, self.dv),
            log_sums: &mut log_sums,
            inputs: self.inputs(),
            // What a workspace holds on arrival must not matter.
            workspace: &mut vec![f32::NAN; len],
        });
        (out, log_sums)
    }

    /// Gradients `[dq, dk, dv, dbias]`, each added to ones.
    fn backward(&self, backend: Backend, dout: &[f32]) -> [Vec<f32>; 4] {
        let (out, log_sums) = self.forward(backend);
        let len = attention_backward_workspace_len(self.n, self.m, self.d, self.dv);
        let bias_len = self.bias.as_ref().map_or(0, Vec::len);
        let mut grads = [self.q.len(), self.k.len(), self.v.len(), bias_len].map(|n| vec![1.0; n]);
        let [dq, dk, dv, dbias] = &mut grads;
        backend.run(Backward {
            gradients: AttentionGradients {
                dq: view_mut(dq, self.n, self.d),
                dk: view_mut(dk, self.m, self.d),
                dv: view_mut(dv, self.m, self.dv),
                dbias: self.bias.is_some().then_some(&mut dbias[..]),
            },
            dout: view(dout, self.n, self.dv),
            out: view(&out, self.n, self.dv),
            log_sums: &log_sums,
            inputs: self.inputs(),
            workspace: &mut vec![f32::NAN; len],
        });
        grads
    }

    fn distance(&self, i: usize, j: usize) -> usize {
        (self.mask.offset() + i).abs_diff(j)
    }
}

/// The formulas in f64, without gaps.
struct Reference {
    out: Vec<Vec<f64>>,
    log_sums: Vec<f64>,
    grads: [Vec<f64>; 4],
}

fn dot64(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

fn reference(case: &Case, dout: &[f32]) -> Reference {
    let AttentionInputs { q, k, v, .. } = case.inputs();
    let (n, m, d, dv) = (case.n, case.m, case.d, case.dv);
    let mut out = vec![vec![0.0; dv]; n];
    let mut log_sums = vec![f64::NEG_INFINITY; n];
    let bias_len = case.bias.as_ref().map_or(0, Vec::len);
    let mut grads = [n * d, m * d, m * dv, bias_len].map(|len| vec![0.0; len]);
    let scale = f64::from(case.scale);
    for i in 0..n {
        let seen = (0..m).filter(|j| case.mask == Mask::Full || *j <= case.mask.offset() + i);
        let bias = |j| case.bias.as_ref().map_or(0.0, |b| b[case.distance(i, j)]);
        let scores: Vec<f64> = seen
            .map(|j| scale * dot64(q.row(i), k.row(j)) + f64::from(bias(j)))
            .collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|s| libm::exp(s - max)).sum();
        if !scores.is_empty() {
            log_sums[i] = max + libm::log(sum);
        }
        let p: Vec<f64> = scores.iter().map(|s| libm::exp(s - max) / sum).collect();
        for (j, p) in p.iter().enumerate() {
            for (out, v) in out[i].iter_mut().zip(v.row(j)) {
                *out += p * f64::from(*v);
            }
        }
        let dout = view(dout, n, dv).row(i);
        let mean: f64 = dout
            .iter()
            .zip(&out[i])
            .map(|(g, o)| f64::from(*g) * o)
            .sum();
        for (j, p) in p.iter().enumerate() {
            let ds = p * (dot64(dout, v.row(j)) - mean);
            for c in 0..dv {
                grads[2][j * dv + c] += p * f64::from(dout[c]);
            }
            for c in 0..d {
                grads[0][i * d + c] += scale * ds * f64::from(k.row(j)[c]);
                grads[1][j * d + c] += scale * ds * f64::from(q.row(i)[c]);
            }
            if bias_len > 0 {
                grads[3][case.distance(i, j)] += ds;
            }
        }
    }
    Reference {
        out,
        log_sums,
        grads,
    }
}

/// Every mask and bias over shapes around the boundaries of blocks, tiles and lanes.
fn for_each_case(mut test: impl FnMut(Case)) {
    let sizes: [usize; 8] = [0, 1, 2, 15, 17, 64, 65, 194];
    let dims = [[1, 1], [16, 33], [40, 17], [64, 64], [0, 3], [8, 0]];
    for (a, n) in sizes.into_iter().enumerate() {
        for (b, m) in sizes.into_iter().enumerate() {
            let [d, dv] = dims[(a + b) % dims.len()];
            let masks = [
                Mask::Full,
                Mask::Causal { offset: 0 },
                Mask::Causal { offset: 7 },
                Mask::Causal {
                    offset: m.saturating_sub(n),
                },
            ];
            for mask in masks {
                for with_bias in [false, true] {
                    test(Case::new([n, m, d, dv], mask, with_bias));
                }
            }
        }
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}
