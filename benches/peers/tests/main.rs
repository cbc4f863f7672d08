//! Agreement with other libraries, in one binary.

mod tokenizers_library;
