//! The sigmoid by table: two loads, one subtraction and one multiplication, no exponential.
//!
//! The table holds `s(x)` at the ends of [`INTERVALS`] equal intervals of `0 ..= LIMIT`; in between
//! lies a straight line, beyond it 1. Negative arguments are mirrored. A line over an interval of
//! width `h` is off by at most `h^2 / 8 * max |s''|`, and `max |s''|` is `1 / (6 sqrt 3)`: 7.35e-5
//! here, a hundredth of word2vec.c's table, which has twice the size. 2048 intervals up to 16
//! would give 7.8e-7 in 8 KiB; a gradient does not notice the difference and a small cache does.

/// Intervals of the table, over `0 ..= LIMIT`.
pub const INTERVALS: usize = 128;
/// Where the table ends and 1 begins.
pub const LIMIT: f32 = 10.0;
/// Bytes of the table.
pub const TABLE_BYTES: usize = size_of::<[f32; INTERVALS + 1]>();
/// Largest absolute error of the table, for any argument.
pub const TABLE_MAX_ERROR: f32 = 7.4e-5;

/// `s(i * LIMIT / INTERVALS)`; the last entry is 1, so that the line meets what lies beyond.
static TABLE: [f32; INTERVALS + 1] = build();

const fn build() -> [f32; INTERVALS + 1] {
    let mut table = [1.0; INTERVALS + 1];
    let mut i = 0;
    while i < INTERVALS {
        let x = LIMIT as f64 * i as f64 / INTERVALS as f64;
        table[i] = (1.0 / (1.0 + exp_of_minus(x))) as f32;
        i += 1;
    }
    table
}

/// `exp(-x)` at compile time: the series at `x / 32`, which is below 0.32, squared five times.
const fn exp_of_minus(x: f64) -> f64 {
    let x = -x / 32.0;
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while n < 16.0 {
        term *= x / n;
        sum += term;
        n += 1.0;
    }
    let second = sum * sum;
    let fourth = second * second;
    let eighth = fourth * fourth;
    let sixteenth = eighth * eighth;
    sixteenth * sixteenth
}

/// The sigmoid of any argument. Unfused on every target, so that all targets return the same bits.
#[inline(always)]
pub(super) fn lookup(x: f32) -> f32 {
    let position = x.abs() * (INTERVALS as f32 / LIMIT);
    let index = position as usize; // NaN becomes 0, infinity the largest index
    let ends = TABLE.get(index..).and_then(|rest| rest.first_chunk());
    let upper = ends.map_or(1.0, |[low, high]| {
        low + (position - index as f32) * (high - low)
    });
    if x > 0.0 { upper } else { 1.0 - upper }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compile_time_series_is_the_exponential() {
        for i in 0..=INTERVALS {
            let x = f64::from(LIMIT) * i as f64 / INTERVALS as f64;
            let want = libm::exp(-x);
            assert!((exp_of_minus(x) - want).abs() <= 1e-14 * want);
        }
    }

    #[test]
    fn the_table_has_the_documented_size_and_meets_one() {
        assert_eq!(TABLE_BYTES, 516);
        assert_eq!(TABLE[0], 0.5);
        assert_eq!(lookup(LIMIT), 1.0);
        assert!(TABLE.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
