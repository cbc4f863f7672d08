//! A smoothed bigram model, the baseline that a language model must beat.
