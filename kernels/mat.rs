//! Matrix views: `f32`, row-major, with a row stride. Checked once, infallible afterwards.
//!
//! A view borrows the caller's buffer. Columns are contiguous; consecutive rows start `stride`
//! elements apart, so a head of a multi-head tensor is a view without a copy.

use crate::error::ShapeError;

/// A borrowed matrix of `rows x cols`.
///
/// ```
/// use barelm_kernels::mat::MatRef;
/// let heads = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
/// let second = MatRef::with_stride(&heads[2..], 2, 2, 4)?;
/// assert_eq!(second.row(1), &[7.0, 8.0]);
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MatRef<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    stride: usize,
}

/// A mutably borrowed matrix of `rows x cols`.
#[derive(Debug)]
pub struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    stride: usize,
}

/// Elements a buffer must hold for the view, or `None` if that overflows or rows overlap.
const fn required_len(rows: usize, cols: usize, stride: usize) -> Option<usize> {
    if stride < cols {
        return None;
    }
    if rows == 0 || cols == 0 {
        return Some(0);
    }
    match (rows - 1).checked_mul(stride) {
        Some(start) => start.checked_add(cols),
        None => None,
    }
}

impl<'a> MatRef<'a> {
    /// Views `data` as `rows x cols` without gaps.
    ///
    /// # Errors
    /// [`ShapeError`] when `data.len() != rows * cols`.
    #[inline]
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Result<Self, ShapeError> {
        match rows.checked_mul(cols) {
            Some(len) if len == data.len() => Self::with_stride(data, rows, cols, cols),
            _ => Err(ShapeError),
        }
    }

    /// Views `data` with rows that start `stride` elements apart.
    ///
    /// # Errors
    /// [`ShapeError`] when `stride < cols` or `data` ends before the last row does.
    #[inline]
    pub fn with_stride(
        data: &'a [f32],
        rows: usize,
        cols: usize,
        stride: usize,
    ) -> Result<Self, ShapeError> {
        match required_len(rows, cols, stride) {
            Some(len) if len <= data.len() => Ok(Self {
                data: &data[..len],
                rows,
                cols,
                stride,
            }),
            _ => Err(ShapeError),
        }
    }

    /// Number of rows.
    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[inline(always)]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Elements between the starts of consecutive rows.
    #[inline(always)]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The elements from the first of row 0 to the last of the last row, gaps included.
    #[inline(always)]
    pub fn data(&self) -> &'a [f32] {
        self.data
    }

    /// Row `i`; empty when there is no such row.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [f32] {
        let start = i.wrapping_mul(self.stride);
        self.data
            .get(start..start.wrapping_add(self.cols))
            .unwrap_or(&[])
    }

    /// Rows `start .. start + rows`, cut to those that exist.
    #[inline(always)]
    pub fn rows_from(&self, start: usize, rows: usize) -> Self {
        let start = start.min(self.rows);
        let rows = rows.min(self.rows - start);
        let data = self
            .data
            .get(start.wrapping_mul(self.stride)..)
            .unwrap_or(&[]);
        Self {
            data,
            rows,
            ..*self
        }
    }
}

impl<'a> MatMut<'a> {
    /// Views `data` as `rows x cols` without gaps.
    ///
    /// # Errors
    /// [`ShapeError`] when `data.len() != rows * cols`.
    #[inline]
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Result<Self, ShapeError> {
        match rows.checked_mul(cols) {
            Some(len) if len == data.len() => Self::with_stride(data, rows, cols, cols),
            _ => Err(ShapeError),
        }
    }

    /// Views `data` with rows that start `stride` elements apart.
    ///
    /// # Errors
    /// [`ShapeError`] when `stride < cols` or `data` ends before the last row does.
    #[inline]
    pub fn with_stride(
        data: &'a mut [f32],
        rows: usize,
        cols: usize,
        stride: usize,
    ) -> Result<Self, ShapeError> {
        match required_len(rows, cols, stride) {
            Some(len) if len <= data.len() => Ok(Self {
                data: &mut data[..len],
                rows,
                cols,
                stride,
            }),
            _ => Err(ShapeError),
        }
    }

    /// Number of rows.
    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[inline(always)]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Elements between the starts of consecutive rows.
    #[inline(always)]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The same elements, read only.
    #[inline(always)]
    pub fn as_ref(&self) -> MatRef<'_> {
        MatRef {
            data: self.data,
            rows: self.rows,
            cols: self.cols,
            stride: self.stride,
        }
    }

    /// The same elements, borrowed again for a shorter time.
    #[inline(always)]
    pub fn reborrow(&mut self) -> MatMut<'_> {
        MatMut {
            data: self.data,
            rows: self.rows,
            cols: self.cols,
            stride: self.stride,
        }
    }

    /// The elements from the first of row 0 to the last of the last row, gaps included.
    #[inline(always)]
    pub fn data_mut(&mut self) -> &mut [f32] {
        self.data
    }

    /// Row `i`; empty when there is no such row.
    #[inline(always)]
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        let start = i.wrapping_mul(self.stride);
        self.data
            .get_mut(start..start.wrapping_add(self.cols))
            .unwrap_or(&mut [])
    }

    /// Sets every element.
    pub fn fill(&mut self, value: f32) {
        for i in 0..self.rows {
            self.row_mut(i).fill(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_reject_buffers_that_do_not_fit() {
        let data = [0.0; 6];
        assert!(MatRef::new(&data, 2, 3).is_ok());
        assert_eq!(MatRef::new(&data, 2, 2).err(), Some(ShapeError));
        assert_eq!(MatRef::new(&data, usize::MAX, 3).err(), Some(ShapeError));
        assert_eq!(MatRef::with_stride(&data, 2, 3, 2).err(), Some(ShapeError));
        assert_eq!(
            MatRef::with_stride(&data, 3, 1, usize::MAX).err(),
            Some(ShapeError)
        );
        assert!(MatRef::with_stride(&data, 2, 1, 5).is_ok());
        let without_columns = MatRef::with_stride(&[], 100, 0, usize::MAX).unwrap();
        assert_eq!(without_columns.rows_from(50, 100).rows(), 50);
        assert!(MatRef::new(&[], 0, 7).is_ok());
    }

    #[test]
    fn rows_skip_the_gap() {
        let mut data = [1.0, 2.0, 9.0, 3.0, 4.0];
        let view = MatRef::with_stride(&data, 2, 2, 3).unwrap();
        assert_eq!(
            (view.row(0), view.row(1)),
            (&[1.0, 2.0][..], &[3.0, 4.0][..])
        );
        assert_eq!(view.rows_from(1, 5).row(0), &[3.0, 4.0]);
        assert_eq!(view.rows_from(7, 5).rows(), 0);
        MatMut::with_stride(&mut data, 2, 2, 3).unwrap().fill(0.0);
        assert_eq!(data, [0.0, 0.0, 9.0, 0.0, 0.0]);
    }
}
