//! Text in, text out: likeliest next tokens, continuations, bits per byte.

use super::ModelFile;
use crate::attention_trainer::bits_per_byte;
use crate::kernels::model::{ModelRef, Session};
use crate::kernels::rng::Rng;
use crate::kernels::sample::{Sampling, sample};
use crate::kernels::softmax::softmax_in_place;
use crate::token_stream::TokenStream;
use crate::{Error, Result, parallel, progress};
use serde::Serialize;

/// A candidate for the next token.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Its id.
    pub id: u32,
    /// Its bytes; may be a part of a character.
    pub token: Vec<u8>,
    /// Its probability, given the prompt.
    pub probability: f32,
}

/// The `k` likeliest tokens after a prompt, best first.
///
/// After an empty prompt all tokens are equally likely.
///
/// # Errors
/// [`Error::Data`] when the file was changed since it was opened.
pub fn predict_text(file: &ModelFile, prompt: &[u8], k: usize) -> Result<Vec<Prediction>> {
    let model = file.model()?;
    let mut workspace = workspace(file, &model)?;
    let mut probabilities = vec![0.0; model.config().vocab_size];
    let ids = file.tokenizer().encode(prompt);
    model
        .predict(&ids, &mut probabilities, &mut workspace)
        .map_err(|e| Error::data(file.path(), e.to_string()))?;
    if let Some(mixture) = &file.mixture {
        mixture.mix_into(&ids, &mut probabilities);
    }
    softmax_in_place(&mut probabilities);
    let mut order: Vec<u32> = (0..probabilities.len() as u32).collect();
    order.sort_by(|a, b| {
        let [a, b] = [a, b].map(|id| probabilities[*id as usize]);
        b.total_cmp(&a)
    });
    order.truncate(k);
    let prediction = |id: u32| Prediction {
        id,
        token: file.tokenizer().decode(&[id]),
        probability: probabilities[id as usize],
    };
    Ok(order.into_iter().map(prediction).collect())
}

/// Room for a session; how much a file asks for is its own word alone.
fn workspace(file: &ModelFile, model: &ModelRef<'_>) -> Result<Vec<f32>> {
    let len = model.session_workspace_len();
    match Vec::<f32>::new().try_reserve_exact(len) {
        Ok(()) => Ok(vec![0.0; len]),
        Err(_) => {
            let context = model.config().context;
            let message =
                format!("a context of {context} tokens does not fit this machine's memory");
            Err(Error::data(file.path(), message))
        }
    }
}

/// Continues a prompt by `max_tokens` tokens, drawn with the given seed; returns what was added.
///
/// `on_token` sees the bytes of each token as soon as it is drawn, and may end the work by an
/// error. Special tokens are never drawn.
///
/// # Errors
/// [`Error::Usage`] for sampling that makes no sense; `on_token`'s;
/// [`Error::Interrupted`] and its like.
pub fn generate_text(
    file: &ModelFile,
    prompt: &[u8],
    max_tokens: usize,
    sampling: &Sampling,
    seed: u64,
    mut on_token: impl FnMut(&[u8]) -> Result<()>,
) -> Result<Vec<u8>> {
    let model = file.model()?;
    let damaged = || Error::data(file.path(), "changed since it was opened");
    let vocab_size = model.config().vocab_size;
    let (mut logits, mut order) = (vec![0.0; vocab_size], vec![0; vocab_size]);
    let mut workspace = workspace(file, &model)?;
    let mut session = Session::new(model.network(), &mut workspace).map_err(|_| damaged())?;
    let mut ids = file.tokenizer().encode(prompt);
    for id in &ids {
        session.push(*id).map_err(|_| damaged())?;
    }
    let specials = model.tokenizer().tables().specials;
    let mut rng = Rng::new(seed);
    let mut text = Vec::new();
    for _ in 0..max_tokens {
        progress::check()?;
        session.logits(&mut logits).map_err(|_| damaged())?;
        if let Some(mixture) = &file.mixture {
            mixture.mix_into(&ids, &mut logits);
        }
        for id in specials {
            logits[*id as usize] = f32::NEG_INFINITY;
        }
        let id = sample(&mut logits, &mut order, sampling, &mut rng)
            .map_err(|e| Error::Usage(e.to_string()))?;
        session.push(id).map_err(|_| damaged())?;
        ids.push(id);
        let token = file.tokenizer().decode(&[id]);
        on_token(&token)?;
        text.extend(token);
    }
    Ok(text)
}

/// How well a model predicts a text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Evaluated {
    /// Bits that the model needs for the text, divided by its bytes.
    pub bits_per_byte: f64,
    /// Bytes of the text.
    pub bytes: u64,
    /// Tokens of the text.
    pub tokens: u64,
}

/// Measures a model on a text by the protocol of [`bits_per_byte`]; 0 threads for one a core.
///
/// # Errors
/// [`Error::Usage`] for an empty text; [`Error::Interrupted`] and its like.
pub fn evaluate_text(file: &ModelFile, text: &[u8], threads: usize) -> Result<Evaluated> {
    let ids = file.tokenizer().encode(text);
    let (bytes, tokens) = (text.len() as u64, ids.len() as u64);
    let stream = TokenStream::from_ids(ids, file.tokenizer().vocab_size());
    let model = file.model()?;
    let threads = parallel::threads_or_all(threads);
    let bits_per_byte = bits_per_byte(model.network(), &stream, bytes, threads)?;
    Ok(Evaluated {
        bits_per_byte,
        bytes,
        tokens,
    })
}
