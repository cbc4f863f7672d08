//! Text and ids that come in bit by bit, cut anywhere, against the same in one piece.

use super::naive::{self, Input};
use barelm::tokenizer::{
    Decoder, Dropout, EncodeOptions, EncoderStream, InvalidBytes, SpecialSet, Tokenizer,
};

/// Names with what is special about special tokens: one starts with the other, one has a space.
const SPECIALS: [&str; 3] = ["<a>", "<a><b", "e a"];

fn tokenizer(input: &mut Input<'_>) -> Tokenizer {
    let mut vocabulary = input.vocabulary();
    for name in SPECIALS {
        let id = vocabulary.tokens.len() as u32;
        vocabulary.tokens.push(name.as_bytes().to_vec());
        vocabulary.specials.push((name.into(), id));
    }
    naive::tokenizer(&vocabulary)
}

fn options(input: &mut Input<'_>) -> EncodeOptions {
    let mode = input.byte();
    let seed = 7;
    EncodeOptions {
        allowed: [SpecialSet::None, SpecialSet::All][mode % 2].clone(),
        disallowed: SpecialSet::None,
        dropout: (mode & 6 == 6).then_some(Dropout {
            probability: 0.3,
            seed,
        }),
    }
}

/// Splits a text into parts whose lengths depend on its bytes.
fn parts(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = *rest.first()?;
        let (part, left) = rest.split_at((usize::from(first) * 37 % 101 + 1).min(rest.len()));
        rest = left;
        Some(part)
    })
}

/// Ids do not depend on where the text was cut on its way in, nor does their number.
pub fn encoder_stream(bytes: &[u8]) {
    let mut input = Input(bytes);
    let tokenizer = tokenizer(&mut input);
    let options = options(&mut input);
    let text = input.text(1 << 16);
    let expected = tokenizer
        .encode_with(&text, &options)
        .expect("nothing is disallowed");
    let mut stream = EncoderStream::new(&tokenizer, &options).expect("sound options");
    let mut ids = Vec::new();
    for part in parts(&text) {
        stream.push(part, &mut ids).expect("nothing is disallowed");
    }
    stream.finish(&mut ids).expect("nothing is disallowed");
    assert_eq!(ids, expected);
}

/// The decoder gives out whole characters only, and all bytes in the end.
pub fn decoder_stream(bytes: &[u8]) {
    let mut input = Input(bytes);
    let tokenizer = tokenizer(&mut input);
    let ids: Vec<u32> = input.0.iter().map(|byte| u32::from(*byte)).collect();
    let expected = tokenizer.decode(&ids);
    let mut decoder = Decoder::new(&tokenizer, InvalidBytes::Keep);
    let mut text = Vec::new();
    for ids in ids.chunks(3) {
        decoder.push(ids, &mut text);
        let valid = expected.get(..text.len()).expect("no more than all");
        assert_eq!(text, valid);
        // What has come out so far does not end inside a character of the whole.
        let whole = str::from_utf8(&expected);
        assert!(whole.is_err() || whole.is_ok_and(|all| all.is_char_boundary(text.len())));
    }
    decoder.finish(&mut text);
    assert_eq!(text, expected);
}
