//! One token at a time through all layers, over cached keys and values: a step of generation.

use super::stored::Stored;
use super::{LlamaConfig, Tensor};
use crate::attention::{CachedMut, Element, attend_cached, cached_capacity};
use crate::blas1::axpy;
use crate::error::{BufferTooSmall, KernelError, ShapeError, take};
use crate::mat::{MatMut, MatRef};
use crate::model::CacheType;
use crate::rms_norm::rms_norm_forward;
use crate::rope::{rope_angles_into, rope_forward, rope_frequencies_into};
use crate::swiglu::swiglu_forward;

/// What sees the attention of a head: layer, head, and the weights of all places, oldest first.
pub(in crate::model) type Observer<'a> = &'a mut dyn FnMut(usize, usize, &[f32]);

/// Keys and values of the last `context` tokens. Positions are told by the keys' turns, so the
/// places need no order: the newest token takes that of the oldest.
#[derive(Debug)]
pub(in crate::model) struct Cache<'a> {
    model: Stored<'a>,
    store: Store<'a>,
    /// What the output layer reads: `d`, zeros before the first token.
    out: &'a mut [f32],
    step: Step<'a>,
    /// Tokens read so far.
    position: usize,
}

/// Keys and values, layer behind layer.
#[derive(Debug)]
enum Store<'a> {
    F32([&'a mut [f32]; 2]),
    F16([&'a mut [u16]; 2]),
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
    /// A quantised vector.
    bytes: &'a mut [i8],
    /// Weights of one head, or probabilities of a tree.
    scratch: &'a mut [f32],
}

/// Elements of workspace for [`Cache::new`].
pub(in crate::model) fn workspace_len(model: &Stored<'_>, kind: CacheType) -> usize {
    model.config().session_workspace_len(model.is_int8(), kind)
}

impl<'a> Cache<'a> {
    pub(in crate::model) fn new(
        model: Stored<'a>,
        kind: CacheType,
        workspace: &'a mut [f32],
    ) -> Result<Self, BufferTooSmall> {
        let mut rest = take(workspace, workspace_len(&model, kind))?;
        let parts = model
            .config()
            .session_parts(model.is_int8(), kind)
            .map(|len| {
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
            bytes,
        ] = parts;
        rope_frequencies_into(model.config().theta, frequencies);
        out.fill(0.0);
        let store = match kind {
            CacheType::F32 => Store::F32([keys, values]),
            CacheType::F16 => Store::F16([keys, values].map(cells_of)),
        };
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
            bytes: cells_of(bytes),
            scratch: rest,
        };
        Ok(Self {
            model,
            store,
            out,
            step,
            position: 0,
        })
    }

    /// Logits of the token after the last.
    pub(in crate::model) fn logits(&mut self, logits: &mut [f32]) -> Result<(), KernelError> {
        let Step { scratch, bytes, .. } = &mut self.step;
        self.model.logits(self.out, logits, scratch, bytes)
    }

    /// Reads a token of the vocabulary.
    pub(in crate::model) fn push(
        &mut self,
        token: u32,
        mut observer: Option<Observer<'_>>,
    ) -> Result<(), KernelError> {
        let (model, step) = (self.model, &mut self.step);
        let config = *model.config();
        rope_angles_into(self.position, step.frequencies, step.cos, step.sin)?;
        model.embed(token, step.stream)?;
        for l in 0..config.layers {
            step.project(&model, l)?;
            match &mut self.store {
                Store::F32(cells) => {
                    step.attend(&config, l, self.position, cells, &mut observer)?;
                }
                Store::F16(cells) => {
                    step.attend(&config, l, self.position, cells, &mut observer)?;
                }
            }
            step.add_product(&model, Tensor::AttentionOutput(l))?;
            step.feed_forward(&model, l)?;
            step.add_product(&model, Tensor::Down(l))?;
        }
        let weight = model.norm(Tensor::FinalNorm);
        normalise(self.out, step.stream, weight, config.epsilon)?;
        self.position += 1;
        Ok(())
    }
}

impl Step<'_> {
    /// `Wqkv rms_norm(x)`, queries and keys turned by the position.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn project(&mut self, model: &Stored<'_>, l: usize) -> Result<(), KernelError> {
        let config = model.config();
        let weight = model.norm(Tensor::AttentionNorm(l));
        normalise(self.normed, self.stream, weight, config.epsilon)?;
        model.product(self.qkv, Tensor::QueryKeyValue(l), self.normed, self.bytes)?;
        let turned = config.query_width() + config.key_width();
        let turned = take(self.qkv, turned)?;
        let (width, h) = (turned.len(), self.cos.len());
        let (cos, sin) = (MatRef::new(self.cos, 1, h)?, MatRef::new(self.sin, 1, h)?);
        rope_forward(MatMut::new(turned, 1, width)?, cos, sin)?;
        Ok(())
    }

    /// Puts the newest key and value in the cache; then what its query finds there, head by head.
    fn attend<T: Element>(
        &mut self,
        config: &LlamaConfig,
        l: usize,
        position: usize,
        cells: &mut [&mut [T]; 2],
        observer: &mut Option<Observer<'_>>,
    ) -> Result<(), KernelError> {
        let (context, key_width) = (config.context, config.key_width());
        let (width, size) = (config.head_width, config.layer_cache_len());
        let layer = l * size..(l + 1) * size;
        let [keys, values] = cells
            .each_mut()
            .map(|cells| cells.get_mut(layer.clone()).unwrap_or_default());
        let capacity = cached_capacity(context);
        let mut cache = CachedMut::new(keys, values, config.kv_heads, width, capacity)?;
        let (queries, rest) = split(self.qkv, config.query_width());
        let (key, value) = split(rest, key_width);
        cache.put(position.checked_rem(context).unwrap_or(0), key, value)?;
        let places = context.min(position + 1);
        let group = config.heads.checked_div(config.kv_heads).unwrap_or(0);
        let weights = take(self.scratch, group * places)?;
        for shared in 0..config.kv_heads {
            let range = shared * group * width..(shared + 1) * group * width;
            let query = queries.get(range.clone()).unwrap_or(&[]);
            let out = self.heads.get_mut(range).unwrap_or_default();
            attend_cached(out, weights, query, cache.as_ref(), shared, config.scale())?;
            let Some(observe) = observer else {
                continue;
            };
            // The oldest place is the one that the next token takes.
            let oldest = (position + 1).checked_rem(context).unwrap_or(0);
            let oldest = oldest.checked_rem(places).unwrap_or(0);
            for i in 0..group {
                let weights = weights.get_mut(i * places..(i + 1) * places);
                let weights = weights.unwrap_or_default();
                rotate_left(weights, oldest);
                observe(l, shared * group + i, weights);
            }
        }
        Ok(())
    }

    /// `silu(Wgate n) * Wup n` with `n = rms_norm(x)`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn feed_forward(&mut self, model: &Stored<'_>, l: usize) -> Result<(), KernelError> {
        let weight = model.norm(Tensor::HiddenNorm(l));
        normalise(self.normed, self.stream, weight, model.config().epsilon)?;
        model.product(self.gate_up, Tensor::GateUp(l), self.normed, self.bytes)?;
        let hidden = self.gated.len();
        let gated = MatMut::new(self.gated, 1, hidden)?;
        swiglu_forward(gated, MatRef::new(self.gate_up, 1, 2 * hidden)?)?;
        Ok(())
    }

    /// `x += Wo heads`, or `x += Wdown gated`.
    fn add_product(&mut self, model: &Stored<'_>, tensor: Tensor) -> Result<(), KernelError> {
        let y = match tensor {
            Tensor::AttentionOutput(_) => &*self.heads,
            _ => &*self.gated,
        };
        model.product(self.normed, tensor, y, self.bytes)?;
        axpy(1.0, self.normed, self.stream)?;
        Ok(())
    }
}

/// A part of the workspace as smaller elements.
fn cells_of<T: bytemuck::Pod>(part: &mut [f32]) -> &mut [T] {
    bytemuck::try_cast_slice_mut(part).unwrap_or_default()
}

/// `out = rms_norm(x)` of one row.
fn normalise(out: &mut [f32], x: &[f32], weight: &[f32], epsilon: f32) -> Result<(), ShapeError> {
    let (out, d) = (MatMut::new(out, 1, x.len())?, x.len());
    rms_norm_forward(out, &mut [0.0], MatRef::new(x, 1, d)?, weight, epsilon)
}

/// A slice in two; the second is empty if the first takes more than there is.
fn split(x: &[f32], at: usize) -> (&[f32], &[f32]) {
    x.split_at_checked(at).unwrap_or_default()
}

/// [`slice::rotate_left`], without its panic: three times turned round.
fn rotate_left(x: &mut [f32], by: usize) {
    let (front, back) = x.split_at_mut_checked(by).unwrap_or_default();
    front.reverse();
    back.reverse();
    x.reverse();
}
