use super::*;
use crate::half::{f32_to_half, half_to_f32};
use crate::simd::Backend;
use crate::testing::{assert_close, on_every_backend, tolerance, values};
use std::vec;
use std::vec::Vec;

fn naive(q: &[f32], keys: &[f32], values: &[f32], width: usize, first: usize) -> Vec<f64> {
    let head = |x: &'_ [f32]| -> Vec<f64> {
        x[first..][..q.len()]
            .iter()
            .map(|x| f64::from(*x))
            .collect()
    };
    let weight = |key: &[f32]| -> f64 {
        let terms = head(key);
        let score: f64 = terms.iter().zip(q).map(|(k, q)| k * f64::from(*q)).sum();
        (score * 0.5).exp()
    };
    let weights: Vec<f64> = keys.chunks(width).map(weight).collect();
    let total: f64 = weights.iter().sum();
    let mut out = vec![0.0; q.len()];
    for (row, weight) in values.chunks(width).zip(&weights) {
        for (out, v) in out.iter_mut().zip(head(row)) {
            *out += weight / total * v;
        }
    }
    out
}

/// What a cache of `T` keeps of numbers.
fn kept<T: Element>(x: Vec<f32>) -> Vec<f32> {
    x.into_iter().map(|x| T::from_f32(x).to_f32()).collect()
}

/// Runs a kernel; on the portable backend as a machine without vectors would, too, with the same bits.
fn run<T: Element>(backend: Backend, attend: AttendCached<'_, T>) {
    let Backend::Portable(simd) = backend else {
        return backend.run(attend);
    };
    let (mut out, mut weights) = (attend.out.to_vec(), attend.weights.to_vec());
    let queries = weights.len() / attend.places;
    let mut narrow = AttendCached {
        out: &mut out,
        weights: &mut weights,
        ..attend
    };
    narrow.narrow_scores(queries);
    for weights in narrow.weights.chunks_mut(narrow.places) {
        let factor = Exponentials { x: weights }.run(simd);
        weights.iter_mut().for_each(|weight| *weight *= factor);
    }
    narrow.narrow_weighted_sums(queries);
    let wide = (attend.out, attend.weights);
    backend.run(AttendCached {
        out: wide.0,
        weights: wide.1,
        ..attend
    });
    assert!(wide.0 == out && wide.1 == weights);
}

fn agrees_with_the_formula<T: Element>(zero: T) {
    on_every_backend(|backend| {
        for (heads, head, w) in [(1, 0, 2), (2, 1, 32), (3, 1, 16), (2, 0, 50), (1, 0, 80)] {
            let (first, width) = (head * w, heads * w);
            for used in [1, 2, 15, 16, 17, 63, 64, 65, 130] {
                let (capacity, queries) = (cached_capacity(used), 1 + used % 4);
                let q = values(queries * w, 1);
                let keys = kept::<T>(values(width * used, 2));
                let rows = kept::<T>(values(width * used, 3));
                let mut cells = [vec![zero; width * capacity], vec![zero; width * capacity]];
                let [k, v] = &mut cells;
                let mut cache = CachedMut::new(k, v, heads, w, capacity).unwrap();
                for (t, (k, v)) in keys.chunks(width).zip(rows.chunks(width)).enumerate() {
                    cache.put(t, k, v).unwrap();
                }
                let mut out = vec![f32::NAN; queries * w];
                let mut weights = vec![f32::NAN; queries * used];
                let of_head = head * w * capacity..(head + 1) * w * capacity;
                let cached = cache.as_ref();
                let attend = AttendCached {
                    out: &mut out,
                    weights: &mut weights,
                    q: &q,
                    keys: &cached.keys[of_head.clone()],
                    values: &cached.values[of_head],
                    width: w,
                    places: used,
                    scale: 0.5,
                };
                run(backend, attend);
                for (q, out) in q.chunks(w).zip(out.chunks(w)) {
                    for (got, want) in out.iter().zip(naive(q, &keys, &rows, width, first)) {
                        assert_close(*got, want as f32, tolerance::ATTENTION, 1.0);
                    }
                }
                for weights in weights.chunks(used) {
                    assert_close(weights.iter().sum(), 1.0, tolerance::SOFTMAX, 1.0);
                }
            }
        }
    });
}

#[test]
fn single_precision_agrees_with_the_formula() {
    agrees_with_the_formula(f32::NAN);
}

#[test]
fn half_precision_agrees_with_the_formula_over_what_it_keeps() {
    agrees_with_the_formula(f32_to_half(f32::NAN));
}

