//! The step against the definition in `f64` and finite differences; the batch against the step.

use super::activation::Activate;
use super::forward::Forward;
use super::pairs::{PairsForward, PairsUpdate};
use super::step::Step;
use super::update::Update;
use super::*;
use crate::huffman::{HuffmanRef, build, build_workspace_len, nodes_len};
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

/// Windows of a batch, and one slice after another as threads would do it.
struct Windows {
    context_offsets: Vec<u32>,
    contexts: Vec<u32>,
    targets: Vec<u32>,
}

impl Windows {
    fn new(count: usize) -> Self {
        let tokens = values(6 * count, 9)
            .into_iter()
            .map(|v| (v.abs() * VOCAB_SIZE as f32) as u32);
        let contexts: Vec<u32> = tokens.collect();
        let context_offsets: Vec<u32> = (0..=count as u32).map(|b| b * (b % 6)).collect();
        let used = context_offsets.iter().copied().max().unwrap_or(0) as usize;
        let mut context_offsets = context_offsets;
        context_offsets.sort_unstable();
        let targets = (0..count as u32)
            .map(|b| b * 7 % VOCAB_SIZE as u32)
            .collect();
        Self {
            context_offsets,
            contexts: contexts[..used].to_vec(),
            targets,
        }
    }

    fn context(&self, b: usize) -> &[u32] {
        &self.contexts[self.context_offsets[b] as usize..self.context_offsets[b + 1] as usize]
    }

    /// The sliced batch on a model; returns the loss.
    fn train(&self, backend: Backend, model: &mut Model, options: StepOptions) -> f64 {
        self.train_as(false, backend, model, options)
    }

    /// As CBOW, or as skip-gram.
    fn train_as(
        &self,
        of_pairs: bool,
        backend: Backend,
        model: &mut Model,
        options: StepOptions,
    ) -> f64 {
        let projection = options.projection;
        let (mut node_offsets, mut nodes, mut signs) = (vec![0], vec![], vec![]);
        for (b, target) in self.targets.iter().enumerate() {
            let tree = model.clone();
            let (path, code) = tree.tree().path(*target);
            nodes.extend(path);
            for _ in 0..if of_pairs { self.context(b).len() } else { 1 } {
                signs.extend((0..path.len()).map(|i| [-1.0, 1.0][(code >> i & 1) as usize]));
            }
            node_offsets.push(nodes.len() as u32);
        }
        let batch =
            BatchRef::new(&self.context_offsets, &self.contexts, &node_offsets, &nodes).unwrap();
        let batch = if of_pairs { batch.of_pairs() } else { batch };
        let mut sums = vec![0.0; batch.partials_len()];
        let mut slices_of_model: Vec<_> = slices(model.dim)
            .map(|range| {
                let (vectors, thetas) = (
                    cut(&model.vectors, model.dim, &range),
                    cut(&model.thetas, model.dim, &range),
                );
                let mut x = vec![0.0; batch.x_rows() * range.len()];
                let mut part = vec![0.0; batch.partials_len()];
                let slice = Slice {
                    vectors: MatRef::new(&vectors, VOCAB_SIZE, range.len()).unwrap(),
                    thetas: MatRef::new(&thetas, VOCAB_SIZE - 1, range.len()).unwrap(),
                };
                let partials = &mut part[..];
                match of_pairs {
                    true => backend.run(PairsForward {
                        slice,
                        batch,
                        partials,
                    }),
                    false => backend.run(Forward {
                        slice,
                        batch,
                        projection,
                        x: &mut x,
                        partials,
                    }),
                }
                sums.iter_mut()
                    .zip(part)
                    .for_each(|(sum, part)| *sum += part);
                (range, vectors, thetas, x)
            })
            .collect();
        let (scores, squares) = sums.split_at_mut(batch.scores_len());
        let loss = backend.run(Activate {
            scores,
            signs: &signs,
            learning_rate: options.learning_rate,
            sigmoid: options.sigmoid,
        });
        let mut workspace = vec![f32::NAN; damp_workspace_len(batch.scores_len())];
        damp(
            scores,
            batch,
            squares,
            options.learning_rate,
            &mut workspace,
        )
        .unwrap();
        for (range, vectors, thetas, x) in &mut slices_of_model {
            let slice = SliceMut {
                vectors: MatMut::new(vectors, VOCAB_SIZE, range.len()).unwrap(),
                thetas: MatMut::new(thetas, VOCAB_SIZE - 1, range.len()).unwrap(),
            };
            match of_pairs {
                true => backend.run(PairsUpdate {
                    slice,
                    batch,
                    steps: scores,
                    gradients: x,
                }),
                false => backend.run(Update {
                    slice,
                    batch,
                    projection,
                    x,
                    steps: scores,
                }),
            }
            paste(&mut model.vectors, model.dim, range, vectors);
            paste(&mut model.thetas, model.dim, range, thetas);
        }
        loss
    }
}

