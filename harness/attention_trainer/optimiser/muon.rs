//! Muon: the running average of a matrix's gradient, with all its singular values brought to one.
//!
//! The idea: the averages of gradients are nearly of low rank, so a step along one changes the
//! matrix in a few directions alone. Of `G = U S V^T` Muon takes `U V^T`, in which every direction
//! counts alike. An odd polynomial of a matrix is that polynomial of its singular values, so no
//! decomposition is needed: five rounds of one that lifts small values steeply are enough.
//!
//! ```text
//! m = b m + (1 - b) g      u = b m + (1 - b) g      x = u / ||u||
//! five times:  a = x x^T,  x = 3.4445 x - 4.775 a x + 2.0315 a a x      (or x^T, the lower one)
//! p = p - rate (sqrt(max(1, rows / cols)) x + decay p)
//! ```
//! Singular values end between 0.68 and 1.13. Source: K. Jordan et al., Muon: An optimizer for hidden
//! layers in neural networks, 2024.

use super::Pace;
use crate::attention_trainer::columns::{rows_of, rows_of_mut};
use crate::kernels::blas1::dot;
use crate::kernels::matmul::{Accum, matmul, matmul_nt, matmul_tn, matmul_workspace_len};

const BETA: f32 = 0.95;
const ROUNDS: usize = 5;
const POLYNOMIAL: [f32; 3] = [3.4445, -4.7750, 2.0315];
/// Added to norms, for gradients of nothing but zeros.
const EPSILON: f32 = 1e-7;

/// Updates the matrix `p`, of this many rows and columns.
pub(super) fn step(
    (rows, cols): (usize, usize),
    pace: Pace,
    p: &mut [f32],
    g: &[f32],
    mean: &mut [f32],
) {
    let mut x: Vec<f32> = mean
        .iter_mut()
        .zip(g)
        .map(|(m, g)| {
            let g = (1.0 - BETA) * g * pace.gradient_scale;
            *m = BETA * *m + g;
            BETA * *m + g
        })
        .collect();
    orthogonalise(&mut x, rows, cols);
    let rate = pace.muon_rate * (rows as f32 / cols as f32).max(1.0).sqrt();
    let shrink = 1.0 - pace.muon_rate * pace.decay;
    for (p, x) in p.iter_mut().zip(&x) {
        *p = *p * shrink - rate * x;
    }
}

/// Brings the singular values of `x` near to one.
fn orthogonalise(x: &mut [f32], rows: usize, cols: usize) {
    let norm = dot(x, x).expect("equal lengths").sqrt() + EPSILON;
    x.iter_mut().for_each(|x| *x /= norm);
    let side = rows.min(cols);
    let len = matmul_workspace_len(rows, cols, side).max(matmul_workspace_len(
        side,
        side,
        rows.max(cols),
    ));
    let mut workspace = vec![0.0; len];
    let (mut a, mut b) = (vec![0.0; side * side], vec![0.0; side * side]);
    let mut product = vec![0.0; rows * cols];
    let [first, third, fifth] = POLYNOMIAL;
    for _ in 0..ROUNDS {
        let (square, view) = (rows_of_mut(&mut a, side, side), rows_of(x, rows, cols));
        // The smaller of x x^T and x^T x.
        match rows <= cols {
            true => matmul_nt(square, view, view, Accum::Replace, &mut workspace),
            false => matmul_tn(square, view, view, Accum::Replace, &mut workspace),
        }
        .expect("shapes fit");
        let (square, view) = (rows_of_mut(&mut b, side, side), rows_of(&a, side, side));
        matmul(square, view, view, Accum::Replace, &mut workspace).expect("shapes fit");
        for (b, a) in b.iter_mut().zip(&a) {
            *b = third * a + fifth * *b;
        }
        let (view, factor) = (rows_of(x, rows, cols), rows_of(&b, side, side));
        let (left, right) = if rows <= cols {
            (factor, view)
        } else {
            (view, factor)
        };
        let result = rows_of_mut(&mut product, rows, cols);
        matmul(result, left, right, Accum::Replace, &mut workspace).expect("shapes fit");
        for (x, product) in x.iter_mut().zip(&product) {
            *x = first * *x + product;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::rng::Rng;

    /// `u v^T` of orthonormal columns times the given singular values, by Gram and Schmidt.
    fn matrix(rows: usize, cols: usize, values: &[f64], rng: &mut Rng) -> Vec<f32> {
        let mut basis = |len: usize| {
            let mut columns: Vec<Vec<f64>> = Vec::new();
            for _ in values {
                let mut new: Vec<f64> = (0..len).map(|_| rng.below(2001) as f64 - 1000.0).collect();
                for old in &columns {
                    let share: f64 = new.iter().zip(old).map(|(a, b)| a * b).sum();
                    new.iter_mut().zip(old).for_each(|(a, b)| *a -= share * b);
                }
                let norm = new.iter().map(|a| a * a).sum::<f64>().sqrt();
                new.iter_mut().for_each(|a| *a /= norm);
                columns.push(new);
            }
            columns
        };
        let (u, v) = (basis(rows), basis(cols));
        let element = |i: usize, j: usize| -> f64 {
            (0..values.len())
                .map(|k| values[k] * u[k][i] * v[k][j])
                .sum()
        };
        (0..rows * cols)
            .map(|at| element(at / cols, at % cols) as f32)
            .collect()
    }

    #[test]
    fn all_directions_of_a_step_count_alike() {
        let values = [5.0, 1.0, 0.3, 0.1];
        for (rows, cols) in [(4, 4), (4, 19), (23, 4)] {
            // Singular vectors stay, so x is compared with what the polynomial makes of each value.
            let mut x = matrix(rows, cols, &values, &mut Rng::new(7));
            orthogonalise(&mut x, rows, cols);
            let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt();
            let wanted = values.map(|value| {
                let [a, b, c] = POLYNOMIAL.map(f64::from);
                let round = |v: f64, _| a * v + b * v.powi(3) + c * v.powi(5);
                (0..ROUNDS).fold(value / norm, round)
            });
            assert!(
                wanted.iter().all(|value| (0.65..1.2).contains(value)),
                "{wanted:?}"
            );
            let wanted = matrix(rows, cols, &wanted, &mut Rng::new(7));
            for (got, wanted) in x.iter().zip(wanted) {
                assert!(
                    (got - wanted).abs() < 1e-3,
                    "{rows} x {cols}: {got} {wanted}"
                );
            }
        }
    }

    #[test]
    fn a_gradient_of_zeros_moves_nothing_but_by_decay() {
        let pace = Pace {
            rate: 0.0,
            muon_rate: 0.5,
            decay: 0.1,
            gradient_scale: 1.0,
        };
        let (mut p, mut mean) = ([1.0; 6], [0.0; 6]);
        step((2, 3), pace, &mut p, &[0.0; 6], &mut mean);
        assert_eq!(p, [0.95; 6]);
    }
}
