//! A short pretoken as one number.

/// Longest pretoken that is packed into a key.
pub(super) const SHORT: usize = 15;

/// Up to 15 bytes, the first one lowest, and their number in the highest byte; never 0.
pub(super) type Key = [u64; 2];

/// The bits of the first `n` bytes.
const MASKS: [u128; SHORT + 1] = {
    let mut masks = [0; SHORT + 1];
    let mut n = 1;
    while n <= SHORT {
        masks[n] = masks[n - 1] << 8 | 0xFF;
        n += 1;
    }
    masks
};

/// The key of a pretoken of up to [`SHORT`] bytes that stands in `text` at `at`.
///
/// Sixteen bytes are read whatever the length is, and masked: no branch depends on the length.
#[inline(always)]
pub(super) fn pack(text: &[u8], at: usize, len: usize) -> Key {
    let window = text.get(at..).and_then(|rest| rest.first_chunk::<16>());
    let bytes = match window {
        Some(window) => u128::from_le_bytes(*window) & MASKS[len & SHORT],
        None => near_end(&text[at..at + len]),
    };
    [bytes as u64, (bytes >> 64) as u64 | (len as u64) << 56]
}

#[cold]
fn near_end(piece: &[u8]) -> u128 {
    let shifted = |value: u128, byte: &u8| value << 8 | u128::from(*byte);
    piece.iter().rev().fold(0, shifted)
}

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
