//! Text in, text out: likeliest next tokens, continuations, bits per byte.

use super::ModelFile;
use super::outlet::Outlet;
use crate::attention_trainer::bits_per_byte;
use crate::kernels::model::{CacheType, ModelRef, Session};
use crate::kernels::rng::Rng;
use crate::kernels::sample::{Sampling, penalize, sample};
use crate::kernels::softmax::softmax_in_place;
use crate::token_stream::TokenStream;
use crate::{Error, Result, parallel, progress};
use serde::Serialize;
use std::time::{Duration, Instant};

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
    let mut workspace = workspace(file, &model, CacheType::F32)?;
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
pub(super) fn workspace(
    file: &ModelFile,
    model: &ModelRef<'_>,
    cache: CacheType,
) -> Result<Vec<f32>> {
    let len = model.parameters().session_workspace_len_with(cache);
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

pub(super) fn damaged(file: &ModelFile) -> Error {
    Error::data(file.path(), "changed since it was opened")
}

/// How to continue a prompt.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// Most tokens to add.
    pub max_tokens: usize,
    /// How each is drawn.
    pub sampling: Sampling,
    /// Above 1 makes tokens of the prompt and of what was added less likely; 1 is off.
    pub repetition_penalty: f32,
    /// Texts that end it; they are not part of what is added.
    pub stops: Vec<String>,
    /// How keys and values are kept.
    pub cache: CacheType,
    /// Equal seeds draw equal tokens.
    pub seed: u64,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_tokens: 100,
            sampling: Sampling::default(),
            repetition_penalty: 1.0,
            stops: Vec::new(),
            cache: CacheType::F32,
            seed: 1,
        }
    }
}

/// What was added to a prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// The text.
    pub text: Vec<u8>,
    /// The tokens that were drawn, those of a stop text included.
    pub ids: Vec<u32>,
    /// How long that took, the prompt aside.
    pub elapsed: Duration,
}

/// Continues a prompt.
///
/// `on_text` sees it as it comes, in whole characters (bytes that are none go as they are), and may
/// end the work by an error. Special tokens are never drawn.
///
/// # Errors
/// [`Error::Usage`] for options that make no sense; `on_text`'s; [`Error::Interrupted`] and its
/// like.
pub fn generate_text(
    file: &ModelFile,
    prompt: &[u8],
    options: &GenerateOptions,
    mut on_text: impl FnMut(&[u8]) -> Result<()>,
) -> Result<Generated> {
    if options.stops.iter().any(String::is_empty) {
        return Err(Error::Usage("a stop text must not be empty".into()));
    }
    let model = file.model()?;
    let changed = || damaged(file);
    let vocab_size = model.config().vocab_size;
    let (mut logits, mut order) = (vec![0.0; vocab_size], vec![0; vocab_size]);
    let mut seen = vec![false; vocab_size];
    let mut workspace = workspace(file, &model, options.cache)?;
    let session = Session::with_cache(model.parameters(), options.cache, &mut workspace);
    let mut session = session.map_err(|_| changed())?;
    let mut context = file.tokenizer().encode(prompt);
    for id in &context {
        session.push(*id).map_err(|_| changed())?;
        seen[*id as usize] = true;
    }
    let prompt_len = context.len();
    let end = prompt_len.saturating_add(options.max_tokens);
    let mut rng = Rng::new(options.seed);
    let mut outlet = Outlet::new(&options.stops);
    let mut text = Vec::new();
    let mut send = |part: Vec<u8>| {
        text.extend(&part);
        if part.is_empty() {
            Ok(())
        } else {
            on_text(&part)
        }
    };
    let start = Instant::now();
    for _ in 0..options.max_tokens {
        progress::check()?;
        session.logits(&mut logits).map_err(|_| changed())?;
        if let Some(mixture) = &file.mixture {
            mixture.mix_into(&context, &mut logits);
        }
        for id in model.tokenizer().tables().specials {
            logits[*id as usize] = f32::NEG_INFINITY;
        }
        let id = penalize(&mut logits, &seen, options.repetition_penalty)
            .and_then(|()| sample(&mut logits, &mut order, &options.sampling, &mut rng))
            .map_err(|e| Error::Usage(e.to_string()))?;
        seen[id as usize] = true;
        context.push(id);
        let (part, stopped) = outlet.push(&file.tokenizer().decode(&[id]));
        send(part)?;
        if stopped || context.len() == end {
            break;
        }
        session.push(id).map_err(|_| changed())?;
    }
    send(outlet.finish())?;
    Ok(Generated {
        text,
        ids: context.split_off(prompt_len),
        elapsed: start.elapsed(),
    })
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
/// Of weights in eight bits the numbers that they stand for are measured, in `f32`: a session, which
/// rounds its vectors, too, comes close to it.
///
/// # Errors
/// [`Error::Usage`] for an empty text; [`Error::Interrupted`] and its like.
pub fn evaluate_text(file: &ModelFile, text: &[u8], threads: usize) -> Result<Evaluated> {
    let ids = file.tokenizer().encode(text);
    let (bytes, tokens) = (text.len() as u64, ids.len() as u64);
    let stream = TokenStream::from_ids(ids, file.tokenizer().vocab_size());
    let network = file.network()?;
    let threads = parallel::threads_or_all(threads);
    let bits_per_byte = bits_per_byte(network, &stream, bytes, threads)?;
    Ok(Evaluated {
        bits_per_byte,
        bytes,
        tokens,
    })
}
