//! The arithmetic of barelm: `no_std`, no allocation, no panic, every buffer the caller's.
//!
//! The modules follow the data, from text to the predicted token:
//!
//! | stage | modules |
//! |---|---|
//! | text to token ids and back | [`bpe`] |
//! | word vectors | [`sigmoid`], [`huffman`], [`cbow`] |
//! | attention | [`exp`], [`softmax`], [`attention`] |
//! | what a transformer adds | [`rms_norm`], [`rope`], [`swiglu`] |
//! | prediction | [`top_k`], [`sample`], [`model`] |
//! | beneath them all | [`error`], [`format`], [`mat`], [`rng`], [`simd`], [`blas1`], [`matmul`], [`int8`], [`half`], [`peak`] |
//!
//! Each kernel chooses its instructions when it is called ([`simd::dispatch`]), so a plain
//! `cargo build --release` is already fast. A wrong shape is an error value, never a panic.
//!
//! ```
//! let x = [1.0_f32, 2.0, 3.0];
//! let y = [4.0_f32, 5.0, 6.0];
//! assert_eq!(barelm_kernels::blas1::dot(&x, &y), Ok(32.0));
//! ```
//!
//! A trained model in flash, and the likeliest next token, without an operating system:
//!
//! ```
//! use barelm_kernels::{bpe::encode_workspace_len, model::ModelRef, top_k::top_k};
//!
//! /// `flash` starts at a multiple of 64; the buffers may be statics.
//! fn likeliest(flash: &[u8], prompt: &[u8], floats: &mut [f32], words: &mut [u32]) -> Option<u32> {
//!     let model = ModelRef::new_checked(flash, words).ok()?;
//!     let (ids, scratch) = words.split_at_mut_checked(prompt.len())?;
//!     let count = model.tokenizer().encode_into(prompt, ids, scratch).ok()?;
//!     let (logits, workspace) = floats.split_at_mut_checked(model.config().vocab_size)?;
//!     model.predict(ids.get(..count)?, logits, workspace).ok()?;
//!     Some(top_k::<1>(logits).first()?.index)
//! }
//!
//! let (mut floats, mut words) = ([0.0; 4096], [0; 64 + encode_workspace_len(64)]);
//! assert_eq!(likeliest(b"no model", b"Once upon a", &mut floats, &mut words), None);
//! ```
//!
//! # Stack and rounding
#![doc = include_str!("stack.md")]
#![no_std]

#[cfg(test)]
extern crate std;

mod aligned;
pub mod attention;
pub mod blas1;
pub mod bpe;
pub mod cbow;
pub mod error;
pub mod exp;
pub mod format;
pub mod half;
mod heap;
pub mod huffman;
pub mod int8;
pub mod mat;
pub mod matmul;
pub mod model;
pub mod peak;
pub mod rms_norm;
pub mod rng;
pub mod rope;
pub mod sample;
pub mod sigmoid;
pub mod simd;
pub mod softmax;
mod square;
pub mod swiglu;
#[cfg(test)]
pub(crate) mod testing;
pub mod top_k;
