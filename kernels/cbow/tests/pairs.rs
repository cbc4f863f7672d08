//! Skip-gram by slices against single steps and plain loops, on every backend.

use super::super::pairs::{PairsForward, PairsUpdate};
use super::batch::Windows;
use super::*;

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

/// Negative samples may be the same row twice, side by side or apart; its steps add up.
#[test]
fn a_row_that_is_drawn_twice_takes_both_steps() {
    on_every_backend(|backend| {
        for nodes in [[1, 1, 2], [1, 2, 1], [2, 1, 1]] {
            let (mut vectors, mut thetas) = (vec![2.0; 3 * 64], vec![0.0; 3 * 64]);
            let batch = BatchRef::new(&[0, 1], &[0], &[0, 3], &nodes).unwrap();
            let steps = [0.25, 0.5, 1.0];
            backend.run(PairsUpdate {
                slice: SliceMut {
                    vectors: MatMut::new(&mut vectors, 3, 64).unwrap(),
                    thetas: MatMut::new(&mut thetas, 3, 64).unwrap(),
                },
                batch: batch.of_pairs(),
                steps: &steps,
            });
            for (row, theta) in (0..).zip(thetas.chunks(64)) {
                let own = nodes.iter().zip(steps).filter(|(node, _)| **node == row);
                let want: f32 = own.map(|(_, step)| 2.0 * step).sum();
                assert!(theta.iter().all(|theta| *theta == want), "{nodes:?}");
            }
        }
    });
}

/// Scores and steps of skip-gram as [`BatchRef::of_pairs`] says, one pair after the other: contexts of
/// one to eleven words, some of them twice, nodes that are drawn twice.
#[test]
fn pairs_are_those_of_a_loop_over_blocks() {
    let (rows, width) = (23, 48);
    let contexts: Vec<u32> = (0..66).map(|i| i * 5 % rows).collect();
    let nodes: Vec<u32> = (0..66).map(|i| i * i % 7 + i % 11).collect();
    let offsets: Vec<u32> = (0..=11).map(|n| n * (n + 1) / 2).collect();
    let fewer: Vec<u32> = offsets.iter().map(|end| 66 - end).rev().collect();
    let batch = BatchRef::new(&offsets, &contexts, &fewer, &nodes).unwrap();
    let batch = batch.of_pairs();
    let steps: Vec<f32> = values(batch.scores_len(), 3)
        .iter()
        .map(|v| 0.1 * v)
        .collect();
    let len = rows as usize * width;
    let (vectors, thetas) = (values(len, 1), values(len, 2));

    let (mut scores, mut squares, mut left) = (vec![], vec![], steps.iter());
    let (mut to_vectors, mut to_thetas) = (exact(&vectors), exact(&thetas));
    for b in 0..batch.len() {
        let (mut context, nodes) = batch.window(b);
        for words in blocks(context.len()) {
            let (block, rest) = context.split_at(words);
            context = rest;
            let xs: Vec<_> = block
                .iter()
                .map(|word| row(&to_vectors, *word, width))
                .collect();
            for x in block.iter().map(|word| row(&exact(&vectors), *word, width)) {
                squares.push(x.iter().map(|x| x * x).sum::<f64>());
            }
            for (node, i) in pairs(nodes, &(0..words).collect::<Vec<_>>()) {
                let theta = row(&exact(&thetas), node, width);
                let x = row(&exact(&vectors), block[i], width);
                scores.push(theta.iter().zip(x).map(|(a, b)| a * b).sum::<f64>());
            }
            for node in nodes {
                let old = row(&to_thetas, *node, width);
                for (word, x) in block.iter().zip(&xs) {
                    let step = f64::from(*left.next().unwrap());
                    for i in 0..width {
                        to_vectors[*word as usize * width + i] += step * old[i];
                        to_thetas[*node as usize * width + i] += step * x[i];
                    }
                }
            }
        }
    }

    on_every_backend(|backend| {
        let (mut vectors, mut thetas) = (vectors.clone(), thetas.clone());
        let mut partials = vec![f32::NAN; batch.partials_len()];
        backend.run(PairsForward {
            slice: Slice {
                vectors: MatRef::new(&vectors, rows as usize, width).unwrap(),
                thetas: MatRef::new(&thetas, rows as usize, width).unwrap(),
            },
            batch,
            partials: &mut partials,
        });
        backend.run(PairsUpdate {
            slice: SliceMut {
                vectors: MatMut::new(&mut vectors, rows as usize, width).unwrap(),
                thetas: MatMut::new(&mut thetas, rows as usize, width).unwrap(),
            },
            batch,
            steps: &steps,
        });
        let got = partials.iter().chain(&vectors).chain(&thetas);
        let want = scores
            .iter()
            .chain(&squares)
            .chain(&to_vectors)
            .chain(&to_thetas);
        let largest = want.clone().fold(0.0, |max: f64, x| max.max(x.abs())) as f32;
        assert_eq!(got.clone().count(), want.clone().count());
        for (got, want) in got.zip(want) {
            assert_close(*got, *want as f32, 1e-5, largest);
        }
    });
}

fn exact(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

fn row(table: &[f64], row: u32, width: usize) -> Vec<f64> {
    table[row as usize * width..][..width].to_vec()
}

/// Every node with every word of a block.
fn pairs<'a>(nodes: &'a [u32], words: &'a [usize]) -> impl Iterator<Item = (u32, usize)> + 'a {
    nodes
        .iter()
        .flat_map(|node| words.iter().map(|word| (*node, *word)))
}

/// In skip-gram the others are the other words, of the same window too.
#[test]
fn steps_of_pairs_are_damped_by_the_other_words_that_visit_a_node() {
    let paths = [&[0, 5, 1023][..], &[0, 1024], &[0, 5, 1024, 2000]];
    let (context_offsets, squares) = ([0, 2, 2, 5], [1.0, 2.0, 4.0, 8.0, 16.0]);
    let nodes: Vec<u32> = paths.concat();
    let batch = BatchRef::new(&context_offsets, &[0; 5], &[0, 3, 5, 9], &nodes).unwrap();
    let batch = batch.of_pairs();
    let mut steps = vec![1.0; batch.scores_len()];
    let mut workspace = vec![f32::NAN; damp_workspace_len(steps.len())];
    damp(&mut steps, batch, &squares, 0.5, &mut workspace).unwrap();
    let window_of = [0, 0, 2, 2, 2];
    let mut steps = steps.iter();
    for block in [&[0, 1][..], &[2, 3], &[4]] {
        for (node, word) in pairs(paths[window_of[block[0]]], block) {
            let visits = |x: &usize| *x != word && paths[window_of[*x]].contains(&node);
            let sum: f32 = (0..5).filter(visits).map(|x| squares[x]).sum();
            let hot = if node < 1024 { 1.0 } else { 0.0 };
            let want = 1.0 / (1.0 + 0.125 * sum * hot);
            assert_close(*steps.next().unwrap(), want, 1e-6, 1.0);
        }
    }
    assert_eq!(steps.next(), None);
}
