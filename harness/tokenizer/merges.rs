//! Which pairs make which tokens: found by merging each token's own bytes, shorter tokens first.

use super::lexicon::TokenBytes;
use super::speller::{SHORT, Speller};
use super::splits::{Others, Splits};
use super::token_table::TokenTable;
use barelm_kernels::bpe::table::{NONE, PairSlot};
use barelm_kernels::bpe::{TokenizerRef, encode_workspace_len};

/// Items by length: those of up to [`SHORT`], shorter ones first, and all longer ones in the order
/// of theirs. Items of one length keep their order.
pub(super) struct ByLength {
    short: Vec<u32>,
    /// Where the items of each length end in `short`.
    ends: [usize; SHORT + 1],
    pub(super) long: Vec<u32>,
}

impl ByLength {
    fn new(items: &[u32], len: impl Fn(u32) -> usize) -> Self {
        let mut ends = [0; SHORT + 1];
        let mut long = Vec::new();
        for item in items {
            match ends.get_mut(len(*item)) {
                Some(count) => *count += 1,
                None => long.push(*item),
            }
        }
        long.sort_by_key(|item| len(*item));
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        let mut short = vec![0; start];
        for item in items {
            if let Some(next) = ends.get_mut(len(*item)) {
                short[*next] = *item;
                *next += 1;
            }
        }
        Self { short, ends, long }
    }

    /// These tokens.
    pub(super) fn tokens(tokens: &TokenBytes, ids: &[u32]) -> Self {
        Self::new(ids, |id| tokens.len_of(id))
    }

    /// The short items of each length, from none on.
    pub(super) fn groups(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.short[*start..*end])
    }
}

/// What merging is about: tokens, their table, the token of each byte, and the ids to look at.
#[derive(Clone, Copy)]
pub(super) struct Mergeable<'t> {
    pub(super) tokens: &'t TokenBytes,
    pub(super) table: &'t TokenTable,
    pub(super) bytes: &'t [u32],
    pub(super) ids: &'t ByLength,
}

/// For each short token the one pair that can come up and give it: the last two parts of its
/// bytes' own encoding with all shorter tokens. See
/// [`MergeRule::BytesRank`](super::MergeRule::BytesRank).
pub(super) fn spelled_pairs(tokens: &TokenBytes, bytes: &[u32], ids: &ByLength) -> Vec<PairSlot> {
    let mut pairs = Vec::with_capacity(tokens.len());
    let mut speller = Speller::new(tokens, bytes, None);
    for group in ids.groups() {
        let made = group.iter().zip(speller.last_pairs(group));
        let made = made.filter_map(|(id, pair)| pair.map(|(l, r)| [l, r, *id, *id]));
        let known = pairs.len();
        pairs.extend(made);
        speller.add(&pairs[known..]);
    }
    pairs
}

/// [`spelled_pairs`], found sooner where they are `listed`; and whether all of them are.
pub(super) fn pairs_from_listed(all: Mergeable<'_>, listed: &[PairSlot]) -> (Vec<PairSlot>, bool) {
    let Ok(splits) = Splits::new(all, listed, Others::ByBytes) else {
        let spelled = spelled_pairs(all.tokens, all.bytes, all.ids);
        return (spelled, false);
    };
    let pair = |id: &u32| splits.pair(*id).map(|(l, r)| [l, r, *id, *id]);
    let mut pairs = Vec::with_capacity(all.tokens.len());
    pairs.extend(all.ids.short.iter().filter_map(pair));
    (pairs, splits.are_all_listed())
}

/// Which tokens merging their bytes leads to; long ones are left out. Of equal pairs all but the last
/// are dropped: the number of those that are left, in front, is returned as well.
///
/// Pairs have the rank of their place.
pub(super) fn reached_by_pairs(all: Mergeable<'_>, pairs: &mut [PairSlot]) -> (Vec<bool>, usize) {
    let Mergeable {
        tokens, bytes, ids, ..
    } = all;
    let mut reached = vec![false; tokens.len()];
    // Ranks in the order of ids are ids.
    if pairs.is_sorted_by(|a, b| a[3] < b[3])
        && let Ok(splits) = Splits::new(all, pairs, Others::DoNotMerge)
    {
        for id in &ids.short {
            reached[*id as usize] = splits.is_made(*id);
        }
        return (reached, pairs.len());
    }
    let wholes: Vec<u32> = pairs.iter().map(|[.., whole]| *whole).collect();
    let len = |rank: u32| tokens.get(wholes[rank as usize]).len();
    let by_rank: Vec<u32> = (0..pairs.len() as u32).collect();
    let ranks = ByLength::new(&by_rank, len);
    let mut speller = Speller::new(tokens, bytes, Some(&wholes));
    let mut distinct = true;
    let mut add = |speller: &mut Speller<'_>, ranks: &[u32]| {
        let added: Vec<_> = ranks.iter().map(|rank| pairs[*rank as usize]).collect();
        distinct &= speller.add(&added);
    };
    for (group, ranks) in ids.groups().zip(ranks.groups()) {
        let last = speller.last_pairs(group);
        add(&mut speller, ranks);
        for (id, pair) in group.iter().zip(last) {
            let rank = pair.map_or(NONE, |(left, right)| speller.rank(left, right));
            let whole = wholes.get(rank as usize);
            reached[*id as usize] = whole == Some(id) || tokens.get(*id).len() == 1;
        }
    }
    add(&mut speller, &ranks.long);
    let mut len = pairs.len();
    if !distinct {
        len = 0;
        for at in 0..pairs.len() {
            let [left, right, rank, _] = pairs[at];
            if speller.rank(left, right) == rank {
                pairs[len] = pairs[at];
                len += 1;
            }
        }
    }
    (reached, len)
}

/// Whether merging by listed pairs, in their order, is merging by the rank of bytes: each of `pairs`,
/// to which the ids lead, is listed, and what the listed ones give is in the order of ids.
pub(super) fn agree(listed: &[PairSlot], pairs: &[PairSlot]) -> Result<(), String> {
    let is_listed = |[left, right, _, id]: &PairSlot| {
        let first = listed.partition_point(|[.., whole]| whole < id);
        let mut of_id = listed[first..].iter().take_while(|[.., whole]| whole == id);
        of_id.any(|[l, r, ..]| (l, r) == (left, right))
    };
    let in_order = listed.is_sorted_by_key(|[.., whole]| *whole);
    match in_order && pairs.iter().all(is_listed) {
        true => Ok(()),
        false => Err(NOT_BY_RANK.into()),
    }
}

const NOT_BY_RANK: &str = "ignore_merges is not supported where merges are not in the order of \
    ids; choose with --rule which of them counts, bytes or pairs";

/// Merges the bytes of long tokens by the kernels, in buffers that are used again.
#[derive(Default)]
pub(super) struct LongSpeller {
    ids: Vec<u32>,
    workspace: Vec<u32>,
}

impl LongSpeller {
    /// What merging leads to; nothing if a byte has no token.
    pub(super) fn spell(&mut self, tokenizer: TokenizerRef<'_>, token: &[u8]) -> &[u32] {
        let of_byte = tokenizer.tables().bytes;
        if token.iter().any(|byte| of_byte[usize::from(*byte)] == NONE) {
            return &[];
        }
        self.ids.resize(token.len(), 0);
        self.workspace.resize(encode_workspace_len(token.len()), 0);
        let len = tokenizer.merge_into(token, &mut self.ids, &mut self.workspace);
        &self.ids[..len.expect("buffers are large enough")]
    }
}
