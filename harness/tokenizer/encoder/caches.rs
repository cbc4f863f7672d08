//! What an encoder knows of pieces, and what encoders of several threads tell each other.
//!
//! On two threads each new word would be encoded twice, and new words are a third of the time of a
//! text of 100 MB. So threads write what they learn to one list, some words at a time, and read
//! what others have added. That changes no id: a word has the same ids whoever found them.

use super::batch::New;
use super::phrases::PhraseCache;
use super::words::{MAX_IDS, Slot, WordCache};
use crate::kernels::bpe::{NO_KEY, hash_of_key};
use std::sync::{Arc, Mutex};

/// Words that an encoder learns before it looks at the list.
const WORDS_BETWEEN: usize = 128;
/// Words in the list, at most: 8 MiB.
const MOST_SHARED: usize = 1 << 18;

/// Words that encoders of one tokenizer have learned.
#[derive(Default)]
pub(in crate::tokenizer) struct SharedWords(Mutex<Vec<Slot>>);

/// An encoder's caches.
pub(super) struct Caches {
    pub(super) words: WordCache,
    pub(super) phrases: PhraseCache,
    sharing: Option<Sharing>,
}

/// An encoder's view of the list.
struct Sharing {
    list: Arc<SharedWords>,
    /// How much of it is known.
    seen: usize,
    /// What is not in it yet.
    learned: Vec<Slot>,
}

impl Caches {
    pub(super) fn new() -> Self {
        Self {
            words: WordCache::new(),
            phrases: PhraseCache::new(),
            sharing: None,
        }
    }

    pub(super) fn share(&mut self, list: Arc<SharedWords>) {
        self.sharing = Some(Sharing {
            list,
            seen: 0,
            learned: Vec::new(),
        });
    }

    /// Notes the ids of a piece that is in no cache; its slot, if it is a word.
    pub(super) fn note(&mut self, new: New<'_>, ids: &[u32]) -> Option<Slot> {
        let (piece, key, hash) = new;
        if key != NO_KEY && ids.len() <= MAX_IDS {
            let word = Slot::new(key, ids);
            self.words.insert(word, hash);
            if let Some(sharing) = &mut self.sharing {
                sharing.learned.push(word);
            }
            Some(word)
        } else {
            self.phrases.insert(piece, hash, ids);
            None
        }
    }

    /// Tells other encoders what is new and learns from them, if there is much.
    pub(super) fn exchange(&mut self) {
        let Some(sharing) = &mut self.sharing else {
            return;
        };
        if sharing.learned.len() < WORDS_BETWEEN {
            return;
        }
        for word in sharing.exchange() {
            let (key, hash) = (word.key(), hash_of_key(word.key()));
            if self.words.get(key, hash).is_none() {
                self.words.insert(word, hash);
            }
        }
    }
}

impl Sharing {
    /// Adds to the list, and returns what others added to it.
    fn exchange(&mut self) -> Vec<Slot> {
        let mut list = self.list.0.lock().expect("no holder panics");
        let news = list[self.seen..].to_vec();
        let room = MOST_SHARED.saturating_sub(list.len());
        self.learned.truncate(room);
        list.append(&mut self.learned);
        self.seen = list.len();
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::bpe::key_of;

    #[test]
    fn what_one_learns_the_others_know_after_some_words() {
        let list = Arc::new(SharedWords::default());
        let mut caches = [(); 3].map(|()| Caches::new());
        caches
            .iter_mut()
            .for_each(|caches| caches.share(list.clone()));
        let word = |i: u32| key_of(&i.to_le_bytes()).unwrap();
        let hash = |i: u32| hash_of_key(word(i));
        let new = |i: u32| (&b"word"[..], word(i), hash(i));
        let words = 3 * WORDS_BETWEEN as u32;
        for i in 0..words {
            caches[i as usize % 3].note(new(i), &[i, 7]);
        }
        caches.iter_mut().for_each(Caches::exchange);
        assert!(caches[0].words.get(word(1), hash(1)).is_none());
        // Nothing is read before something is told.
        for (i, at) in (words..).zip((0..3).flat_map(|at| [at; WORDS_BETWEEN])) {
            caches[at].note(new(i), &[i, 7]);
            caches[at].exchange();
        }
        for caches in &mut caches {
            let known = (0..words).filter(|i| {
                let found = caches.words.get(word(*i), hash(*i));
                let equal = |found: &Slot| found.ids()[..found.len()] == [*i, 7];
                assert!(found.is_none_or(equal));
                found.is_some()
            });
            // Some had to make room for others.
            assert!(known.count() > words as usize * 9 / 10);
        }
        assert_eq!(list.0.lock().unwrap().len(), 6 * WORDS_BETWEEN);
    }
}
