//! Both methods against `f64`, on every backend.

use super::*;
use crate::testing::{LENGTHS, on_every_backend, tolerance, values};
use std::vec::Vec;

/// Dense near zero, sparse outside, extremes, and every one of them with both signs.
fn sweep() -> Vec<f32> {
    let grid = (0..60_000).map(|i| i as f32 * 0.001);
    let extremes = [
        f32::MIN_POSITIVE,
        1e-30,
        87.3,
        88.0,
        104.0,
        1e4,
        f32::MAX,
        f32::INFINITY,
    ];
    let positive: Vec<f32> = grid.chain(values(1000, 1)).chain(extremes).collect();
    positive.iter().flat_map(|x| [*x, -*x]).collect()
}

fn exact_sigmoid(x: f32) -> f64 {
    1.0 / (1.0 + libm::exp(-f64::from(x)))
}

fn exact_softplus(x: f32) -> f64 {
    f64::from(x.max(0.0)) + libm::log1p(libm::exp(-f64::from(x.abs())))
}

#[test]
fn both_methods_stay_within_their_documented_error() {
    on_every_backend(|backend| {
        let (mut table, mut polynomial) = (sweep(), sweep());
        table_in_place(&mut table);
        backend.run(SigmoidInPlace(&mut polynomial));
        for ((x, t), p) in sweep().into_iter().zip(table).zip(polynomial) {
            let want = exact_sigmoid(x);
            assert!(
                (f64::from(t) - want).abs() < f64::from(TABLE_MAX_ERROR),
                "s({x}) = {t}"
            );
            assert!(
                (f64::from(p) - want).abs() < f64::from(tolerance::SIGMOID),
                "s({x}) = {p}"
            );
        }
    });
}

#[test]
fn sigmoid_is_symmetric_bit_for_bit() {
    on_every_backend(|backend| {
        let mirrored = |x: Vec<f32>| -> Vec<f32> { x.into_iter().map(|x| -x).collect() };
        for table in [true, false] {
            let run = |mut x: Vec<f32>| {
                if table {
                    table_in_place(&mut x);
                } else {
                    backend.run(SigmoidInPlace(&mut x));
                }
                x
            };
            let (s, of_minus) = (run(sweep()), run(mirrored(sweep())));
            for ((x, s), of_minus) in sweep().iter().zip(s).zip(of_minus) {
                assert_eq!(of_minus.to_bits(), (1.0 - s).to_bits(), "x = {x}");
            }
        }
    });
}

#[test]
fn softplus_is_exact_in_both_tails() {
    on_every_backend(|backend| {
        let mut got = sweep();
        backend.run(SoftplusInPlace(&mut got));
        for (x, got) in sweep().into_iter().zip(got) {
            let want = exact_softplus(x);
            let close = (f64::from(got) - want).abs() <= f64::from(tolerance::SOFTPLUS) * want;
            let tiny = want < 2e-38 && got < 2e-38;
            assert!(
                close || tiny || f64::from(got) == want,
                "softplus({x}) = {got}, not {want}"
            );
        }
    });
}

#[test]
fn nan_stays_nan_and_infinities_reach_their_limits() {
    on_every_backend(|backend| {
        let mut x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        let (mut table, mut plus) = (x, x);
        backend.run(SigmoidInPlace(&mut x));
        table_in_place(&mut table);
        backend.run(SoftplusInPlace(&mut plus));
        assert!(x[0].is_nan() && table[0].is_nan() && plus[0].is_nan());
        assert_eq!((x[1], x[2]), (1.0, 0.0));
        assert_eq!((table[1], table[2]), (1.0, 0.0));
        assert_eq!((plus[1], plus[2]), (f32::INFINITY, 0.0));
    });
}

#[test]
fn backends_of_a_class_return_equal_bits_whatever_the_length() {
    let mut of_class = [None, None];
    on_every_backend(|backend| {
        let (mut s, mut plus) = (sweep(), sweep());
        backend.run(SigmoidInPlace(&mut s));
        backend.run(SoftplusInPlace(&mut plus));
        let bits: Vec<u32> = s.iter().chain(&plus).map(|x| x.to_bits()).collect();
        for len in LENGTHS {
            let mut part = sweep();
            part.truncate(len);
            backend.run(SigmoidInPlace(&mut part));
            assert_eq!(part, s[..len]);
        }
        let class = &mut of_class[usize::from(backend.is_fused())];
        assert_eq!(class.get_or_insert_with(|| bits.clone()), &bits);
    });
}

#[test]
fn single_values_agree_with_slices() {
    for x in values(100, 3) {
        for method in [SigmoidMethod::Table, SigmoidMethod::Polynomial] {
            let mut slice = [x; 20];
            sigmoid_in_place(method, &mut slice);
            assert_eq!(slice, [sigmoid(method, x); 20]);
        }
        let mut slice = [x; 20];
        softplus_in_place(&mut slice);
        assert_eq!(slice, [softplus(x); 20]);
    }
}
