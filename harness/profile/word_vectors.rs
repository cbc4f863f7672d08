//! The hot loops of training word vectors, batch after batch of a text by Zipf's law, and the share
//! of the time that each of them takes.

use super::kernels::{VOCAB_SIZE, WINDOWS, zipf_text};
use super::machine::{Machine, Work};
use super::report::Row;
use super::timing::median_seconds;
use crate::Result;
use crate::cbow_trainer::{Batch, CbowOptions, HuffmanTree, ParameterSlice, Window, initial};
use crate::kernels::cbow::{Projection, activate, damp, damp_workspace_len};
use crate::kernels::sigmoid::SigmoidMethod;

const DIM: usize = 100;
/// Words of a window's context.
const CONTEXT: usize = 6;
/// Windows of a batch.
const WINDOWS_A_BATCH: usize = 64;
const F32: usize = size_of::<f32>();
const PROJECTION: Projection = Projection::MeanFullShare;
/// Too small a learning rate to move what is measured.
const RATE: f32 = 1e-6;

/// What the loops hand to each other: `x` of each table, and scores, then squares.
struct State {
    x: Vec<Vec<f32>>,
    sums: Vec<f32>,
}

fn batch(windows: &[&[u32]], tree: &HuffmanTree) -> Batch {
    let mut batch = Batch::default();
    for window in windows {
        let (text, at, size) = (*window, CONTEXT, CONTEXT);
        let (path, code) = tree.view().path(text[at]);
        batch.push(Window { text, at, size }, (path, Some(code)));
    }
    batch
}

impl State {
    fn new(batch: &Batch, parameters: &[ParameterSlice]) -> Self {
        let view = batch.view();
        Self {
            x: parameters
                .iter()
                .map(|s| vec![0.0; view.len() * s.width()])
                .collect(),
            sums: vec![0.0; view.partials_len()],
        }
    }
}

/// A row for each loop.
///
/// # Errors
/// [`crate::Error::Interrupted`].
pub(super) fn measure(machine: &Machine, seconds: f64) -> Result<Vec<Row>> {
    let (ids, tree) = zipf_text()?;
    let windows: Vec<&[u32]> = ids.windows(CONTEXT + 1).take(WINDOWS).collect();
    let batches: Vec<_> = windows
        .chunks(WINDOWS_A_BATCH)
        .map(|windows| batch(windows, &tree))
        .collect();
    let options = CbowOptions {
        dim: DIM,
        threads: 1,
        ..CbowOptions::default()
    };
    let mut parameters = initial(VOCAB_SIZE, VOCAB_SIZE - 1, &options)?;
    let state = |batch| State::new(batch, &parameters);
    let mut states: Vec<State> = batches.iter().map(state).collect();
    let visits: usize = batches.iter().map(|batch| batch.signs().len()).sum();
    let mut workspace = vec![0.0; damp_workspace_len(visits)];

    let forward = median_seconds(seconds, || {
        for (batch, State { x, sums }) in batches.iter().zip(&mut states) {
            for (slice, x) in parameters.iter().zip(x) {
                slice.forward(batch.view(), PROJECTION, x, sums);
            }
        }
    })?;
    // Scores become steps again and again: another score costs as much.
    let activation = median_seconds(seconds, || {
        for (batch, State { sums, .. }) in batches.iter().zip(&mut states) {
            let scores = &mut sums[..batch.signs().len()];
            activate(scores, batch.signs(), RATE, SigmoidMethod::Polynomial).expect("a sign each");
        }
    })?;
    let damping = median_seconds(seconds, || {
        for (batch, State { sums, .. }) in batches.iter().zip(&mut states) {
            let (steps, squares) = sums.split_at_mut(batch.signs().len());
            damp(steps, batch.view(), squares, RATE, &mut workspace).expect("a square each");
        }
    })?;
    let update = median_seconds(seconds, || {
        for (batch, State { x, sums }) in batches.iter().zip(&mut states) {
            for (slice, x) in parameters.iter_mut().zip(x) {
                slice.update(batch.view(), PROJECTION, x, &sums[..batch.signs().len()]);
            }
        }
    })?;

    let (contexts, d) = (CONTEXT * windows.len(), DIM);
    let table = (2 * VOCAB_SIZE - 1) * d * F32;
    let rows = |flops: usize, passes: f64| Work {
        flops: (flops * d) as f64,
        bytes: ((contexts + visits) * d * F32) as f64 * passes,
        working_set: table,
    };
    let of_visits = |flops: usize, floats: usize| Work {
        flops: (flops * visits) as f64,
        bytes: (floats * visits * F32) as f64,
        working_set: 2 * WINDOWS_A_BATCH * 12 * F32,
    };
    let all = forward + activation + damping + update;
    let row = |name, work, seconds: f64| {
        let share = 100.0 * seconds / all;
        let shape = format!("{} words, d = {d}: {share:.0} %", windows.len());
        machine.rate(name, shape, work, seconds)
    };
    Ok(vec![
        row("CBOW forward", rows(contexts + 2 * visits, 1.0), forward),
        row("CBOW activation", of_visits(28, 3), activation),
        row("CBOW damping", of_visits(5, 3), damping),
        row("CBOW update", rows(contexts + 4 * visits, 2.0), update),
    ])
}
