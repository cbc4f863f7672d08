//! All of attention against a naive f64 reference, whose gradients finite differences confirm.

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
        let len = attention_forward_workspace_len(self.n, self.m, self.d, self.dv);
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
    let sizes: [usize; 8] = [0, 1, 2, 15, 17, 64, 65, 130];
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

#[test]
fn forward_agrees_with_the_naive_form() {
    on_every_backend(|backend| {
        for_each_case(|case| {
            let (out, log_sums) = case.forward(backend);
            let want = reference(&case, &vec![0.0; out.len()]);
            for i in 0..case.n {
                let row = &out[i * (case.dv + GAP)..][..case.dv + GAP];
                assert_close(
                    log_sums[i],
                    want.log_sums[i] as f32,
                    tolerance::ATTENTION,
                    1.0,
                );
                for (got, want) in row.iter().zip(&want.out[i]) {
                    assert_close(*got, *want as f32, tolerance::ATTENTION, 1.0);
                }
                assert_eq!(row[case.dv..], [9.0; GAP]);
            }
        });
    });
}

#[test]
fn backward_agrees_with_the_naive_form() {
    on_every_backend(|backend| {
        for_each_case(|case| {
            let dout = values(case.n * (case.dv + GAP), 5);
            let got = case.backward(backend, &dout);
            let want = reference(&case, &dout);
            let widths = [case.d, case.d, case.dv, usize::MAX - GAP];
            for ((got, want), width) in got.iter().zip(&want.grads).zip(widths) {
                let (mut got, mut want) = (got.as_slice(), want.as_slice());
                while !got.is_empty() {
                    let cut = width.min(got.len());
                    let (row, rest) = got.split_at(cut);
                    let (want_row, want_rest) = want.split_at(cut);
                    for (got, want) in row.iter().zip(want_row) {
                        assert_close(got - 1.0, *want as f32, tolerance::ATTENTION_GRADIENT, 1.0);
                    }
                    let gap = GAP.min(rest.len());
                    assert!(rest[..gap].iter().all(|x| *x == 1.0));
                    (got, want) = (&rest[gap..], want_rest);
                }
            }
        });
    });
}

#[test]
fn the_reference_gradients_are_the_slopes_of_the_reference_outputs() {
    let case = Case::new([3, 4, 3, 2], Mask::Causal { offset: 1 }, true);
    let dout = values(case.n * (case.dv + GAP), 6);
    let loss = |case: &Case| -> f64 {
        let out = reference(case, &dout).out;
        let rows = out.iter().zip(dout.chunks(case.dv + GAP));
        rows.flat_map(|(out, dout)| out.iter().zip(dout))
            .map(|(out, dout)| out * f64::from(*dout))
            .sum()
    };
    let grads = reference(&case, &dout).grads;
    let h = 1.0 / 1024.0;
    for (operand, width) in [(0, case.d), (1, case.d), (2, case.dv), (3, 1)] {
        let gap = if operand == 3 { 0 } else { GAP };
        for (at, want) in grads[operand].iter().enumerate() {
            let moved = |by: f32| {
                let mut case = case.clone();
                let bias = case.bias.as_mut().unwrap();
                let data = [&mut case.q, &mut case.k, &mut case.v, bias];
                data.into_iter().nth(operand).unwrap()[at / width * (width + gap) + at % width] +=
                    by;
                loss(&case)
            };
            let slope = (moved(h) - moved(-h)) / f64::from(2.0 * h);
            assert_close(*want as f32, slope as f32, 1e-5, 1.0);
        }
    }
}

