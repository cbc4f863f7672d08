//! Batches by slices against single steps, on every backend.

use super::super::activation::Activate;
use super::super::forward::Forward;
use super::super::pairs::{PairsForward, PairsUpdate};
use super::super::update::Update;
use super::*;

/// Windows of a batch, and one slice after another as threads would do it.
pub(super) struct Windows {
    pub(super) context_offsets: Vec<u32>,
    pub(super) contexts: Vec<u32>,
    pub(super) targets: Vec<u32>,
}

impl Windows {
    pub(super) fn new(count: usize) -> Self {
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

    pub(super) fn context(&self, b: usize) -> &[u32] {
        &self.contexts[self.context_offsets[b] as usize..self.context_offsets[b + 1] as usize]
    }

    /// The sliced batch on a model; returns the loss.
    fn train(&self, backend: Backend, model: &mut Model, options: StepOptions) -> f64 {
        self.train_as(false, backend, model, options)
    }

    /// As CBOW, or as skip-gram.
    pub(super) fn train_as(
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
            let own = (0..path.len()).map(|i| [-1.0, 1.0][(code >> i & 1) as usize]);
            if of_pairs {
                for words in blocks(self.context(b).len()) {
                    signs.extend(own.clone().flat_map(|sign| [sign].repeat(words)));
                }
            } else {
                signs.extend(own);
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
                    false => backend.run(Forward::<1> {
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
                }),
                false => backend.run(Update::<1> {
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

/// Frequent nodes that windows share, and rare ones, which are left as they are.
#[test]
fn steps_are_damped_by_the_other_windows_that_visit_a_node() {
    let paths = [[0, 5, 1023, 1024], [0, 5, 1024, 1088], [0, 7, 1023, 2000]];
    let squares = [1.0, 2.0, 4.0];
    let nodes: Vec<u32> = paths.concat();
    let batch = BatchRef::new(&[0; 4], &[], &[0, 4, 8, 12], &nodes).unwrap();
    let mut steps = [1.0; 12];
    let mut workspace = [f32::NAN; damp_workspace_len(12)];
    damp(&mut steps, batch, &squares, 0.5, &mut workspace).unwrap();
    for (i, (step, node)) in steps.iter().zip(&nodes).enumerate() {
        let others = paths.iter().zip(squares).enumerate();
        let visiting = others.filter(|(b, (path, _))| *b != i / 4 && path.contains(node));
        let sum: f32 = visiting.map(|(_, (_, square))| square).sum();
        let want = if *node < 1024 {
            1.0 / (1.0 + 0.125 * sum)
        } else {
            1.0
        };
        assert_close(*step, want, 1e-6, 1.0);
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
