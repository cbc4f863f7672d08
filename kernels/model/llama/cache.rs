//! One token at a time through all layers, over cached keys and values: a step of generation.

use super::{LlamaRef, Tensor};
use crate::attention::{attend_one, attend_one_workspace_len};
use crate::blas1::axpy;
use crate::error::{BufferTooSmall, KernelError, take};
use crate::mat::{MatMut, MatRef};
use crate::matmul::matvec;
use crate::model::seed::head_of;
use crate::rms_norm::rms_norm_forward;
use crate::rope::{rope_angles_into, rope_forward, rope_frequencies_into};
use crate::swiglu::swiglu_forward;

/// Keys and values of the last `context` tokens. Positions are told by the keys' turns, so the
/// rows need no order: the newest token takes the place of the oldest.
#[derive(Debug)]
pub(in crate::model) struct Cache<'a> {
    model: LlamaRef<'a>,
    /// `context x key_width` a layer.
    keys: &'a mut [f32],
    values: &'a mut [f32],
    /// What the output layer reads: `d`, zeros before the first token.
    out: &'a mut [f32],
    step: Step<'a>,
    /// Tokens read so far.
    position: usize,
}

/// What one token needs on its way, used again by every layer and every token.
#[derive(Debug)]
struct Step<'a> {
    /// The residual stream, and its normalised copy.
    stream: &'a mut [f32],
    normed: &'a mut [f32],
    /// Queries, keys and values, then what the heads found, then gates and ups, then their product.
    qkv: &'a mut [f32],
    heads: &'a mut [f32],
    gate_up: &'a mut [f32],
    gated: &'a mut [f32],
    frequencies: &'a mut [f32],
    cos: &'a mut [f32],
    sin: &'a mut [f32],
    /// Weights of one head, or probabilities of a tree.
    scratch: &'a mut [f32],
}

/// Elements of the two caches, and of everything in a [`Step`] but its scratch.
fn lens(model: &LlamaRef<'_>) -> [usize; 12] {
    let config = model.config();
    let cache = config.layers * config.context * config.key_width();
    let (d, h) = (config.dim, config.head_width / 2);
    let (qkv, heads) = (config.qkv_width(), config.query_width());
    let hidden = config.hidden;
    [
        cache,
        cache,
        d,
        d,
        d,
        qkv,
        heads,
        2 * hidden,
        hidden,
        h,
        h,
        h,
    ]
}

/// Elements of workspace for [`Cache::new`].
pub(super) fn workspace_len(model: &LlamaRef<'_>) -> usize {
    let scores = attend_one_workspace_len(model.config().context);
    let scratch = scores.max(model.output().workspace_len());
    let lens = lens(model).into_iter();
    lens.fold(scratch, usize::saturating_add)
}

impl<'a> Cache<'a> {
    pub(in crate::model) fn new(
        model: LlamaRef<'a>,
        workspace: &'a mut [f32],
    ) -> Result<Self, BufferTooSmall> {
        let mut rest = take(workspace, workspace_len(&model))?;
        let parts = lens(&model).map(|len| {
            let (part, after) = core::mem::take(&mut rest)
                .split_at_mut_checked(len)
                .unwrap_or_default();
            rest = after;
            part
        });
        let [
            keys,
            values,
            out,
            stream,
            normed,
            qkv,
            heads,
            gate_up,
            gated,
            frequencies,
            cos,
            sin,
        ] = parts;
        rope_frequencies_into(model.config().theta, frequencies);
        out.fill(0.0);
        let step = Step {
            stream,
            normed,
            qkv,
            heads,
            gate_up,
            gated,
            frequencies,
            cos,
            sin,
            scratch: rest,
        };
        Ok(Self {
            model,
            keys,
            values,
            out,
            step,
            position: 0,
        })
    }

    /// The hidden vector after the last token, and scratch for the output layer.
    pub(in crate::model) fn hidden(&mut self) -> (&[f32], &mut [f32]) {
        (self.out, self.step.scratch)
    }

    /// Reads a token of the vocabulary.
    pub(in crate::model) fn push(&mut self, token: u32) -> Result<(), KernelError> {
        let (model, step) = (self.model, &mut self.step);
        rope_angles_into(self.position, step.frequencies, step.cos, step.sin)?;
        let embedding = model.matrix(Tensor::Embedding).row(token as usize);
        for (x, e) in step.stream.iter_mut().zip(embedding) {
            *x = *e;
        }
        for l in 0..model.config().layers {
            self.attention(l)?;
            self.step.feed_forward(&model, l)?;
        }
        let weight = model.vector(Tensor::FinalNorm);
        normalise(self.out, self.step.stream, weight, model.config().epsilon)?;
        self.position += 1;
        Ok(())
    }

