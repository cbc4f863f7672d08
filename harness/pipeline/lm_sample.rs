//! How a model under training goes on with the held-out text, for a person to read.

use crate::kernels::model::{Network, Session};
use crate::kernels::top_k::top_k;
use crate::token_stream::TokenStream;
use crate::tokenizer::Tokenizer;

/// Tokens that are read, and tokens that are added.
const PROMPT: usize = 8;
const ADDED: usize = 32;

/// A prompt, and what turns ids into text.
pub(super) struct Sampler<'a> {
    tokenizer: &'a Tokenizer,
    prompt: Vec<u32>,
}

impl<'a> Sampler<'a> {
    /// Samples that go on with the start of a text.
    pub(super) fn new(tokenizer: &'a Tokenizer, text: &TokenStream) -> Self {
        let prompt = (0..PROMPT).filter_map(|at| text.get(at)).collect();
        Self { tokenizer, prompt }
    }

    /// The prompt and the tokens that are likeliest after it, one after the other, on one line.
    pub(super) fn sample(&self, network: Network<'_>) -> String {
        let mut workspace = vec![0.0; network.session_workspace_len()];
        let mut logits = vec![0.0; network.vocab_size()];
        let mut ids = self.prompt.clone();
        let mut session = Session::new(network, &mut workspace).expect("as long as it says");
        for id in &self.prompt {
            session.push(*id).expect("the text is of the vocabulary");
        }
        for _ in 0..ADDED {
            session.logits(&mut logits).expect("one logit a token");
            let Some(best) = top_k::<1>(&logits).first().copied() else {
                break;
            };
            session.push(best.index).expect("a token of the vocabulary");
            ids.push(best.index);
        }
        let text = |ids: &[u32]| {
            let text = self.tokenizer.decode(ids);
            String::from_utf8_lossy(&text).replace(char::is_control, " ")
        };
        let (prompt, added) = ids.split_at(self.prompt.len());
        format!("{} |{}", text(prompt), text(added))
    }
}
