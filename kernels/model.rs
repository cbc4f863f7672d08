//! A model file, checked once, that predicts and generates.
