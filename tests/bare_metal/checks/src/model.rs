//! A model file from flash: checked, its tokenizer, its logits, its tokens.

use crate::{Arena, Checksum, Memory};
use barelm_kernels::bpe::{TokenizerRef, encode_workspace_len};
use barelm_kernels::model::{CacheType, ModelRef, Session};
use barelm_kernels::rng::Rng;
use barelm_kernels::sample::Sampling;

/// What the tokens go on from, in a model of stories.
pub const PROMPT: &[u8] =
    "Once upon a time, Anna went to the market. \u{e4}\u{4e2d}\u{1f600}  42 ".as_bytes();
/// Tokens that are generated: more than the context of the smaller model.
const TOKENS: usize = 80;

/// Checksums of one model: encoding, decoding, logits after the prompt, and generated tokens.
pub struct Results {
    pub encode: u64,
    pub decode: u64,
    pub logits: u64,
    pub tokens: u64,
}

/// The models by name, and the precision of their caches.
pub const MODELS: [(&str, CacheType); 3] = [
    ("seed", CacheType::F32),
    ("llama", CacheType::F32),
    ("llama_int8", CacheType::F16),
];

/// Bytes of a piece that is encoded window by window.
const LONG: usize = 250;

/// A long piece has the same ids window by window as in one go; `None` if not.
fn in_windows(tokenizer: &TokenizerRef<'_>, ids: &mut [u32], scratch: &mut [u32]) -> Option<()> {
    let mut piece = [0; LONG];
    for (to, from) in piece.iter_mut().zip(PROMPT.iter().cycle()) {
        *to = *from;
    }
    let (ids, windowed) = ids.split_at_mut_checked(LONG)?;
    let windows = 2 * LONG;
    let len = tokenizer.encode_repetitive_piece_into(&piece, windowed, scratch, windows);
    let len = len.ok()??;
    let count = tokenizer.encode_piece_into(&piece, ids, scratch).ok()?;
    (ids.get(..count) == windowed.get(..len)).then_some(())
}

/// Runs a model file; `None` if it is refused or the memory is too small.
pub fn run(file: &[u8], cache: CacheType, memory: &mut Memory) -> Option<Results> {
    let (floats, words) = Arena::new(memory).rest();
    let model = ModelRef::new_checked(file, words).ok()?;
    let (ids, words) = words.split_at_mut_checked(PROMPT.len())?;
    let (order, scratch) = words.split_at_mut_checked(model.config().vocab_size)?;
    let scratch = scratch.get_mut(..encode_workspace_len(LONG))?;
    in_windows(model.tokenizer(), order, scratch)?;
    let count = model.tokenizer().encode_into(PROMPT, ids, scratch).ok()?;
    let ids = ids.get(..count)?;
    let mut text = [0; 2 * PROMPT.len()];
    let len = model.tokenizer().decode_into(ids, &mut text).ok()?;
    let text = text.get(..len)?;
    (text == PROMPT).then_some(())?;

    let (logits, workspace) = floats.split_at_mut_checked(model.config().vocab_size)?;
    let mut session = Session::with_cache(model.parameters(), cache, workspace).ok()?;
    for id in ids {
        session.push(*id).ok()?;
    }
    session.logits(logits).ok()?;
    let after_prompt = Checksum::new().floats(logits).finish()?;
    let sampling = Sampling {
        temperature: 0.8,
        top_k: 40,
        top_p: 0.95,
    };
    let (mut rng, mut tokens) = (Rng::new(7), Checksum::new());
    for _ in 0..TOKENS {
        tokens = tokens.word(session.generate(&sampling, &mut rng, logits, order).ok()?);
    }
    Some(Results {
        encode: Checksum::new().words(ids).finish()?,
        decode: Checksum::new().bytes(text).finish()?,
        logits: after_prompt,
        tokens: tokens.finish()?,
    })
}
