//! [`Matvec`] where a vector is sixteen numbers: rows share what is read of the vector. Exact, so the
//! result is the same.

use super::Matvec;

/// Rows at a time, and numbers of each: they share what is read of the vector.
const ROWS: usize = 4;
const NARROW: usize = 8;

impl Matvec<'_> {
    /// Some rows at a time, number by number.
    #[inline(never)]
    pub(super) fn narrow(self) {
        let (mut rest, mut row): (&[i8], &[i8]) = (self.a.values, &[]);
        for (dst, scales) in self.dst.chunks_mut(ROWS).zip(self.a.scales.chunks(ROWS)) {
            let rows = [(); ROWS].map(|()| {
                // The last row stands in for those that there are not.
                if let Some((next, after)) = rest.split_at_checked(self.a.cols) {
                    (row, rest) = (next, after);
                }
                row
            });
            let totals = dots(rows, self.x);
            for ((dst, total), scale) in dst.iter_mut().zip(totals).zip(scales) {
                *dst = total as f32 * (scale * self.x_scale);
            }
        }
    }
}

/// The dot product of each of some rows and `x`.
#[inline(always)]
fn dots(rows: [&[i8]; ROWS], x: &[i8]) -> [i32; ROWS] {
    let mut totals = [0; ROWS];
    let (steps, last) = x.as_chunks::<NARROW>();
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<NARROW>().0);
    for ((((x, a), b), c), d) in steps.iter().zip(a).zip(b).zip(c).zip(d) {
        for (i, x) in x.iter().enumerate() {
            for (total, row) in totals.iter_mut().zip([a, b, c, d]) {
                *total = add_product(*total, *x, row[i]);
            }
        }
    }
    let start = x.len() - last.len();
    for (total, row) in totals.iter_mut().zip(rows) {
        for (x, row) in last.iter().zip(row.get(start..).unwrap_or(&[])) {
            *total = add_product(*total, *x, *row);
        }
    }
    totals
}

#[inline(always)]
fn add_product(total: i32, a: i8, b: i8) -> i32 {
    total.wrapping_add(i32::from(a) * i32::from(b))
}
