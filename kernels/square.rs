//! Sixteen rows turned into sixteen columns, in registers.

use crate::mat::MatRef;
use crate::simd::{LANES, Simd};
use core::ops::Range;

/// Up to sixteen columns of the first sixteen rows of a matrix, a vector for each: zeros in lanes
/// without a row and in vectors without a column.
#[inline(always)]
pub(crate) fn columns_of<S: Simd>(
    simd: S,
    rows: MatRef<'_>,
    columns: Range<usize>,
) -> [S::V; LANES] {
    let mut square = [simd.splat(0.0); LANES];
    if rows.rows() >= LANES && columns.len() == LANES && columns.end <= rows.cols() {
        // Nothing but whole vectors: a loop this short is unrolled, and stays in registers.
        for (i, vector) in square.iter_mut().enumerate() {
            let row = rows.row(i).get(columns.start..).unwrap_or(&[]);
            if let Some(whole) = row.first_chunk() {
                *vector = simd.load(whole);
            }
        }
    } else {
        for (i, vector) in square.iter_mut().enumerate().take(rows.rows()) {
            let row = rows.row(i).get(columns.start..).unwrap_or(&[]);
            *vector = simd.load_partial(row.get(..columns.len()).unwrap_or(row));
        }
    }
    simd.transpose(square)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Kernel;
    use crate::testing::{on_every_backend, values};
    use std::vec::Vec;

    struct ColumnsOf<'a>(MatRef<'a>, Range<usize>);

    impl Kernel for ColumnsOf<'_> {
        type Output = [[f32; LANES]; LANES];
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let mut out = [[0.0; LANES]; LANES];
            for (vector, out) in columns_of(simd, self.0, self.1).into_iter().zip(&mut out) {
                simd.store(vector, out);
            }
            out
        }
    }

    #[test]
    fn every_element_is_where_rows_and_columns_say_or_zero() {
        for (rows, cols, columns) in [
            (16, 16, 0..16),
            (20, 40, 3..19),
            (5, 18, 16..18),
            (16, 9, 2..9),
        ] {
            let data: Vec<f32> = values(rows * cols, 1);
            let rows = MatRef::new(&data, rows, cols).unwrap();
            on_every_backend(|backend| {
                let got = backend.run(ColumnsOf(rows, columns.clone()));
                for (c, vector) in got.iter().enumerate() {
                    for (r, x) in vector.iter().enumerate() {
                        let inside = r < rows.rows() && c < columns.len();
                        let want = if inside {
                            rows.row(r)[columns.start + c]
                        } else {
                            0.0
                        };
                        assert_eq!(*x, want, "{backend:?}: row {r}, column {c}");
                    }
                }
            });
        }
    }
}
