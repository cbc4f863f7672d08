//! Skip-gram: every word of a context by itself against the nodes of its window.
//!
//! The words of a window visit the same nodes, so a window is a product of two small matrices: the
//! scores are its words' vectors times its thetas. It is cut into [`super::blocks`] of four, two or one
//! words, whose vectors stay in registers while one theta after the other passes by. In the update such
//! a theta adds its part to the gradients of all words of the block, and takes the steps of all of them,
//! before it is written back.

mod forward;
mod update;

pub(super) use forward::PairsForward;
pub(super) use update::PairsUpdate;
