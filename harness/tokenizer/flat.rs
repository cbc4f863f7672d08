//! Builds the flat tables that the kernels' tokenizer reads, from a vocabulary.

use super::Vocabulary;
use barelm_kernels::bpe::sections::{self, Tables};
use barelm_kernels::bpe::table::{
    EMPTY_PAIR, NONE, PairSlot, UNREACHABLE, insert_bytes, insert_pair, slots_for,
};
use barelm_kernels::bpe::{MergeRule, TokenizerRef, encode_workspace_len};
use std::collections::HashMap;

/// The tables of a tokenizer as vectors.
#[derive(Clone, Debug, Default)]
pub(super) struct FlatTables {
    head: [u32; sections::HEAD_LEN],
    offsets: Vec<u32>,
    blob: Vec<u8>,
    bytes: Vec<u32>,
    pairs: Vec<PairSlot>,
    hashes: Vec<u32>,
    specials: Vec<u32>,
    regex: Vec<u8>,
}

impl FlatTables {
    /// The tables of a vocabulary, or what is wrong with it.
    pub(super) fn build(vocabulary: &Vocabulary) -> Result<Self, String> {
        let tokens = vocabulary.all_tokens()?;
        if tokens.len() >= UNREACHABLE as usize {
            return Err("more than 2 147 483 647 tokens".into());
        }
        let ids = vocabulary.ids(&tokens)?;
        let mut flat = Self::default();
        flat.lay_out_tokens(&tokens)?;
        flat.specials = vocabulary.specials.iter().map(|(_, id)| *id).collect();
        flat.specials.sort_unstable();
        flat.specials.dedup();
        if vocabulary.pattern.known().is_none() {
            flat.regex = vocabulary.pattern.regex().as_bytes().to_vec();
        }
        let ordinary = |byte: u8| {
            ids.get(&[byte][..])
                .copied()
                .filter(|id| !flat.is_special(*id))
        };
        flat.bytes = (0..=255)
            .map(|byte| ordinary(byte).unwrap_or(NONE))
            .collect();
        let pairs = match vocabulary.rule {
            MergeRule::PairRank => ranked_pairs(vocabulary, &tokens, &ids)?,
            MergeRule::BytesRank => flat.pairs_from_ranks(&tokens)?,
        };
        let longest = flat.fill_pairs(&pairs)?;
        flat.head = sections::head(vocabulary.pattern.known(), vocabulary.rule, [longest, 0]);
        flat.fill_hashes(&tokens)?;
        debug_assert_eq!(flat.tables().check(), Ok(()));
        debug_assert_eq!(flat.tables().check_slots(), Ok(()));
        Ok(flat)
    }

    fn lay_out_tokens(&mut self, tokens: &[&[u8]]) -> Result<(), String> {
        self.offsets.push(0);
        for token in tokens {
            self.blob.extend_from_slice(token);
            let end = u32::try_from(self.blob.len()).map_err(|_| "tokens of more than 4 GB")?;
            self.offsets.push(end);
        }
        Ok(())
    }

    fn is_special(&self, id: u32) -> bool {
        self.specials.binary_search(&id).is_ok()
    }

    /// For each token the one pair that can come up and give it: the last two parts of its bytes'
    /// own encoding with all shorter tokens. See [`MergeRule::BytesRank`].
    fn pairs_from_ranks(&mut self, tokens: &[&[u8]]) -> Result<Vec<PairSlot>, String> {
        let long = |id: &u32| tokens[*id as usize].len() > 1 && !self.is_special(*id);
        let mut order: Vec<u32> = (0..tokens.len() as u32).filter(long).collect();
        order.sort_by_key(|id| tokens[*id as usize].len());
        self.pairs = vec![EMPTY_PAIR; slots_for(order.len())];
        self.hashes = vec![NONE];
        self.head[2] = barelm_kernels::bpe::table::MAX_PROBES;
        let mut pairs = Vec::with_capacity(order.len());
        let mut speller = Speller::default();
        for group in order.chunk_by(|a, b| tokens[*a as usize].len() == tokens[*b as usize].len()) {
            let known = pairs.len();
            for id in group {
                if let [left, right] = *speller.spell(self.tables(), tokens[*id as usize]) {
                    pairs.push([left, right, *id, *id]);
                }
            }
            for pair in &pairs[known..] {
                insert_pair(&mut self.pairs, *pair).ok_or("pairs that hash alike")?;
            }
        }
        Ok(pairs)
    }