    /// `x += Wo attention(Wqkv rms_norm(x))`, the newest token's query against the cache.
    fn attention(&mut self, l: usize) -> Result<(), KernelError> {
        let (model, config) = (self.model, *self.model.config());
        let step = &mut self.step;
        step.project(&model, l)?;
        let (queries, rest) = split(step.qkv, config.query_width());
        let (keys, values) = split(rest, config.key_width());
        let size = config.context * config.key_width();
        let [cached_keys, cached_values] = [&mut *self.keys, &mut *self.values]
            .map(|cache| cache.get_mut(l * size..).unwrap_or_default());
        for (cache, new) in [(&mut *cached_keys, keys), (&mut *cached_values, values)] {
            let mut rows = MatMut::new(take(cache, size)?, config.context, config.key_width())?;
            let row = rows.row_mut(self.position.checked_rem(config.context).unwrap_or(0));
            for (to, from) in row.iter_mut().zip(new) {
                *to = *from;
            }
        }
        let (width, used) = (config.head_width, config.context.min(self.position + 1));
        let group = config
            .heads
            .checked_div(config.kv_heads)
            .unwrap_or(1)
            .max(1);
        let heads = queries
            .chunks_exact(width.max(1))
            .zip(step.heads.chunks_exact_mut(width.max(1)));
        for (head, (query, out)) in heads.enumerate() {
            let [k, v] = [&*cached_keys, &*cached_values].map(|cache| {
                let rows = MatRef::with_stride(cache, used, config.key_width(), config.key_width());
                rows.and_then(|rows| head_of(rows, head / group, width))
            });
            attend_one(out, query, k?, v?, config.scale(), None, step.scratch)?;
        }
        let w = model.matrix(Tensor::AttentionOutput(l));
        add_product(step.stream, step.normed, w, step.heads)
    }
}

impl Step<'_> {
    /// `Wqkv rms_norm(x)`, queries and keys turned by the position.
    fn project(&mut self, model: &LlamaRef<'_>, l: usize) -> Result<(), KernelError> {
        let config = model.config();
        let weight = model.vector(Tensor::AttentionNorm(l));
        normalise(self.normed, self.stream, weight, config.epsilon)?;
        matvec(
            self.qkv,
            model.matrix(Tensor::QueryKeyValue(l)),
            self.normed,
        )?;
        let turned = config.query_width() + config.key_width();
        let turned = take(self.qkv, turned)?;
        let (width, h) = (turned.len(), self.cos.len());
        let (cos, sin) = (MatRef::new(self.cos, 1, h)?, MatRef::new(self.sin, 1, h)?);
        rope_forward(MatMut::new(turned, 1, width)?, cos, sin)?;
        Ok(())
    }

    /// `x += Wdown (silu(Wgate n) * Wup n)` with `n = rms_norm(x)`.
    fn feed_forward(&mut self, model: &LlamaRef<'_>, l: usize) -> Result<(), KernelError> {
        let weight = model.vector(Tensor::HiddenNorm(l));
        normalise(self.normed, self.stream, weight, model.config().epsilon)?;
        matvec(self.gate_up, model.matrix(Tensor::GateUp(l)), self.normed)?;
        let hidden = self.gated.len();
        let gated = MatMut::new(self.gated, 1, hidden)?;
        swiglu_forward(gated, MatRef::new(self.gate_up, 1, 2 * hidden)?)?;
        let w = model.matrix(Tensor::Down(l));
        add_product(self.stream, self.normed, w, self.gated)
    }
}

/// `stream += W y`; the product lies in `scratch` meanwhile.
fn add_product(
    stream: &mut [f32],
    scratch: &mut [f32],
    w: MatRef<'_>,
    y: &[f32],
) -> Result<(), KernelError> {
    matvec(scratch, w, y)?;
    axpy(1.0, scratch, stream)?;
    Ok(())
}

/// `out = rms_norm(x)` of one row.
fn normalise(out: &mut [f32], x: &[f32], weight: &[f32], epsilon: f32) -> Result<(), KernelError> {
    let (out, d) = (MatMut::new(out, 1, x.len())?, x.len());
    rms_norm_forward(out, &mut [0.0], MatRef::new(x, 1, d)?, weight, epsilon)?;
    Ok(())
}

/// A slice in two; the second is empty if the first takes more than there is.
fn split(x: &[f32], at: usize) -> (&[f32], &[f32]) {
    x.split_at_checked(at).unwrap_or_default()
}
