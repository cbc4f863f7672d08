//! Encoders against each other and against the text that went in.

use super::naive::{self, Input};
use barelm::kernels::bpe::{CharMemo, PairIndex, TokenizerRef, encode_workspace_len};

/// Any bytes come back from their ids; under the whitespace pattern the words do, with one space
/// behind each.
pub fn round_trip(bytes: &[u8]) {
    let mut input = Input(bytes);
    let vocabulary = input.vocabulary();
    let tokenizer = naive::tokenizer(&vocabulary);
    let text = input.0;
    let decoded = tokenizer.decode(&tokenizer.encode(text));
    match vocabulary.pattern.end_of_word() {
        None => assert_eq!(decoded, text),
        Some(mark) => {
            let mut words = Vec::new();
            vocabulary.pattern.for_each_piece(text, |word| {
                words.extend_from_slice(word);
                words.push(mark);
            });
            assert_eq!(decoded, words);
        }
    }
}

/// The encoder gives the ids of the definition, at once and with a warm cache.
pub fn against_naive(bytes: &[u8]) {
    let mut input = Input(bytes);
    let vocabulary = input.vocabulary();
    let text = input.text(2000);
    let expected = naive::encode(&vocabulary, &text);
    let tokenizer = naive::tokenizer(&vocabulary);
    let mut encoder = tokenizer.encoder();
    for _ in 0..2 {
        let mut ids = Vec::new();
        encoder.encode_into(&text, &mut ids);
        assert_eq!(ids, expected);
    }
}

/// The kernels' encoder, which has no cache and no allocation, gives the harness's ids.
pub fn kernel_against_harness(bytes: &[u8]) {
    let mut input = Input(bytes);
    let vocabulary = input.vocabulary();
    let text = input.text(1 << 16);
    let tokenizer = naive::tokenizer(&vocabulary);
    let expected = tokenizer.encode(&text);
    let kernel = tokenizer.as_ref();
    let needed = encode_workspace_len(text.len());
    let (mut ids, mut workspace) = (vec![0; 2 * text.len() + 1], vec![0; needed]);
    let len = kernel
        .encode_into(&text, &mut ids, &mut workspace)
        .expect("buffers are large enough");
    assert_eq!(ids[..len], expected);
    let tokens = kernel
        .tokens(&text, &mut workspace)
        .expect("a known pattern");
    assert!(tokens.map(|id| id.expect("enough workspace")).eq(expected));
    every_way(kernel, &text, &mut workspace);
}

/// Each of the kernels' ways to encode a piece gives the same ids, or none.
fn every_way(kernel: TokenizerRef<'_>, text: &[u8], workspace: &mut [u32]) {
    let mut words = vec![0; PairIndex::words(&kernel)];
    let mut noted = vec![0; CharMemo::WORDS];
    let built = PairIndex::build(&kernel, &mut words);
    let index = PairIndex::new(&kernel, &words).filter(|_| built);
    let mut memo = CharMemo::new(&mut noted).expect("enough words");
    let (mut expected, mut ids) = (vec![0; text.len() + 1], vec![0; text.len() + 1]);
    for piece in kernel.pattern().expect("a known pattern").pieces(text) {
        let len = kernel.encode_piece_into(piece, &mut expected, workspace);
        let expected = &expected[..len.expect("buffers are large enough")];
        let windows = 1 + piece.len() / 8;
        let len = kernel.encode_repetitive_piece_into(piece, &mut ids, workspace, windows);
        let len = len.expect("buffers are large enough");
        assert!(len.is_none_or(|len| ids[..len] == *expected));
        let Some(index) = &index else { continue };
        let len = kernel.encode_piece_with(index, piece, &mut ids, workspace);
        assert_eq!(ids[..len.expect("buffers are large enough")], *expected);
        let len = kernel.encode_chars_with(index, &mut memo, piece, &mut ids);
        assert!(len.is_none_or(|len| ids[..len] == *expected));
    }
}
