//! A seeded grammar that writes a corpus with known answers.
