//! `.tiktoken`: a line a token, its bytes in base64 and its rank.

use super::lexicon::{Lexicon, Merges, TokenBytes};
use super::load::LoadOptions;
use super::{HarnessPattern, MergeRule};
use crate::{Error, Result, parallel};
use barelm_kernels::bpe::Pattern;
use std::path::Path;
use xxhash_rust::xxh64::xxh64;

/// A published file: xxh64 of its content, its pattern, its special tokens.
struct Published {
    hash: u64,
    pattern: Pattern,
    specials: &'static [(&'static str, u32)],
}

const PUBLISHED: [Published; 4] = [
    // r50k_base
    Published {
        hash: 0xee99_bd9e_71c2_c951,
        pattern: Pattern::Gpt2,
        specials: &[("<|endoftext|>", 50256)],
    },
    // p50k_base
    Published {
        hash: 0x8afc_4826_d6a7_9f26,
        pattern: Pattern::Gpt2,
        specials: &[("<|endoftext|>", 50256)],
    },
    // cl100k_base
    Published {
        hash: 0x3b30_11b0_30a0_a0ba,
        pattern: Pattern::Cl100k,
        specials: &[
            ("<|endoftext|>", 100257),
            ("<|fim_prefix|>", 100258),
            ("<|fim_middle|>", 100259),
            ("<|fim_suffix|>", 100260),
            ("<|endofprompt|>", 100276),
        ],
    },
    // o200k_base
    Published {
        hash: 0xf305_caa8_da2a_769b,
        pattern: Pattern::O200k,
        specials: &[("<|endoftext|>", 199999), ("<|endofprompt|>", 200018)],
    },
];

/// Bytes of a file that is worth a second thread.
const LARGE: usize = 1 << 16;

/// Reads the tokens; they merge by the rank of their bytes.
pub(super) fn read(path: &Path, content: &[u8], options: &LoadOptions) -> Result<Lexicon> {
    let hash = xxh64(content, 0);
    let published = PUBLISHED.iter().find(|file| file.hash == hash);
    let known = published.map(|file| HarnessPattern::Known(file.pattern));
    let pattern = options.pattern.clone().or(known).ok_or_else(|| {
        let message = "a .tiktoken file does not name its pattern; name it with --pattern";
        Error::data(
            path,
            format!("{message} gpt2, cl100k, o200k or a regular expression"),
        )
    });
    let tokens = tokens(path, content)?;
    let specials = published.map_or(&[][..], |file| file.specials);
    Ok(Lexicon {
        tokens,
        merges: Merges::Ids(Vec::new()),
        specials: specials
            .iter()
            .map(|(name, id)| (name.to_string(), *id))
            .collect(),
        pattern: pattern?,
        rule: MergeRule::BytesRank,
    })
}

fn tokens(path: &Path, content: &[u8]) -> Result<TokenBytes> {
    if let Some(lines) = in_halves(content) {
        return Ok(lines.into_tokens());
    }
    // What is wrong, and where, a walk from the start tells.
    let lines = Lines::read(content);
    let bad = |(at, message)| Error::data_at(path, at, message);
    Ok(lines.map_err(bad)?.into_tokens())
}

/// The lines of a large file without faults, on two threads.
fn in_halves(content: &[u8]) -> Option<Lines<'_>> {
    if content.len() < LARGE {
        return None;
    }
    let middle = memchr::memrchr(b'\n', &content[..content.len() / 2])?;
    let (first, second) = content.split_at(middle);
    let (first, second) = parallel::join(|| Lines::read(first), || Lines::read(second));
    let (mut lines, second) = (first.ok()?, second.ok()?);
    let twin = |(a, b): (&bool, &bool)| *a && *b;
    if lines.seen.iter().zip(&second.seen).any(twin) {
        return None;
    }
    let before = lines.blob.len() as u32;
    lines.blob.extend_from_slice(&second.blob);
    let entries = second.entries.iter();
    lines
        .entries
        .extend(entries.map(|(rank, end)| (*rank, before + end)));
    Some(lines)
}

