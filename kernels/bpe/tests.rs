//! The encoder against a naive one, on random vocabularies, and on tables that lie.

mod wide;

use super::sections::{Tables, head};
use super::table::{EMPTY_PAIR, NONE, PairSlot, UNREACHABLE, insert_bytes, insert_pair, slots_for};
use super::{BpeError, MergeRule, PairIndex, Pattern, TokenizerRef, encode_workspace_len};
use crate::rng::Rng;
use std::vec;
use std::vec::Vec;

/// A vocabulary of all bytes (ids 0 to 255) and of merges, as vectors.
#[derive(Clone)]
struct Vocabulary {
    merges: Vec<(u32, u32)>,
    head: [u32; 8],
    offsets: Vec<u32>,
    blob: Vec<u8>,
    bytes: Vec<u32>,
    pairs: Vec<PairSlot>,
    hashes: Vec<u32>,
    specials: Vec<u32>,
}

impl Vocabulary {
    fn new(pattern: Pattern, merges: &[(u32, u32)]) -> Self {
        let mut tokens: Vec<Vec<u8>> = (0..=255).map(|b| vec![b]).collect();
        let mut pairs = vec![EMPTY_PAIR; slots_for(merges.len())];
        let mut hashes = vec![NONE; slots_for(256 + merges.len())];
        let mut probes = [0; 2];
        for (rank, (left, right)) in merges.iter().enumerate() {
            let slot = [*left, *right, rank as u32, tokens.len() as u32];
            probes[0] = insert_pair(&mut pairs, slot).unwrap().max(probes[0]);
            tokens.push([&tokens[*left as usize][..], &tokens[*right as usize]].concat());
        }
        for (id, token) in tokens.iter().enumerate() {
            // Only what merging surely leads to may be taken as a whole.
            let entry = id as u32 | if id < 256 { 0 } else { UNREACHABLE };
            probes[1] = insert_bytes(&mut hashes, token, entry)
                .unwrap()
                .max(probes[1]);
        }
        let offsets = (0..=tokens.len())
            .map(|n| tokens[..n].concat().len() as u32)
            .collect();
        let head = head(Some(pattern), MergeRule::PairRank, probes);
        let (bytes, blob, specials) = ((0..256).collect(), tokens.concat(), vec![7]);
        let merges = merges.to_vec();
        #[rustfmt::skip]
        let vocabulary = Self { merges, head, offsets, blob, bytes, pairs, hashes, specials };
        vocabulary
    }

    /// Merges of random tokens over the first letters of the alphabet, all with different bytes.
    fn random(rng: &mut Rng, pattern: Pattern, letters: u64, merges: usize) -> Self {
        let mut tokens: Vec<(u32, Vec<u8>)> = (0..letters)
            .map(|i| (97 + i as u32, vec![97 + i as u8]))
            .collect();
        let mut list = Vec::new();
        while list.len() < merges {
            let mut pick = || tokens[rng.below(tokens.len() as u64) as usize].clone();
            let (left, right) = (pick(), pick());
            let bytes = [&left.1[..], &right.1].concat();
            if bytes.len() <= 12 && tokens.iter().all(|t| t.1 != bytes) {
                tokens.push((256 + list.len() as u32, bytes));
                list.push((left.0, right.0));
            }
        }
        Self::new(pattern, &list)
    }

    fn tables(&self) -> Tables<'_> {
        Tables {
            head: &self.head,
            offsets: &self.offsets,
            blob: &self.blob,
            bytes: &self.bytes,
            pairs: &self.pairs,
            hashes: &self.hashes,
            specials: &self.specials,
            regex: &[],
        }
    }

    fn tokenizer(&self) -> TokenizerRef<'_> {
        assert_eq!(self.tables().check(), Ok(()));
        assert_eq!(self.tables().check_slots(), Ok(()));
        TokenizerRef::from_tables(self.tables())
    }

    /// Looks through all pairs of neighbours for the one of lowest rank, until none merges.
    fn encode_naive(&self, piece: &[u8]) -> Vec<u32> {
        let mut ids: Vec<u32> = piece.iter().map(|b| u32::from(*b)).collect();
        loop {
            let rank = |w: &[u32]| self.merges.iter().position(|m| *m == (w[0], w[1]));
            let ranked = ids
                .windows(2)
                .enumerate()
                .filter_map(|(at, w)| Some((rank(w)?, at)));
            let Some((rank, at)) = ranked.min() else {
                return ids;
            };
            ids.splice(at..at + 2, [256 + rank as u32]);
        }
    }
}

