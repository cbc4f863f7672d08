use super::*;
use crate::testing::{LENGTHS, assert_close, on_every_backend, tolerance, values};
use std::vec::Vec;

fn naive_log_sum_exp(x: &[f32]) -> f64 {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let max = f64::from(if max.is_finite() { max } else { 0.0 });
    let sum: f64 = x.iter().map(|x| libm::exp(f64::from(*x) - max)).sum();
    max + libm::log(sum)
}

fn naive_softmax(x: &[f32]) -> Vec<f64> {
    let log_sum = naive_log_sum_exp(x);
    x.iter()
        .map(|x| libm::exp(f64::from(*x) - log_sum))
        .collect()
}

fn scaled(len: usize, seed: u64, scale: f32) -> Vec<f32> {
    values(len, seed).into_iter().map(|x| x * scale).collect()
}

#[test]
fn softmax_and_log_sum_exp_agree_with_f64() {
    on_every_backend(|backend| {
        for len in LENGTHS {
            let x = scaled(len, 1, 20.0);
            let got = backend.run(LogSumExp { x: &x });
            let want = naive_log_sum_exp(&x) as f32;
            assert_close(got, want, tolerance::SOFTMAX, want.abs().max(1.0));
            let mut p = x.clone();
            backend.run(Softmax { x: &mut p });
            for (p, want) in p.iter().zip(naive_softmax(&x)) {
                assert_close(*p, want as f32, tolerance::SOFTMAX, 1.0);
            }
        }
    });
}

#[test]
fn large_scores_neither_overflow_nor_lose_the_winner() {
    on_every_backend(|backend| {
        let mut x = scaled(100, 2, 1e4);
        x[37] = 1.1e4;
        backend.run(Softmax { x: &mut x });
        assert_eq!(x[37], 1.0);
        assert_eq!(x.iter().sum::<f32>(), 1.0);
    });
}

#[test]
fn infinities_and_nan_give_what_the_documentation_says() {
    on_every_backend(|backend| {
        for len in [1, 17, 80] {
            for at in [0, len - 1] {
                let with = |odd: f32| {
                    let mut x = values(len, 3);
                    x[at] = odd;
                    x
                };
                let lse = |x: &[f32]| backend.run(LogSumExp { x });
                let softmax = |mut x: Vec<f32>| {
                    backend.run(Softmax { x: &mut x });
                    x
                };
                assert!(lse(&with(f32::NAN)).is_nan());
                assert!(softmax(with(f32::NAN)).iter().all(|p| p.is_nan()));
                assert_eq!(lse(&with(f32::INFINITY)), f32::INFINITY);
                assert!(softmax(with(f32::INFINITY))[at].is_nan());
                if len > 1 {
                    assert_eq!(softmax(with(f32::NEG_INFINITY))[at], 0.0);
                }
                assert_eq!(lse(&std::vec![f32::NEG_INFINITY; len]), f32::NEG_INFINITY);
            }
        }
        assert_eq!(backend.run(LogSumExp { x: &[] }), f32::NEG_INFINITY);
    });
}

#[test]
fn cross_entropy_and_its_gradient_agree_with_f64() {
    on_every_backend(|backend| {
        for classes in [1, 2, 15, 16, 17, 64, 65, 300] {
            let (rows, stride) = (3, classes + 5);
            let mut logits = scaled(rows * stride, 4, 5.0);
            let original = logits.clone();
            let view = MatRef::with_stride(&original, rows, classes, stride).unwrap();
            let targets = [0, classes as u32 / 2, classes as u32 - 1];
            let (mut losses, mut again) = ([0.0; 3], [0.0; 3]);
            backend.run(CrossEntropyInPlace {
                logits: MatMut::with_stride(&mut logits, rows, classes, stride).unwrap(),
                targets: &targets,
                scale: 0.25,
                losses: &mut losses,
            });
            backend.run(CrossEntropy {
                logits: view,
                targets: &targets,
                losses: &mut again,
            });
            assert_eq!(losses, again);
            for (i, target) in targets.into_iter().enumerate() {
                let row = view.row(i);
                let want = naive_log_sum_exp(row) - f64::from(row[target as usize]);
                assert_close(losses[i], want as f32, tolerance::SOFTMAX, 10.0);
                for (c, p) in naive_softmax(row).into_iter().enumerate() {
                    let want = 0.25 * (p - f64::from(u8::from(c == target as usize)));
                    let got = logits[i * stride + c];
                    assert_close(got, want as f32, tolerance::SOFTMAX, 1.0);
                }
            }
            assert_eq!(logits[classes..stride], original[classes..stride]);
        }
    });
}

