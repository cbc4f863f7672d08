//! A neural model and an n-gram model together: `p = (1 - w) p_neural + w p_ngram`.
//!
//! The two err differently: one generalises, the other remembers what it has seen word for word.

use super::ModelFile;
use super::text::Evaluated;
use crate::attention_trainer::token_losses;
use crate::kernels::softmax::softmax_in_place;
use crate::ngram::{NgramFile, NgramModel, bits};
use crate::token_stream::TokenStream;
use crate::{Error, Result, parallel};
use serde::Serialize;

/// The n-gram model's share where none is given; it suits a small transformer beside order 5.
pub const DEFAULT_WEIGHT: f64 = 0.375;
/// Steps after which the share has settled: each is a pass over two numbers a token.
const FIT_STEPS: usize = 50;

/// An n-gram model that has a share in another model's predictions.
#[derive(Debug)]
pub struct Mixture {
    ngram: NgramFile,
    weight: f64,
}

/// How well a mixture predicts a text, and its two parts alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EvaluatedMixture {
    /// Of the mixture.
    #[serde(flatten)]
    pub mixture: Evaluated,
    /// Of the neural model alone.
    pub model_bits_per_byte: f64,
    /// Of the n-gram model alone.
    pub ngram_bits_per_byte: f64,
    /// The n-gram model's share.
    pub weight: f64,
}

impl Mixture {
    /// Gives an n-gram model a share in the predictions of `model`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a weight that is not in `0 ..= 1`, or when the two were trained with
    /// different tokenizers.
    pub fn new(ngram: NgramFile, model: &ModelFile, weight: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&weight) {
            let message = format!("a weight of {weight} is not a share between 0 and 1");
            return Err(Error::Usage(message));
        }
        if ngram.tokenizer().hash() != model.tokenizer().hash() {
            let message = format!(
                "{} was trained with another tokenizer than the model's",
                ngram.path().display()
            );
            return Err(Error::Usage(message));
        }
        Ok(Self { ngram, weight })
    }

    /// The n-gram model's share.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// Turns the neural model's logits after a history into logits of the mixture.
    pub fn mix_into(&self, history: &[u32], logits: &mut [f32]) {
        softmax_in_place(logits);
        let mut row = vec![0.0; logits.len()];
        let ngram = self.ngram.model().as_ref();
        ngram.probabilities_into(history, &mut row);
        for (logit, p) in logits.iter_mut().zip(row) {
            *logit = self.mix(f64::from(*logit), p).ln() as f32;
        }
    }

    fn mix(&self, neural: f64, ngram: f64) -> f64 {
        (1.0 - self.weight) * neural + self.weight * ngram
    }

    /// Chooses the share under which `model` and the n-gram model together predict a text best;
    /// the text must be neither the training text nor the one that is then evaluated.
    ///
    /// By expectation and maximisation: the new share is the mean, over all tokens, of how much of
    /// the mixture's probability the n-gram model gave (Dempster, Laird and Rubin 1977).
    ///
    /// # Errors
    /// [`Error::Usage`] for an empty text; [`Error::Interrupted`] and its like.
    pub fn fit(&mut self, model: &ModelFile, text: &[u8], threads: usize) -> Result<()> {
        let [neural, ngram] = self.parts(model, text, threads)?;
        self.weight = 0.5;
        for _ in 0..FIT_STEPS {
            let pairs = neural.iter().zip(&ngram);
            let given = pairs.map(|(p, q)| self.weight * q / self.mix(*p, *q));
            self.weight = given.sum::<f64>() / neural.len() as f64;
        }
        Ok(())
    }

    /// Measures the mixture on a text; 0 threads for one a core.
    ///
    /// # Errors
    /// [`Error::Usage`] for an empty text; [`Error::Interrupted`] and its like.
    pub fn evaluate(
        &self,
        model: &ModelFile,
        text: &[u8],
        threads: usize,
    ) -> Result<EvaluatedMixture> {
        let [neural, ngram] = self.parts(model, text, threads)?;
        let pairs = neural.iter().zip(&ngram);
        let mixed: Vec<f64> = pairs.map(|(p, q)| self.mix(*p, *q)).collect();
        let bytes = text.len() as u64;
        let bits_per_byte = |probabilities: &[f64]| bits(probabilities) / bytes as f64;
        Ok(EvaluatedMixture {
            mixture: Evaluated {
                bits_per_byte: bits_per_byte(&mixed),
                bytes,
                tokens: mixed.len() as u64,
            },
            model_bits_per_byte: bits_per_byte(&neural),
            ngram_bits_per_byte: bits_per_byte(&ngram),
            weight: self.weight,
        })
    }

    /// The probabilities of a text's tokens under both models.
    fn parts(&self, model: &ModelFile, text: &[u8], threads: usize) -> Result<[Vec<f64>; 2]> {
        let stream = stream(model.tokenizer().encode(text), self.ngram.model())?;
        let threads = parallel::threads_or_all(threads);
        let losses = token_losses(model.network()?, &stream, threads)?;
        let neural = losses
            .iter()
            .map(|loss| (-f64::from(*loss)).exp())
            .collect();
        let ngram = self.ngram.model().token_probabilities(&stream, threads)?;
        Ok([neural, ngram])
    }
}

/// Measures an n-gram model alone on a text; 0 threads for one a core.
///
/// # Errors
/// [`Error::Usage`] for an empty text; [`Error::Interrupted`] and its like.
pub fn evaluate_ngram(file: &NgramFile, text: &[u8], threads: usize) -> Result<Evaluated> {
    let stream = stream(file.tokenizer().encode(text), file.model())?;
    let bytes = text.len() as u64;
    Ok(Evaluated {
        bits_per_byte: file.model().bits_per_byte(&stream, bytes, threads)?,
        bytes,
        tokens: stream.len() as u64,
    })
}

fn stream(ids: Vec<u32>, model: &NgramModel) -> Result<TokenStream> {
    if ids.is_empty() {
        return Err(Error::Usage("there is no text to evaluate on".into()));
    }
    Ok(TokenStream::from_ids(ids, model.vocab_size()))
}