fn encode(tokenizer: TokenizerRef<'_>, text: &[u8]) -> Vec<u32> {
    let mut workspace = vec![0; encode_workspace_len(text.len())];
    let mut out = vec![0; 2 * text.len()];
    let len = tokenizer
        .encode_into(text, &mut out, &mut workspace)
        .unwrap();
    out.truncate(len);
    out
}

fn letters(rng: &mut Rng, letters: u64, len: u64) -> Vec<u8> {
    (0..len).map(|_| 97 + rng.below(letters) as u8).collect()
}

#[test]
fn short_and_long_pieces_are_merged_as_by_the_naive_encoder() {
    let mut rng = Rng::new(3);
    for round in 0..60 {
        let alphabet = 1 + round % 4;
        let merges = if alphabet == 1 { 6 } else { 60 };
        let vocabulary = Vocabulary::random(&mut rng, Pattern::Gpt2, alphabet, merges);
        for _ in 0..20 {
            let len = rng.below(260);
            let text = letters(&mut rng, alphabet, len);
            let ids = encode(vocabulary.tokenizer(), &text);
            assert_eq!(ids, vocabulary.encode_naive(&text), "{text:?}");
        }
    }
}

/// Encodes a piece with an index of the pairs.
fn encode_with_index(tokenizer: TokenizerRef<'_>, piece: &[u8]) -> Vec<u32> {
    let mut words = vec![0; PairIndex::words(&tokenizer)];
    assert!(PairIndex::build(&tokenizer, &mut words));
    let index = PairIndex::new(&tokenizer, &words).unwrap();
    let mut out = vec![0; piece.len() + 1];
    let mut workspace = vec![0; encode_workspace_len(piece.len())];
    let len = tokenizer
        .encode_piece_with(&index, piece, &mut out, &mut workspace)
        .unwrap();
    out.truncate(len);
    out
}

/// Encodes a piece by the tables of a file alone, with the heap if it is long.
fn encode_piece(tokenizer: TokenizerRef<'_>, piece: &[u8]) -> Vec<u32> {
    let mut out = vec![0; piece.len() + 1];
    let mut workspace = vec![0; encode_workspace_len(piece.len())];
    let len = tokenizer
        .encode_piece_into(piece, &mut out, &mut workspace)
        .unwrap();
    out.truncate(len);
    out
}

#[test]
fn an_index_gives_the_ids_of_the_naive_encoder() {
    let mut rng = Rng::new(31);
    for round in 0..40 {
        let alphabet = 1 + round % 4;
        let merges = if alphabet == 1 { 6 } else { 80 };
        let pattern = [Pattern::Gpt2, Pattern::Whitespace][round as usize / 4 % 2];
        let vocabulary = Vocabulary::random(&mut rng, pattern, alphabet, merges);
        for _ in 0..20 {
            let len = 1 + rng.below(600);
            let text = letters(&mut rng, alphabet, len);
            let ids = encode_with_index(vocabulary.tokenizer(), &text);
            let end = pattern.end_of_word();
            let whole: Vec<u8> = text.iter().copied().chain(end).collect();
            assert_eq!(ids, vocabulary.encode_naive(&whole), "{text:?}");
        }
    }
}

