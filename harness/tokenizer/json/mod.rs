//! Hugging Face's `tokenizer.json` with a byte-level BPE model.

mod read;
mod split;
mod write;

pub(super) use read::read;
pub(super) use write::to_json;
