//! Builds the flat tables that the kernels' tokenizer reads, from a vocabulary.

use super::lexicon::{Lexicon, Merges, TokenBytes};
use super::merges::{self, ByLength, LongSpeller};
use super::names::Names;
use super::token_table::{Refused, TokenTable};
use barelm_kernels::bpe::sections::{self, Tables};
use barelm_kernels::bpe::table::{
    EMPTY_PAIR, MAX_PROBES, NONE, PairSlot, UNREACHABLE, insert_pair, slots_for,
};
use barelm_kernels::bpe::{MergeRule, TokenizerRef};

/// The tables of a tokenizer as vectors.
#[derive(Clone, Debug)]
pub(super) struct FlatTables {
    head: [u32; sections::HEAD_LEN],
    pub(super) tokens: TokenBytes,
    bytes: Vec<u32>,
    pairs: Vec<PairSlot>,
    hashes: Vec<u32>,
    pub(super) specials: Vec<u32>,
    regex: Vec<u8>,
}

impl FlatTables {
    /// The tables of a vocabulary, or what is wrong with it.
    pub(super) fn build(mut lexicon: Lexicon) -> Result<Self, String> {
        lexicon.place_specials()?;
        let (mut flat, ids) = Self::without_merges(&mut lexicon)?;
        match lexicon.rule {
            MergeRule::PairRank => flat.fill_ranked_pairs(&ids, &lexicon)?,
            MergeRule::BytesRank => flat.head[2] = flat.fill_pairs_from_ranks(&ids)?,
        }
        if let (MergeRule::BytesRank, Merges::Parts(parts)) = (lexicon.rule, &lexicon.merges) {
            Names::new(&flat, &lexicon.specials).agree_with_ranks(parts)?;
        }
        debug_assert_eq!(flat.tables().check(), Ok(()));
        debug_assert_eq!(flat.tables().check_slots(), Ok(()));
        Ok(flat)
    }

    /// Takes the tokens out of a lexicon and makes all tables but that of the pairs.
    fn without_merges(lexicon: &mut Lexicon) -> Result<(Self, ByLength), String> {
        let empty = TokenBytes::with_capacity(0, 0);
        let tokens = std::mem::replace(&mut lexicon.tokens, empty);
        if tokens.len() >= UNREACHABLE as usize {
            return Err("more than 2 147 483 647 tokens".into());
        }
        u32::try_from(tokens.blob.len()).map_err(|_| "tokens of more than 4 GB")?;
        let pattern = lexicon.pattern.known();
        let mut flat = Self {
            head: sections::head(pattern, lexicon.rule, [MAX_PROBES; 2]),
            tokens,
            bytes: Vec::new(),
            pairs: vec![EMPTY_PAIR],
            hashes: Vec::new(),
            specials: lexicon.specials.iter().map(|(_, id)| *id).collect(),
            regex: Vec::new(),
        };
        if pattern.is_none() {
            flat.regex = lexicon.pattern.regex().as_bytes().to_vec();
        }
        flat.specials.sort_unstable();
        flat.specials.dedup();
        let ids: Vec<u32> = flat.ordinary().collect();
        let table = token_table(&flat.tokens, &ids)?;
        (flat.hashes, flat.head[3]) = (table.ids(), table.longest());
        let token = |byte| flat.tokenizer().token_id(&[byte]).unwrap_or(NONE);
        flat.bytes = (0..=255).map(token).collect();
        let ids = ByLength::tokens(&flat.tokens, &ids);
        Ok((flat, ids))
    }

