//! `.tiktoken`: a line a token, its bytes in base64 and its rank.

use super::load::LoadOptions;
use super::{HarnessPattern, MergeRule, Vocabulary};
use crate::{Error, Result};
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

/// Reads the tokens; they merge by the rank of their bytes.
pub(super) fn read(path: &Path, content: &[u8], options: &LoadOptions) -> Result<Vocabulary> {
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
    Ok(Vocabulary {
        tokens,
        merges: Vec::new(),
        specials: specials
            .iter()
            .map(|(name, id)| (name.to_string(), *id))
            .collect(),
        pattern: pattern?,
        rule: MergeRule::BytesRank,
    })
}

fn tokens(path: &Path, content: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut tokens = Vec::new();
    let mut offset = 0;
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        let start = offset;
        let error = |message: &str| Error::data_at(path, start, message);
        offset += line.len() as u64;
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let not_one = "not a tokenizer: this line is not base64, a space and a rank";
        let (token, rank) = parse(line).ok_or_else(|| error(not_one))?;
        // Ranks without tokens are rare: a rank far above the number of lines is damage.
        if rank > content.len() || tokens.get(rank).is_some_and(|t: &Vec<u8>| !t.is_empty()) {
            return Err(error("this rank is another token's, or far too high"));
        }
        tokens.resize(tokens.len().max(rank + 1), Vec::new());
        tokens[rank] = token;
    }
    Ok(tokens)
}

fn parse(line: &[u8]) -> Option<(Vec<u8>, usize)> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let rank = std::str::from_utf8(&line[space + 1..]).ok()?.parse().ok()?;
    let token = base64(&line[..space]).filter(|token| !token.is_empty())?;
    Some((token, rank))
}

/// Decodes base64 (RFC 4648, with padding).
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, rest) = text.as_chunks::<4>();
    let mut bytes = Vec::with_capacity(3 * groups.len());
    for (i, group) in groups.iter().enumerate() {
        let padding = group.iter().rev().take_while(|c| **c == b'=').count();
        if padding > 2 || (padding > 0 && i + 1 < groups.len()) {
            return None;
        }
        let digits = group[..4 - padding].iter();
        let word = digits
            .map(|c| digit(*c))
            .try_fold(0, |n, d| Some(n << 6 | d?))?;
        let word = (word << (6 * padding) << 8).to_be_bytes();
        bytes.extend(&word[..3 - padding]);
    }
    rest.is_empty().then_some(bytes)
}

fn digit(c: u8) -> Option<u32> {
    Some(u32::from(match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_and_nonsense_is_not() {
        assert_eq!(base64(b"aGVsbG8="), Some(b"hello".to_vec()));
        assert_eq!(base64(b"IA=="), Some(b" ".to_vec()));
        assert_eq!(base64(b"/+8A"), Some(vec![0xff, 0xef, 0]));
        for bad in [&b"a"[..], b"a===", b"IA==IA==", b"a b=", b"===="] {
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
        assert_eq!(
            tokens(path, b"IA== 1\n\n").unwrap(),
            [vec![], b" ".to_vec()]
        );
    }

    #[test]
    fn an_unknown_file_needs_a_pattern() {
        let path = Path::new("x.tiktoken");
        let error = read(path, b"IA== 0\n", &LoadOptions::default()).unwrap_err();
        assert!(error.to_string().contains("--pattern"), "{error}");
    }
}
