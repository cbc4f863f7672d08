//! The `std` half of barelm: corpora on disk, training, model files, and the command line.
//!
//! The modules follow the data. Each stage reads the file that the one before it wrote:
//!
//! ```text
//! corpus -> pretoken_counts -> bpe_trainer -> tokenizer -> token_stream
//!        -> cbow_trainer -> embeddings -> attention_trainer -> model_file
//! ```

pub mod attention_trainer;
pub mod bpe_trainer;
pub mod cbow_trainer;
pub mod checkpoints;
pub mod cli;
pub mod container;
pub mod corpus;
pub mod embeddings;
pub mod error;
mod fold_hash;
mod huge;
pub mod model_file;
pub mod ngram;
mod npy;
pub mod output;
pub mod parallel;
pub mod pipeline;
pub mod pretoken_counts;
pub mod profile;
pub mod progress;
mod scratch;
pub mod synthetic;
mod tensor_file;
pub mod token_stream;
pub mod tokenizer;

pub use barelm_kernels as kernels;
pub use error::{Error, Result};
