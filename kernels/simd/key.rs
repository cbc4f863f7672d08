//! Up to fifteen bytes as two numbers, and a hash of them.

/// 1 to [`KEY_LEN`] bytes, the first one lowest, and how many they are in the uppermost byte.
pub type Key = [u64; 2];

/// Most bytes of a key.
pub const KEY_LEN: usize = 15;
/// The key of no bytes.
pub const NO_KEY: Key = [1, 0];
/// Factors of the hash, one for each 32 bits of a key.
pub(super) const FACTORS: [u64; 4] = [0x9E37_79B9, 0x85EB_CA6B, 0xC2B2_AE35, 0x27D4_EB2F];

/// The key of some bytes, unless they are none or too many.
#[inline]
pub fn key_of(bytes: &[u8]) -> Option<Key> {
    let mut padded = [0; 16];
    padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
    (1..=KEY_LEN)
        .contains(&bytes.len())
        .then(|| key(&padded, bytes.len()))
}

/// The hash of a key, whose lower 32 bits are the better ones: `s ^ s >> 32` of the sum of the four
/// words of 32 bits, each times a factor of its own.
///
/// It says where to look. Whoever wants to can make many keys with the same one.
#[inline]
pub const fn hash_of_key([low, high]: Key) -> u64 {
    let [a, b, c, d] = FACTORS;
    let low = (low as u32 as u64 * a).wrapping_add((low >> 32) * b);
    let high = (high as u32 as u64 * c).wrapping_add((high >> 32) * d);
    let sum = low.wrapping_add(high);
    sum ^ sum >> 32
}

/// The bits of the first `n` bytes.
const MASKS: [u128; KEY_LEN + 1] = {
    let mut masks = [0; KEY_LEN + 1];
    let mut n = 1;
    while n <= KEY_LEN {
        masks[n] = masks[n - 1] << 8 | 0xFF;
        n += 1;
    }
    masks
};

/// The key of the first `len` of these bytes, at most [`KEY_LEN`].
#[inline(always)]
pub(crate) fn key(bytes: &[u8; 16], len: usize) -> Key {
    let bytes = u128::from_le_bytes(*bytes) & MASKS[len % 16];
    [bytes as u64, (bytes >> 64) as u64 | (len as u64) << 56]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_of_different_bytes_differ_and_see_nothing_behind_them() {
        let mut keys = HashSet::new();
        let mut all = 0;
        for len in 1..=KEY_LEN {
            for (at, value) in (0..len).flat_map(|at| [(at, 1), (at, 255)]) {
                let mut bytes = [0; 16];
                bytes[at] = value;
                let alone = key(&bytes, len);
                bytes[len..].fill(0xAA);
                assert_eq!(key(&bytes, len), alone);
                assert_eq!(key_of(&bytes[..len]), Some(alone));
                assert!(alone != NO_KEY && alone[1] >> 60 == 0);
                all += usize::from(keys.insert(alone));
            }
        }
        assert_eq!(all, KEY_LEN * (KEY_LEN + 1));
        assert_eq!([key_of(&[]), key_of(&[0; 16])], [None; 2]);
    }

    #[test]
    fn hashes_of_words_that_are_alike_spread_over_a_table() {
        // Numbers, in the places of a word's first and last letters: as even as at random.
        for shift in [0, 16, 40, 64, 90] {
            let slots = 1 << 12;
            let place = |i: u128| {
                let bytes = (i << shift).to_le_bytes();
                hash_of_key(key(&bytes, KEY_LEN)) as usize % slots
            };
            let used: HashSet<_> = (0..slots as u128).map(place).collect();
            assert!(used.len() > slots / 2, "{shift}: {}", used.len());
        }
    }
}
