//! What a model makes of a text.

use super::NgramModel;
use crate::progress::Progress;
use crate::token_stream::TokenStream;
use crate::{Error, Result, parallel};
use std::ops::Range;

/// Tokens that a thread looks up at a time.
const CHUNK: usize = 1 << 14;

impl NgramModel {
    /// The probability of each token of a stream, given those before it; 0 threads for one a core.
    ///
    /// The first, which nothing precedes, has `1 / V`, as when a neural model is measured.
    ///
    /// # Errors
    /// [`Error::Usage`] when the stream's vocabulary is not the model's;
    /// [`Error::Interrupted`] and its like.
    pub fn token_probabilities(&self, stream: &TokenStream, threads: usize) -> Result<Vec<f64>> {
        if stream.vocab_size() != self.vocab_size() {
            let message = "the text was encoded with another vocabulary than the n-gram model's";
            return Err(Error::Usage(message.into()));
        }
        let model = self.as_ref();
        let progress = Progress::new("n-gram evaluation", stream.len() as u64, "tokens");
        let mut all = Vec::with_capacity(stream.len());
        let chunks = (0..stream.len()).step_by(CHUNK);
        let probabilities = |_: &mut (), start: usize| {
            let end = stream.len().min(start + CHUNK);
            progress.advance((end - start) as u64)?;
            Ok(chunk_probabilities(&model, stream, start..end))
        };
        let sink = |chunk: Vec<f64>| {
            all.extend(chunk);
            Ok(())
        };
        let threads = parallel::threads_or_all(threads);
        parallel::for_each_in_order(threads, chunks, || Ok(()), probabilities, sink)?;
        progress.finish();
        if let Some(first) = all.first_mut() {
            *first = 1.0 / self.vocab_size() as f64;
        }
        Ok(all)
    }

    /// Bits that the model needs for a stream, divided by the bytes of its text.
    ///
    /// # Errors
    /// Those of [`NgramModel::token_probabilities`].
    pub fn bits_per_byte(&self, stream: &TokenStream, bytes: u64, threads: usize) -> Result<f64> {
        let probabilities = self.token_probabilities(stream, threads)?;
        Ok(bits(&probabilities) / bytes as f64)
    }
}

/// Bits that tokens of these probabilities need together.
pub(crate) fn bits(probabilities: &[f64]) -> f64 {
    probabilities.iter().map(|p| -p.log2()).sum()
}

fn chunk_probabilities(
    model: &super::NgramRef<'_>,
    stream: &TokenStream,
    range: Range<usize>,
) -> Vec<f64> {
    let before = range.start.min(model.order() - 1);
    let mut ids = vec![0; before + range.len()];
    stream.read(range.start - before, &mut ids);
    let probability = |at: usize| model.probability(&ids[..at], ids[at]);
    (before..ids.len()).map(probability).collect()
}
