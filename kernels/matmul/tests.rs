//! Every product against the naive triple loop, and its bits against other backends and partitions.

mod matvec;

use super::in_place::InPlace;
use super::packed::Packed;
use super::*;
use crate::simd::Backend;
use crate::testing::{LENGTHS, assert_close, on_every_backend, tolerance, values};
use std::vec;
use std::vec::Vec;

/// `(m, n, k)`: empty, single, around tiles, panels and blocks; the last three are of several blocks
/// in two dimensions, with rows of `a` packed and in place.
const SHAPES: [(usize, usize, usize); 16] = [
    (0, 3, 4),
    (3, 0, 4),
    (3, 4, 0),
    (1, 1, 1),
    (2, 15, 3),
    (7, 17, 31),
    (8, 32, 16),
    (9, 33, 257),
    (13, 48, 600),
    (32, 5, 9),
    (40, 100, 30),
    (250, 70, 20),
    (17, 530, 19),
    (197, 50, 300),
    (197, 20, 300),
    (7, 545, 260),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Nn,
    Nt,
    Tn,
}

const FORMS: [Form; 3] = [Form::Nn, Form::Nt, Form::Tn];

fn transpose(x: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let element = |i: usize| x[(i % rows) * cols + i / rows];
    (0..rows * cols).map(element).collect()
}

/// How a product is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Packed,
    InPlace,
    Chosen,
}

const WAYS: [Way; 3] = [Way::Packed, Way::InPlace, Way::Chosen];

/// What stands between the rows of a result.
const GAP: f32 = 7.0;

/// Rows with so many elements behind each.
fn spread(x: &[f32], cols: usize, gap: usize, filler: f32) -> Vec<f32> {
    let rows = x.chunks(cols.max(1));
    rows.flat_map(|row| [row, &vec![filler; gap]].concat())
        .collect()
}

/// A random problem; `a` and `b` are stored as the form wants them, with NaN in the gaps between rows.
struct Problem {
    form: Form,
    shape: (usize, usize, usize),
    gap: usize,
    plain: (Vec<f32>, Vec<f32>),
    stored: (Vec<f32>, Vec<f32>),
    old: Vec<f32>,
}

impl Problem {
    fn new(form: Form, shape: (usize, usize, usize)) -> Self {
        Self::with_gaps(form, shape, 0)
    }

    fn with_gaps(form: Form, shape: (usize, usize, usize), gap: usize) -> Self {
        let (m, n, k) = shape;
        let plain = (values(m * k, 1), values(k * n, 2));
        let store = |x: &[f32], cols| spread(x, cols, gap, f32::NAN);
        let stored = match form {
            Form::Nn => (store(&plain.0, k), store(&plain.1, n)),
            Form::Nt => (store(&plain.0, k), store(&transpose(&plain.1, k, n), k)),
            Form::Tn => (store(&transpose(&plain.0, m, k), m), store(&plain.1, n)),
        };
        let old = values(m * n, 3);
        #[rustfmt::skip]
        let problem = Self { form, shape, gap, plain, stored, old };
        problem
    }

    fn with_operands(&self, run: impl FnOnce(Operand, Operand)) {
        let (m, n, k) = self.shape;
        let (a, b) = (&self.stored.0, &self.stored.1);
        let view =
            |data, rows, cols| MatRef::with_stride(data, rows, cols, cols + self.gap).unwrap();
        let in_rows = |view| Operand::rows(view);
        match self.form {
            Form::Nn => run(in_rows(&view(a, m, k)), in_rows(&view(b, k, n))),
            Form::Nt => run(in_rows(&view(a, m, k)), Operand::transposed(&view(b, n, k))),
            Form::Tn => run(Operand::transposed(&view(a, k, m)), in_rows(&view(b, k, n))),
        }
    }

    /// Whether the product can be computed so.
    fn allows(&self, way: Way) -> bool {
        way != Way::InPlace || self.form != Form::Nt
    }

