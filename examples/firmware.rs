//! Firmware that goes on with a text: a model in flash, weights in eight bits, keys and values in half
//! precision, every buffer a static, nothing allocated. The model is what `barelm lm convert
//! --target-ram 96K --target-flash 512K` made.
//!
//! `tests/bare_metal` builds and runs it; `firmware` there is the start-up code and the output of the
//! machine, for which a project has its own crate (`cortex-m-rt`, `riscv-rt`).
#![no_std]
#![no_main]

use barelm_kernels::bpe::encode_workspace_len;
use barelm_kernels::model::{CacheType, LlamaConfig, ModelRef, OutputKind, Session};
use barelm_kernels::rng::Rng;
use barelm_kernels::sample::Sampling;
use firmware::{Once, print_text, write};

firmware::flash!(FILE, "llama_int8.barelm");

/// The shape that the model was trained with: buffers are as large as it asks for.
const MODEL: LlamaConfig = LlamaConfig {
    vocab_size: 1024,
    dim: 64,
    layers: 4,
    heads: 4,
    kv_heads: 2,
    head_width: 16,
    hidden: 160,
    context: 128,
    theta: 1e4,
    epsilon: 1e-5,
    output: OutputKind::Tied,
};
const PROMPT: &[u8] = b"Once upon a time, ";
const NEW_TOKENS: usize = 32;

/// Everything that changes.
struct Memory {
    workspace: [f32; MODEL.session_workspace_len(true, CacheType::F16)],
    logits: [f32; MODEL.vocab_size],
    words: [u32; MODEL.vocab_size],
}

static MEMORY: Once<Memory> = Once::new(Memory {
    workspace: [0.0; MODEL.session_workspace_len(true, CacheType::F16)],
    logits: [0.0; MODEL.vocab_size],
    words: [0; MODEL.vocab_size],
});

firmware::entry!(main);

fn main() -> bool {
    MEMORY.take().and_then(go_on).is_some()
}

fn go_on(memory: &mut Memory) -> Option<()> {
    let Memory {
        workspace,
        logits,
        words,
    } = memory;
    let model = ModelRef::new_checked(FILE.bytes(), words).ok()?;
    let mut session = Session::with_cache(model.parameters(), CacheType::F16, workspace).ok()?;
    let (ids, scratch) = words.split_at_mut_checked(encode_workspace_len(64))?;
    let count = model.tokenizer().encode_into(PROMPT, ids, scratch).ok()?;
    for id in ids.get(..count)? {
        session.push(*id).ok()?;
    }
    print_text("Once upon a time, ");
    let (sampling, mut rng) = (
        Sampling {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
        },
        Rng::new(1),
    );
    for _ in 0..NEW_TOKENS {
        let token = session.generate(&sampling, &mut rng, logits, words).ok()?;
        write(model.tokenizer().token_bytes(token)?);
    }
    print_text("\n");
    Some(())
}
