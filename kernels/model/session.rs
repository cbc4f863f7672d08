//! Text that grows token by token, over a cache of keys and values in the caller's buffer.

use super::SeedRef;
use crate::error::{BufferTooSmall, KernelError, ShapeError, take};
use crate::mat::{MatMut, MatRef};
use crate::rng::Rng;
use crate::sample::{SampleError, Sampling, sample};
use core::cell::Cell;

/// A model and the last `context` tokens that it has read.
///
/// Keys and values of these tokens are kept in order; when there is no room, the oldest falls out.
/// For one layer that equals starting anew with the last `context` tokens.
///
/// # Example
/// ```
/// use barelm_kernels::mat::MatRef;
/// use barelm_kernels::model::{OutputRef, SeedRef, Session};
/// let table = [1.0, 0.0, 0.0, 1.0]; // two tokens, each predicts itself
/// let table = MatRef::new(&table, 2, 2)?;
/// let model = SeedRef::new([table; 3], None, OutputRef::Table(table), 1, 8)?;
/// let mut workspace = vec![0.0; model.session_workspace_len()];
/// let mut session = Session::new(model, &mut workspace)?;
/// session.push(1)?;
/// let mut logits = [0.0; 2];
/// session.logits(&mut logits)?;
/// assert_eq!(logits, [0.0, 1.0]);
/// # Ok::<(), barelm_kernels::error::KernelError>(())
/// ```
#[derive(Debug)]
pub struct Session<'a> {
    model: SeedRef<'a>,
    keys: &'a mut [f32],
    values: &'a mut [f32],
    hidden: &'a mut [f32],
    scratch: &'a mut [f32],
    len: usize,
    last: u32,
}

impl<'a> Session<'a> {
    /// A session that has read nothing.
    ///
    /// # Errors
    /// [`BufferTooSmall`] when `workspace` holds fewer than
    /// [`SeedRef::session_workspace_len`].
    pub fn new(model: SeedRef<'a>, workspace: &'a mut [f32]) -> Result<Self, BufferTooSmall> {
        let workspace = take(workspace, model.session_workspace_len())?;
        let cache = model.dim() * model.context();
        let (keys, rest) = workspace.split_at_mut_checked(cache).unwrap_or_default();
        let (values, rest) = rest.split_at_mut_checked(cache).unwrap_or_default();
        let (hidden, scratch) = rest.split_at_mut_checked(model.dim()).unwrap_or_default();
        Ok(Self {
            model,
            keys,
            values,
            hidden,
            scratch,
            len: 0,
            last: 0,
        })
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`ShapeError`] for a token outside the vocabulary.
    pub fn push(&mut self, token: u32) -> Result<(), ShapeError> {
        if token as usize >= self.model.vocab_size() {
            return Err(ShapeError);
        }
        let (d, context) = (self.model.dim(), self.model.context());
        if self.len == context {
            drop_oldest(self.keys, d);
            drop_oldest(self.values, d);
            self.len -= 1;
        }
        let [_, k, v] = self.model.tables();
        for (cache, table) in [(&mut *self.keys, k), (&mut *self.values, v)] {
            let mut cache = MatMut::new(cache, context, d)?;
            let row = cache.row_mut(self.len);
            for (to, from) in row.iter_mut().zip(table.row(token as usize)) {
                *to = *from;
            }
        }
        self.len += 1;
        self.last = token;
        Ok(())
    }

    /// Logits of the next token: before the first one, all equal.
    ///
    /// With a Huffman tree these are the logarithms of the probabilities.
    ///
    /// # Errors
    /// [`ShapeError`] unless there is one logit a token.
    ///
    /// # Precision
    /// As [`attend_one`](crate::attention::attend_one) and [`matvec`](crate::matmul::matvec).
    pub fn logits(&mut self, logits: &mut [f32]) -> Result<(), KernelError> {
        if logits.len() != self.model.vocab_size() {
            return Err(ShapeError.into());
        }
        let d = self.model.dim();
        let used = self.len * d;
        let keys = MatRef::new(self.keys.get(..used).unwrap_or(&[]), self.len, d)?;
        let values = MatRef::new(self.values.get(..used).unwrap_or(&[]), self.len, d)?;
        self.model
            .attend(self.last, keys, values, self.hidden, self.scratch)?;
        self.model.logits(self.hidden, logits, self.scratch)
    }

    /// Draws the next token and reads it; `logits` and `order` hold one element a token.
    ///
    /// # Errors
    /// [`SampleError`]: sampling that makes no sense, or buffers that are too small.
    pub fn generate(
        &mut self,
        sampling: &Sampling,
        rng: &mut Rng,
        logits: &mut [f32],
        order: &mut [u32],
    ) -> Result<u32, SampleError> {
        let needed = self.model.vocab_size();
        let too_small = SampleError::Buffer(BufferTooSmall { needed });
        let logits = take(logits, needed)?;
        self.logits(logits).map_err(|_| too_small)?;
        let token = sample(logits, order, sampling, rng)?;
        self.push(token).map_err(|_| too_small)?;
        Ok(token)
    }
}

/// Moves every row of `d` one place up, over the first.
fn drop_oldest(cache: &mut [f32], d: usize) {
    let cells = Cell::from_mut(cache).as_slice_of_cells();
    for (to, from) in cells.iter().zip(cells.get(d..).unwrap_or(&[])) {
        to.set(from.get());
    }
}
