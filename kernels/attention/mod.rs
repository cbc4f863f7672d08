//! Scaled dot-product attention, tiled, with online softmax.
