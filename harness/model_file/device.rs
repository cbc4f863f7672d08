//! A model for a device: the most precise weights that its flash holds, then the longest and most
//! precise cache that its memory holds, and what both cost.

use super::convert::Source;
use super::int8::LlamaInt8;
use super::{FILE_NAME, Network, begin_network, tree_of};
use crate::attention_trainer::{Window, bits_per_byte, windows};
use crate::container::ContainerWriter;
use crate::kernels::huffman::check_workspace_len;
use crate::kernels::model::{CacheType, LlamaConfig, LlamaRef, OutputKind, Parameters, Session};
use crate::kernels::softmax::log_sum_exp;
use crate::token_stream::TokenStream;
use crate::{Error, Result, parallel, progress};
use serde::Serialize;
use std::path::Path;

/// Memory that is left for the stack, in bytes: the kernels' deepest chain of calls takes about half.
pub const STACK: u64 = 8 * 1024;
/// Shorter than this a context is not worth having.
const SHORTEST: usize = 8;
/// Windows between two looks at the flags that stop the work.
const BATCH: usize = 64;

/// What a device has, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// For the model's file.
    pub flash: u64,
    /// For a session, a logit and a word for every token (two words with a Huffman output), and [`STACK`].
    pub memory: u64,
}

/// What was picked for a device, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fitted {
    /// Type of the weights.
    pub weights: &'static str,
    /// Type of a session's cache, which the firmware has to ask for.
    pub cache: &'static str,
    /// Tokens in the cache.
    pub context: usize,
    /// Bytes of the file.
    pub flash: u64,
    /// Bytes of memory, [`STACK`] included.
    pub memory: u64,
    /// Bits per byte of the text, computed as the device will.
    pub bits_per_byte: f64,
    /// Bits per byte of the model as it was, in `f32` over its whole context.
    pub bits_per_byte_before: f64,
}

/// Bytes of memory that checking the model and generating take.
fn memory(config: &LlamaConfig, is_int8: bool, cache: CacheType) -> u64 {
    let session = config.session_workspace_len(is_int8, cache) as u64;
    let words = match config.output {
        OutputKind::Tree => check_workspace_len(config.vocab_size).max(config.vocab_size),
        _ => config.vocab_size,
    };
    4 * (session + (config.vocab_size + words) as u64) + STACK
}

/// The best cache that fits: half of it in `f16` is worth more than half the context.
fn pick_cache(shape: &LlamaConfig, is_int8: bool, limit: u64) -> Option<(LlamaConfig, CacheType)> {
    let fits = |context, cache| {
        let config = LlamaConfig { context, ..*shape };
        (memory(&config, is_int8, cache) <= limit).then_some((config, cache))
    };
    let lengths = (SHORTEST.min(shape.context)..=shape.context).rev();
    fits(shape.context, CacheType::F32)
        .or_else(|| lengths.into_iter().find_map(|n| fits(n, CacheType::F16)))
}

