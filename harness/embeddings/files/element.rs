//! Elements of vectors as bytes of a file: `f32`, `f16`, and `int8` with a scale a row.
//!
//! ```text
//! f16    x rounded to 11 bits: an error of at most 2^-11 |x|, for |x| of 2^-14 to 65504
//! int8   s = max_i |x_i| / 127,  q_i = round(x_i / s),  x_i ~ s q_i: an error of at most s / 2
//! ```

use half::f16;

/// Largest magnitude of a number of eight bits; -128 is left out, so that signs are alike.
const MAX_INT8: f32 = 127.0;

/// Numbers of four bytes.
pub(super) fn f32_from_bytes(bytes: &[u8]) -> Vec<f32> {
    let numbers = bytes.as_chunks::<4>().0.iter();
    numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Numbers of two bytes.
pub(super) fn f16_from_bytes(bytes: &[u8]) -> Vec<f32> {
    let numbers = bytes.as_chunks::<2>().0.iter();
    numbers
        .map(|bytes| f16::from_le_bytes(*bytes).to_f32())
        .collect()
}

/// A row in half precision; what is too large becomes infinite.
pub(super) fn f16_to_bytes(row: &[f32], bytes: &mut Vec<u8>) {
    bytes.extend(row.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()));
}

/// Whole numbers of one byte, each times the scale of its row.
pub(super) fn int8_from_bytes(bytes: &[u8], scales: &[f32], dim: usize) -> Vec<f32> {
    let rows = bytes.chunks(dim).zip(scales);
    rows.flat_map(|(row, scale)| row.iter().map(move |q| f32::from(*q as i8) * scale))
        .collect()
}

/// What one step of a row's whole numbers is worth.
pub(super) fn int8_scale(row: &[f32]) -> f32 {
    let max = row.iter().fold(0.0, |max: f32, x| max.max(x.abs()));
    // The largest step whose multiples are all finite.
    (max / MAX_INT8).min(f32::MAX / 128.0)
}

/// A row as whole numbers of one byte.
pub(super) fn int8_to_bytes(row: &[f32], bytes: &mut Vec<u8>) {
    let scale = int8_scale(row);
    // A scale of zero has no inverse, and a tiny one an infinite one: cast to zero or cut off.
    let quantum = |x: &f32| (x / scale).round().clamp(-MAX_INT8, MAX_INT8) as i8 as u8;
    bytes.extend(row.iter().map(quantum));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip_int8(row: &[f32]) -> Vec<f32> {
        let mut bytes = Vec::new();
        int8_to_bytes(row, &mut bytes);
        int8_from_bytes(&bytes, &[int8_scale(row)], row.len())
    }

    #[test]
    fn int8_is_off_by_half_a_step_at_most() {
        let row: Vec<f32> = (0..300).map(|i| (i as f32 * 0.37).sin() * 2.0).collect();
        let half = int8_scale(&row) / 2.0;
        for (x, y) in row.iter().zip(round_trip_int8(&row)) {
            assert!((x - y).abs() <= half * 1.0001, "{x} became {y}");
        }
        assert_eq!(round_trip_int8(&[0.0, -0.0]), [0.0, 0.0]);
        let tiny = [f32::from_bits(1), -f32::from_bits(90)];
        assert!(round_trip_int8(&tiny).iter().all(|x| x.abs() <= 2e-43));
        let largest = round_trip_int8(&[f32::MAX, -f32::MAX]);
        assert!(largest.iter().all(|x| x.is_finite()), "{largest:?}");
    }

    #[test]
    fn f16_keeps_eleven_bits() {
        let row: Vec<f32> = (1..300).map(|i| (i as f32 * 0.37).sin() * 9.0).collect();
        let mut bytes = Vec::new();
        f16_to_bytes(&row, &mut bytes);
        for (x, y) in row.iter().zip(f16_from_bytes(&bytes)) {
            assert!((x - y).abs() <= x.abs() / 2048.0, "{x} became {y}");
        }
    }
}
