//! Builds the flat tables that the kernels' tokenizer reads, from a vocabulary.

use super::lexicon::{Lexicon, Merges, TokenBytes};
use super::merges::{self, ByLength, LongSpeller, Mergeable};
use super::names::Names;
use super::token_table::{Refused, TokenTable};
use crate::huge::HugeSlice;
use crate::parallel;
use barelm_kernels::bpe::sections::{self, Tables};
use barelm_kernels::bpe::table::{
    EMPTY_PAIR, MAX_PROBES, NONE, PairSlot, UNREACHABLE, insert_pair, prefetch_pair, slots_for,
};
use barelm_kernels::bpe::{MergeRule, TokenizerRef};

/// Pairs whose slots are asked for before they are added.
const BATCH: usize = 16;

/// The tables of a tokenizer as vectors.
#[derive(Debug)]
pub(super) struct FlatTables {
    head: [u32; sections::HEAD_LEN],
    pub(super) tokens: TokenBytes,
    bytes: Vec<u32>,
    pairs: HugeSlice<PairSlot>,
    hashes: Vec<u32>,
    pub(super) specials: Vec<u32>,
    regex: Vec<u8>,
}

impl FlatTables {
    /// The tables of a vocabulary, or what is wrong with it.
    pub(super) fn build(mut lexicon: Lexicon) -> Result<Self, String> {
        lexicon.place_specials()?;
        let mut flat = Self::without_tables(&mut lexicon)?;
        let all: Vec<u32> = flat.ordinary().collect();
        let ids = ByLength::tokens(&flat.tokens, &all);
        flat.bytes = byte_tokens(&flat.tokens, &ids);
        // Without a list of merges nothing but the tokens is needed to find them.
        let spells =
            lexicon.rule == MergeRule::BytesRank && matches!(lexicon.merges, Merges::Ids(_));
        let (table, spelled) = parallel::join(
            || token_table(&flat.tokens, &all),
            || spells.then(|| merges::spelled_pairs(&flat.tokens, &flat.bytes, &ids)),
        );
        let table = table?;
        (flat.hashes, flat.head[3]) = (table.ids(), table.longest());
        let listed = flat.listed_pairs(&lexicon, &table)?;
        match (lexicon.rule, spelled) {
            (MergeRule::PairRank, _) => flat.fill_ranked_pairs(&ids, &table, listed)?,
            (MergeRule::BytesRank, Some(spelled)) => {
                flat.fill_pairs_from_ranks(&ids, spelled)?;
            }
            (MergeRule::BytesRank, None) => {
                let all = flat.mergeable(&ids, &table);
                let (pairs, are_listed) = merges::pairs_from_listed(all, &listed);
                let seen = if are_listed { pairs.len() } else { 0 };
                let pairs = flat.fill_pairs_from_ranks(&ids, pairs)?;
                merges::agree(&listed, &pairs[seen..])?;
            }
        }
        debug_assert_eq!(flat.tables().check(), Ok(()));
        debug_assert_eq!(flat.tables().check_slots(), Ok(()));
        Ok(flat)
    }

    /// Takes the tokens out of a lexicon; makes no tables yet.
    fn without_tables(lexicon: &mut Lexicon) -> Result<Self, String> {
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
            pairs: HugeSlice::filled(1, EMPTY_PAIR),
            hashes: Vec::new(),
            specials: lexicon.specials.iter().map(|(_, id)| *id).collect(),
            regex: Vec::new(),
        };
        if pattern.is_none() {
            flat.regex = lexicon.pattern.regex().as_bytes().to_vec();
        }
        flat.specials.sort_unstable();
        flat.specials.dedup();
        Ok(flat)
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

    /// The table of pairs under [`MergeRule::BytesRank`], from those of short tokens; returns all.
    fn fill_pairs_from_ranks(
        &mut self,
        ids: &ByLength,
        mut pairs: Vec<PairSlot>,
    ) -> Result<Vec<PairSlot>, String> {
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
        if slots_for(pairs.len()) != self.pairs.len() {
            most = self.fill_pairs(&pairs, pairs.len())?;
        }
        self.head[2] = most;
        Ok(pairs)
    }

    /// The table of pairs under [`MergeRule::PairRank`]: rank by place, that of the last where a
    /// pair is repeated, as in Hugging Face's library. Marks the tokens that merging their own
    /// bytes does not lead to.
    fn fill_ranked_pairs(
        &mut self,
        ids: &ByLength,
        table: &TokenTable,
        mut pairs: HugeSlice<PairSlot>,
    ) -> Result<(), String> {
        let (mut reached, distinct) =
            merges::reached_by_pairs(self.mergeable(ids, table), &mut pairs);
        self.head[2] = self.fill_pairs(&pairs[..distinct], distinct)?;
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

    fn mergeable<'t>(&'t self, ids: &'t ByLength, table: &'t TokenTable) -> Mergeable<'t> {
        let (tokens, bytes) = (&self.tokens, &self.bytes[..]);
        #[rustfmt::skip]
        let all = Mergeable { tokens, table, bytes, ids };
        all
    }

    /// The merges of a vocabulary; none where nobody reads them.
    fn listed_pairs(
        &self,
        lexicon: &Lexicon,
        table: &TokenTable,
    ) -> Result<HugeSlice<PairSlot>, String> {
        let mut names = Names::new(self, table, &lexicon.specials);
        match (&lexicon.merges, lexicon.rule) {
            (Merges::Ids(_), MergeRule::BytesRank) => Ok(HugeSlice::default()),
            (Merges::Ids(merges), MergeRule::PairRank) => names.pairs_of_ids(merges),
            (Merges::Parts(parts), _) => names.pairs_of_parts(parts),
        }
    }

    /// Builds the table of pairs with room for `len`, larger until no probe is long; returns the
    /// longest.
    fn fill_pairs(&mut self, pairs: &[PairSlot], len: usize) -> Result<u32, String> {
        grow(slots_for(len), |slots| {
            self.pairs = HugeSlice::filled(slots, EMPTY_PAIR);
            let slots = &mut self.pairs[..];
            let mut most = 1;
            for pairs in pairs.chunks(BATCH) {
                for [left, right, ..] in pairs {
                    prefetch_pair(slots, *left, *right);
                }
                for pair in pairs {
                    let Some(probe) = insert_pair(slots, *pair) else {
                        return Ok(None);
                    };
                    most = most.max(probe);
                }
            }
            Ok(Some(most))
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

/// The token of each byte, or [`NONE`].
fn byte_tokens(tokens: &TokenBytes, ids: &ByLength) -> Vec<u32> {
    let mut of_byte = vec![NONE; 256];
    for id in ids.groups().nth(1).into_iter().flatten() {
        of_byte[usize::from(tokens.get(*id)[0])] = *id;
    }
    of_byte
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
