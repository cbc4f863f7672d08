//! How often each pretoken occurs in a corpus.