/// Columns of a table, zeros beyond its end.
fn cut(table: &[f32], dim: usize, range: &core::ops::Range<usize>) -> Vec<f32> {
    let of_row = |row: &[f32]| {
        range
            .clone()
            .map(|i| row.get(i).copied().unwrap_or(0.0))
            .collect::<Vec<_>>()
    };
    table.chunks(dim).flat_map(of_row).collect()
}

/// Writes columns back, and checks that the padding stayed zero.
fn paste(table: &mut [f32], dim: usize, range: &core::ops::Range<usize>, columns: &[f32]) {
    for (row, columns) in table.chunks_mut(dim).zip(columns.chunks(range.len())) {
        for (i, value) in range.clone().zip(columns) {
            match row.get_mut(i) {
                Some(element) => *element = *value,
                None => assert_eq!(*value, 0.0),
            }
        }
    }
}

#[test]
fn a_batch_of_one_window_is_a_step() {
    on_every_backend(|backend| {
        for (dim, projection) in [1, 16, 33, 100, 200]
            .into_iter()
            .zip(PROJECTIONS.into_iter().cycle())
        {
            let mut by_step = Model::new(dim);
            for target in 0..VOCAB_SIZE as u32 {
                let mut by_batch = by_step.clone();
                let context = [target / 2, 3, target];
                let loss = by_step.step_on(backend, &context, target, options(projection));
                let one = Windows {
                    context_offsets: vec![0, 3],
                    contexts: context.to_vec(),
                    targets: vec![target],
                };
                let of_batch = one.train(backend, &mut by_batch, options(projection));
                assert_close(of_batch as f32, loss, tolerance::GRADIENT, loss);
                for (a, b) in by_step.vectors.iter().zip(&by_batch.vectors) {
                    assert_close(*a, *b, tolerance::GRADIENT, 1.0);
                }
            }
        }
    });
}

#[test]
fn a_pair_alone_is_a_step_of_skip_gram() {
    on_every_backend(|backend| {
        for dim in [1, 16, 33, 100, 200] {
            let mut by_step = Model::new(dim);
            for target in 0..VOCAB_SIZE as u32 {
                let mut by_batch = by_step.clone();
                let context = [target / 2];
                let options = options(Projection::Sum);
                let loss = by_step.step_on(backend, &context, target, options);
                let one = Windows {
                    context_offsets: vec![0, 1],
                    contexts: context.to_vec(),
                    targets: vec![target],
                };
                let of_batch = one.train_as(true, backend, &mut by_batch, options);
                assert_close(of_batch as f32, loss, tolerance::GRADIENT, loss);
                let tables = [
                    (&by_step.vectors, &by_batch.vectors),
                    (&by_step.thetas, &by_batch.thetas),
                ];
                for (a, b) in tables.iter().flat_map(|(a, b)| a.iter().zip(*b)) {
                    assert_close(*a, *b, tolerance::GRADIENT, 1.0);
                }
            }
        }
    });
}

