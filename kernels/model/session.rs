//! Text that grows token by token, over a cache of keys and values in the caller's buffer.

use super::llama::{self, Stored};
use super::{CacheType, Network, Parameters, seed};
use crate::error::{BufferTooSmall, KernelError, ShapeError, take};
use crate::rng::Rng;
use crate::sample::{SampleError, Sampling, sample};

/// A model and the last `context` tokens that it has read.
///
/// Keys and values of these tokens are kept; when there is no room, the oldest fall out. For one
/// layer that equals starting anew with the last `context` tokens; deeper layers remember through
/// the others a little of what fell out.
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
    vocab_size: usize,
    cache: Cache<'a>,
}

#[derive(Debug)]
enum Cache<'a> {
    Seed(seed::Cache<'a>),
    Llama(llama::Cache<'a>),
}

impl<'a> Session<'a> {
    /// A session that has read nothing, with a cache in `f32`.
    ///
    /// # Errors
    /// [`BufferTooSmall`] when `workspace` holds fewer than
    /// [`Parameters::session_workspace_len`].
    pub fn new(
        model: impl Into<Parameters<'a>>,
        workspace: &'a mut [f32],
    ) -> Result<Self, BufferTooSmall> {
        Self::with_cache(model, CacheType::F32, workspace)
    }

    /// A session that has read nothing.
    ///
    /// # Errors
    /// [`BufferTooSmall`] when `workspace` holds fewer than
    /// [`Parameters::session_workspace_len_with`].
    pub fn with_cache(
        model: impl Into<Parameters<'a>>,
        cache: CacheType,
        workspace: &'a mut [f32],
    ) -> Result<Self, BufferTooSmall> {
        Self::of(model.into(), cache, workspace)
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn of(
        model: Parameters<'a>,
        cache: CacheType,
        workspace: &'a mut [f32],
    ) -> Result<Self, BufferTooSmall> {
        let vocab_size = model.vocab_size();
        let llama = |stored, workspace| llama::Cache::new(stored, cache, workspace);
        let cache = match model {
            Parameters::F32(Network::Seed(model)) => {
                Cache::Seed(seed::Cache::new(model, workspace)?)
            }
            Parameters::F32(Network::Llama(model)) => {
                Cache::Llama(llama(Stored::F32(model), workspace)?)
            }
            Parameters::Int8(model) => Cache::Llama(llama(Stored::Int8(model), workspace)?),
        };
        Ok(Self { vocab_size, cache })
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`ShapeError`](crate::error::ShapeError) for a token outside the vocabulary.
    pub fn push(&mut self, token: u32) -> Result<(), KernelError> {
        self.check(token)?;
        match &mut self.cache {
            Cache::Seed(cache) => Ok(cache.push(token)?),
            Cache::Llama(cache) => cache.push(token, None),
        }
    }

    /// Reads a token, and shows where it looks: `observe` is called with each layer and head, and
    /// the weights, which sum to 1, of the tokens in the cache, oldest first; the last is the token's own.
    ///
    /// # Errors
    /// As [`Session::push`].
    pub fn push_observed(
        &mut self,
        token: u32,
        observe: &mut dyn FnMut(usize, usize, &[f32]),
    ) -> Result<(), KernelError> {
        self.check(token)?;
        match &mut self.cache {
            Cache::Seed(cache) => {
                cache.push(token)?;
                cache.observe(observe)
            }
            Cache::Llama(cache) => cache.push(token, Some(observe)),
        }
    }

    fn check(&self, token: u32) -> Result<(), ShapeError> {
        let known = (token as usize) < self.vocab_size;
        known.then_some(()).ok_or(ShapeError)
    }

    /// Logits of the next token: before the first one, as for a hidden vector of zeros.
    ///
    /// With a Huffman tree these are the logarithms of the probabilities.
    ///
    /// # Errors
    /// [`ShapeError`] unless there is one logit a token.
    ///
    /// # Precision
    /// As [`attend_cached`](crate::attention::attend_cached) and [`matvec`](crate::matmul::matvec); over
    /// weights in eight bits, every vector before a product is quantised, too
    /// ([`int8::matvec`](crate::int8::matvec)).
    pub fn logits(&mut self, logits: &mut [f32]) -> Result<(), KernelError> {
        if logits.len() != self.vocab_size {
            return Err(ShapeError.into());
        }
        match &mut self.cache {
            Cache::Seed(cache) => cache.logits(logits),
            Cache::Llama(cache) => cache.logits(logits),
        }
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
        let needed = self.vocab_size;
        let too_small = SampleError::Buffer(BufferTooSmall { needed });
        let logits = take(logits, needed)?;
        self.logits(logits).map_err(|_| too_small)?;
        let token = sample(logits, order, sampling, rng)?;
        self.push(token).map_err(|_| too_small)?;
        Ok(token)
    }
}
