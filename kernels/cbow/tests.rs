//! The step against the definition in `f64` and finite differences; the [batch] and [pairs] against the step.

mod batch;
mod pairs;
mod two_slices;

use super::step::Step;
use super::*;
use crate::huffman::{HuffmanRef, MAX_CODE_LEN, build, build_workspace_len, nodes_len};
use crate::mat::{MatMut, MatRef};
use crate::sigmoid::SigmoidMethod;
use crate::simd::Backend;
use crate::testing::{assert_close, on_every_backend, tolerance, values};
use std::{vec, vec::Vec};

const VOCAB_SIZE: usize = 23;
const PROJECTIONS: [Projection; 3] = [Projection::Mean, Projection::MeanFullShare, Projection::Sum];

/// A model that owns its parameters.
#[derive(Clone, PartialEq, Debug)]
struct Model {
    dim: usize,
    vectors: Vec<f32>,
    thetas: Vec<f32>,
    offsets: Vec<u32>,
    nodes: Vec<u32>,
    codes: Vec<u64>,
}

impl Model {
    fn new(dim: usize) -> Self {
        let counts: Vec<u64> = (0..VOCAB_SIZE as u64).map(|i| 1000 / (i + 1)).collect();
        let mut workspace = vec![0; build_workspace_len(VOCAB_SIZE)];
        let (mut offsets, mut codes) = (vec![0; VOCAB_SIZE + 1], vec![0; VOCAB_SIZE]);
        let mut nodes = vec![0; nodes_len(&counts, &mut workspace).unwrap()];
        build(
            &counts,
            &mut workspace,
            &mut offsets,
            &mut nodes,
            &mut codes,
        )
        .unwrap();
        Self {
            dim,
            vectors: values(VOCAB_SIZE * dim, 1),
            thetas: values((VOCAB_SIZE - 1) * dim, 2),
            offsets,
            nodes,
            codes,
        }
    }

    fn tree(&self) -> HuffmanRef<'_> {
        let mut workspace = [0; 2 * VOCAB_SIZE];
        HuffmanRef::new_checked(&self.offsets, &self.nodes, &self.codes, &mut workspace).unwrap()
    }

    fn step(&mut self, context: &[u32], target: u32, options: StepOptions) -> f32 {
        self.step_on(Backend::best(), context, target, options)
    }

    fn step_on(
        &mut self,
        backend: Backend,
        context: &[u32],
        target: u32,
        options: StepOptions,
    ) -> f32 {
        let (offsets, nodes, codes) = (&self.offsets, &self.nodes, &self.codes);
        let mut workspace = [0; 2 * VOCAB_SIZE];
        let tree = HuffmanRef::new_checked(offsets, nodes, codes, &mut workspace).unwrap();
        backend.run(Step {
            vectors: MatMut::new(&mut self.vectors, VOCAB_SIZE, self.dim).unwrap(),
            thetas: MatMut::new(&mut self.thetas, VOCAB_SIZE - 1, self.dim).unwrap(),
            path: tree.path(target),
            context,
            options,
            x: &mut vec![f32::NAN; self.dim],
            gradient: &mut vec![f32::NAN; self.dim],
            scores: &mut [f32::NAN; MAX_CODE_LEN],
            signs: &mut [f32::NAN; MAX_CODE_LEN],
        })
    }

    /// `-log p` by full softmax: the target's probability over the sum of all probabilities.
    fn loss_by_full_softmax(&self, context: &[u32], target: u32, projection: Projection) -> f64 {
        let (of_sum, _) = projection.factors(context.len());
        let element = |token: u32, i| f64::from(self.vectors[token as usize * self.dim + i]);
        let x: Vec<f64> = (0..self.dim)
            .map(|i| context.iter().map(|c| element(*c, i)).sum::<f64>() * f64::from(of_sum))
            .collect();
        let p = |token: u32| {
            let (path, code) = self.tree().path(token);
            let mut p = 1.0;
            for (depth, node) in path.iter().enumerate() {
                let theta = &self.thetas[*node as usize * self.dim..][..self.dim];
                let score: f64 = theta.iter().zip(&x).map(|(t, x)| f64::from(*t) * x).sum();
                let s = 1.0 / (1.0 + libm::exp(-score));
                p *= if code >> depth & 1 == 1 { s } else { 1.0 - s };
            }
            p
        };
        let all: f64 = (0..VOCAB_SIZE as u32).map(p).sum();
        assert!(
            (all - 1.0).abs() < 1e-12,
            "the tree's probabilities sum to {all}"
        );
        -libm::log(p(target) / all)
    }
}

fn options(projection: Projection) -> StepOptions {
    StepOptions {
        learning_rate: 0.5,
        projection,
        sigmoid: SigmoidMethod::Polynomial,
    }
}

