//! Every kernel once, on the same operands everywhere, and a checksum of the bits that it returned.
//!
//! A host and six machines without an operating system run this code. They share a rounding class,
//! so each line must be the same on all of them: no tolerance.
#![no_std]

mod arena;
mod attention;
mod layers;
mod matrices;
pub mod model;
mod small;
mod tree;
mod vectors;
mod words;

pub use arena::{Arena, Memory};
pub use vectors::dot_in_another_order;

/// A kernel on operands from the arena; `None` if it refuses them.
pub type Check = fn(&mut Arena<'_>) -> Option<u64>;

/// Every kernel that needs no model, by name.
pub const CHECKS: [(&str, Check); 46] = [
    ("dot", vectors::dot),
    ("axpy", vectors::axpy),
    ("update", vectors::update),
    ("exp", vectors::exp),
    ("sigmoid_table", vectors::sigmoid_table),
    ("sigmoid_polynomial", vectors::sigmoid_polynomial),
    ("softplus", vectors::softplus),
    ("softmax", vectors::softmax),
    ("log_sum_exp", vectors::log_sum_exp),
    ("cross_entropy", vectors::cross_entropy),
    ("cross_entropy_gradient", vectors::cross_entropy_gradient),
    ("matvec", matrices::matvec),
    ("matvec_t", matrices::matvec_t),
    ("matmul", matrices::matmul),
    ("matmul_nt", matrices::matmul_nt),
    ("matmul_tn", matrices::matmul_tn),
    ("huffman_build", tree::build),
    ("huffman_log_probability", tree::log_probability),
    ("huffman_probabilities", tree::probabilities),
    ("cbow_step", words::step),
    ("cbow_batch", words::batch),
    ("cbow_two_slices", words::two_slices),
    ("skip_gram_batch", words::pairs),
    ("attention_forward_full", attention::forward_full),
    ("attention_forward_causal", attention::forward_causal),
    ("attention_backward", attention::backward),
    ("attend_one", attention::attend_one),
    ("rms_norm_forward", layers::rms_norm_forward),
    ("rms_norm_backward", layers::rms_norm_backward),
    ("rope_angles", layers::rope_angles),
    ("rope_forward", layers::rope_forward),
    ("rope_backward", layers::rope_backward),
    ("swiglu_forward", layers::swiglu_forward),
    ("swiglu_backward", layers::swiglu_backward),
    ("top_k", matrices::top_k),
    ("top_k_of_products", matrices::top_k_of_products),
    ("top_k_of_cosines", matrices::top_k_of_cosines),
    ("sample", vectors::sample),
    ("penalize", vectors::penalize),
    ("rng", vectors::rng),
    ("int8_quantize", small::quantize),
    ("int8_dot", small::dot),
    ("int8_matvec", small::matvec),
    ("halves", small::halves),
    ("attend_cached_f32", small::attend_cached_f32),
    ("attend_cached_f16", small::attend_cached_f16),
];

/// Runs one check on fresh operands.
pub fn run(check: Check, memory: &mut Memory) -> Option<u64> {
    check(&mut Arena::new(memory))
}

/// FNV-1a over 32-bit words (Fowler, Noll, Vo).
pub struct Checksum(u64);

impl Checksum {
    pub const fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }

    #[must_use]
    pub fn word(self, word: u32) -> Self {
        let mix =
            |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        Self(word.to_le_bytes().into_iter().fold(self.0, mix))
    }

    #[must_use]
    pub fn words(self, words: &[u32]) -> Self {
        words.iter().fold(self, |sum, word| sum.word(*word))
    }

    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        bytes
            .iter()
            .fold(self, |sum, byte| sum.word(u32::from(*byte)))
    }

    /// Bits, but for the payload of NaN, which no class fixes.
    #[must_use]
    pub fn float(self, x: f32) -> Self {
        self.word(if x.is_nan() { u32::MAX } else { x.to_bits() })
    }

    #[must_use]
    pub fn floats(self, x: &[f32]) -> Self {
        x.iter().fold(self, |sum, x| sum.float(*x))
    }

    pub fn finish(self) -> Option<u64> {
        Some(self.0)
    }
}

impl Default for Checksum {
    fn default() -> Self {
        Self::new()
    }
}

/// Checksum of numbers.
fn sum_of(x: &[f32]) -> Option<u64> {
    Checksum::new().floats(x).finish()
}
