//! Instructions of a generated token, and of the kernels that it is made of; needs `-icount shift=0`.
#![no_std]
#![no_main]

use barelm_kernels::attention::{Cached, attend_cached};
use barelm_kernels::int8::{Int8Ref, matvec, quantize_into};
use barelm_kernels::mat::{MatMut, MatRef};
use barelm_kernels::model::{CacheType, ModelRef, Session};
use barelm_kernels::rms_norm::rms_norm_forward;
use barelm_kernels::rng::Rng;
use barelm_kernels::sample::Sampling;
use barelm_kernels::swiglu::swiglu_forward;
use firmware::{Once, instructions_of, print_number, print_text};

firmware::flash!(FILE, "llama_int8.barelm");

struct Memory {
    floats: [f32; 64 * 1024],
    logits: [f32; 1024],
    words: [u32; 1024],
}

static MEMORY: Once<Memory> = Once::new(Memory {
    floats: [0.0; 64 * 1024],
    logits: [0.0; 1024],
    words: [0; 1024],
});

/// Of the model: width, width of keys, of the feed-forward layer, layers, heads of keys, context.
const D: usize = 64;
const KEYS: usize = 32;
const HIDDEN: usize = 160;
const LAYERS: u64 = 4;
const KEY_HEADS: u64 = 2;
const CONTEXT: usize = 128;

firmware::entry!(main);

fn main() -> bool {
    MEMORY
        .take()
        .and_then(|memory| tokens(memory).and_then(|()| parts(memory)))
        .is_some()
}

fn line(what: &str, count: u64) {
    print_text(what);
    print_number(count);
    print_text("\n");
}

/// The last token of a full context.
fn tokens(memory: &mut Memory) -> Option<()> {
    let Memory {
        floats,
        logits,
        words,
    } = memory;
    let model = ModelRef::new_checked(FILE.bytes(), words).ok()?;
    let mut session = Session::with_cache(model.parameters(), CacheType::F16, floats).ok()?;
    let (sampling, mut rng) = (
        Sampling {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
        },
        Rng::new(1),
    );
    for _ in 0..CONTEXT - 1 {
        session.generate(&sampling, &mut rng, logits, words).ok()?;
    }
    let mut drawn = None;
    line(
        "token ",
        instructions_of(|| drawn = session.generate(&sampling, &mut rng, logits, words).ok()),
    );
    drawn.map(|_| ())
}

/// Kernels of that token's shapes, times how often they run.
fn parts(memory: &mut Memory) -> Option<()> {
    let (bytes, floats) = memory.floats.split_at_mut_checked(1024 * D / 4)?;
    let bytes: &[i8] = bytemuck::cast_slice(bytes);
    let (x, mut out) = ([0.25; HIDDEN], [0.0; 2 * HIDDEN]);
    let mut product = |rows: usize, cols: usize| {
        let scales = floats.get(..rows)?;
        let w = Int8Ref::new(bytes.get(..rows * cols)?, scales, cols).ok()?;
        let (out, x, mut quantized) = (memory.logits.get_mut(..rows)?, x.get(..cols)?, [0; HIDDEN]);
        let quantized = quantized.get_mut(..cols)?;
        let mut done = None;
        let count = instructions_of(|| {
            done = quantize_into(x, quantized)
                .and_then(|scale| matvec(out, w, quantized, scale))
                .ok();
        });
        done.map(|()| count)
    };
    let products = [(D + 2 * KEYS, D), (D, D), (2 * HIDDEN, D), (D, HIDDEN)];
    let mut blocks = 0;
    for (rows, cols) in products {
        blocks += product(rows, cols)?;
    }
    line("products_of_layers ", LAYERS * blocks);
    line("product_of_logits ", product(1024, D)?);

    // Numbers below 2, as keys and values are.
    let cells: &mut [u16] = bytemuck::cast_slice_mut(floats);
    let cells = cells.get_mut(..CONTEXT * KEYS)?;
    cells.iter_mut().for_each(|cell| *cell &= 0xBFFF);
    let cells = &*cells;
    let cache = Cached::new(cells, cells, 2, KEYS / 2, CONTEXT).ok()?;
    let (query, found, scores) = (
        x.get(..32)?,
        out.get_mut(..32)?,
        memory.logits.get_mut(..2 * CONTEXT)?,
    );
    let mut done = None;
    let count = instructions_of(|| done = attend_cached(found, scores, query, cache, 0, 0.25).ok());
    line("attention ", LAYERS * KEY_HEADS * count);
    let (row, view) = (
        MatRef::new(x.get(..D)?, 1, D).ok()?,
        MatMut::new(out.get_mut(..D)?, 1, D).ok()?,
    );
    let count = instructions_of(|| {
        done = rms_norm_forward(view, &mut [0.0], row, x.get(..D).unwrap_or(&[]), 1e-5).ok()
    });
    line("norms ", (2 * LAYERS + 1) * count);
    let gates = MatRef::new(floats.get(..2 * HIDDEN)?, 1, 2 * HIDDEN).ok()?;
    let view = MatMut::new(out.get_mut(..HIDDEN)?, 1, HIDDEN).ok()?;
    let count = instructions_of(|| done = swiglu_forward(view, gates).ok());
    line("gates ", LAYERS * count);
    done
}