#[test]
fn an_index_gives_the_ids_of_the_heap_where_windows_fail() {
    let mut rng = Rng::new(32);
    // Every letter pushes the borders of all tokens behind it: "ab" before "ba", then runs.
    let waves = [(97, 98), (98, 97), (256, 256), (257, 257), (258, 258)];
    let runs: Vec<(u32, u32)> = (0..9)
        .map(|i| if i == 0 { (97, 97) } else { (255 + i, 255 + i) })
        .collect();
    let odd = [(97, 97), (256, 97), (257, 257), (258, 257), (259, 256)];
    for merges in [&waves[..], &runs, &odd] {
        let vocabulary = Vocabulary::new(Pattern::Gpt2, merges);
        for round in 0..300 {
            let len = 1 + rng.below(if round % 30 == 0 { 30_000 } else { 2000 });
            let period = 1 + rng.below(5) as usize;
            let unit = letters(&mut rng, 2, period as u64);
            let mut text: Vec<u8> = unit.iter().copied().cycle().take(len as usize).collect();
            for _ in 0..rng.below(3) {
                let at = rng.below(len) as usize;
                text[at] = 97 + rng.below(3) as u8;
            }
            let tokenizer = vocabulary.tokenizer();
            let same = encode_with_index(tokenizer, &text) == encode_piece(tokenizer, &text);
            assert!(same, "{merges:?} {unit:?} {len}");
        }
    }
}

#[test]
fn short_pieces_at_once_have_the_ids_that_each_has_alone() {
    let mut rng = Rng::new(34);
    for pattern in [Pattern::Gpt2, Pattern::Whitespace] {
        let vocabulary = Vocabulary::random(&mut rng, pattern, 3, 80);
        let tokenizer = vocabulary.tokenizer();
        let mut words = vec![0; PairIndex::words(&tokenizer)];
        assert!(PairIndex::build(&tokenizer, &mut words));
        let index = PairIndex::new(&tokenizer, &words).unwrap();
        for round in 0..200 {
            let texts: Vec<_> = (0..round % (PairIndex::AT_ONCE + 1))
                .map(|_| {
                    let len = 1 + rng.below(PairIndex::SHORT as u64 - 1);
                    letters(&mut rng, 3, len)
                })
                .collect();
            let pieces: Vec<&[u8]> = texts.iter().map(|text| &text[..]).collect();
            let mut seen = 0;
            tokenizer.encode_short_pieces_with(&index, &pieces, |at, ids| {
                assert_eq!(at, seen);
                assert_eq!(ids, encode_piece(tokenizer, pieces[at]));
                seen += 1;
            });
            assert_eq!(seen, pieces.len());
        }
    }
}

#[test]
fn an_index_is_refused_where_it_could_not_stand_for_the_tables() {
    let good = Vocabulary::new(Pattern::Gpt2, &[(97, 98), (256, 99)]);
    let builds = |vocabulary: &Vocabulary| {
        let tokenizer = TokenizerRef::from_tables(vocabulary.tables());
        let mut words = vec![0; PairIndex::words(&tokenizer)];
        PairIndex::build(&tokenizer, &mut words)
    };
    assert!(builds(&good));
    let mut no_such_byte = good.clone();
    no_such_byte.bytes[7] = NONE;
    assert!(!builds(&no_such_byte));
    // Ranks by bytes, where token 257 has no pair that gives it.
    let mut unreachable = Vocabulary::new(Pattern::Gpt2, &[(97, 98), (256, 99)]);
    unreachable.head[1] = 1;
    for slot in unreachable.pairs.iter_mut().filter(|slot| slot[0] != NONE) {
        slot[2] = slot[3];
    }
    assert!(builds(&unreachable));
    unreachable.pairs.retain(|slot| slot[3] != 257);
    unreachable.pairs.resize(8, EMPTY_PAIR);
    assert!(!builds(&unreachable));
    let tokenizer = good.tokenizer();
    assert!(!PairIndex::build(&tokenizer, &mut [0; 10]));
    assert!(PairIndex::new(&tokenizer, &[0; 10]).is_none());
}

