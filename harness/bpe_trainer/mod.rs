//! Learns byte-pair merges from pretoken counts.
