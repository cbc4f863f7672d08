//! Texts that repeat themselves.

use super::*;

#[test]
fn a_text_that_repeats_itself_needs_no_index() {
    let mut rng = Rng::new(43);
    for round in 0..30 {
        let pattern = [Pattern::Gpt2, Pattern::Whitespace][round % 2];
        let vocabulary = Vocabulary::random(&mut rng, pattern, 3, 80);
        let tokenizer = vocabulary.tokenizer();
        let text = letters(&mut rng, 1, 20_000);
        let mut out = vec![0; text.len() + 1];
        let mut workspace = vec![0; encode_workspace_len(text.len())];
        let mut encode = |text: &[u8], windows| {
            let len =
                tokenizer.encode_repetitive_piece_into(text, &mut out, &mut workspace, windows);
            len.unwrap().map(|len| out[..len].to_vec())
        };
        assert!(encode(&text, 64) == Some(encode_piece(tokenizer, &text)));
        let text = letters(&mut rng, 3, 20_000);
        assert!(encode(&text, 64).is_none());
        assert!(encode(&text, 10_000) == Some(encode_piece(tokenizer, &text)));
        let unit = letters(&mut rng, 3, 1 + round as u64 % 5);
        let text: Vec<u8> = unit.into_iter().cycle().take(20_000).collect();
        let expected = encode_piece(tokenizer, &text);
        assert!(encode(&text, 64).is_none_or(|ids| ids == expected));
    }
}