/// Halves of every kind in turn, and queries that no half's scale may be multiplied with.
#[test]
fn what_no_shift_converts_gives_the_bits_of_the_conversion() {
    const W: usize = 16;
    let kinds = [
        &[0x0001_u16, 0x83FF, 0x0400, 0x8000, 0x3C00, 0x5FFF, 0xDFFF][..],
        &[0x6000, 0x3C00, 0x7BFF, 0x0001, 0xE000],
        &[0x7C00, 0x3C00, 0x0000],
        &[0xFC00, 0x3555],
        &[0x7E00, 0x0001],
    ];
    let queries = [
        0.5,
        -1e-40,
        65535.9,
        65536.0,
        -3e38,
        f32::INFINITY,
        f32::NAN,
    ];
    for kind in kinds {
        for places in [8, 9, 21] {
            let cells: Vec<u16> = kind.iter().copied().cycle().take(W * 32).collect();
            let singles: Vec<f32> = cells.iter().map(|x| half_to_f32(*x)).collect();
            for large in queries {
                let mut q = values(2 * W, 1);
                q[3] = large;
                let halves = Cached::new(&cells, &cells, 1, W, 32).unwrap();
                let whole = Cached::new(&singles, &singles, 1, W, 32).unwrap();
                on_every_backend(|backend| {
                    let got = bits(backend, &q, halves, places);
                    assert_eq!(got, bits(backend, &q, whole, places), "{kind:x?} {large}");
                });
            }
        }
    }
}

/// Results and weights, with one NaN for all; as a machine without vectors has them, on the portable
/// backend.
fn bits<T: Element>(backend: Backend, q: &[f32], cached: Cached<'_, T>, places: usize) -> Vec<u32> {
    let width = q.len() / 2;
    let (mut out, mut weights) = (vec![0.0; q.len()], vec![0.0; 2 * places]);
    let mut attend = AttendCached {
        out: &mut out,
        weights: &mut weights,
        q,
        keys: cached.keys,
        values: cached.values,
        width,
        places,
        scale: 1e-3,
    };
    if let Backend::Portable(simd) = backend {
        attend.narrow_scores(2);
        for weights in attend.weights.chunks_mut(places) {
            let factor = Exponentials { x: weights }.run(simd);
            weights.iter_mut().for_each(|weight| *weight *= factor);
        }
        attend.narrow_weighted_sums(2);
    } else {
        backend.run(attend);
    }
    let one_nan = |x: &f32| {
        if x.is_nan() {
            f32::NAN.to_bits()
        } else {
            x.to_bits()
        }
    };
    out.iter().chain(&weights).map(one_nan).collect()
}

#[test]
fn places_that_do_not_exist_are_errors() {
    let (mut k, mut v) = ([0.0; 64], [0.0; 64]);
    let mut cache = CachedMut::new(&mut k, &mut v, 2, 2, 16).unwrap();
    assert!(cache.put(16, &[0.0; 4], &[0.0; 4]).is_err());
    assert!(cache.put(0, &[0.0; 3], &[0.0; 4]).is_err());
    assert!(cache.put(0, &[0.0; 4], &[0.0; 2]).is_err());
    assert!(Cached::new(&[0.0; 64], &[0.0; 63], 2, 2, 16).is_err());
    assert!(Cached::new(&[0.0; 60], &[0.0; 60], 2, 2, 15).is_err());
    assert!(Cached::<f32>::new(&[], &[], usize::MAX, 2, 16).is_err());
    let attend = |out: &mut [f32], weights: &mut [f32], head| {
        attend_cached(out, weights, &[1.0; 2], cache.as_ref(), head, 1.0)
    };
    assert!(attend(&mut [0.0; 2], &mut [0.0; 16], 1).is_ok());
    assert!(attend(&mut [0.0; 2], &mut [0.0; 17], 1).is_err());
    assert!(attend(&mut [0.0; 2], &mut [0.0; 16], 2).is_err());
    assert!(attend(&mut [0.0; 2], &mut [0.0; 16], usize::MAX).is_err());
    assert!(attend(&mut [0.0; 1], &mut [0.0; 16], 0).is_err());
    let mut nothing = [1.0; 2];
    assert!(attend(&mut nothing, &mut [], 0).is_ok());
    assert_eq!(nothing, [0.0; 2]);
    let without_width = Cached::<f32>::new(&[], &[], 1, 0, 16).unwrap();
    assert!(attend_cached(&mut [], &mut [], &[], without_width, 0, 1.0).is_err());
    // Two queries, two places each; five weights are not.
    let two = |weights: &mut [f32]| {
        attend_cached(&mut [0.0; 4], weights, &[1.0; 4], cache.as_ref(), 0, 1.0)
    };
    assert!(two(&mut [0.0; 4]).is_ok());
    assert!(two(&mut [0.0; 5]).is_err());
}
