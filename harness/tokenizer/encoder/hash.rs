//! Hashes of long pieces. They say where to look: equal hashes of different pieces cost time alone.

use crate::fold_hash::fold;

/// Hash of a piece of 16 bytes or more.
pub(super) fn hash_of_bytes(piece: &[u8]) -> u64 {
    let mix = |hash: u64, chunk: &[u8; 16]| {
        let bytes = u128::from_le_bytes(*chunk);
        fold(bytes as u64 ^ hash.rotate_left(29), (bytes >> 64) as u64)
    };
    let hash = piece
        .as_chunks::<16>()
        .0
        .iter()
        .fold(piece.len() as u64, mix);
    // The last bytes, some of them perhaps once more.
    piece.last_chunk().map_or(hash, |last| mix(hash, last))
}
