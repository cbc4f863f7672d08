//! Configuration *seed*: one layer of attention over tables of a query, a key and a value a token.
//!
//! ```text
//! q = Q[x]   k = K[x]   v = V[x]                    rows of three tables, cut into heads
//! h_t = concatenated heads of sum_{s <= t} softmax_s(q_t . k_s / sqrt(d_k) + bias[t - s]) v_s
//! logit(w) = h_t . U[w]                             or the path of w through a Huffman tree
//! ```
//! Source: Vaswani et al., Attention Is All You Need, 2017; Shaw et al., Self-Attention with
//! Relative Position Representations, 2018 (the bias, reduced to a number a head and distance).

use super::llama::Observer;
use super::output::OutputRef;
use crate::attention::{attend_one, attend_one_workspace_len};
use crate::error::{BufferTooSmall, KernelError, ShapeError, take};
use crate::mat::{MatMut, MatRef};
use crate::matmul::matvec;
use crate::softmax::softmax_in_place;
use core::cell::Cell;

/// The tables of a model of configuration seed, whose shapes fit each other.
#[derive(Clone, Copy, Debug)]
pub struct SeedRef<'a> {
    q: MatRef<'a>,
    k: MatRef<'a>,
    v: MatRef<'a>,
    bias: Option<MatRef<'a>>,
    output: OutputRef<'a>,
    heads: usize,
    context: usize,
}

impl<'a> SeedRef<'a> {
    /// Puts the tables together.
    ///
    /// # Shapes
    /// `tables`: queries, keys and values, `V x d` each; `bias`: `heads x context`, by distance.
    ///
    /// # Errors
    /// [`ShapeError`] when shapes differ, `d`, `V` or `context` is 0, or `heads` does not divide
    /// `d`.
    pub fn new(
        tables: [MatRef<'a>; 3],
        bias: Option<MatRef<'a>>,
        output: OutputRef<'a>,
        heads: usize,
        context: usize,
    ) -> Result<Self, ShapeError> {
        let [q, k, v] = tables;
        let model = Self {
            q,
            k,
            v,
            bias,
            output,
            heads,
            context,
        };
        model.fits().then_some(model).ok_or(ShapeError)
    }

    fn fits(&self) -> bool {
        let shape = |m: MatRef| (m.rows(), m.cols());
        let (vocab_size, d) = shape(self.q);
        let output = match self.output {
            OutputRef::Table(u) => shape(u) == (vocab_size, d),
            OutputRef::Tree { thetas, tree } => {
                tree.vocab_size() == vocab_size && shape(thetas) == (tree.inner_nodes(), d)
            }
        };
        let bias = self
            .bias
            .is_none_or(|bias| shape(bias) == (self.heads, self.context));
        let cache = self.context.checked_mul(2).and_then(|n| d.checked_mul(n));
        let sizes = vocab_size > 0 && d > 0 && self.context > 0 && cache.is_some();
        let heads = self.heads > 0 && self.head_width() * self.heads == d;
        let tables = shape(self.k) == shape(self.q) && shape(self.v) == shape(self.q);
        output && bias && sizes && heads && tables
    }

    /// Number of tokens `V`.
    #[inline(always)]
    pub fn vocab_size(&self) -> usize {
        self.q.rows()
    }

    /// Width `d` of the tables.
    #[inline(always)]
    pub fn dim(&self) -> usize {
        self.q.cols()
    }

    /// Number of heads.
    #[inline(always)]
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Most tokens, the last one included, that a prediction looks at.
    #[inline(always)]
    pub fn context(&self) -> usize {
        self.context
    }

    /// Queries, keys and values.
    #[inline(always)]
    pub fn tables(&self) -> [MatRef<'a>; 3] {
        [self.q, self.k, self.v]
    }

    /// Added to the scores of one head, by distance.
    #[inline(always)]
    pub fn bias(&self, head: usize) -> Option<&'a [f32]> {
        self.bias.map(|bias| bias.row(head))
    }

