//! The Embedding Projector's tables: a vector a line, its numbers between tabs, and the words in a
//! list of their own. Written, not read.

use super::super::Embeddings;
use super::word_list;
use crate::Result;
use crate::output::OutputFile;
use std::path::{Path, PathBuf};

/// `metadata.tsv` to `vectors.tsv`, the projector's own names; else `X.metadata.tsv` to `X.tsv`.
fn metadata_path(path: &Path) -> PathBuf {
    match path.file_name() {
        Some(name) if name == "vectors.tsv" => path.with_file_name("metadata.tsv"),
        _ => path.with_extension("metadata.tsv"),
    }
}

pub(super) fn save(embeddings: &Embeddings, path: &Path) -> Result<()> {
    let words = word_list::write(&embeddings.words, &metadata_path(path))?;
    let mut file = OutputFile::create(path)?;
    for row in embeddings.data.chunks(embeddings.dim) {
        let numbers: Vec<String> = row.iter().map(f32::to_string).collect();
        file.write(numbers.join("\t").as_bytes())?;
        file.write(b"\n")?;
    }
    words.commit()?;
    file.commit()
}
