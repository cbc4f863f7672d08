//! Skip-gram: every word of a context by itself against the nodes of its window.
//!
//! The words of a window visit the same nodes, so a window is a product of two small matrices: the
//! scores are its words' vectors times its thetas. Two words meet two or four nodes at a time; then
//! some thetas at once get their steps of all words while they are in registers, and some words those
//! of all nodes. All of a window see the thetas as they were before it.

mod forward;
mod update;

pub(super) use forward::PairsForward;
pub(super) use update::PairsUpdate;
