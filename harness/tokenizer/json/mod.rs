//! Hugging Face's `tokenizer.json` with a byte-level BPE model.

pub(super) mod cursor;
mod lists;
pub(super) mod names;
mod read;
mod split;
mod write;

pub(super) use read::{read, unread_parts};
pub(super) use write::{to_json, to_vocab};