#[test]
fn the_loss_is_that_of_the_full_softmax() {
    for projection in PROJECTIONS {
        for (context, target) in [(&[1, 2, 2][..], 22), (&[0][..], 0), (&[][..], 5)] {
            let mut model = Model::new(17);
            let want = model.loss_by_full_softmax(context, target, projection);
            let got = model.step(context, target, options(projection));
            assert_close(got, want as f32, tolerance::LINEAR, want as f32);
        }
    }
}

/// Central differences of the full softmax's loss, for every parameter.
#[test]
fn the_step_is_the_learning_rate_times_the_gradient() {
    let (context, target) = ([3, 3, 9, 14], 20);
    for projection in [Projection::Mean, Projection::Sum] {
        let before = Model::new(5);
        let mut after = before.clone();
        let rate = options(projection).learning_rate;
        after.step(&context, target, options(projection));
        let loss = |model: &Model| model.loss_by_full_softmax(&context, target, projection);
        let mut worst = 0.0_f64;
        for (table, taken) in [(true, &after.vectors), (false, &after.thetas)] {
            for (i, taken) in taken.iter().enumerate() {
                let shifted = |by: f32| {
                    let mut model = before.clone();
                    let table = if table {
                        &mut model.vectors
                    } else {
                        &mut model.thetas
                    };
                    table[i] += by;
                    (f64::from(table[i]), loss(&model))
                };
                let ((high, more), (low, less)) = (shifted(1e-3), shifted(-1e-3));
                let gradient = (more - less) / (high - low);
                let old = if table {
                    before.vectors[i]
                } else {
                    before.thetas[i]
                };
                let got = f64::from(old - taken) / f64::from(rate);
                worst = worst.max((got - gradient).abs());
            }
        }
        assert!(
            worst < f64::from(tolerance::GRADIENT),
            "{projection:?}: {worst}"
        );
    }
}

#[test]
fn the_full_share_is_as_many_times_the_gradient_as_there_are_context_words() {
    let context = [2, 7, 11, 5];
    let (before, mut exact, mut full) = (Model::new(9), Model::new(9), Model::new(9));
    exact.step(&context, 1, options(Projection::Mean));
    full.step(&context, 1, options(Projection::MeanFullShare));
    assert_eq!(exact.thetas, full.thetas);
    for ((old, exact), full) in before.vectors.iter().zip(exact.vectors).zip(full.vectors) {
        assert_close(full - old, 4.0 * (exact - old), tolerance::LINEAR, 4.0);
    }
}

#[test]
fn repeated_steps_learn_the_window_by_heart() {
    let mut model = Model::new(16);
    let losses: Vec<f32> = (0..50)
        .map(|_| model.step(&[4, 6], 13, options(Projection::Mean)))
        .collect();
    assert!(
        losses.windows(2).all(|pair| pair[1] < pair[0]),
        "{losses:?}"
    );
    assert!(losses[49] < 0.1);
}

#[test]
fn a_nan_in_a_vector_shows_in_the_loss() {
    let mut model = Model::new(20);
    model.vectors[25] = f32::NAN;
    assert!(model.step(&[1], 2, options(Projection::Mean)).is_nan());
}

#[test]
fn extreme_scores_give_finite_losses_and_steps() {
    let mut model = Model::new(16);
    model.vectors.iter_mut().for_each(|v| *v *= 1e3);
    for target in 0..VOCAB_SIZE as u32 {
        assert!(
            model
                .step(&[1, 2], target, options(Projection::Sum))
                .is_finite()
        );
    }
    assert!(model.thetas.iter().all(|v| v.is_finite()));
}

#[test]
fn rows_that_do_not_exist_are_errors() {
    let mut model = Model::new(16);
    let tree = model.clone();
    let mut borrowed = CbowMut {
        vectors: MatMut::new(&mut model.vectors, VOCAB_SIZE, 16).unwrap(),
        thetas: MatMut::new(&mut model.thetas, VOCAB_SIZE - 1, 16).unwrap(),
        tree: tree.tree(),
    };
    let o = options(Projection::Mean);
    assert!(step(&mut borrowed, &[99], 0, o, &mut [0.0; 32]).is_err());
    assert!(step(&mut borrowed, &[0], 23, o, &mut [0.0; 32]).is_err());
    assert!(step(&mut borrowed, &[0], 0, o, &mut [0.0; 31]).is_err());
    let batch = BatchRef::new(&[0, 1], &[22], &[0, 1], &[22]).unwrap();
    let slice = Slice {
        vectors: borrowed.vectors.as_ref(),
        thetas: borrowed.thetas.as_ref(),
    };
    let result = forward_slice(
        slice,
        batch,
        Projection::Mean,
        &mut [0.0; 16],
        &mut [0.0; 2],
    );
    assert!(result.is_err(), "there is no theta 22");
    assert!(BatchRef::new(&[0, 2], &[1], &[0, 1], &[1]).is_err());
    assert!(BatchRef::new(&[0, 1], &[1], &[0], &[]).is_err());
    assert!(BatchRef::new(&[], &[], &[], &[]).is_err());
}
