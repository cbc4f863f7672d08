//! The arithmetic of barelm: `no_std`, no allocation, no panic, every buffer the caller's.
//!
//! The modules follow the data, from text to the predicted token:
//!
//! | stage | modules |
//! |---|---|
//! | text to token ids and back | [`bpe`] |
//! | word vectors | [`sigmoid`], [`huffman`], [`cbow`] |
//! | attention | [`exp`], [`softmax`], [`attention`] |
//! | prediction | [`top_k`], [`sample`], [`model`] |
//! | beneath them all | [`error`], [`format`], [`mat`], [`simd`], [`blas1`], [`matmul`] |
//!
//! Each kernel chooses its instructions when it is called ([`simd::dispatch`]), so a plain
//! `cargo build --release` is already fast. A wrong shape is an error value, never a panic.
//!
//! ```
//! let x = [1.0_f32, 2.0, 3.0];
//! let y = [4.0_f32, 5.0, 6.0];
//! assert_eq!(barelm_kernels::blas1::dot(&x, &y), Ok(32.0));
//! ```
#![no_std]

#[cfg(test)]
extern crate std;

pub mod attention;
pub mod blas1;
pub mod bpe;
pub mod cbow;
pub mod error;
pub mod exp;
pub mod format;
pub mod huffman;
pub mod mat;
pub mod matmul;
pub mod model;
pub mod rng;
pub mod sample;
pub mod sigmoid;
pub mod simd;
pub mod softmax;
#[cfg(test)]
pub(crate) mod testing;
pub mod top_k;
