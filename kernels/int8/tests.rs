use super::*;
use crate::testing::{LENGTHS, on_every_backend, values};
use std::vec;
use std::vec::Vec;

/// Reproducible bytes, all 256 of them.
fn bytes(len: usize, seed: u64) -> Vec<i8> {
    let bytes = values(len, seed).into_iter().map(|x| (x * 128.0) as i8);
    bytes.map(|x| if x == 127 { -128 } else { x }).collect()
}

fn naive(a: &[i8], b: &[i8]) -> i64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| i64::from(*a) * i64::from(*b))
        .sum()
}

#[test]
fn dots_are_exact() {
    on_every_backend(|backend| {
        for n in LENGTHS {
            let (a, b) = (bytes(n, 1), bytes(n, 2));
            let got = backend.run(Dot { a: &a, b: &b });
            assert_eq!(i64::from(got), naive(&a, &b), "{n}");
        }
        for (a, b) in [(-128, -128), (-128, 127), (127, 127), (-127, -128)] {
            let (a, b) = (vec![a; MAX_LEN], vec![b; MAX_LEN]);
            let got = backend.run(Dot { a: &a, b: &b });
            assert_eq!(i64::from(got), naive(&a, &b));
        }
    });
}

#[test]
fn products_are_sums_times_scales() {
    on_every_backend(|backend| {
        for (m, n) in [
            (0, 3),
            (1, 1),
            (3, 0),
            (4, 32),
            (5, 33),
            (9, 100),
            (7, 64),
            (66, 31),
            (5, 200),
        ] {
            let (a, scales, x) = (bytes(m * n, 1), values(m, 2), bytes(n, 3));
            let a = Int8Ref::new(&a, &scales, n).unwrap();
            let mut dst = vec![f32::NAN; m];
            let matvec = |dst| Matvec {
                dst,
                a,
                x: &x,
                x_scale: 0.75,
            };
            backend.run(matvec(&mut dst));
            // What a machine without vectors runs.
            let mut narrow = vec![f32::NAN; m];
            matvec(&mut narrow).narrow();
            assert_eq!(dst, narrow, "{m} x {n}");
            for (i, got) in dst.iter().enumerate() {
                let (row, scale) = a.row(i);
                assert_eq!(*got, naive(row, &x) as f32 * (scale * 0.75), "{m} x {n}");
            }
        }
    });
}

#[test]
fn rows_are_quantised_to_the_nearest_step() {
    on_every_backend(|backend| {
        for n in LENGTHS {
            let x: Vec<f32> = values(n, 4).iter().map(|x| x * 3e-4).collect();
            let mut q = vec![99; n];
            let scale = backend.run(Quantize { x: &x, out: &mut q });
            let largest = x.iter().fold(0.0, |a: f32, x| a.max(x.abs()));
            assert_eq!(scale, largest / 127.0);
            let mut back = vec![0.0; n];
            dequantize_into(&q, scale, &mut back).unwrap();
            for (x, back) in x.iter().zip(&back) {
                assert!((x - back).abs() <= 0.50001 * scale, "{x} {back}");
            }
            assert!(q.iter().all(|q| *q != -128));
            assert!(n == 0 || q.iter().any(|q| q.abs() == 127));
        }
    });
}

#[test]
fn extremes_are_survived() {
    let quantized = |x: [f32; 3]| {
        let mut out = [9; 3];
        (quantize_into(&x, &mut out).unwrap(), out)
    };
    assert_eq!(quantized([0.0, -0.0, 1e-40]), (0.0, [0; 3]));
    assert_eq!(quantized([f32::MAX, f32::MIN, 0.0]).1, [127, -127, 0]);
    assert_eq!(quantized([2e-36, -2e-36, 1.2e-36]).1, [127, -127, 76]);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let (scale, out) = quantized([1.0, bad, 2.0]);
        assert!(scale.is_nan() && out == [0; 3]);
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let long = vec![0; MAX_LEN + 1];
    assert_eq!(dot(&long, &long), Err(ShapeError));
    assert_eq!(dot(&[1], &[]), Err(ShapeError));
    assert!(Int8Ref::new(&long, &[1.0], MAX_LEN + 1).is_err());
    assert!(Int8Ref::new(&[0; 5], &[1.0; 2], 3).is_err());
    assert!(Int8Ref::new(&[], &[1.0; 2], usize::MAX).is_err());
    let a = Int8Ref::new(&[0; 6], &[1.0; 2], 3).unwrap();
    assert_eq!(a.row(2), (&[][..], 0.0));
    assert!(matvec(&mut [0.0; 2], a, &[0; 2], 1.0).is_err());
    assert!(matvec(&mut [0.0; 3], a, &[0; 3], 1.0).is_err());
    assert!(quantize_into(&[0.0], &mut []).is_err());
    assert!(dequantize_into(&[0], 1.0, &mut []).is_err());
}
