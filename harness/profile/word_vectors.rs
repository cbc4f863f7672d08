//! The hot loops of training word vectors, batch after batch of a text by Zipf's law, and the share
//! of the time that each of them takes.

use super::kernels::{VOCAB_SIZE, WINDOWS, zipf_text};
use super::machine::{Machine, Work};
use super::report::Row;
use super::timing::median_seconds;
use crate::Result;
use crate::cbow_trainer::HuffmanTree;
use crate::kernels::cbow::{
    BatchRef, Projection, Slice, SliceMut, activate, damp, damp_workspace_len, forward_slice,
    slices, update_slice,
};
use crate::kernels::mat::{MatMut, MatRef};
use crate::kernels::sigmoid::SigmoidMethod;

const DIM: usize = 100;
/// Words of a window's context.
const CONTEXT: usize = 6;
/// Windows of a batch.
const BATCH: usize = 64;
const F32: usize = size_of::<f32>();
const PROJECTION: Projection = Projection::MeanFullShare;
/// Too small a learning rate to move what is measured.
const RATE: f32 = 1e-6;

/// A batch of windows.
struct Batch {
    context_offsets: Vec<u32>,
    contexts: Vec<u32>,
    row_offsets: Vec<u32>,
    rows: Vec<u32>,
    signs: Vec<f32>,
}

/// What the loops hand to each other: `x` of each slice, and scores, then squares.
struct State {
    x: Vec<Vec<f32>>,
    sums: Vec<f32>,
}

/// A slice of the parameters.
struct Parameters {
    width: usize,
    vectors: Vec<f32>,
    thetas: Vec<f32>,
}

impl Batch {
    fn new(windows: &[&[u32]], tree: &HuffmanTree) -> Self {
        let (mut contexts, mut row_offsets, mut rows) = (Vec::new(), vec![0], Vec::new());
        for window in windows {
            let (context, target) = window.split_at(CONTEXT);
            contexts.extend_from_slice(context);
            rows.extend_from_slice(tree.view().path(target[0]).0);
            row_offsets.push(rows.len() as u32);
        }
        let offset = |b: usize| (b * CONTEXT) as u32;
        Self {
            context_offsets: (0..=windows.len()).map(offset).collect(),
            contexts,
            row_offsets,
            signs: (0..rows.len()).map(|i| [1.0, -1.0][i % 2]).collect(),
            rows,
        }
    }

    fn view(&self) -> BatchRef<'_> {
        let (contexts, rows) = (&self.contexts, &self.rows);
        BatchRef::new(&self.context_offsets, contexts, &self.row_offsets, rows)
            .expect("offsets and tables belong together")
    }
}

impl State {
    fn new(batch: &Batch) -> Self {
        let view = batch.view();
        Self {
            x: slices(DIM)
                .map(|s| vec![0.0; view.len() * s.len()])
                .collect(),
            sums: vec![0.0; view.partials_len()],
        }
    }
}

impl Parameters {
    fn new(width: usize) -> Self {
        Self {
            width,
            vectors: vec![1e-2; VOCAB_SIZE * width],
            thetas: vec![1e-2; (VOCAB_SIZE - 1) * width],
        }
    }

    fn forward(&self, batch: BatchRef<'_>, x: &mut [f32], partials: &mut [f32]) {
        let slice = Slice {
            vectors: MatRef::new(&self.vectors, VOCAB_SIZE, self.width).expect("sized so"),
            thetas: MatRef::new(&self.thetas, VOCAB_SIZE - 1, self.width).expect("sized so"),
        };
        forward_slice(slice, batch, PROJECTION, x, partials).expect("sized so");
    }

    fn update(&mut self, batch: BatchRef<'_>, x: &mut [f32], steps: &[f32]) {
        let (width, vectors, thetas) = (self.width, &mut self.vectors, &mut self.thetas);
        let slice = SliceMut {
            vectors: MatMut::new(vectors, VOCAB_SIZE, width).expect("sized so"),
            thetas: MatMut::new(thetas, VOCAB_SIZE - 1, width).expect("sized so"),
        };
        update_slice(slice, batch, PROJECTION, x, steps).expect("sized so");
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
        .chunks(BATCH)
        .map(|w| Batch::new(w, &tree))
        .collect();
    let mut states: Vec<State> = batches.iter().map(State::new).collect();
    let mut parameters: Vec<_> = slices(DIM).map(|s| Parameters::new(s.len())).collect();
    let visits: usize = batches.iter().map(|batch| batch.rows.len()).sum();
    let mut workspace = vec![0.0; damp_workspace_len(visits)];

    let forward = median_seconds(seconds, || {
        for (batch, State { x, sums }) in batches.iter().zip(&mut states) {
            for (slice, x) in parameters.iter().zip(x) {
                slice.forward(batch.view(), x, sums);
            }
        }
    })?;
    // Scores become steps again and again: another score costs as much.
    let activation = median_seconds(seconds, || {
        for (batch, State { sums, .. }) in batches.iter().zip(&mut states) {
            let scores = &mut sums[..batch.signs.len()];
            activate(scores, &batch.signs, RATE, SigmoidMethod::Polynomial).expect("a sign each");
        }
    })?;
    let damping = median_seconds(seconds, || {
        for (batch, State { sums, .. }) in batches.iter().zip(&mut states) {
            let (steps, squares) = sums.split_at_mut(batch.signs.len());
            damp(steps, batch.view(), squares, RATE, &mut workspace).expect("a square each");
        }
    })?;
    let update = median_seconds(seconds, || {
        for (batch, State { x, sums }) in batches.iter().zip(&mut states) {
            for (slice, x) in parameters.iter_mut().zip(x) {
                slice.update(batch.view(), x, &sums[..batch.signs.len()]);
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
        working_set: 2 * BATCH * 12 * F32,
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