#[test]
fn no_position_sees_the_future_however_large_the_scores() {
    on_every_backend(|backend| {
        for offset in [0, 7] {
            let mask = Mask::Causal { offset };
            let mut case = Case::new([130, 130 + offset, 16, 20], mask, true);
            case.q.iter_mut().for_each(|q| *q *= 1e4);
            let (out, log_sums) = case.forward(backend);
            assert!(out.iter().chain(&log_sums).all(|x| x.is_finite()));
            for seen in [1, 20, 31, 64, 100, 129] {
                for odd in [f32::NAN, f32::INFINITY, -1e30, 0.0] {
                    let mut other = case.clone();
                    let first = offset + seen;
                    other.k[first * (case.d + GAP)..].fill(odd);
                    other.v[first * (case.dv + GAP)..].fill(odd);
                    let (other_out, other_sums) = other.forward(backend);
                    let len = seen * (case.dv + GAP);
                    assert!(bits(&out[..len]) == bits(&other_out[..len]));
                    assert_eq!(bits(&log_sums[..seen]), bits(&other_sums[..seen]));
                }
            }
        }
    });
}

#[test]
fn keys_get_no_gradient_from_positions_before_them_however_large_the_scores() {
    on_every_backend(|backend| {
        let mut case = Case::new([70, 70, 16, 16], Mask::Causal { offset: 0 }, false);
        case.q.iter_mut().for_each(|q| *q *= 1e4);
        for seen in [1, 33, 64] {
            let mut dout = values(case.n * (case.dv + GAP), 7);
            dout[seen * (case.dv + GAP)..].fill(0.0);
            let [_, dk, dv, _] = case.backward(backend, &dout);
            assert!(dk[seen * (case.d + GAP)..].iter().all(|x| *x == 1.0));
            assert!(dv[seen * (case.dv + GAP)..].iter().all(|x| *x == 1.0));
        }
    });
}

#[test]
fn a_row_does_not_depend_on_how_the_queries_are_partitioned() {
    on_every_backend(|backend| {
        let whole = Case::new([130, 130, 40, 24], Mask::Causal { offset: 0 }, true);
        let (out, log_sums) = whole.forward(backend);
        for start in [1, 32, 50] {
            let mut part = whole.clone();
            part.n -= start;
            part.mask = Mask::Causal { offset: start };
            part.q.drain(..start * (whole.d + GAP));
            let (part_out, part_sums) = part.forward(backend);
            assert!(bits(&part_out) == bits(&out[start * (whole.dv + GAP)..]));
            assert_eq!(bits(&part_sums), bits(&log_sums[start..]));
        }
    });
}

#[test]
fn nan_in_gives_nan_out() {
    on_every_backend(|backend| {
        for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7FC0_0155)] {
            for at in [0, 17, 40] {
                let case = Case::new([41, 41, 16, 16], Mask::Full, false);
                let at = at * (16 + GAP) + 5;
                let nan_in = |change: fn(&mut Case) -> &mut Vec<f32>| {
                    let mut case = case.clone();
                    change(&mut case)[at] = nan;
                    case.forward(backend)
                };
                let (out, log_sums) = nan_in(|case| &mut case.k);
                assert!(log_sums.iter().all(|x| x.is_nan()));
                let rows = || out.chunks(16 + GAP);
                assert!(rows().all(|row| row[..16].iter().all(|x| x.is_nan())));
                let (out, _) = nan_in(|case| &mut case.v);
                assert!(out.chunks(16 + GAP).all(|row| row[5].is_nan()));
                let (out, log_sums) = nan_in(|case| &mut case.q);
                let i = at / (16 + GAP);
                for (row, x) in out.chunks(16 + GAP).zip(&log_sums).enumerate() {
                    let (out, log_sum) = x;
                    assert_eq!(out[..16].iter().all(|x| x.is_nan()), row == i);
                    assert_eq!(log_sum.is_nan(), row == i);
                }
            }
        }
    });
}

#[test]
fn a_bias_of_minus_infinity_hides_keys() {
    on_every_backend(|backend| {
        let mut case = Case::new([80, 80, 16, 8], Mask::Causal { offset: 0 }, true);
        let all = vec![f32::NEG_INFINITY; 80];
        case.bias = Some(all.clone());
        let (out, log_sums) = case.forward(backend);
        assert!(
            out.chunks(8 + GAP)
                .all(|row| row[..8].iter().all(|x| x.is_nan() || *x == 0.0))
        );
        assert!(log_sums.iter().all(|x| *x == f32::NEG_INFINITY));
        let mut window = all;
        window[..3].fill(0.0);
        case.bias = Some(window);
        let (out, _) = case.forward(backend);
        let dout = vec![1.0; out.len()];
        let want = reference(&case, &dout);
        for (i, row) in out.chunks(8 + GAP).enumerate() {
            for (got, want) in row.iter().zip(&want.out[i]) {
                assert_close(*got, *want as f32, tolerance::ATTENTION, 1.0);
            }
        }
        let grads = case.backward(backend, &dout);
        assert!(grads.iter().flatten().all(|x| x.is_finite()));
    });
}