    /// Builds the table of pairs, larger until no probe is long; returns the longest.
    fn fill_pairs(&mut self, pairs: &[PairSlot]) -> Result<u32, String> {
        grow(slots_for(pairs.len()), |slots| {
            self.pairs = vec![EMPTY_PAIR; slots];
            let mut probes = pairs.iter().map(|pair| insert_pair(&mut self.pairs, *pair));
            probes.try_fold(1, |longest, probe| Some(longest.max(probe?)))
        })
    }

    /// Builds the table of bytes of ordinary tokens, and notes which of them merging reaches.
    fn fill_hashes(&mut self, tokens: &[&[u8]]) -> Result<(), String> {
        self.hashes = vec![NONE];
        let mut speller = Speller::default();
        let mut entries = Vec::with_capacity(tokens.len());
        for (id, token) in (0u32..).zip(tokens) {
            if token.is_empty() || self.is_special(id) {
                continue;
            }
            let whole = self.head[1] != 0 || *speller.spell(self.tables(), token) == [id];
            entries.push((*token, if whole { id } else { id | UNREACHABLE }));
        }
        self.head[3] = grow(slots_for(entries.len()), |slots| {
            self.hashes = vec![NONE; slots];
            let mut probes = entries
                .iter()
                .map(|(token, e)| insert_bytes(&mut self.hashes, token, *e));
            probes.try_fold(1, |longest, probe| Some(longest.max(probe?)))
        })?;
        Ok(())
    }

    /// The tables, for the kernels.
    pub(super) fn tables(&self) -> Tables<'_> {
        Tables {
            head: &self.head,
            offsets: &self.offsets,
            blob: &self.blob,
            bytes: &self.bytes,
            pairs: &self.pairs,
            hashes: &self.hashes,
            specials: &self.specials,
            regex: &self.regex,
        }
    }
}

/// Tries a table of ever more slots until `fill` manages.
fn grow(mut slots: usize, mut fill: impl FnMut(usize) -> Option<u32>) -> Result<u32, String> {
    let most = slots.saturating_mul(64);
    while slots <= most {
        if let Some(longest) = fill(slots) {
            return Ok(longest);
        }
        slots *= 2;
    }
    Err("its tokens hash alike; no table can hold them".into())
}

/// The vocabulary's merges as slots: rank by place, that of the last where a pair is repeated, as
/// in Hugging Face's library.
fn ranked_pairs(
    vocabulary: &Vocabulary,
    tokens: &[&[u8]],
    ids: &HashMap<&[u8], u32>,
) -> Result<Vec<PairSlot>, String> {
    let mut pairs = HashMap::with_capacity(vocabulary.merges.len());
    let bytes = |id: u32| {
        let known = tokens.get(id as usize).filter(|token| !token.is_empty());
        known.ok_or_else(|| format!("a merge names token {id}, which does not exist"))
    };
    for (rank, (left, right)) in (0u32..).zip(&vocabulary.merges) {
        let whole = [*bytes(*left)?, *bytes(*right)?].concat();
        let id = ids.get(&whole[..]).ok_or_else(|| {
            let token = String::from_utf8_lossy(&whole).into_owned();
            format!("merge {rank} gives {token:?}, which is no token")
        })?;
        pairs.insert((*left, *right), [*left, *right, rank, *id]);
    }
    let mut pairs: Vec<PairSlot> = pairs.into_values().collect();
    pairs.sort_unstable_by_key(|[_, _, rank, _]| *rank);
    Ok(pairs)
}

/// Encodes bytes by merges alone, in buffers that are used again.
#[derive(Default)]
struct Speller {
    ids: Vec<u32>,
    workspace: Vec<u32>,
}

impl Speller {
    fn spell(&mut self, tables: Tables<'_>, bytes: &[u8]) -> &[u32] {
        self.ids.resize(self.ids.len().max(bytes.len() + 1), 0);
        let needed = encode_workspace_len(bytes.len());
        self.workspace.resize(self.workspace.len().max(needed), 0);
        let tokenizer = TokenizerRef::from_tables(tables);
        let len = tokenizer
            .merge_into(bytes, &mut self.ids, &mut self.workspace)
            .expect("buffers are large enough");
        &self.ids[..len]
    }
}
