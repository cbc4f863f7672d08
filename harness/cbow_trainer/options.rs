//! What to train, and the sentences that refuse what cannot be trained.

use crate::kernels::cbow::Projection;
use crate::kernels::sigmoid::SigmoidMethod;
use crate::{Error, Result, parallel};
use serde::{Deserialize, Serialize};

/// Largest dimension of a vector.
pub const MAX_DIM: usize = 4096;
/// Most negative samples of a window: with the target, as many as a code has bits.
pub const MAX_NEGATIVES: usize = 63;
/// Largest window, to each side.
pub const MAX_WINDOW: usize = 1000;

/// What is predicted from what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Architecture {
    /// A token from its whole context, by the mean or the sum of the context's vectors.
    #[default]
    Cbow,
    /// A token from each word of its context alone.
    SkipGram,
}

/// What is minimised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loss {
    /// `-log p(target | context)`, `p` being the product of the decisions along the target's path
    /// in a Huffman tree.
    #[default]
    HierarchicalSoftmax,
    /// `-log s(z_target) - sum log s(-z)` over as many drawn tokens: no likelihood, but cheap.
    NegativeSampling {
        /// Tokens drawn a window, with chances in proportion to `count^0.75`.
        negatives: usize,
    },
    /// `-log p(target | context)` by a softmax over all tokens: exact, and slow.
    Softmax,
}

/// How to train word vectors. The defaults are word2vec.c's.
#[derive(Clone, Debug)]
pub struct CbowOptions {
    /// What is predicted from what.
    pub architecture: Architecture,
    /// What is minimised.
    pub loss: Loss,
    /// Elements of a vector.
    pub dim: usize,
    /// Context words to each side, at most.
    pub window: usize,
    /// Draw each window's size evenly from `1 ..= window`, which weighs near words more; otherwise
    /// every window has its full size.
    pub random_window: bool,
    /// Words that are rarer are left out (of the text, too). Tokens of a tokenizer are all kept.
    pub min_count: u64,
    /// Most words of the vocabulary; the most frequent are kept.
    pub max_vocab: usize,
    /// Words that make up more than this share of the text are thinned out; 0 keeps all.
    pub sample: f64,
    /// Learning rate at the start; it falls linearly.
    pub alpha: f32,
    /// Where the learning rate stops falling, as a share of `alpha`.
    pub alpha_floor: f32,
    /// Passes over the text.
    pub epochs: usize,
    /// The last part of the text, as a share of its tokens, that is not trained on but measured
    /// after each epoch.
    pub hold_out: f64,
    /// How context vectors are combined.
    pub projection: Projection,
    /// How sigmoids are computed.
    pub sigmoid: SigmoidMethod,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Threads; more than the dimension has slices are not used. The result does not depend on it.
    pub threads: usize,
}

impl Default for CbowOptions {
    fn default() -> Self {
        Self {
            architecture: Architecture::default(),
            loss: Loss::default(),
            dim: 100,
            window: 5,
            random_window: true,
            min_count: 5,
            max_vocab: 1 << 30,
            sample: 1e-3,
            alpha: 0.05,
            alpha_floor: 1e-4,
            epochs: 5,
            hold_out: 0.0,
            projection: Projection::default(),
            sigmoid: SigmoidMethod::default(),
            seed: 1,
            threads: parallel::default_threads(),
        }
    }
}

impl CbowOptions {
    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`Error::Usage`] with one sentence about the first of them.
    pub fn validate(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::Usage(message));
        if !(1..=MAX_DIM).contains(&self.dim) {
            return refuse(format!(
                "the dimension must be 1 to {MAX_DIM}, not {}",
                self.dim
            ));
        }
        if !(1..=MAX_WINDOW).contains(&self.window) {
            return refuse(format!(
                "the window must be 1 to {MAX_WINDOW}, not {}",
                self.window
            ));
        }
        if !(self.alpha > 0.0 && self.alpha <= 10.0) {
            let alpha = self.alpha;
            return refuse(format!(
                "the learning rate must be above 0 and at most 10, not {alpha}; 0.05 is usual"
            ));
        }
        if !(0.0..=1.0).contains(&self.alpha_floor) {
            let floor = self.alpha_floor;
            return refuse(format!(
                "the learning rate's floor must be 0 to 1, not {floor}"
            ));
        }
        if !(0.0..=1.0).contains(&self.sample) {
            let sample = self.sample;
            return refuse(format!(
                "the subsampling threshold must be 0 to 1, not {sample}"
            ));
        }
        if !(0.0..=0.5).contains(&self.hold_out) {
            let share = self.hold_out;
            return refuse(format!(
                "the share that is held out must be 0 to 0.5, not {share}"
            ));
        }
        if let Loss::NegativeSampling { negatives } = self.loss
            && !(1..=MAX_NEGATIVES).contains(&negatives)
        {
            return refuse(format!(
                "negative samples must be 1 to {MAX_NEGATIVES}, not {negatives}; 5 is usual"
            ));
        }
        if self.epochs == 0 || self.max_vocab == 0 || self.threads == 0 {
            return refuse("epochs, vocabulary and threads must be at least 1".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senseless_settings_are_refused_in_one_sentence() {
        assert!(CbowOptions::default().validate().is_ok());
        let senseless: [fn(&mut CbowOptions); 15] = [
            |o| o.dim = 0,
            |o| o.dim = 4097,
            |o| o.window = 0,
            |o| o.window = usize::MAX,
            |o| o.alpha = f32::NAN,
            |o| o.alpha = -0.1,
            |o| o.alpha = f32::INFINITY,
            |o| o.alpha_floor = f32::NAN,
            |o| o.sample = f64::NAN,
            |o| o.epochs = 0,
            |o| o.threads = 0,
            |o| o.max_vocab = 0,
            |o| o.hold_out = 0.9,
            |o| o.loss = Loss::NegativeSampling { negatives: 0 },
            |o| o.loss = Loss::NegativeSampling { negatives: 64 },
        ];
        for change in senseless {
            let mut options = CbowOptions::default();
            change(&mut options);
            let error = options.validate().unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(!error.to_string().contains('\n'));
        }
    }
}