#[test]
fn one_query_agrees_with_the_naive_form() {
    on_every_backend(|backend| {
        for m in [0, 1, 2, 15, 17, 64, 65, 130] {
            for [d, dv] in [[1, 1], [16, 33], [40, 17], [64, 64], [128, 130], [0, 0]] {
                for with_bias in [false, true] {
                    let offset = m.max(1) - 1;
                    let case = Case::new([1, m, d, dv], Mask::Causal { offset }, with_bias);
                    let mut out = vec![9.0; dv];
                    backend.run(AttendOne {
                        out: &mut out,
                        inputs: case.inputs(),
                        weights: &mut vec![f32::NAN; attend_one_workspace_len(m)],
                    });
                    let want = reference(&case, &vec![0.0; dv + GAP]);
                    for (got, want) in out.iter().zip(&want.out[0]) {
                        assert_close(*got, *want as f32, tolerance::ATTENTION, 1.0);
                    }
                }
            }
        }
    });
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn results_are_bit_equal_within_a_class() {
    for mask in [Mask::Full, Mask::Causal { offset: 7 }] {
        for shape in [[65, 130, 40, 33], [17, 64, 64, 64]] {
            let case = Case::new(shape, mask, true);
            let dout = values(case.n * (case.dv + GAP), 8);
            let mut of_class = [None, None];
            on_every_backend(|backend| {
                let (out, log_sums) = case.forward(backend);
                let [dq, dk, dv, dbias] = case.backward(backend, &dout);
                let got = [out, log_sums, dq, dk, dv, dbias].map(|x| bits(&x));
                let class = &mut of_class[usize::from(backend.is_fused())];
                assert!(*class.get_or_insert(got.clone()) == got);
            });
        }
    }
}

#[test]
fn wrong_shapes_and_small_workspaces_are_errors() {
    let case = Case::new([4, 4, 2, 2], Mask::Full, true);
    let shape = Err(KernelError::Shape(ShapeError));
    let (mut out, mut sums) = (vec![0.0; 20], [0.0; 4]);
    let needed = attention_forward_workspace_len(4, 4, 2, 2);
    let mut workspace = vec![0.0; needed];
    let mut run = |rows, sums: &mut [f32], workspace: &mut [f32]| {
        let out = view_mut(&mut out, rows, 2);
        attention_forward(out, sums, case.inputs(), workspace)
    };
    assert_eq!(run(3, &mut sums, &mut workspace), shape);
    assert_eq!(run(4, &mut sums[..3], &mut workspace), shape);
    assert_eq!(
        run(4, &mut sums, &mut workspace[1..]),
        Err(KernelError::Buffer(BufferTooSmall { needed }))
    );
    assert_eq!(run(4, &mut sums, &mut workspace), Ok(()));
    let AttentionInputs { q, k, v, .. } = case.inputs();
    let huge = Mask::Causal { offset: usize::MAX };
    let inputs = |q, k, v, mask, bias| AttentionInputs::new(q, k, v, mask, 1.0, bias).is_ok();
    assert!(!inputs(q, k, v.rows_from(0, 3), Mask::Full, None));
    assert!(!inputs(view(&case.q, 4, 1), k, v, Mask::Full, None));
    assert!(!inputs(q, k, v, huge, Some(&[0.0; 9])));
    assert!(inputs(q, k, v, huge, None));
    assert!(!inputs(
        q,
        k,
        v,
        Mask::Causal { offset: 1 },
        Some(&[0.0; 4])
    ));
}
