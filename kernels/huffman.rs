//! Huffman trees over token counts, for hierarchical softmax.