#[test]
fn any_words_for_an_index_do_no_harm() {
    let mut rng = Rng::new(33);
    let vocabulary = Vocabulary::random(&mut rng, Pattern::Gpt2, 3, 40);
    let tokenizer = vocabulary.tokenizer();
    let mut words = vec![0; PairIndex::words(&tokenizer)];
    assert!(PairIndex::build(&tokenizer, &mut words));
    for _ in 0..200 {
        let mut bad = words.clone();
        for _ in 0..40 {
            let at = rng.below(bad.len() as u64) as usize;
            bad[at] = [rng.next_u64(), 0, u64::MAX][rng.below(3) as usize];
        }
        let index = PairIndex::new(&tokenizer, &bad).unwrap();
        let text = letters(&mut rng, 3, 300);
        let mut workspace = vec![0; encode_workspace_len(text.len())];
        let encoded = tokenizer.encode_piece_with(&index, &text, &mut [0; 300], &mut workspace);
        assert!(encoded.is_ok());
    }
}

#[test]
fn one_million_letters_take_no_quadratic_time() {
    let mut rng = Rng::new(4);
    let vocabulary = Vocabulary::random(&mut rng, Pattern::Gpt2, 3, 100);
    for alphabet in [1, 3] {
        let text = letters(&mut rng, alphabet, 1_000_000);
        let start = std::time::Instant::now();
        let ids = encode(vocabulary.tokenizer(), &text);
        let seconds = start.elapsed().as_secs_f64();
        std::println!("{alphabet} different letters: {seconds:.3} s");
        let mut bytes = vec![0; text.len()];
        let len = vocabulary
            .tokenizer()
            .decode_into(&ids, &mut bytes)
            .unwrap();
        assert!(len == text.len() && bytes == text);
        assert!(seconds < 20.0, "{seconds} s");
    }
}

#[test]
fn words_end_in_the_mark_and_come_back_with_one_space() {
    let merges = [(97, 98), (256, 32)];
    let vocabulary = Vocabulary::new(Pattern::Whitespace, &merges);
    let tokenizer = vocabulary.tokenizer();
    let ids = encode(tokenizer, b"\n ab\t\tabc");
    assert_eq!(ids, [257, 256, 99, 32]);
    let mut out = [0; 16];
    let len = tokenizer.decode_into(&ids, &mut out).unwrap();
    assert_eq!(&out[..len], b"ab abc ");
}

#[test]
fn tokens_come_one_by_one_as_they_do_all_at_once() {
    let vocabulary = Vocabulary::random(&mut Rng::new(5), Pattern::Cl100k, 3, 50);
    let text = b"abcabc aabb, cab!\n\n  bbb 12345 \xff\xfe";
    let mut workspace = vec![0; encode_workspace_len(8)];
    let tokens = vocabulary.tokenizer().tokens(text, &mut workspace).unwrap();
    let ids: Vec<u32> = tokens.map(Result::unwrap).collect();
    assert_eq!(ids, encode(vocabulary.tokenizer(), text));
}

#[test]
fn tokens_are_found_by_their_bytes_and_names() {
    let vocabulary = Vocabulary::new(Pattern::Gpt2, &[(97, 98)]);
    let tokenizer = vocabulary.tokenizer();
    assert_eq!(tokenizer.vocab_size(), 257);
    assert_eq!(tokenizer.token_bytes(256), Some(&b"ab"[..]));
    assert_eq!(
        (tokenizer.token_bytes(257), tokenizer.token_bytes(NONE)),
        (None, None)
    );
    assert_eq!(
        (tokenizer.token_id(b"ab"), tokenizer.token_id(b"ba")),
        (Some(256), None)
    );
    assert_eq!(
        (tokenizer.special_id(b"\x07"), tokenizer.special_id(b"a")),
        (Some(7), None)
    );
    assert!(tokenizer.is_special(7) && !tokenizer.is_special(8));
}

