//! [`Matvec`] where a vector is sixteen numbers: rows share what is read of the vector. Exact, so the
//! result is the same.

use super::Matvec;

/// Rows at a time, and numbers of each: they share what is read of the vector.
const ROWS: usize = 4;
const NARROW: usize = 8;

impl Matvec<'_> {
    /// Some rows at a time, number by number; the last ones alone.
    #[inline(never)]
    pub(super) fn narrow(self) {
        let (some, last) = self.dst.as_chunks_mut::<ROWS>();
        let (scales, _) = self.a.scales.as_chunks::<ROWS>();
        let (mut rest, first_of_last) = (self.a.values, ROWS * some.len());
        for (dst, scales) in some.iter_mut().zip(scales) {
            let Some((rows, after)) = split_off_rows(rest, self.a.cols) else {
                return;
            };
            rest = after;
            let totals = dots(rows, self.x);
            for ((dst, total), scale) in dst.iter_mut().zip(totals).zip(scales) {
                *dst = total as f32 * (scale * self.x_scale);
            }
        }
        for (i, dst) in last.iter_mut().enumerate() {
            let (row, scale) = self.a.row(first_of_last + i);
            *dst = dot(row, self.x) as f32 * (scale * self.x_scale);
        }
    }
}

#[inline(never)]
fn dot(a: &[i8], b: &[i8]) -> i32 {
    let products = a.iter().zip(b);
    products.fold(0, |total, (a, b)| add_product(total, *a, *b))
}

/// The first rows, and what is left behind them.
#[inline(always)]
fn split_off_rows(rest: &[i8], cols: usize) -> Option<([&[i8]; ROWS], &[i8])> {
    let (a, rest) = rest.split_at_checked(cols)?;
    let (b, rest) = rest.split_at_checked(cols)?;
    let (c, rest) = rest.split_at_checked(cols)?;
    let (d, rest) = rest.split_at_checked(cols)?;
    Some(([a, b, c, d], rest))
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
    if last.is_empty() {
        return totals;
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