/// Contexts of no words, of one, and of odd and even numbers; paths of all lengths.
#[test]
fn pairs_take_the_sum_of_their_gradients_to_first_order() {
    let windows = Windows::new(6);
    let rate = 1e-4;
    let options = StepOptions {
        learning_rate: rate,
        ..options(Projection::Sum)
    };
    on_every_backend(|backend| {
        let (mut by_batch, mut by_steps) = (Model::new(40), Model::new(40));
        let loss = windows.train_as(true, backend, &mut by_batch, options);
        let mut sum = 0.0;
        for (b, target) in windows.targets.iter().enumerate() {
            for word in windows.context(b) {
                sum += by_steps.step(&[*word], *target, options);
            }
        }
        assert_close(loss as f32, sum, 1e-3, sum);
        let tables = [
            (&by_steps.vectors, &by_batch.vectors),
            (&by_steps.thetas, &by_batch.thetas),
        ];
        for (a, b) in tables.iter().flat_map(|(a, b)| a.iter().zip(*b)) {
            assert_close(*a, *b, rate * 0.1, 1.0);
        }
    });
}

#[test]
fn backends_of_a_class_train_the_same_bits() {
    let mut of_class = [None, None];
    on_every_backend(|backend| {
        let mut model = Model::new(100);
        let mut losses = vec![];
        for target in 0..5 {
            let loss = model.step_on(backend, &[1, 2, 3], target, options(Projection::Sum));
            losses.push(f64::from(loss));
            let windows = Windows::new(9);
            losses.push(windows.train(backend, &mut model, options(Projection::Mean)));
            let of_pairs = options(Projection::Sum);
            losses.push(windows.train_as(true, backend, &mut model, of_pairs));
        }
        let result = (model, losses);
        let class = &mut of_class[usize::from(backend.is_fused())];
        assert_eq!(class.get_or_insert_with(|| result.clone()), &result);
    });
}

#[test]
fn a_batch_takes_the_sum_of_its_gradients_to_first_order() {
    let windows = Windows::new(6);
    let rate = 1e-4;
    let options = StepOptions {
        learning_rate: rate,
        ..options(Projection::Mean)
    };
    let (mut by_batch, mut by_steps) = (Model::new(40), Model::new(40));
    let loss = windows.train(Backend::best(), &mut by_batch, options);
    let mut sum = 0.0;
    for (b, target) in windows.targets.iter().enumerate() {
        sum += by_steps.step(windows.context(b), *target, options);
    }
    assert_close(loss as f32, sum, 1e-3, sum);
    for (a, b) in by_batch.thetas.iter().zip(&by_steps.thetas) {
        assert_close(*a, *b, rate * 0.1, 1.0);
    }
}

/// Without damping this batch takes 64 times the step of one window, far beyond the minimum.
#[test]
fn a_batch_of_equal_windows_does_not_overshoot() {
    let windows = Windows {
        context_offsets: (0..=64).map(|b| 2 * b).collect(),
        contexts: [4, 6].repeat(64),
        targets: vec![13; 64],
    };
    let mut model = Model::new(64);
    let options = options(Projection::Mean);
    let train = |_| windows.train(Backend::best(), &mut model, options);
    let losses: Vec<f64> = (0..10).map(train).collect();
    assert!(
        losses.windows(2).all(|pair| pair[1] < pair[0]),
        "{losses:?}"
    );
}

#[test]
fn slices_cover_the_dimensions_and_are_even_in_number() {
    for dim in 1..=4096 {
        let all: Vec<_> = slices(dim).collect();
        assert_eq!(all[0].start, 0);
        assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
        let end = all[all.len() - 1].end;
        assert!(dim <= end && end < dim + 16);
        assert!(
            all.iter().all(|s| [16, 32, 48, 64].contains(&s.len())),
            "{all:?}"
        );
        assert!(all.len() % 2 == 0 || dim <= 16);
    }
    assert_eq!(slices(0).len(), 0);
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