#[test]
fn merges_are_told_by_their_pair() {
    let vocabulary = Vocabulary::new(Pattern::Gpt2, &[(97, 98), (256, 99)]);
    let tokenizer = vocabulary.tokenizer();
    assert_eq!(tokenizer.merge_of(97, 98), Some((0, 256)));
    assert_eq!(tokenizer.merge_of(256, 99), Some((1, 257)));
    assert_eq!(tokenizer.merge_of(98, 97), None);
    assert_eq!(tokenizer.merge_of(NONE, NONE), None);
}

#[test]
fn a_pair_that_gives_no_token_of_the_vocabulary_does_not_merge() {
    let mut vocabulary = Vocabulary::new(Pattern::Gpt2, &[(97, 98)]);
    for slot in vocabulary.pairs.iter_mut().filter(|slot| slot[0] == 97) {
        slot[3] = 257;
    }
    let tokenizer = TokenizerRef::from_tables(vocabulary.tables());
    assert_eq!(tokenizer.merge_of(97, 98), None);
    assert_eq!(encode(tokenizer, b"cab"), [99, 97, 98]);
}

#[test]
fn small_buffers_and_strange_ids_are_errors() {
    let vocabulary = Vocabulary::new(Pattern::Gpt2, &[(97, 98)]);
    let tokenizer = vocabulary.tokenizer();
    let needed = encode_workspace_len(3);
    let mut scratch = vec![0; needed];
    let short = tokenizer.encode_into(b"xyz", &mut [0; 8], &mut scratch[1..]);
    assert!(matches!(short, Err(BpeError::Buffer(e)) if e.needed == needed));
    let short = tokenizer.encode_into(b"xyz", &mut [0; 2], &mut scratch);
    assert!(matches!(short, Err(BpeError::Buffer(e)) if e.needed == 3));
    let errors: Vec<_> = tokenizer.tokens(b"xyz", &mut []).unwrap().collect();
    assert!(matches!(errors[..], [Err(_)]));
    assert_eq!(
        tokenizer.decode_into(&[300], &mut [0; 8]),
        Err(BpeError::Id(300))
    );
    let short = tokenizer.decode_into(&[256], &mut [0; 1]);
    assert!(matches!(short, Err(BpeError::Buffer(e)) if e.needed == 2));
}

#[test]
fn wrong_tables_are_refused_and_even_unchecked_do_no_harm() {
    let mut rng = Rng::new(6);
    let good = Vocabulary::random(&mut rng, Pattern::O200k, 3, 40);
    let text = [letters(&mut rng, 3, 200), b" abc abcabc aab".to_vec()].concat();
    let mut refused = 0;
    for _ in 0..3000 {
        let mut bad = good.clone();
        let value = [0, 1, NONE, NONE - 1, 296, 1 << 20, rng.next_u32()][rng.below(7) as usize];
        for _ in 0..1 + rng.below(4) {
            let fields: [&mut [u32]; 6] = [
                &mut bad.head,
                &mut bad.offsets,
                &mut bad.bytes,
                bad.pairs.as_flattened_mut(),
                &mut bad.hashes,
                &mut bad.specials,
            ];
            let field = &mut *fields.into_iter().nth(rng.below(6) as usize).unwrap();
            let at = rng.below(field.len() as u64) as usize;
            field[at] = value;
        }
        let checked = bad.tables().check().and(bad.tables().check_slots());
        refused += usize::from(checked.is_err());
        let tokenizer = TokenizerRef::from_tables(bad.tables());
        let mut workspace = vec![0; encode_workspace_len(text.len())];
        let mut out = vec![0; 2 * text.len()];
        if let Ok(len) = tokenizer.encode_into(&text, &mut out, &mut workspace) {
            let known = |id: &u32| bad.bytes.contains(id) || *id < 296;
            assert!(out[..len].iter().all(known));
            let _ = tokenizer.decode_into(&out[..len], &mut [0; 4000]);
        }
    }
    assert!(refused > 1000, "{refused} refused");
}
