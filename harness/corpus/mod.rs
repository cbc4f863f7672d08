//! Text on disk, mapped into memory.
