//! Numbers in eight and in sixteen bits, and a query over a cache of either precision.

use crate::{Arena, Checksum};
use barelm_kernels::attention::{CachedMut, Element, attend_cached, cached_capacity};
use barelm_kernels::half::{f32_to_half, half_to_f32};
use barelm_kernels::int8::{self, Int8Ref, dequantize_into, quantize_into};

/// Rows and columns: a whole number of neither rows nor steps that kernels take at a time.
const ROWS: usize = 11;
const COLS: usize = 75;

/// A quantised matrix and vector.
struct Quantized {
    values: [i8; ROWS * COLS],
    scales: [f32; ROWS],
    x: [i8; COLS],
    x_scale: f32,
}

fn quantized(arena: &mut Arena<'_>) -> Option<Quantized> {
    let mut all = Quantized {
        values: [0; ROWS * COLS],
        scales: [0.0; ROWS],
        x: [0; COLS],
        x_scale: quantize_into(arena.values(COLS)?, &mut [0; COLS]).ok()?,
    };
    for (row, scale) in all.values.chunks_exact_mut(COLS).zip(&mut all.scales) {
        *scale = quantize_into(arena.values(COLS)?, row).ok()?;
    }
    all.x_scale = quantize_into(arena.values(COLS)?, &mut all.x).ok()?;
    Some(all)
}

fn sum_of_bytes(sum: Checksum, bytes: &[i8]) -> Checksum {
    bytes.iter().fold(sum, |sum, x| sum.word(*x as u32))
}

pub fn quantize(arena: &mut Arena<'_>) -> Option<u64> {
    let all = quantized(arena)?;
    let back = arena.zeros(COLS)?;
    dequantize_into(&all.x, all.x_scale, back).ok()?;
    let sum = sum_of_bytes(Checksum::new(), &all.values).floats(&all.scales);
    sum.floats(back).finish()
}

pub fn dot(arena: &mut Arena<'_>) -> Option<u64> {
    let all = quantized(arena)?;
    let mut sum = Checksum::new();
    for row in all.values.chunks_exact(COLS) {
        sum = sum.word(int8::dot(row, &all.x).ok()? as u32);
    }
    sum.finish()
}

pub fn matvec(arena: &mut Arena<'_>) -> Option<u64> {
    let all = quantized(arena)?;
    let a = Int8Ref::new(&all.values, &all.scales, COLS).ok()?;
    let mut y = [0.0; ROWS];
    int8::matvec(&mut y, a, &all.x, all.x_scale).ok()?;
    Checksum::new().floats(&y).finish()
}

/// Every half there is.
pub fn halves(_: &mut Arena<'_>) -> Option<u64> {
    let both = |sum: Checksum, half| {
        let x = half_to_f32(half);
        sum.float(x).word(u32::from(f32_to_half(x)) & 0xFC00)
    };
    (0..=u16::MAX).fold(Checksum::new(), both).finish()
}

/// Places in use, heads of the cache, and how wide one is; queries that share it.
const USED: usize = 37;
const HEADS: usize = 2;
const HEAD: usize = 20;
const QUERIES: usize = 3;

fn attend<T: Element>(arena: &mut Arena<'_>, zero: T) -> Option<u64> {
    const PLACES: usize = cached_capacity(USED);
    const WIDTH: usize = HEADS * HEAD;
    let (mut keys, mut values) = ([zero; PLACES * WIDTH], [zero; PLACES * WIDTH]);
    let mut cache = CachedMut::new(&mut keys, &mut values, HEADS, HEAD, PLACES).ok()?;
    for place in 0..USED {
        let (key, value) = (arena.values(WIDTH)?, arena.values(WIDTH)?);
        cache.put(place, key, value).ok()?;
    }
    let q = arena.values(QUERIES * HEAD)?;
    let (weights, out) = (arena.zeros(QUERIES * USED)?, arena.zeros(QUERIES * HEAD)?);
    attend_cached(out, weights, q, cache.as_ref(), 1, 0.3).ok()?;
    Checksum::new().floats(out).floats(weights).finish()
}

pub fn attend_cached_f32(arena: &mut Arena<'_>) -> Option<u64> {
    attend(arena, 0.0_f32)
}

pub fn attend_cached_f16(arena: &mut Arena<'_>) -> Option<u64> {
    attend(arena, 0_u16)
}