/// A file that is read line by line, and what its lines hold.
struct Lines<'c> {
    content: &'c [u8],
    /// What is read next.
    at: usize,
    /// The tokens' bytes.
    blob: Vec<u8>,
    /// Rank of each token, and where its bytes end in the blob.
    entries: Vec<(u32, u32)>,
    /// Whether a rank is a token's.
    seen: Vec<bool>,
}

impl<'c> Lines<'c> {
    /// All lines, or what is wrong with which place.
    fn read(content: &'c [u8]) -> std::result::Result<Self, (u64, &'static str)> {
        let mut lines = Self {
            content,
            at: 0,
            blob: Vec::with_capacity(content.len() / 2),
            entries: Vec::with_capacity(content.len() / 16),
            seen: Vec::new(),
        };
        while lines.skip_blanks() {
            let start = lines.at as u64;
            lines.add().map_err(|message| (start, message))?;
        }
        Ok(lines)
    }

    fn into_tokens(self) -> TokenBytes {
        TokenBytes::from_unsorted(self.blob, &self.entries)
    }

    /// Goes to the next character that is no white space; `false` at the end of the file.
    fn skip_blanks(&mut self) -> bool {
        while self.next().is_some_and(|c| c.is_ascii_whitespace()) {
            self.at += 1;
        }
        self.at < self.content.len()
    }

    fn next(&self) -> Option<u8> {
        self.content.get(self.at).copied()
    }

    /// Reads a line.
    fn add(&mut self) -> std::result::Result<(), &'static str> {
        let rank = self.token().and_then(|()| self.rank());
        let rank = rank.ok_or("not a tokenizer: this line is not base64, a space and a rank")?;
        // Ranks without tokens are rare: a rank far above the number of lines is damage.
        if rank > self.content.len() || self.seen.get(rank).is_some_and(|seen| *seen) {
            return Err("this rank is another token's, or far too high");
        }
        self.seen.resize(self.seen.len().max(rank + 1), false);
        self.seen[rank] = true;
        self.entries.push((rank as u32, self.blob.len() as u32));
        Ok(())
    }

    /// Reads base64 (RFC 4648, with padding) and the space behind it to the end of the blob.
    fn token(&mut self) -> Option<()> {
        loop {
            let group = self.content[self.at..].first_chunk::<4>()?;
            self.at += 4;
            if self.next() == Some(b' ') {
                self.at += 1;
                return self.last_group(*group);
            }
            self.blob.extend_from_slice(&decode(*group)?);
        }
    }

    /// Decodes a group that padding may end.
    fn last_group(&mut self, mut group: [u8; 4]) -> Option<()> {
        let padding = group.iter().rev().take_while(|c| **c == b'=').count();
        if padding > 2 {
            return None;
        }
        group[4 - padding..].fill(b'A');
        self.blob.extend_from_slice(&decode(group)?[..3 - padding]);
        Some(())
    }

    /// Reads decimal digits, which end the line.
    fn rank(&mut self) -> Option<usize> {
        let start = self.at;
        let mut rank = 0_usize;
        while let Some(digit @ b'0'..=b'9') = self.next() {
            rank = rank
                .checked_mul(10)?
                .checked_add(usize::from(digit - b'0'))?;
            self.at += 1;
        }
        let is_number = self.at > start;
        while self
            .next()
            .is_some_and(|c| c.is_ascii_whitespace() && c != b'\n')
        {
            self.at += 1;
        }
        (is_number && matches!(self.next(), None | Some(b'\n'))).then_some(rank)
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Value of each base64 digit; [`NO_DIGIT`] for all other characters.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        digits[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    digits
};
const NO_DIGIT: u8 = 0xff;

fn decode(group: [u8; 4]) -> Option<[u8; 3]> {
    let [a, b, c, d] = group.map(|c| DIGITS[usize::from(c)]);
    let word = u32::from(a) << 18 | u32::from(b) << 12 | u32::from(c) << 6 | u32::from(d);
    let [_, bytes @ ..] = word.to_be_bytes();
    (a | b | c | d != NO_DIGIT).then_some(bytes)
}

/// The content of a file: a line for each id and its token.
pub(super) fn to_lines<'t>(tokens: impl Iterator<Item = (u32, &'t [u8])>) -> Vec<u8> {
    let mut lines = Vec::new();
    for (id, token) in tokens {
        for group in token.chunks(3) {
            lines.extend_from_slice(&encode(group));
        }
        lines.extend_from_slice(format!(" {id}\n").as_bytes());
    }
    lines
}

