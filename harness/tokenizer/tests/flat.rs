//! Flat tables in which any word may lie: what still opens encodes and decodes without harm.

use super::*;
use barelm_kernels::format::{ALIGNMENT, Container, ENTRY_LEN, HEADER_LEN};
use xxhash_rust::xxh64::xxh64;

const TEXTS: [&[u8]; 4] = [
    b"abcabc aab1 1\n\nccba <|end|>",
    b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "\u{e9}\u{4e2d}".as_bytes(),
    b"\xff\x00\xfe",
];

/// A file at an address that a mapping would have.
struct Aligned {
    buffer: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    fn new(bytes: &[u8]) -> Self {
        let mut buffer = vec![0; bytes.len() + ALIGNMENT];
        let start = buffer.as_ptr().align_offset(ALIGNMENT);
        buffer[start..start + bytes.len()].copy_from_slice(bytes);
        let len = bytes.len();
        Self { buffer, start, len }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..][..self.len]
    }

    /// Makes the header's checksum right again, so that the checks behind it are reached.
    fn seal(&mut self) {
        let table_end = HEADER_LEN + SECTIONS.len() * ENTRY_LEN;
        let sum = xxh64(&self.bytes()[32..table_end], 0).to_le_bytes();
        self.bytes()[24..32].copy_from_slice(&sum);
    }

    /// Opens the file and uses what is in it; whether it opened.
    fn use_it(&mut self) -> bool {
        let bytes = self.bytes();
        let opened = Container::new(bytes, &KIND).and_then(|file| TokenizerRef::new(&file));
        opened.is_ok_and(|tokenizer| {
            TEXTS.iter().for_each(|text| round_trip(tokenizer, text));
            true
        })
    }
}

/// Every id that comes out is one of the vocabulary; decoding takes them all.
fn round_trip(tokenizer: TokenizerRef<'_>, text: &[u8]) {
    let mut ids = vec![0; 2 * text.len()];
    let mut workspace = vec![0; encode_workspace_len(text.len())];
    if let Ok(len) = tokenizer.encode_into(text, &mut ids, &mut workspace) {
        let known = |id: &u32| (*id as usize) < tokenizer.vocab_size();
        assert!(ids[..len].iter().all(known));
        let _ = tokenizer.decode_into(&ids[..len], &mut [0; 4096]);
    }
    let _ = tokenizer.token_id(text);
    let _ = tokenizer.special_id(text);
}

fn small_file(pattern: &str, rule: MergeRule) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.barelm");
    let mut vocabulary = random_vocabulary(&mut Rng::new(41), pattern, 12);
    vocabulary.rule = rule;
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    tokenizer.save_flat(&path).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn every_word_of_a_flat_file_may_lie() {
    let values = [0, 1, 255, 256, 267, 268, 1 << 31, u32::MAX - 1, u32::MAX];
    for (pattern, rule) in [
        ("gpt2", MergeRule::PairRank),
        ("whitespace", MergeRule::BytesRank),
    ] {
        let mut file = Aligned::new(&small_file(pattern, rule));
        assert!(file.use_it());
        let mut opened = 0;
        for at in (0..file.len / 4 * 4).step_by(4) {
            let word: [u8; 4] = file.bytes()[at..][..4].try_into().unwrap();
            for value in values {
                file.bytes()[at..][..4].copy_from_slice(&u32::to_le_bytes(value));
                file.seal();
                opened += usize::from(file.use_it());
            }
            file.bytes()[at..][..4].copy_from_slice(&word);
        }
        assert!(opened > file.len / 4, "{opened} files opened");
    }
}

#[test]
fn every_byte_of_a_flat_file_may_lie() {
    let mut file = Aligned::new(&small_file("o200k", MergeRule::PairRank));
    let mut rng = Rng::new(42);
    for at in 0..file.len {
        let byte = file.bytes()[at];
        for changed in [!byte, byte ^ 1, rng.next_u32() as u8] {
            file.bytes()[at] = changed;
            file.seal();
            file.use_it();
        }
        file.bytes()[at] = byte;
    }
}
