//! Prediction: the probability of one token by its path, and of all tokens in `O(V d)`.

use super::{HuffmanRef, MAX_CODE_LEN};
use crate::blas1::dot_with;
use crate::error::{KernelError, ShapeError, take};
use crate::mat::MatRef;
use crate::sigmoid::{SigmoidMethod, sigmoid_in_place_with, softplus_in_place_with};
use crate::simd::{Kernel, Simd, dispatch};

/// Elements of workspace that [`HuffmanRef::probabilities_into`] needs for a vocabulary.
pub const fn probabilities_workspace_len(vocab_size: usize) -> usize {
    vocab_size.saturating_sub(1).saturating_mul(2)
}

impl HuffmanRef<'_> {
    /// `log p(token | x)`, in nats.
    ///
    /// # Shapes
    /// `x`: `d`; `thetas`: one row of `d` an inner node.
    ///
    /// # Errors
    /// [`ShapeError`] when shapes differ or the token does not exist.
    ///
    /// # Precision
    /// By softplus, so that improbable tokens keep their digits: relative error about 1e-6.
    pub fn log_probability(
        &self,
        token: u32,
        x: &[f32],
        thetas: MatRef<'_>,
    ) -> Result<f32, ShapeError> {
        if !self.fits(x, thetas) || token as usize >= self.vocab_size() {
            return Err(ShapeError);
        }
        let (path, code) = self.path(token);
        Ok(dispatch(LogProbability {
            path,
            code,
            x,
            thetas,
        }))
    }

    /// `p(w | x)` of every token `w`, in one pass over the parameters and one over the tokens.
    ///
    /// # Shapes
    /// `x`: `d`; `thetas`: one row of `d` an inner node; `workspace`:
    /// [`probabilities_workspace_len`]; `out`: one element a token.
    ///
    /// # Errors
    /// [`KernelError`] when shapes differ or the workspace is too small.
    ///
    /// # Precision
    /// Both sides of a node add up to exactly 1, so that the sum over tokens is 1 but for one
    /// rounding a level. Absolute, not relative error: for a loss use
    /// [`HuffmanRef::log_probability`].
    pub fn probabilities_into(
        &self,
        x: &[f32],
        thetas: MatRef<'_>,
        workspace: &mut [f32],
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        if !self.fits(x, thetas) || out.len() != self.vocab_size() {
            return Err(ShapeError.into());
        }
        let workspace = take(workspace, probabilities_workspace_len(out.len()))?;
        let (sides, masses) = workspace
            .split_at_mut_checked(self.inner_nodes())
            .unwrap_or_default();
        dispatch(AllSides { x, thetas, sides });
        masses.fill(UNKNOWN);
        for (p, token) in out.iter_mut().zip(0..) {
            *p = self.probability(token, sides, masses).unwrap_or(0.0);
        }
        Ok(())
    }

    fn fits(&self, x: &[f32], thetas: MatRef<'_>) -> bool {
        thetas.rows() == self.inner_nodes() && (thetas.rows() == 0 || thetas.cols() == x.len())
    }

    /// The probability of a token from those of its path's sides.
    ///
    /// `masses` keeps the probability of reaching each node. From the leaf up, it looks for the
    /// first node that is known, then fills in those below: every node is filled once for all
    /// tokens together.
    fn probability(&self, token: u32, sides: &[f32], masses: &mut [f32]) -> Option<f32> {
        let (path, code) = self.path(token);
        let mass_of = |node: &u32| masses.get(*node as usize).copied().unwrap_or(0.0);
        let unknown = path.iter().rev().take_while(|n| mass_of(n) < 0.0).count();
        let known = path.len() - unknown;
        let mut mass = match known.checked_sub(1) {
            Some(above) => {
                let node = *path.get(above)? as usize;
                *masses.get(node)? * side(*sides.get(node)?, code >> above)
            }
            None => 1.0,
        };
        for (depth, node) in path.iter().enumerate().skip(known) {
            *masses.get_mut(*node as usize)? = mass;
            mass *= side(*sides.get(*node as usize)?, code >> depth);
        }
        Some(mass)
    }
}

/// Marks a node whose probability has not been filled in.
const UNKNOWN: f32 = -1.0;

/// Probability of the side that the lowest bit of `code` names.
#[inline(always)]
fn side(of_one: f32, code: u64) -> f32 {
    if code & 1 == 1 { of_one } else { 1.0 - of_one }
}

/// Sigmoids of all inner nodes.
struct AllSides<'a> {
    x: &'a [f32],
    thetas: MatRef<'a>,
    sides: &'a mut [f32],
}

impl Kernel for AllSides<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (n, side) in self.sides.iter_mut().enumerate() {
            *side = dot_with(simd, self.thetas.row(n), self.x);
        }
        sigmoid_in_place_with(simd, SigmoidMethod::Polynomial, self.sides);
    }
}

struct LogProbability<'a> {
    path: &'a [u32],
    code: u64,
    x: &'a [f32],
    thetas: MatRef<'a>,
}

impl Kernel for LogProbability<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let mut losses = [0.0; MAX_CODE_LEN];
        for (i, (loss, node)) in losses.iter_mut().zip(self.path).enumerate() {
            let score = dot_with(simd, self.thetas.row(*node as usize), self.x);
            *loss = if self.code >> i & 1 == 1 {
                -score
            } else {
                score
            };
        }
        let losses = losses.get_mut(..self.path.len()).unwrap_or_default();
        softplus_in_place_with(simd, losses);
        -losses.iter().sum::<f32>()
    }
}
