//! Bits per byte of a text that the model has not seen.
//!
//! Windows of `T` tokens at a stride of `T / 2`; each token is scored once, with at least `T / 2`
//! tokens before it (but for the start of the text). The first token, which nothing precedes, costs
//! `log2 V`. The bits are divided by the bytes of the text, so that vocabularies compare.

use super::output_layer::losses;
use super::{llama, seed};
use crate::kernels::mat::MatRef;
use crate::kernels::model::Network;
use crate::parallel;
use crate::progress;
use crate::token_stream::TokenStream;
use crate::{Error, Result};

/// Tokens of an estimate.
const GLANCE: usize = 32_768;
/// Windows between two looks at the flags that stop the work.
const BATCH: usize = 64;

/// Bits that `model` needs for `stream`, divided by the `bytes` of its text.
///
/// # Errors
/// [`Error::Usage`] when the stream's vocabulary is not the model's;
/// [`Error::Interrupted`](crate::Error::Interrupted) and its like.
pub fn bits_per_byte(
    model: Network<'_>,
    stream: &TokenStream,
    bytes: u64,
    threads: usize,
) -> Result<f64> {
    check_text(model.vocab_size(), stream, bytes)?;
    Ok(bits(model, stream, stream.len(), threads)? / bytes as f64)
}

/// Refuses a text that cannot be measured.
pub(super) fn check_text(vocab_size: usize, stream: &TokenStream, bytes: u64) -> Result<()> {
    if stream.vocab_size() != vocab_size {
        let message = "the text was encoded with another vocabulary than the model's";
        return Err(Error::Usage(message.into()));
    }
    if stream.is_empty() || bytes == 0 {
        return Err(Error::Usage("there is no text to evaluate on".into()));
    }
    Ok(())
}

/// An estimate of [`bits_per_byte`] from the first tokens of a long text, quick enough to be made
/// again and again while training.
pub(super) fn glance(
    model: Network<'_>,
    stream: &TokenStream,
    bytes: u64,
    threads: usize,
) -> Result<f64> {
    let tokens = stream.len().min(GLANCE);
    let share = tokens as f64 / stream.len().max(1) as f64;
    Ok(bits(model, stream, tokens, threads)? / (bytes as f64 * share))
}

/// Bits for the first `tokens` tokens of a stream.
fn bits(model: Network<'_>, stream: &TokenStream, tokens: usize, threads: usize) -> Result<f64> {
    let mut nats = (model.vocab_size() as f64).ln();
    for_each_batch(model, stream, tokens, threads, |windows| {
        let sum = |losses: &Vec<f32>| losses.iter().map(|loss| f64::from(*loss)).sum::<f64>();
        nats += windows.iter().map(sum).sum::<f64>();
    })?;
    Ok(nats / std::f64::consts::LN_2)
}

/// The loss of each token of a stream in nats, by the same protocol; the first is `ln V`.
///
/// # Errors
/// [`Error::Usage`] when the stream's vocabulary is not the model's;
/// [`Error::Interrupted`](crate::Error::Interrupted) and its like.
pub fn token_losses(model: Network<'_>, stream: &TokenStream, threads: usize) -> Result<Vec<f32>> {
    check_text(model.vocab_size(), stream, 1)?;
    let mut losses = vec![(model.vocab_size() as f32).ln()];
    for_each_batch(model, stream, stream.len(), threads, |windows| {
        losses.extend(windows.concat());
    })?;
    Ok(losses)
}

/// Calls `f` with the losses of some windows at a time, in the order of the text.
fn for_each_batch(
    model: Network<'_>,
    stream: &TokenStream,
    tokens: usize,
    threads: usize,
    mut f: impl FnMut(Vec<Vec<f32>>),
) -> Result<()> {
    let windows: Vec<Window> = windows(tokens, model.context()).collect();
    for batch in windows.chunks(BATCH) {
        progress::check()?;
        let losses = |window| window_losses(model, stream, window);
        f(parallel::map(threads, batch.to_vec(), losses));
    }
    Ok(())
}

/// Tokens `start .. start + len` are read, and each predicts the one after it; the first `skip`
/// predictions were scored by the window before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) skip: usize,
}

/// The windows over a text of `tokens` tokens.
pub(crate) fn windows(tokens: usize, context: usize) -> impl Iterator<Item = Window> {
    let predictions = tokens.saturating_sub(1);
    let stride = (context / 2).max(1);
    let overlap = context - stride;
    let starts = (0..predictions).step_by(stride);
    starts.filter_map(move |start| {
        let len = context.min(predictions - start);
        let skip = if start == 0 { 0 } else { overlap };
        (len > skip).then_some(Window { start, len, skip })
    })
}

fn window_losses(model: Network<'_>, stream: &TokenStream, window: Window) -> Vec<f32> {
    let Window { start, len, skip } = window;
    let mut ids = vec![0; len + 1];
    stream.read(start, &mut ids);
    losses_of(model, &ids[..len], &ids[1..], skip)
}

/// The losses of `targets`, which follow the tokens of one window, from row `skip` on.
pub(super) fn losses_of(
    model: Network<'_>,
    inputs: &[u32],
    targets: &[u32],
    skip: usize,
) -> Vec<f32> {
    let hidden = match model {
        Network::Seed(model) => seed::hidden(&model, inputs),
        Network::Llama(model) => llama::hidden(&model, inputs),
    };
    let rows = inputs.len();
    let h = MatRef::new(&hidden, rows, model.dim()).expect("made for it");
    losses(model.output(), h.rows_from(skip, rows), &targets[skip..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_but_the_first_is_scored_once_after_half_a_window() {
        for (tokens, context) in [(1000, 128), (1000, 7), (5, 128), (129, 128), (9, 1), (2, 1)] {
            let mut scored = vec![0; tokens];
            for Window { start, len, skip } in windows(tokens, context) {
                assert!(len <= context);
                for position in skip..len {
                    scored[start + position + 1] += 1;
                    assert!(start == 0 || position >= context / 2);
                }
            }
            assert_eq!(scored[0], 0);
            assert!(scored[1..].iter().all(|n| *n == 1), "{tokens}, {context}");
        }
        assert_eq!(windows(1, 8).count() + windows(0, 8).count(), 0);
    }
}