    /// The output layer.
    #[inline(always)]
    pub fn output(&self) -> OutputRef<'a> {
        self.output
    }

    /// `1 / sqrt(d / heads)`, the factor of the scores.
    pub fn scale(&self) -> f32 {
        1.0 / libm::sqrtf(self.head_width() as f32)
    }

    /// Width of one head, `d / heads`.
    #[inline(always)]
    pub fn head_width(&self) -> usize {
        self.dim().checked_div(self.heads).unwrap_or(0)
    }

    /// Elements of workspace that a [`Session`](super::Session) over this model needs.
    pub fn session_workspace_len(&self) -> usize {
        let cache = self.dim().saturating_mul(2 * self.context + 1);
        let scratch = self.output.workspace_len();
        cache.saturating_add(scratch.max(attend_one_workspace_len(self.context)))
    }

    /// `h` of the last of the cached positions, of which `token` is the token.
    fn attend(
        &self,
        token: u32,
        keys: MatRef<'_>,
        values: MatRef<'_>,
        hidden: &mut [f32],
        workspace: &mut [f32],
    ) -> Result<(), KernelError> {
        let query = MatRef::new(self.q.row(token as usize), 1, self.dim())?;
        let width = self.head_width();
        for head in 0..self.heads {
            let q = head_of(query, head, width)?;
            let k = head_of(keys, head, width)?;
            let v = head_of(values, head, width)?;
            let out = hidden.get_mut(head * width..).unwrap_or_default();
            let out = take(out, width)?;
            let bias = self.bias(head);
            attend_one(out, q.row(0), k, v, self.scale(), bias, workspace)?;
        }
        Ok(())
    }
}

/// Keys and values of the last `context` tokens, in order: when there is no room, the oldest falls
/// out. For one layer that equals starting anew with these tokens.
#[derive(Debug)]
pub(super) struct Cache<'a> {
    model: SeedRef<'a>,
    keys: &'a mut [f32],
    values: &'a mut [f32],
    hidden: &'a mut [f32],
    scratch: &'a mut [f32],
    len: usize,
    last: u32,
}

impl<'a> Cache<'a> {
    pub(super) fn new(
        model: SeedRef<'a>,
        workspace: &'a mut [f32],
    ) -> Result<Self, BufferTooSmall> {
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

    /// Reads a token of the vocabulary.
    pub(super) fn push(&mut self, token: u32) -> Result<(), ShapeError> {
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

    /// Logits of the token after the last.
    pub(super) fn logits(&mut self, logits: &mut [f32]) -> Result<(), KernelError> {
        let [keys, values] = [&*self.keys, &*self.values].map(|cache| self.used(cache));
        self.model
            .attend(self.last, keys?, values?, self.hidden, self.scratch)?;
        let output = self.model.output();
        output.logits(self.hidden, logits, self.scratch)
    }

    /// Shows where the last token looks, head by head.
    pub(super) fn observe(&mut self, observe: Observer<'_>) -> Result<(), KernelError> {
        let (model, width) = (self.model, self.model.head_width());
        let query = MatRef::new(model.q.row(self.last as usize), 1, model.dim())?;
        for head in 0..model.heads {
            let q = head_of(query, head, width)?;
            let keys = head_of(self.used(self.keys)?, head, width)?;
            let weights = take(self.scratch, self.len)?;
            matvec(weights, keys, q.row(0))?;
            for weight in weights.iter_mut() {
                *weight *= model.scale();
            }
            for (weight, bias) in weights
                .iter_mut()
                .rev()
                .zip(model.bias(head).unwrap_or(&[]))
            {
                *weight += bias;
            }
            softmax_in_place(weights);
            observe(0, head, weights);
        }
        Ok(())
    }

    /// The rows of a cache that are filled.
    fn used<'b>(&self, cache: &'b [f32]) -> Result<MatRef<'b>, ShapeError> {
        let d = self.model.dim();
        MatRef::new(cache.get(..self.len * d).unwrap_or(&[]), self.len, d)
    }
}

/// Moves every row of `d` one place up, over the first.
fn drop_oldest(cache: &mut [f32], d: usize) {
    let cells = Cell::from_mut(cache).as_slice_of_cells();
    for (to, from) in cells.iter().zip(cells.get(d..).unwrap_or(&[])) {
        to.set(from.get());
    }
}

/// The columns of one head: a view of a tensor of several.
fn head_of(m: MatRef<'_>, head: usize, width: usize) -> Result<MatRef<'_>, ShapeError> {
    let data = m.data().get(head * width..).unwrap_or(&[]);
    MatRef::with_stride(data, m.rows(), width, m.stride())
}