    fn solve(&self, way: Way, backend: Backend, accum: Accum) -> Vec<f32> {
        let (m, n, k) = self.shape;
        let mut out = spread(&self.old, n, self.gap, GAP);
        let workspace = &mut vec![f32::NAN; matmul_workspace_len(m, n, k)][..];
        let mut dst = MatMut::with_stride(&mut out, m, n, n + self.gap).unwrap();
        self.with_operands(|a, b| {
            if m * n * k == 0 {
                return product(dst, a, b, accum, workspace).unwrap();
            }
            let dst = &mut dst;
            #[rustfmt::skip]
            let product = Product { dst, a, b, accum, workspace };
            match way {
                Way::Packed => backend.run(Packed::new(product)),
                Way::InPlace => backend.run(InPlace::new(product)),
                Way::Chosen => backend.run(product),
            }
        });
        let rows = out
            .chunks((n + self.gap).max(1))
            .filter(|row| !row.is_empty());
        let (rows, gaps): (Vec<_>, Vec<_>) = rows.map(|row| row.split_at(n)).unzip();
        assert!(gaps.concat().iter().all(|x| *x == GAP), "a gap was written");
        rows.concat()
    }

    /// The exact element and the sum of magnitudes behind it.
    fn naive(&self, i: usize, j: usize) -> (f64, f64) {
        let (_, n, k) = self.shape;
        let term =
            |p: usize| f64::from(self.plain.0[i * k + p]) * f64::from(self.plain.1[p * n + j]);
        (0..k)
            .map(term)
            .fold((0.0, 0.0), |(s, t), x| (s + x, t + x.abs()))
    }
}

#[test]
fn products_agree_with_the_naive_loop() {
    on_every_backend(|backend| {
        for (form, shape) in FORMS.iter().flat_map(|f| SHAPES.map(|s| (*f, s))) {
            let problem = Problem::new(form, shape);
            let replaced = problem.solve(Way::Chosen, backend, Accum::Replace);
            let added = problem.solve(Way::Chosen, backend, Accum::Add);
            for (at, old) in problem.old.iter().enumerate() {
                let (want, scale) = problem.naive(at / shape.1, at % shape.1);
                let scale = scale as f32 + 1.0;
                assert_close(replaced[at], want as f32, tolerance::LINEAR, scale);
                let want = (want + f64::from(*old)) as f32;
                assert_close(added[at], want, tolerance::LINEAR, scale);
            }
        }
    });
}

#[test]
fn products_are_bit_equal_within_a_class_and_for_every_form() {
    for shape in SHAPES {
        let mut of_class = [const { None }; 2];
        on_every_backend(|backend| {
            for form in FORMS {
                let bits: Vec<u32> = Problem::new(form, shape)
                    .solve(Way::Packed, backend, Accum::Replace)
                    .iter()
                    .map(|x| x.to_bits())
                    .collect();
                let class = &mut of_class[usize::from(backend.is_fused())];
                assert_eq!(
                    *class.get_or_insert(bits.clone()),
                    bits,
                    "{form:?} {shape:?}"
                );
            }
        });
    }
}

#[test]
fn neither_the_way_nor_gaps_between_rows_change_a_bit() {
    let bits = |x: Vec<f32>| x.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    // The last one is packed if the choice is free.
    let shapes = SHAPES.iter().chain(&[(41, 500, 260)]);
    for (form, shape) in FORMS.iter().flat_map(|f| shapes.clone().map(|s| (*f, *s))) {
        let plain = Problem::new(form, shape);
        for gap in [0, 3, 30] {
            let problem = Problem::with_gaps(form, shape, gap);
            on_every_backend(|backend| {
                for accum in [Accum::Replace, Accum::Add] {
                    let want = bits(plain.solve(Way::Packed, backend, accum));
                    for way in WAYS.into_iter().filter(|way| problem.allows(*way)) {
                        let got = bits(problem.solve(way, backend, accum));
                        assert!(got == want, "{form:?} {shape:?} {gap} {way:?}");
                    }
                }
            });
        }
    }
}

#[test]
fn a_single_row_may_have_any_stride() {
    let (x, mut y, mut workspace) = ([1.0; 4], [0.0; 4], [0.0; matmul_workspace_len(1, 4, 1)]);
    let a = MatRef::with_stride(&x, 1, 1, usize::MAX).unwrap();
    let b = MatRef::with_stride(&x, 1, 4, usize::MAX).unwrap();
    let dst = MatMut::with_stride(&mut y, 1, 4, usize::MAX).unwrap();
    matmul(dst, a, b, Accum::Replace, &mut workspace).unwrap();
    assert_eq!(y, x);
}

