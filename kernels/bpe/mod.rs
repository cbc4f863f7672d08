//! Byte-pair encoding over flat tables.
//!
//! Text is first cut into pieces by a [`Pattern`]; inside each piece, pairs of tokens are merged.

pub mod pretokenize;
pub mod unicode;
#[rustfmt::skip]
mod unicode_table;

pub use pretokenize::{Pattern, Pieces, last_cut};
