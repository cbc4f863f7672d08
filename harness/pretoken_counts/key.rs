//! Keys of short pretokens as bytes, and in the order of those.

use crate::kernels::bpe::Key;

/// The bytes of a key, and their number.
pub(super) fn unpack([low, high]: Key) -> ([u8; 16], usize) {
    let bytes = u128::from(high) << 64 | u128::from(low);
    (bytes.to_le_bytes(), (high >> 56) as usize)
}

/// What keys must be sorted by to be in the order of their bytes.
pub(super) fn order([low, high]: Key) -> [u64; 2] {
    // Read from the other end, a key compares like its bytes, and then like its length.
    [low.swap_bytes(), high.swap_bytes()]
}
