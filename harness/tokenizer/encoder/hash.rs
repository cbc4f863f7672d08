//! Hashes of pieces. They say where to look: equal hashes of different pieces cost time alone.

const KEYS: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93];

/// Both halves of a product, folded.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Hash of a number of 128 bits.
#[inline]
pub(super) fn hash_of_halves(low: u64, high: u64) -> u64 {
    fold(low ^ KEYS[0], high ^ KEYS[1])
}

/// Hash of a piece of 16 bytes or more.
pub(super) fn hash_of_bytes(piece: &[u8]) -> u64 {
    let mix = |hash: u64, chunk: &[u8; 16]| {
        let bytes = u128::from_le_bytes(*chunk);
        hash_of_halves(bytes as u64 ^ hash.rotate_left(29), (bytes >> 64) as u64)
    };
    let hash = piece
        .as_chunks::<16>()
        .0
        .iter()
        .fold(piece.len() as u64, mix);
    // The last bytes, some of them perhaps once more.
    piece.last_chunk().map_or(hash, |last| mix(hash, last))
}
