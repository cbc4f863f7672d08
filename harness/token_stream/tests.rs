//! Streams as training reads them.

use super::*;
use crate::corpus::Corpus;
use crate::progress::Progress;
use crate::tokenizer::{HarnessPattern, MergeRule, Tokenizer, Vocabulary};
use std::fs;
use std::path::PathBuf;

fn tokenizer(pattern: &str, vocab_size: usize) -> Tokenizer {
    let mut tokens: Vec<Vec<u8>> = (0..=255).map(|b| vec![b]).collect();
    tokens.push(b"ab".to_vec());
    let vocabulary = Vocabulary {
        tokens,
        merges: vec![(97, 98)],
        specials: vec![],
        pattern: HarnessPattern::parse(pattern).unwrap(),
        rule: MergeRule::PairRank,
    };
    let mut padded = vocabulary.clone();
    padded.tokens.resize(vocab_size, Vec::new());
    Tokenizer::from_vocabulary(&padded).unwrap()
}

/// Two files: one small, one of several chunks.
fn corpus(folder: &Path) -> Corpus {
    let long = "abba cab, ab.\nbaab\n\n  ab".repeat(100_000);
    let write = |name: &str, text: &str| -> PathBuf {
        fs::write(folder.join(name), text).unwrap();
        folder.join(name)
    };
    let files = [write("1.txt", "ab b"), write("2.txt", &long)];
    Corpus::open(&files, &Default::default()).unwrap()
}

fn encode(tokenizer: &Tokenizer, corpus: &Corpus, threads: usize, path: &Path) {
    let progress = Progress::new("", 0, "bytes");
    encode_corpus(tokenizer, corpus, threads, path, &progress).unwrap();
}

#[test]
fn a_corpus_is_encoded_as_its_documents_are() {
    crate::progress::set_quiet(true);
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    for (pattern, vocab_size) in [("gpt2", 257), (r"\w+|\W", 257), ("o200k", 70_000)] {
        let tokenizer = tokenizer(pattern, vocab_size);
        let paths = [1, 2, 5].map(|threads| {
            let path = folder.path().join(format!("{threads}.tokens"));
            encode(&tokenizer, &corpus, threads, &path);
            path
        });
        let files = paths.each_ref().map(|path| fs::read(path).unwrap());
        assert!(files[0] == files[1] && files[1] == files[2]);
        let stream = TokenStream::open(&paths[0]).unwrap();
        let documents: Vec<_> = stream.documents().collect();
        let texts: Vec<_> = corpus.documents().map(|d| d.text).collect();
        assert_eq!(documents.len(), texts.len());
        for (document, text) in documents.into_iter().zip(texts) {
            let mut ids = vec![0; document.len()];
            stream.read(document.start, &mut ids);
            assert!(ids == tokenizer.encode(text));
        }
        assert_eq!(matches!(stream.ids(), Ids::U16(_)), vocab_size == 257);
        assert_eq!(stream.vocab_size(), vocab_size);
        assert_eq!(stream.text_bytes(), corpus.bytes());
        assert_eq!(stream.tokenizer_hash(), tokenizer.hash());
        assert_eq!(stream.counts().iter().sum::<u64>(), stream.len() as u64);
        assert_eq!((stream.get(0), stream.get(stream.len())), (Some(256), None));
    }
}

#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tokens");
    let corpus = Corpus::from_bytes("a", b"abcab".to_vec());
    encode(&tokenizer("gpt2", 257), &corpus, 1, &path);
    let good = fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        matches!(TokenStream::open(&path), Err(Error::Data { .. }))
    };
    assert!((0..good.len()).step_by(8).all(|len| refused(&good[..len])));
    let ids = good
        .windows(2)
        .position(|w| w == 256u16.to_le_bytes())
        .unwrap();
    let mut bad = good.clone();
    bad[ids..ids + 2].copy_from_slice(&257u16.to_le_bytes());
    assert!(refused(&bad));
    assert!(!refused(&good));
}
