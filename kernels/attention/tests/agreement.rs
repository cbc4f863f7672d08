//! Every function agrees with the reference, with itself on every backend, and refuses what does
//! not fit; finite differences confirm the reference.

use super::*;

#[test]
fn forward_agrees_with_the_naive_form() {
    on_every_backend(|backend| {
        for_each_case(|case| {
            let (out, log_sums) = case.forward(backend);
            let want = reference(&case, &vec![0.0; out.len()]);
            for i in 0..case.n {
                let row = &out[i * (case.dv + GAP)..][..case.dv + GAP];
                assert_close(
                    log_sums[i],
                    want.log_sums[i] as f32,
                    tolerance::ATTENTION,
                    1.0,
                );
                for (got, want) in row.iter().zip(&want.out[i]) {
                    assert_close(*got, *want as f32, tolerance::ATTENTION, 1.0);
                }
                assert_eq!(row[case.dv..], [9.0; GAP]);
            }
        });
    });
}

#[test]
fn backward_agrees_with_the_naive_form() {
    on_every_backend(|backend| {
        for_each_case(|case| {
            let dout = values(case.n * (case.dv + GAP), 5);
            let got = case.backward(backend, &dout);
            let want = reference(&case, &dout);
            let widths = [case.d, case.d, case.dv, usize::MAX - GAP];
            for ((got, want), width) in got.iter().zip(&want.grads).zip(widths) {
                let (mut got, mut want) = (got.as_slice(), want.as_slice());
                while !got.is_empty() {
                    let cut = width.min(got.len());
                    let (row, rest) = got.split_at(cut);
                    let (want_row, want_rest) = want.split_at(cut);
                    for (got, want) in row.iter().zip(want_row) {
                        assert_close(got - 1.0, *want as f32, tolerance::ATTENTION_GRADIENT, 1.0);
                    }
                    let gap = GAP.min(rest.len());
                    assert!(rest[..gap].iter().all(|x| *x == 1.0));
                    (got, want) = (&rest[gap..], want_rest);
                }
            }
        });
    });
}

#[test]
fn the_reference_gradients_are_the_slopes_of_the_reference_outputs() {
    let case = Case::new([3, 4, 3, 2], Mask::Causal { offset: 1 }, true);
    let dout = values(case.n * (case.dv + GAP), 6);
    let loss = |case: &Case| -> f64 {
        let out = reference(case, &dout).out;
        let rows = out.iter().zip(dout.chunks(case.dv + GAP));
        rows.flat_map(|(out, dout)| out.iter().zip(dout))
            .map(|(out, dout)| out * f64::from(*dout))
            .sum()
    };
    let grads = reference(&case, &dout).grads;
    let h = 1.0 / 1024.0;
    for (operand, width) in [(0, case.d), (1, case.d), (2, case.dv), (3, 1)] {
        let gap = if operand == 3 { 0 } else { GAP };
        for (at, want) in grads[operand].iter().enumerate() {
            let moved = |by: f32| {
                let mut case = case.clone();
                let bias = case.bias.as_mut().unwrap();
                let data = [&mut case.q, &mut case.k, &mut case.v, bias];
                data.into_iter().nth(operand).unwrap()[at / width * (width + gap) + at % width] +=
                    by;
                loss(&case)
            };
            let slope = (moved(h) - moved(-h)) / f64::from(2.0 * h);
            assert_close(*want as f32, slope as f32, 1e-5, 1.0);
        }
    }
}

#[test]
fn a_row_does_not_depend_on_how_the_queries_are_partitioned() {
    on_every_backend(|backend| {
        let whole = Case::new([130, 130, 40, 24], Mask::Causal { offset: 0 }, true);
        let (out, log_sums) = whole.forward(backend);
        for start in [1, 32, 50] {
            let mut part = whole.clone();
            part.n -= start;
            part.mask = Mask::Causal { offset: start };
            part.q.drain(..start * (whole.d + GAP));
            let (part_out, part_sums) = part.forward(backend);
            assert!(bits(&part_out) == bits(&out[start * (whole.dv + GAP)..]));
            assert_eq!(bits(&part_sums), bits(&log_sums[start..]));
        }
    });
}

#[test]
fn one_query_agrees_with_the_naive_form() {
    on_every_backend(|backend| {
        for m in [0, 1, 2, 15, 17, 64, 65, 130] {
            for [d, dv] in [[1, 1], [16, 33], [40, 17], [64, 64], [128, 130], [0, 0]] {
                for with_bias in [false, true] {
                    let offset = m.max(1) - 1;
                    let case = Case::new([1, m, d, dv], Mask::Causal { offset }, with_bias);
                    let mut out = vec![9.0; dv];
                    backend.run(AttendOne {
                        out: &mut out,
                        inputs: case.inputs(),
                        weights: &mut vec![f32::NAN; attend_one_workspace_len(m)],
                    });
                    let want = reference(&case, &vec![0.0; dv + GAP]);
                    for (got, want) in out.iter().zip(&want.out[0]) {
                        assert_close(*got, *want as f32, tolerance::ATTENTION, 1.0);
                    }
                }
            }
        }
    });
}

#[test]
fn results_are_bit_equal_within_a_class() {
    for mask in [Mask::Full, Mask::Causal { offset: 7 }] {
        for shape in [[65, 130, 40, 33], [17, 64, 64, 64]] {
            let case = Case::new(shape, mask, true);
            let dout = values(case.n * (case.dv + GAP), 8);
            let mut of_class = [None, None];
            on_every_backend(|backend| {
                let (out, log_sums) = case.forward(backend);
                let [dq, dk, dv, dbias] = case.backward(backend, &dout);
                let got = [out, log_sums, dq, dk, dv, dbias].map(|x| bits(&x));
                let class = &mut of_class[usize::from(backend.is_fused())];
                assert!(*class.get_or_insert(got.clone()) == got);
            });
        }
    }
}

#[test]
fn wrong_shapes_and_small_workspaces_are_errors() {
    let case = Case::new([4, 4, 2, 2], Mask::Full, true);
    let shape = Err(KernelError::Shape(ShapeError));
    let (mut out, mut sums) = (vec![0.0; 20], [0.0; 4]);
    let needed = attention_forward_workspace_len(2, 2);
    let mut workspace = vec![0.0; needed];
    let mut run = |rows, sums: &mut [f32], workspace: &mut [f32]| {
        let out = view_mut(&mut out, rows, 2);
        attention_forward(out, sums, case.inputs(), workspace)
    };
    assert_eq!(run(3, &mut sums, &mut workspace), shape);
    assert_eq!(run(4, &mut sums[..3], &mut workspace), shape);
    assert_eq!(
        run(4, &mut sums, &mut workspace[1..]),
        Err(KernelError::Buffer(BufferTooSmall { needed }))
    );
    assert_eq!(run(4, &mut sums, &mut workspace), Ok(()));
    let AttentionInputs { q, k, v, .. } = case.inputs();
    let huge = Mask::Causal { offset: usize::MAX };
    let inputs = |q, k, v, mask, bias| AttentionInputs::new(q, k, v, mask, 1.0, bias).is_ok();
    assert!(!inputs(q, k, v.rows_from(0, 3), Mask::Full, None));
    assert!(!inputs(view(&case.q, 4, 1), k, v, Mask::Full, None));
    assert!(!inputs(q, k, v, huge, Some(&[0.0; 9])));
    assert!(inputs(q, k, v, huge, None));
    assert!(!inputs(
        q,
        k,
        v,
        Mask::Causal { offset: 1 },
        Some(&[0.0; 4])
    ));
}
