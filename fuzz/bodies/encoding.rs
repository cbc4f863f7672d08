//! Encoders against each other and against the text that went in.

use super::naive::{self, Input};

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
    let needed = barelm::kernels::bpe::encode_workspace_len(text.len());
    let (mut ids, mut workspace) = (vec![0; 2 * text.len() + 1], vec![0; needed]);
    let len = kernel
        .encode_into(&text, &mut ids, &mut workspace)
        .expect("buffers are large enough");
    assert_eq!(ids[..len], expected);
    let tokens = kernel
        .tokens(&text, &mut workspace)
        .expect("a known pattern");
    assert!(tokens.map(|id| id.expect("enough workspace")).eq(expected));
}
