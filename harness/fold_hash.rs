//! A hash for tables with keys of our own: one multiplication, high half folded onto the low one.
//!
//! It is much faster than the standard library's, and does not defend against keys that were
//! chosen to collide.

use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// A map that hashes by folding. Its order of iteration must not show in any result.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Fold>>;

/// State of the hash.
#[derive(Default)]
pub(crate) struct Fold(u64);

/// Makes hashes that another seed makes otherwise: for keys that a stranger may have chosen.
#[derive(Clone)]
pub(crate) struct Seeded(u64);

impl Default for Seeded {
    /// Another seed in each run.
    fn default() -> Self {
        Self(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for Seeded {
    type Hasher = Fold;

    #[inline]
    fn build_hasher(&self) -> Fold {
        Fold(self.0)
    }
}

/// One multiplication, high half folded onto the low one.
#[inline]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9E37_79B9_7F4A_7C15) * u128::from(b ^ 0xD1B5_4A32_D192_ED03);
    product as u64 ^ (product >> 64) as u64
}

impl Hasher for Fold {
    #[inline]
    fn write_u128(&mut self, key: u128) {
        self.0 = fold(key as u64, (key >> 64) as u64);
    }

    #[inline]
    fn write_u64(&mut self, key: u64) {
        self.0 = fold(key, key.rotate_left(32));
    }

    /// The length before a slice of bytes.
    #[inline]
    fn write_usize(&mut self, len: usize) {
        self.0 = fold(self.0, len as u64);
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh64::xxh64(bytes, self.0);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
