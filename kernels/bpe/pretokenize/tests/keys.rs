//! Bounds and keys of batches against the pieces themselves, on every backend.

use super::windows::dense_text;
use super::*;
use crate::bpe::pretokenize::keys::Read;
use crate::testing::on_every_backend;

/// Reads the keys of a text's pieces, a batch after the other, and compares them.
fn assert_keys(backend: Backend, pattern: Pattern, text: &[u8]) {
    let mut pieces = Pieces::new(pattern, text, backend);
    let (mut bounds, mut keys) = (Bounds::new(), Keys::new());
    loop {
        pieces.fill(&mut bounds);
        if bounds.is_empty() {
            return;
        }
        let all_are_short = backend.run(Read(&mut keys, text, &bounds));
        let mut want_all = true;
        for (at, piece) in bounds.iter().enumerate() {
            let want = key_of(&text[piece.clone()]).unwrap_or(NO_KEY);
            let got = (keys.keys[at], keys.hashes[at]);
            assert_eq!(got, (want, hash_of_key(want)), "{piece:?} of {text:?}");
            want_all &= want != NO_KEY;
        }
        assert_eq!(all_are_short, want_all);
    }
}

#[test]
fn keys_are_those_of_the_pieces() {
    on_every_backend(|backend| {
        let mut rng = Rng::new(37);
        for len in 0..3_000 {
            let mut text = dense_text(&mut rng, len % 700);
            if len % 3 == 0 {
                text.extend_from_slice(
                    b" a word that follows a verylongpieceofmorethanfifteenbytes.",
                );
            }
            for pattern in PATTERNS {
                assert_keys(backend, pattern, &text);
            }
        }
    });
}

#[test]
fn pieces_of_every_length_have_keys_at_every_distance_from_the_end() {
    on_every_backend(|backend| {
        for len in 1..=33 {
            for behind in 0..40 {
                let words = [vec![b'x'; len], vec![b'\n'; 1]].concat().repeat(9);
                let text = [words, vec![b'y'; behind]].concat();
                for pattern in PATTERNS {
                    assert_keys(backend, pattern, &text);
                }
            }
        }
    });
}

#[test]
#[cfg(target_pointer_width = "64")]
fn pieces_and_gaps_of_many_gigabytes_keep_their_bounds() {
    let (base, far) = (7, 7 << 32);
    let windows = [Bounds::start_at::<true>, Bounds::start_at::<false>];
    for start_at in windows {
        let mut bounds = Bounds::new();
        start_at(&mut bounds, base);
        assert!(bounds.push(base..base + 9) && bounds.push(base + 9..far));
        // What is so far away is for the next batch.
        assert!(!bounds.push(far..far + 1) && bounds.room::<1>(far).is_none());
        assert!(bounds.iter().eq([base..base + 9, base + 9..far]));
        bounds.clear();
        assert!(bounds.is_empty() && bounds.push(far..far + 1));
        assert!(!bounds.push(2 * far..2 * far + 1));
        assert_eq!((bounds.len(), bounds.get(0)), (1, Some(far..far + 1)));
    }
}

#[test]
fn a_batch_has_room_for_as_many_pieces_as_it_says() {
    let mut bounds = Bounds::new();
    bounds.start_at::<false>(0);
    while bounds.push(bounds.len()..bounds.len() + 1) {}
    assert_eq!(bounds.len(), Bounds::MOST);
    bounds.clear();
    while bounds.push(0..1) {}
    assert_eq!(bounds.len(), Bounds::MOST / 2);
}
