//! Agreement with other libraries, in one binary.

mod tiktoken_library;
mod tokenizers_library;
mod training;