#[test]
fn the_gradient_is_the_slope_of_the_loss() {
    let (classes, target, h) = (9, 4, 1e-5);
    let x = scaled(classes, 5, 3.0);
    let loss = |x: &[f64]| libm::log(x.iter().map(|x| libm::exp(*x)).sum()) - x[target];
    let mut gradient = x.clone();
    let mut losses = [0.0];
    let view = MatMut::new(&mut gradient, 1, classes).unwrap();
    cross_entropy_in_place(view, &[target as u32], 1.0, &mut losses).unwrap();
    for i in 0..classes {
        let mut moved: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        moved[i] += h;
        let above = loss(&moved);
        moved[i] -= 2.0 * h;
        let slope = (above - loss(&moved)) / (2.0 * h);
        assert_close(gradient[i], slope as f32, tolerance::SOFTMAX, 1.0);
    }
}

#[test]
fn all_three_are_bit_equal_within_a_class() {
    for len in LENGTHS {
        let x = scaled(len, 6, 8.0);
        let mut of_class = [None, None];
        on_every_backend(|backend| {
            let mut p = x.clone();
            backend.run(Softmax { x: &mut p });
            let lse = backend.run(LogSumExp { x: &x }).to_bits();
            let bits: Vec<u32> = p.iter().map(|p| p.to_bits()).collect();
            let class = &mut of_class[usize::from(backend.is_fused())];
            let got = (lse, bits);
            assert_eq!(*class.get_or_insert(got.clone()), got);
        });
    }
}

#[test]
fn wrong_targets_and_lengths_are_errors_before_anything_is_written() {
    let (mut logits, mut losses) = ([1.0, 2.0, 3.0, 4.0], [7.0; 2]);
    let shape = Err(KernelError::Shape(ShapeError));
    for targets in [&[0, 2][..], &[0], &[0, u32::MAX]] {
        let view = MatMut::new(&mut logits, 2, 2).unwrap();
        let got = cross_entropy_in_place(view, targets, 1.0, &mut losses);
        assert_eq!(got, shape);
        let view = MatRef::new(&logits, 2, 2).unwrap();
        assert_eq!(cross_entropy(view, targets, &mut losses), shape);
    }
    let view = MatRef::new(&logits, 2, 2).unwrap();
    assert_eq!(cross_entropy(view, &[0, 1], &mut losses[..1]), shape);
    assert_eq!((logits, losses), ([1.0, 2.0, 3.0, 4.0], [7.0; 2]));
    let none = MatRef::new(&[], 0, 0).unwrap();
    assert_eq!(cross_entropy(none, &[], &mut []), Ok(()));
}

#[test]
fn number_by_number_the_exponentials_and_their_sum_have_the_same_bits() {
    let simd = crate::simd::Portable;
    for n in LENGTHS {
        let mut wide = values(n, 3);
        let (mut narrow, mut in_place) = (wide.clone(), wide.clone());
        let sum = exp_of_difference_with(simd, &mut wide, 0.5);
        let exponentials = narrow.iter_mut().map(|x| {
            *x = exp_of_one(*x - 0.5);
            *x
        });
        assert_eq!(narrow_sum(simd, n, exponentials), sum, "{n}");
        assert_eq!(narrow, wide);
        assert_eq!(
            narrow_exp_of_difference(simd, &mut in_place, 0.5),
            sum,
            "{n}"
        );
        assert_eq!(in_place, wide);
    }
}
