//! Texts in pieces, and ids in pieces: the same as in one.

use super::text::{PATTERNS, mixed_text, only, options, tokenizer};
use super::*;

#[test]
fn a_stream_gives_the_ids_of_the_text_in_one_piece_whatever_its_parts() {
    let mut rng = Rng::new(44);
    let sets = [
        SpecialSet::None,
        SpecialSet::All,
        only(&["<a b>", "<|end|>!"]),
    ];
    for pattern in PATTERNS {
        let tokenizer = tokenizer(pattern);
        for allowed in &sets {
            let mut options = options(allowed.clone(), SpecialSet::None);
            for round in 0..400 {
                let probability = if round % 4 == 0 { 0.3 } else { 0.0 };
                options.dropout = Some(Dropout {
                    probability,
                    seed: 5,
                });
                let text = mixed_text(&mut rng, 40);
                let want = tokenizer.encode_with(&text, &options).unwrap();
                let mut stream = EncoderStream::new(&tokenizer, &options).unwrap();
                let (mut ids, mut rest) = (Vec::new(), &text[..]);
                while !rest.is_empty() {
                    let (part, next) = rest.split_at(rest.len().min(1 + rng.below(9) as usize));
                    stream.push(part, &mut ids).unwrap();
                    rest = next;
                }
                stream.finish(&mut ids).unwrap();
                assert_eq!(ids, want, "{pattern} {allowed:?} {text:x?}");
            }
        }
    }
}

#[test]
fn a_stream_keeps_no_more_than_the_last_pieces_and_names_places_in_the_whole() {
    let tokenizer = tokenizer("cl100k");
    let strict = options(SpecialSet::None, SpecialSet::All);
    let mut stream = EncoderStream::new(&tokenizer, &strict).unwrap();
    let (mut ids, mut given) = (Vec::new(), 0);
    for part in ["中文，中文。", "１２３ ", "a b c "].map(|part| part.repeat(10_000)) {
        for bytes in part.as_bytes().chunks(777) {
            stream.push(bytes, &mut ids).unwrap();
            given += bytes.len();
            let out: usize = ids
                .iter()
                .map(|id| tokenizer.token_bytes(*id).unwrap().len())
                .sum();
            assert!(given - out < 32, "{} bytes held", given - out);
        }
    }
    let error = stream.push(b"x<|end|> y", &mut ids).unwrap_err();
    assert_eq!(
        (error.at, error.name.as_str()),
        (given as u64 + 1, "<|end|>")
    );
}

#[test]
fn chunks_of_a_reader_can_be_encoded_apart() {
    let mut rng = Rng::new(45);
    for pattern in PATTERNS {
        let tokenizer = tokenizer(pattern);
        let all = options(SpecialSet::All, SpecialSet::None);
        let mut encoder = TextEncoder::new(&tokenizer, &all).unwrap();
        for _ in 0..200 {
            let text = mixed_text(&mut rng, 200);
            let mut ids = Vec::new();
            for chunk in TextChunks::new(&text[..], encoder.cutter(), 1 + rng.below(100) as usize) {
                let chunk = chunk.unwrap();
                encoder
                    .encode_into(&chunk.text, chunk.position, &mut ids)
                    .unwrap();
            }
            assert_eq!(
                ids,
                tokenizer.encode_with(&text, &all).unwrap(),
                "{pattern}"
            );
        }
    }
}

#[test]
fn lines_of_a_reader_are_cut_behind_newlines() {
    let tokenizer = tokenizer(r"(?s:.+)");
    let encoder = TextEncoder::new(&tokenizer, &EncodeOptions::default()).unwrap();
    let chunks = TextChunks::new(&b"one\ntwo\nthree"[..], encoder.cutter().of_lines(), 6);
    let texts: Vec<_> = chunks
        .map(|c| String::from_utf8(c.unwrap().text).unwrap())
        .collect();
    assert_eq!(texts, ["one\n", "two\n", "three"]);
}

#[test]
fn a_decoder_never_gives_half_a_character() {
    let tokenizer = tokenizer("gpt2");
    let text = "aé中😀".repeat(5);
    let (mut decoder, mut out) = (Decoder::new(&tokenizer, InvalidBytes::Keep), Vec::new());
    for id in tokenizer.encode(text.as_bytes()) {
        decoder.push(&[id], &mut out);
        assert!(str::from_utf8(&out).is_ok());
    }
    assert_eq!(out, text.as_bytes());
}

#[test]
fn bytes_that_are_no_characters_come_out_as_they_are_or_replaced() {
    let mut rng = Rng::new(46);
    let tokenizer = tokenizer("o200k");
    for _ in 0..500 {
        let text = mixed_text(&mut rng, 30);
        let ids = tokenizer.encode(&text);
        for invalid in [InvalidBytes::Keep, InvalidBytes::Replace] {
            let (mut decoder, mut out) = (Decoder::new(&tokenizer, invalid), Vec::new());
            for part in ids.chunks(1 + rng.below(4) as usize) {
                decoder.push(part, &mut out);
            }
            decoder.finish(&mut out);
            let lossy = String::from_utf8_lossy(&text);
            let want = if invalid == InvalidBytes::Keep {
                &text
            } else {
                lossy.as_bytes()
            };
            assert_eq!(out, want);
        }
    }
}

#[test]
fn blocks_of_a_corpus_can_be_encoded_apart() {
    let mut rng = Rng::new(49);
    let folder = tempfile::tempdir().unwrap();
    for pattern in PATTERNS {
        let tokenizer = tokenizer(pattern);
        let all = options(SpecialSet::All, SpecialSet::None);
        let mut encoder = TextEncoder::new(&tokenizer, &all).unwrap();
        for round in 0..20 {
            let texts = [300, 9000, 20].map(|parts| mixed_text(&mut rng, parts));
            let write = |(at, text): (usize, &Vec<u8>)| {
                let path = folder.path().join(at.to_string());
                std::fs::write(&path, text).unwrap();
                (!text.is_empty()).then_some(path)
            };
            let files: Vec<_> = texts.iter().enumerate().filter_map(write).collect();
            let corpus = crate::corpus::Corpus::open(&files, &Default::default()).unwrap();
            let mut documents: Vec<Vec<u32>> = Vec::new();
            for part in CorpusBlocks::new(&corpus, encoder.cutter(), 1 << (round % 14)).flatten() {
                if part.offset == 0 {
                    documents.push(Vec::new());
                }
                let ids = documents.last_mut().unwrap();
                encoder.encode_into(part.text, part.position, ids).unwrap();
            }
            let texts = texts.iter().filter(|text| !text.is_empty());
            let whole = texts.map(|text| tokenizer.encode_with(text, &all).unwrap());
            assert!(documents == whole.collect::<Vec<_>>(), "{pattern} {round}");
        }
    }
}
