//! Vocabularies that the input describes, and the encoder that nobody would doubt.

use barelm::tokenizer::{HarnessPattern, MergeRule, Tokenizer, Vocabulary};
use std::collections::HashMap;

/// Patterns with a name.
pub const PATTERNS: [&str; 4] = ["gpt2", "cl100k", "o200k", "whitespace"];

/// Takes numbers from the front of an input.
pub struct Input<'a>(pub &'a [u8]);

impl Input<'_> {
    /// The next byte; 0 at the end.
    pub fn byte(&mut self) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first)
    }

    /// A vocabulary of up to 64 merges over all bytes. Few letters, so that merges come up often
    /// and get into each other's way; tokens as long as two bytes of input can make them.
    pub fn vocabulary(&mut self) -> Vocabulary {
        let pattern = PATTERNS[self.byte() % PATTERNS.len()];
        let rule = [MergeRule::PairRank, MergeRule::BytesRank][self.byte() % 2];
        let letters: Vec<u32> = b"abcd e\n'1".iter().map(|b| u32::from(*b)).collect();
        let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        let mut merges = Vec::new();
        for _ in 0..self.byte() % 65 {
            let mut part = || {
                let choices = letters.len() + tokens.len() - 256;
                let choice = self.byte() % choices;
                let later = |at: usize| 256 + (at - letters.len()) as u32;
                letters
                    .get(choice)
                    .copied()
                    .unwrap_or_else(|| later(choice))
            };
            let (left, right) = (part(), part());
            let token = [&tokens[left as usize][..], &tokens[right as usize]].concat();
            if token.len() <= 4096 && !tokens.contains(&token) {
                tokens.push(token);
                merges.push((left, right));
            }
        }
        Vocabulary {
            tokens,
            merges,
            specials: Vec::new(),
            pattern: HarnessPattern::parse(pattern).expect("a known pattern"),
            rule,
        }
    }

    /// What is left as text, every piece of eight bytes as often as its first byte says: long runs
    /// from short inputs.
    pub fn text(&mut self, most: usize) -> Vec<u8> {
        let pieces = self.0.chunks(8);
        let mut text: Vec<u8> = pieces
            .flat_map(|piece| piece[1..].repeat(1 + usize::from(piece[0]) / 16))
            .collect();
        text.truncate(most);
        text
    }
}

/// Encodes by the definition: again and again, the pair that comes first, until none is left.
pub fn encode(vocabulary: &Vocabulary, text: &[u8]) -> Vec<u32> {
    let ids: HashMap<&[u8], u32> = vocabulary
        .tokens
        .iter()
        .map(Vec::as_slice)
        .zip(0..)
        .collect();
    let ranks: HashMap<(u32, u32), usize> = vocabulary.merges.iter().copied().zip(0..).collect();
    let merged = |left: u32, right: u32| {
        let both = [
            &vocabulary.tokens[left as usize][..],
            &vocabulary.tokens[right as usize],
        ];
        let id = ids.get(&both.concat()[..]).copied();
        match vocabulary.rule {
            MergeRule::PairRank => ranks.get(&(left, right)).copied().zip(id),
            MergeRule::BytesRank => id.map(|id| (id as usize, id)),
        }
    };
    let mut encoded = Vec::new();
    vocabulary.pattern.for_each_piece(text, |piece| {
        let mut piece = piece.to_vec();
        piece.extend(vocabulary.pattern.end_of_word());
        if vocabulary.rule == MergeRule::BytesRank
            && let Some(id) = ids.get(&piece[..])
        {
            return encoded.push(*id);
        }
        let mut tokens: Vec<u32> = piece.iter().map(|b| u32::from(*b)).collect();
        let first = |tokens: &[u32]| {
            let pairs = tokens.windows(2).enumerate();
            pairs
                .filter_map(|(at, p)| Some((merged(p[0], p[1])?, at)))
                .min_by_key(|((rank, _), at)| (*rank, *at))
        };
        while let Some(((_, id), at)) = first(&tokens) {
            tokens.splice(at..at + 2, [id]);
        }
        encoded.extend(tokens);
    });
    encoded
}

/// The tokenizer of a vocabulary.
pub fn tokenizer(vocabulary: &Vocabulary) -> Tokenizer {
    Tokenizer::from_vocabulary(vocabulary).expect("a sound vocabulary")
}