/// Converts a model for a device, and measures it on a text; 0 threads for one a core.
///
/// # Errors
/// [`Error::Usage`] for another configuration than llama, and for a model or a text that does not
/// fit; then nothing is written. [`Error::Data`] and [`Error::Io`] as [`convert`](super::convert()).
pub fn fit(from: &Path, to: &Path, device: Device, text: &[u8], threads: usize) -> Result<Fitted> {
    let source = Source::open(from, None)?;
    let Network::Llama(model) = source.network()? else {
        let message = "only models of --config llama are fitted to a device";
        return Err(Error::Usage(message.into()));
    };
    let ids = source.tokenizer().encode(text);
    let stream = TokenStream::from_ids(ids, model.config().vocab_size);
    let threads = parallel::threads_or_all(threads);
    let bytes = text.len() as u64;
    let before = bits_per_byte(model.into(), &stream, bytes, threads)?;
    let has_int8 = model.config().output != OutputKind::Tree;
    let mut smallest = 0;
    for is_int8 in [false, true].into_iter().take(1 + usize::from(has_int8)) {
        let (config, cache) = pick_cache(model.config(), is_int8, device.memory)
            .ok_or_else(|| too_little_memory(model.config(), is_int8, device.memory))?;
        let model = LlamaRef::new(
            config,
            model.weights(),
            tree_of(Parameters::F32(model.into())),
        );
        let model = model.map_err(|e| Error::Usage(e.to_string()))?;
        let int8 = if is_int8 {
            Some(LlamaInt8::quantize(model.into())?)
        } else {
            None
        };
        let parameters = int8
            .as_ref()
            .map_or(model.into(), |int8| int8.view().into());
        let writer = begin(&source, parameters, to)?;
        smallest = writer.len();
        if smallest > device.flash {
            continue;
        }
        let bits = session_bits(parameters, cache, &stream, threads)?;
        source.save_tokenizer(to)?;
        writer.finish()?;
        return Ok(Fitted {
            weights: if is_int8 { "int8" } else { "f32" },
            cache: match cache {
                CacheType::F32 => "f32",
                CacheType::F16 => "f16",
            },
            context: config.context,
            flash: smallest,
            memory: memory(&config, is_int8, cache),
            bits_per_byte: bits / bytes as f64,
            bits_per_byte_before: before,
        });
    }
    Err(too_little_flash(smallest, device.flash, has_int8))
}

fn begin(source: &Source, parameters: Parameters<'_>, to: &Path) -> Result<ContainerWriter> {
    let run = source.run()?;
    begin_network(
        to.join(FILE_NAME),
        parameters,
        &run,
        source.tokenizer(),
        None,
    )
}

fn too_little_memory(shape: &LlamaConfig, is_int8: bool, limit: u64) -> Error {
    let context = SHORTEST.min(shape.context);
    let needed = memory(&LlamaConfig { context, ..*shape }, is_int8, CacheType::F16);
    Error::Usage(format!(
        "a cache of {context} tokens takes {needed} bytes of memory with what goes with it, and there \
         are {limit}: train a model with fewer --layers or --kv-heads or a smaller --vocab-size"
    ))
}

fn too_little_flash(smallest: u64, limit: u64, has_int8: bool) -> Error {
    let remedy = if has_int8 {
        "train a model with a smaller --dim or --vocab-size or fewer --layers"
    } else {
        "train with --output tied: weights beside a Huffman output are not stored in int8"
    };
    Error::Usage(format!(
        "the model takes {smallest} bytes of flash at least, and there are {limit}: {remedy}"
    ))
}

/// Bits for a text as a session predicts it, token by token, by the protocol of [`bits_per_byte`].
fn session_bits(
    model: Parameters<'_>,
    cache: CacheType,
    stream: &TokenStream,
    threads: usize,
) -> Result<f64> {
    let mut nats = (model.vocab_size() as f64).ln();
    let windows: Vec<Window> = windows(stream.len(), model.context()).collect();
    for batch in windows.chunks(BATCH) {
        progress::check()?;
        let losses = |window| session_loss(model, cache, stream, window);
        nats += parallel::map(threads, batch.to_vec(), losses)
            .iter()
            .sum::<f64>();
    }
    Ok(nats / std::f64::consts::LN_2)
}

/// Nats of the tokens of one window that no window before has scored.
fn session_loss(
    model: Parameters<'_>,
    cache: CacheType,
    stream: &TokenStream,
    window: Window,
) -> f64 {
    let mut ids = vec![0; window.len + 1];
    stream.read(window.start, &mut ids);
    let mut workspace = vec![0.0; model.session_workspace_len_with(cache)];
    let mut logits = vec![0.0; model.vocab_size()];
    let session = Session::with_cache(model, cache, &mut workspace);
    let mut session = session.expect("room for it was made");
    let mut nats = 0.0;
    for (i, pair) in ids.windows(2).enumerate() {
        session.push(pair[0]).expect("a token of the vocabulary");
        if i >= window.skip {
            session.logits(&mut logits).expect("one logit a token");
            nats += f64::from(log_sum_exp(&logits) - logits[pair[1] as usize]);
        }
    }
    nats
}
