//! Large scores, NaN, infinities: nothing leaks, nothing hangs.

use super::*;

#[test]
fn no_position_sees_the_future_however_large_the_scores() {
    on_every_backend(|backend| {
        for offset in [0, 7] {
            let mask = Mask::Causal { offset };
            let mut case = Case::new([130, 130 + offset, 16, 20], mask, true);
            case.q.iter_mut().for_each(|q| *q *= 1e4);
            let (out, log_sums) = case.forward(backend);
            assert!(out.iter().chain(&log_sums).all(|x| x.is_finite()));
            for seen in [1, 20, 31, 64, 100, 129] {
                for odd in [f32::NAN, f32::INFINITY, -1e30, 0.0] {
                    let mut other = case.clone();
                    let first = offset + seen;
                    other.k[first * (case.d + GAP)..].fill(odd);
                    other.v[first * (case.dv + GAP)..].fill(odd);
                    let (other_out, other_sums) = other.forward(backend);
                    let len = seen * (case.dv + GAP);
                    assert!(bits(&out[..len]) == bits(&other_out[..len]));
                    assert_eq!(bits(&log_sums[..seen]), bits(&other_sums[..seen]));
                }
            }
        }
    });
}

#[test]
fn keys_get_no_gradient_from_positions_before_them_however_large_the_scores() {
    on_every_backend(|backend| {
        let mut case = Case::new([70, 70, 16, 16], Mask::Causal { offset: 0 }, false);
        case.q.iter_mut().for_each(|q| *q *= 1e4);
        for seen in [1, 33, 64] {
            let mut dout = values(case.n * (case.dv + GAP), 7);
            dout[seen * (case.dv + GAP)..].fill(0.0);
            let [_, dk, dv, _] = case.backward(backend, &dout);
            assert!(dk[seen * (case.d + GAP)..].iter().all(|x| *x == 1.0));
            assert!(dv[seen * (case.dv + GAP)..].iter().all(|x| *x == 1.0));
        }
    });
}

#[test]
fn nan_in_gives_nan_out() {
    on_every_backend(|backend| {
        for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7FC0_0155)] {
            for at in [0, 17, 40] {
                let case = Case::new([41, 41, 16, 16], Mask::Full, false);
                let at = at * (16 + GAP) + 5;
                let nan_in = |change: fn(&mut Case) -> &mut Vec<f32>| {
                    let mut case = case.clone();
                    change(&mut case)[at] = nan;
                    case.forward(backend)
                };
                let (out, log_sums) = nan_in(|case| &mut case.k);
                assert!(log_sums.iter().all(|x| x.is_nan()));
                let rows = || out.chunks(16 + GAP);
                assert!(rows().all(|row| row[..16].iter().all(|x| x.is_nan())));
                let (out, _) = nan_in(|case| &mut case.v);
                assert!(out.chunks(16 + GAP).all(|row| row[5].is_nan()));
                let (out, log_sums) = nan_in(|case| &mut case.q);
                let i = at / (16 + GAP);
                for (row, x) in out.chunks(16 + GAP).zip(&log_sums).enumerate() {
                    let (out, log_sum) = x;
                    assert_eq!(out[..16].iter().all(|x| x.is_nan()), row == i);
                    assert_eq!(log_sum.is_nan(), row == i);
                }
            }
        }
    });
}

#[test]
fn a_bias_of_minus_infinity_hides_keys() {
    on_every_backend(|backend| {
        let mut case = Case::new([80, 80, 16, 8], Mask::Causal { offset: 0 }, true);
        let all = vec![f32::NEG_INFINITY; 80];
        case.bias = Some(all.clone());
        let (out, log_sums) = case.forward(backend);
        assert!(
            out.chunks(8 + GAP)
                .all(|row| row[..8].iter().all(|x| x.is_nan() || *x == 0.0))
        );
        assert!(log_sums.iter().all(|x| *x == f32::NEG_INFINITY));
        let mut window = all;
        window[..3].fill(0.0);
        case.bias = Some(window);
        let (out, _) = case.forward(backend);
        let dout = vec![1.0; out.len()];
        let want = reference(&case, &dout);
        for (i, row) in out.chunks(8 + GAP).enumerate() {
            for (got, want) in row.iter().zip(&want.out[i]) {
                assert_close(*got, *want as f32, tolerance::ATTENTION, 1.0);
            }
        }
        let grads = case.backward(backend, &dout);
        assert!(grads.iter().flatten().all(|x| x.is_finite()));
    });
}
