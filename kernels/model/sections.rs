//! Names of the sections.

/// Shape and origin.
pub const CONFIG: [u8; 8] = *b"config\0\0";
/// Settings as JSON.
pub const SETTINGS: [u8; 8] = *b"settings";
/// Queries, keys, values.
pub const TABLES: [[u8; 8]; 3] = [*b"seed.q\0\0", *b"seed.k\0\0", *b"seed.v\0\0"];
/// The output's own table.
pub const OUTPUT: [u8; 8] = *b"seed.u\0\0";
/// Position bias.
pub const BIAS: [u8; 8] = *b"seed.b\0\0";
/// Parameters of the tree.
pub const THETAS: [u8; 8] = *b"seed.t\0\0";
/// Shape of a transformer.
pub const LLAMA_CONFIG: [u8; 8] = *b"llama.c\0";
/// Its weights.
pub const LLAMA_WEIGHTS: [u8; 8] = *b"llama.w\0";
/// Its normalisations, where the matrices are in eight bits.
pub const LLAMA_NORMS: [u8; 8] = *b"llama.n\0";
/// A scale a row of these.
pub const LLAMA_SCALES: [u8; 8] = *b"llama.s\0";
/// Their values.
pub const LLAMA_VALUES: [u8; 8] = *b"llama.q\0";
/// Offsets, nodes and codes of the tree.
pub const TREE: [[u8; 8]; 3] = [*b"huff.off", *b"huff.nod", *b"huff.cod"];
/// Word vectors.
pub const VECTORS: [u8; 8] = *b"vectors\0";