/// Base64 of up to three bytes.
fn encode(group: &[u8]) -> [u8; 4] {
    let word = [0, 1, 2].map(|i| u32::from(group.get(i).copied().unwrap_or(0)));
    let word = word[0] << 16 | word[1] << 8 | word[2];
    let mut text = [18, 12, 6, 0].map(|shift| ALPHABET[(word >> shift & 63) as usize]);
    text[1 + group.len()..].fill(b'=');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_and_nonsense_is_not() {
        let base64 = |text: &[u8]| {
            let line = [text, b" 0\n"].concat();
            let tokens = tokens(Path::new("x.tiktoken"), &line).ok()?;
            Some(tokens.get(0).to_vec())
        };
        assert_eq!(base64(b"aGVsbG8="), Some(b"hello".to_vec()));
        assert_eq!(base64(b"IA=="), Some(b" ".to_vec()));
        assert_eq!(base64(b"/+8A"), Some(vec![0xff, 0xef, 0]));
        for token in [&b"hello"[..], b" ", b"\xff\xef\x00", b"abcd"] {
            let line = to_lines([(7, token)].into_iter());
            let text = line.strip_suffix(b" 7\n").unwrap();
            assert_eq!(base64(text), Some(token.to_vec()));
        }
        for bad in [
            &b""[..],
            b"a",
            b"a===",
            b"IA==IA==",
            b"a b=",
            b"====",
            b"IA== ",
        ] {
            assert_eq!(base64(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn lines_that_are_no_tokens_are_errors_with_their_place() {
        let path = Path::new("x.tiktoken");
        let place = |content: &[u8]| match tokens(path, content) {
            Err(Error::Data { offset, .. }) => offset,
            other => panic!("{other:?}"),
        };
        assert_eq!(place(b"IA== 0\nIQ== x\n"), Some(7));
        assert_eq!(place(b"IA== 0\nIQ== 0\n"), Some(7));
        assert_eq!(place(b"IA== 99999999999\n"), Some(0));
        let tokens = tokens(path, b"IA== 1\n\n").unwrap();
        let tokens: Vec<_> = tokens.iter().collect();
        assert_eq!(tokens, [(0, &b""[..]), (1, b" ")]);
    }

    #[test]
    fn a_large_file_is_read_as_a_small_one() {
        let names: Vec<_> = (0..20_000_u32)
            .map(|rank| format!("token {rank}"))
            .collect();
        let named = |ranks: &[u32]| {
            let line = |rank: &u32| (*rank, names[*rank as usize].as_bytes());
            to_lines(ranks.iter().map(line))
        };
        let ranks: Vec<u32> = (0..20_000).rev().collect();
        let tokens_of = |ranks: &[u32]| tokens(Path::new("x.tiktoken"), &named(ranks));
        let read = tokens_of(&ranks).unwrap();
        assert!(
            read.iter()
                .all(|(rank, token)| token == names[rank as usize].as_bytes())
        );
        assert_eq!(read.len(), names.len());
        // The same rank in both halves.
        let twice = [&ranks[..], &[19_999]].concat();
        let last_line = named(&ranks).len() as u64;
        match tokens_of(&twice) {
            Err(Error::Data { offset, .. }) => assert_eq!(offset, Some(last_line)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_unknown_file_needs_a_pattern() {
        let path = Path::new("x.tiktoken");
        let error = read(path, b"IA== 0\n", &LoadOptions::default()).unwrap_err();
        assert!(error.to_string().contains("--pattern"), "{error}");
    }
}
