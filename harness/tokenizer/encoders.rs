//! Encoders for several threads.

use super::encoder::SharedWords;
use super::{EncodeOptions, Encoder, TextEncoder, Tokenizer};
use crate::Result;
use std::sync::Arc;

/// Encoders of one tokenizer, one a thread, that learn words from each other: each gives the ids
/// that it would give alone, and all together spend less time.
///
/// # Example
/// ```
/// use barelm::tokenizer::Tokenizer;
/// # use barelm::tokenizer::{HarnessPattern, MergeRule, Vocabulary};
/// # fn main() -> barelm::Result<()> {
/// # let tokenizer = Tokenizer::from_vocabulary(&Vocabulary {
/// #     tokens: [&b"a"[..], b"b", b"ab"].map(<[u8]>::to_vec).to_vec(),
/// #     merges: vec![(0, 1)],
/// #     specials: vec![],
/// #     pattern: HarnessPattern::parse("gpt2")?,
/// #     rule: MergeRule::PairRank,
/// # })?;
/// let encoders = tokenizer.encoders();
/// let encode = |text: &'static str| {
///     let mut encoder = encoders.encoder();
///     move || {
///         let mut ids = Vec::new();
///         encoder.encode_into(text.as_bytes(), &mut ids);
///         ids
///     }
/// };
/// let ids = std::thread::scope(|scope| {
///     let threads = ["abba", "ab"].map(|text| scope.spawn(encode(text)));
///     threads.map(|thread| thread.join().unwrap())
/// });
/// assert_eq!(ids, [vec![2, 1, 0], vec![2]]);
/// # Ok(())
/// # }
/// ```
pub struct Encoders<'t> {
    tokenizer: &'t Tokenizer,
    words: Arc<SharedWords>,
}

impl<'t> Encoders<'t> {
    pub(super) fn new(tokenizer: &'t Tokenizer) -> Self {
        let words = Arc::default();
        Self { tokenizer, words }
    }

    /// An encoder of ordinary text.
    pub fn encoder(&self) -> Encoder<'t> {
        self.tokenizer.encoder().sharing(self.words.clone())
    }

    /// An encoder with options.
    ///
    /// # Errors
    /// Those of [`TextEncoder::new`].
    pub fn text_encoder(&self, options: &EncodeOptions) -> Result<TextEncoder<'t>> {
        let encoder = TextEncoder::new(self.tokenizer, options)?;
        Ok(encoder.sharing(self.words.clone()))
    }
}
