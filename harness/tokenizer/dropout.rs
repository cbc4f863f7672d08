//! Byte-pair encoding with dropout: merges are left out at random, so that a model in training
//! sees a text cut in many ways.
//!
//! Provilkov, Emelianenko and Voita, "BPE-Dropout: Simple and Effective Subword Regularization",
//! 2020. The form is that of Hugging Face's library: candidates wait in a queue by rank; each one
//! drawn is put aside with probability p, otherwise it is merged (if it still can be) and those
//! put aside come back. The end is when all that were left have been put aside in a row.
//!
//! The random numbers of a piece follow from the seed and the piece's place in the text alone, so
//! neither threads nor the chunks that a text is read in change an id.

use super::{HarnessPattern, Tokenizer, byte_token};
use crate::kernels::bpe::TokenizerRef;
use crate::kernels::rng::Rng;
use crate::{Error, Result};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How likely a merge is left out, and which of the random encodings to give.
///
/// # Example
/// ```
/// use barelm::tokenizer::{Dropout, DropoutEncoder};
/// # use barelm::tokenizer::{HarnessPattern, MergeRule, Tokenizer, Vocabulary};
/// # fn main() -> barelm::Result<()> {
/// # let tokenizer = Tokenizer::from_vocabulary(&Vocabulary {
/// #     tokens: [&b"a"[..], b"b", b"ab", b" ", b"<end>"].map(<[u8]>::to_vec).to_vec(),
/// #     merges: vec![(0, 1)],
/// #     specials: vec![("<end>".into(), 4)],
/// #     pattern: HarnessPattern::parse("gpt2")?,
/// #     rule: MergeRule::PairRank,
/// # })?;
/// let encode = |probability| {
///     let dropout = Dropout { probability, seed: 1 };
///     let mut ids = Vec::new();
///     DropoutEncoder::new(&tokenizer, dropout).encode_into(b"ab", 0, &mut ids);
///     ids
/// };
/// assert_eq!((encode(0.0), encode(1.0)), (vec![2], vec![0, 1]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Probability of leaving out a merge each time it comes up: 0 gives the ordinary ids, 1 the
    /// tokens of single bytes; 0.1 is the paper's choice.
    pub probability: f32,
    /// The same seed gives the same ids.
    pub seed: u64,
}

impl Dropout {
    /// Refuses what is no probability.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn validate(&self) -> Result<()> {
        if (0.0..=1.0).contains(&self.probability) {
            return Ok(());
        }
        let message = format!(
            "a dropout of {} is no probability; choose one from 0 to 1, such as 0.1",
            self.probability
        );
        Err(Error::Usage(message))
    }
}

/// Encodes texts with dropout; see [`EncodeOptions`](super::EncodeOptions) for an example.
#[derive(Debug)]
pub struct DropoutEncoder<'t> {
    tokenizer: TokenizerRef<'t>,
    pattern: &'t HarnessPattern,
    dropout: Dropout,
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Reverse<Candidate>>,
    aside: Vec<Reverse<Candidate>>,
}

/// A token of the piece, in a list of neighbours; `gone` when its left one has swallowed it.
#[derive(Clone, Copy, Debug)]
struct Symbol {
    id: u32,
    previous: usize,
    next: usize,
    gone: bool,
}

/// No neighbour.
const NOBODY: usize = usize::MAX;

/// A merge of a symbol with its right neighbour; the lowest rank first, then the leftmost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rank: u32,
    at: usize,
    merged: u32,
}

impl<'t> DropoutEncoder<'t> {
    /// An encoder for any number of texts.
    pub fn new(tokenizer: &'t Tokenizer, dropout: Dropout) -> Self {
        Self {
            tokenizer: tokenizer.as_ref(),
            pattern: tokenizer.pattern(),
            dropout,
            symbols: Vec::new(),
            queue: BinaryHeap::new(),
            aside: Vec::new(),
        }
    }

    /// Appends the ids of a text that stands `position` bytes into all that is encoded.
    pub fn encode_into(&mut self, text: &[u8], position: u64, ids: &mut Vec<u32>) {
        let start = text.as_ptr().addr();
        self.pattern.for_each_piece(text, |piece| {
            let place = position + (piece.as_ptr().addr() - start) as u64;
            let mut rng = Rng::new(mixed(self.dropout.seed, place));
            self.spell(piece);
            self.merge(&mut rng);
            let left = self.symbols.iter().filter(|symbol| !symbol.gone);
            ids.extend(left.map(|symbol| symbol.id));
        });
    }

    /// One symbol a byte; bytes that the vocabulary does not have are left out.
    fn spell(&mut self, piece: &[u8]) {
        let mark = self.pattern.end_of_word();
        let bytes = piece.iter().chain(&mark);
        let known = bytes.filter_map(|byte| byte_token(self.tokenizer, *byte));
        self.symbols.clear();
        self.symbols
            .extend(known.enumerate().map(|(at, id)| Symbol {
                id,
                previous: at.wrapping_sub(1),
                next: at + 1,
                gone: false,
            }));
        if let Some(last) = self.symbols.last_mut() {
            last.next = NOBODY;
        }
    }

    fn merge(&mut self, rng: &mut Rng) {
        self.queue.clear();
        self.aside.clear();
        (0..self.symbols.len()).for_each(|at| self.queue.extend(self.candidate(at)));
        while let Some(top) = self.queue.pop() {
            if rng.uniform() < self.dropout.probability {
                self.aside.push(top);
                continue;
            }
            self.queue.extend(self.aside.drain(..));
            self.apply(top.0);
        }
    }

    /// The merge of the symbol at a place with the next one.
    fn candidate(&self, at: usize) -> Option<Reverse<Candidate>> {
        let symbol = self.symbols.get(at).filter(|symbol| !symbol.gone)?;
        let right = self.symbols.get(symbol.next)?;
        let (rank, merged) = self.tokenizer.merge_of(symbol.id, right.id)?;
        Some(Reverse(Candidate { rank, at, merged }))
    }

    /// Merges, unless other merges have taken one of the two away.
    fn apply(&mut self, Candidate { at, merged, .. }: Candidate) {
        let still = self.candidate(at).is_some_and(|c| c.0.merged == merged);
        if !still {
            return;
        }
        let Symbol {
            previous,
            next: right,
            ..
        } = self.symbols[at];
        let next = self.symbols[right].next;
        self.symbols[right].gone = true;
        (self.symbols[at].id, self.symbols[at].next) = (merged, next);
        if let Some(symbol) = self.symbols.get_mut(next) {
            symbol.previous = at;
        }
        self.queue.extend(self.candidate(previous));
        self.queue.extend(self.candidate(at));
    }
}

/// A seed for every place, by the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
fn mixed(seed: u64, place: u64) -> u64 {
    let mut z = place.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed.rotate_left(32);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}