#[test]
fn rows_and_columns_may_be_shared_out_without_a_change_of_bits() {
    let (m, n, k) = (37, 70, 300);
    let (a, b) = (values(m * k, 1), values(k * n, 2));
    let mut workspace = vec![0.0; matmul_workspace_len(m, n, k)];
    let mut whole = vec![0.0; m * n];
    let a = MatRef::new(&a, m, k).unwrap();
    let full_b = MatRef::new(&b, k, n).unwrap();
    let dst = MatMut::new(&mut whole, m, n).unwrap();
    matmul(dst, a, full_b, Accum::Replace, &mut workspace).unwrap();
    for (row, column) in [(1, 1), (5, 16), (36, 69)] {
        let mut part = vec![0.0; (m - row) * (n - column)];
        let b = MatRef::with_stride(&b[column..], k, n - column, n).unwrap();
        let dst = MatMut::new(&mut part, m - row, n - column).unwrap();
        let a = a.rows_from(row, m);
        matmul(dst, a, b, Accum::Replace, &mut workspace).unwrap();
        for (i, part) in part.chunks(n - column).enumerate() {
            assert_eq!(part, &whole[(row + i) * n + column..][..n - column]);
        }
    }
}

#[test]
fn infinities_and_nan_stay_in_their_row() {
    on_every_backend(|backend| {
        let mut problem = Problem::new(Form::Nn, (9, 35, 20));
        problem.stored.0[2 * 20 + 3] = f32::NAN;
        problem.stored.0[4 * 20 + 3] = f32::INFINITY;
        for way in WAYS {
            let got = problem.solve(way, backend, Accum::Replace);
            for (i, row) in got.chunks(35).enumerate() {
                assert!(row.iter().all(|x| x.is_nan() == (i == 2)), "row {i}");
                assert!(row.iter().all(|x| x.is_infinite() == (i == 4)), "row {i}");
            }
        }
    });
}

#[test]
fn wrong_shapes_and_short_workspaces_are_errors() {
    let (x, mut y) = ([0.0; 6], [0.0; 4]);
    let view = |rows, cols| MatRef::new(&x, rows, cols).unwrap();
    let mut run = |a, b, workspace: &mut [f32]| {
        let dst = MatMut::new(&mut y, 2, 2).unwrap();
        matmul(dst, a, b, Accum::Add, workspace)
    };
    let needed = matmul_workspace_len(2, 2, 3);
    let mut workspace = vec![0.0; needed];
    assert_eq!(run(view(2, 3), view(3, 2), &mut workspace), Ok(()));
    let wrong = Err(KernelError::Shape(ShapeError));
    assert_eq!(run(view(2, 3), view(2, 3), &mut workspace), wrong);
    assert_eq!(run(view(3, 2), view(2, 3), &mut workspace), wrong);
    let short = run(view(2, 3), view(3, 2), &mut workspace[1..]);
    assert_eq!(short, Err(crate::error::BufferTooSmall { needed }.into()));
    assert_eq!(
        matvec(&mut [0.0; 2], view(2, 3), &[0.0; 2]),
        Err(ShapeError)
    );
    assert_eq!(
        matvec(&mut [0.0; 1], view(2, 3), &[0.0; 3]),
        Err(ShapeError)
    );
    assert_eq!(
        matvec_t(&mut [0.0; 3], view(2, 3), &[0.0; 3]),
        Err(ShapeError)
    );
    assert_eq!(
        matvec_t(&mut [0.0; 2], view(2, 3), &[0.0; 2]),
        Err(ShapeError)
    );
}

#[test]
fn the_workspace_is_bounded_and_grows_with_every_dimension() {
    assert!(matmul_workspace_len(usize::MAX, usize::MAX, usize::MAX) < 181 << 10);
    for (m, n, k) in SHAPES {
        assert!(matmul_workspace_len(m, n, k) <= matmul_workspace_len(m + 1, n + 1, k + 1));
    }
}
