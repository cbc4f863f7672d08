//! Configuration *seed*: one layer of attention over tables of a query, a key and a value a token.
//!
//! ```text
//! q = Q[x]   k = K[x]   v = V[x]                    rows of three tables, cut into heads
//! h_t = concatenated heads of sum_{s <= t} softmax_s(q_t . k_s / sqrt(d_k) + bias[t - s]) v_s
//! logit(w) = h_t . U[w]                             or the path of w through a Huffman tree
//! ```
//! Source: Vaswani et al., Attention Is All You Need, 2017; Shaw et al., Self-Attention with
//! Relative Position Representations, 2018 (the bias, reduced to a number a head and distance).

use crate::attention::{attend_one, attend_one_workspace_len};
use crate::error::{KernelError, ShapeError, take};
use crate::huffman::{HuffmanRef, probabilities_workspace_len};
use crate::mat::MatRef;
use crate::matmul::matvec;

/// How a hidden vector becomes a distribution over the vocabulary.
#[derive(Clone, Copy, Debug)]
pub enum OutputRef<'a> {
    /// `softmax(U h)`, `U` one row of `d` a token.
    Table(MatRef<'a>),
    /// Hierarchical softmax.
    Tree {
        /// One row of `d` an inner node.
        thetas: MatRef<'a>,
        /// The paths.
        tree: HuffmanRef<'a>,
    },
}

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
        cache.saturating_add(self.step_workspace_len())
    }

    /// Scratch of one prediction: scores of a head, then probabilities of a tree.
    fn step_workspace_len(&self) -> usize {
        let output = match self.output {
            OutputRef::Table(_) => 0,
            OutputRef::Tree { .. } => probabilities_workspace_len(self.vocab_size()),
        };
        output.max(attend_one_workspace_len(self.context))
    }

    /// `h` of the last of the cached positions, of which `token` is the token.
    pub(super) fn attend(
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

    /// Logits of every token; for a tree the logarithms of their probabilities.
    pub(super) fn logits(
        &self,
        hidden: &[f32],
        logits: &mut [f32],
        workspace: &mut [f32],
    ) -> Result<(), KernelError> {
        match self.output {
            OutputRef::Table(u) => matvec(logits, u, hidden)?,
            OutputRef::Tree { thetas, tree } => {
                tree.probabilities_into(hidden, thetas, workspace, logits)?;
                for x in logits {
                    *x = libm::logf(*x);
                }
            }
        }
        Ok(())
    }
}

/// The columns of one head: a view of a tensor of several.
fn head_of(m: MatRef<'_>, head: usize, width: usize) -> Result<MatRef<'_>, ShapeError> {
    let data = m.data().get(head * width..).unwrap_or(&[]);
    MatRef::with_stride(data, m.rows(), width, m.stride())
}
