//! Writes and maps `model.barelm`.