    pub(super) fn tokenizer(&self) -> TokenizerRef<'_> {
        TokenizerRef::from_tables(self.tables())
    }

    /// Ids of the tokens that text may be encoded to.
    fn ordinary(&self) -> impl Iterator<Item = u32> {
        let present = self.tokens.iter().filter(|(_, token)| !token.is_empty());
        let ids = present.map(|(id, _)| id);
        ids.filter(|id| self.specials.binary_search(id).is_err())
    }

    /// The table of pairs under [`MergeRule::BytesRank`].
    fn fill_pairs_from_ranks(&mut self, ids: &ByLength) -> Result<u32, String> {
        let mut pairs = merges::pairs_from_ranks(&self.tokens, &self.bytes, ids);
        let mut most = self.fill_pairs(&pairs, pairs.len() + ids.long.len())?;
        let mut speller = LongSpeller::default();
        let len = |id: &u32| self.tokens.get(*id).len();
        for group in ids.long.chunk_by(|a, b| len(a) == len(b)) {
            let known = pairs.len();
            for id in group {
                if let [left, right] = *speller.spell(self.tokenizer(), self.tokens.get(*id)) {
                    pairs.push([left, right, *id, *id]);
                }
            }
            for pair in &pairs[known..] {
                let probe = insert_pair(&mut self.pairs, *pair).ok_or("pairs that hash alike")?;
                most = most.max(probe);
            }
        }
        // Long tokens that no pair makes took room for nothing.
        match slots_for(pairs.len()) == self.pairs.len() {
            true => Ok(most),
            false => self.fill_pairs(&pairs, pairs.len()),
        }
    }

    /// The table of pairs under [`MergeRule::PairRank`]: rank by place, that of the last where a
    /// pair is repeated, as in Hugging Face's library. Marks the tokens that merging their own
    /// bytes does not lead to.
    fn fill_ranked_pairs(&mut self, ids: &ByLength, lexicon: &Lexicon) -> Result<(), String> {
        let mut pairs = self.ranked_pairs(lexicon)?;
        let mut reached = merges::reached_by_pairs(&self.tokens, &self.bytes, ids, &mut pairs);
        self.head[2] = self.fill_pairs(&pairs, pairs.len())?;
        let mut speller = LongSpeller::default();
        for id in &ids.long {
            let spelled = speller.spell(self.tokenizer(), self.tokens.get(*id));
            reached[*id as usize] = *spelled == [*id];
        }
        for entry in self.hashes.iter_mut().filter(|entry| **entry != NONE) {
            if !reached[*entry as usize] {
                *entry |= UNREACHABLE;
            }
        }
        Ok(())
    }

    fn ranked_pairs(&self, lexicon: &Lexicon) -> Result<Vec<PairSlot>, String> {
        let mut names = Names::new(self, &lexicon.specials);
        match &lexicon.merges {
            Merges::Ids(merges) => names.pairs_of_ids(merges),
            Merges::Parts(parts) => names.pairs_of_parts(parts),
        }
    }

    /// Builds the table of pairs with room for `len`, larger until no probe is long; returns the
    /// longest.
    fn fill_pairs(&mut self, pairs: &[PairSlot], len: usize) -> Result<u32, String> {
        grow(slots_for(len), |slots| {
            self.pairs = vec![EMPTY_PAIR; slots];
            let probes = pairs.iter().map(|pair| insert_pair(&mut self.pairs, *pair));
            Ok(longest(probes))
        })
    }

    /// The tables, for the kernels.
    pub(super) fn tables(&self) -> Tables<'_> {
        Tables {
            head: &self.head,
            offsets: &self.tokens.offsets,
            blob: &self.tokens.blob,
            bytes: &self.bytes,
            pairs: &self.pairs,
            hashes: &self.hashes,
            specials: &self.specials,
            regex: &self.regex,
        }
    }
}

/// The table of bytes of ordinary tokens, larger until no probe is long; refuses two of equal
/// bytes.
fn token_table(tokens: &TokenBytes, ids: &[u32]) -> Result<TokenTable, String> {
    grow(slots_for(ids.len()), |slots| {
        match TokenTable::new(tokens, ids, slots) {
            Ok(table) => Ok(Some(table)),
            Err(Refused::Full) => Ok(None),
            Err(Refused::Twins(first, id)) => {
                let token = String::from_utf8_lossy(tokens.get(id));
                Err(format!("tokens {first} and {id} are both {token:?}"))
            }
        }
    })
}

/// Tries a table of ever more slots until `fill` manages.
fn grow<T>(
    mut slots: usize,
    mut fill: impl FnMut(usize) -> Result<Option<T>, String>,
) -> Result<T, String> {
    let most = slots.saturating_mul(64);
    while slots <= most {
        if let Some(filled) = fill(slots)? {
            return Ok(filled);
        }
        slots *= 2;
    }
    Err("its tokens hash alike; no table can hold them".into())
}

/// The longest of the probes, if none failed.
fn longest(mut probes: impl Iterator<Item = Option<u32>>) -> Option<u32> {
    probes.try_fold(1, |longest, probe| Some(longest.max(probe?)))
}
