//! What the trained model does, in a few lines that a person can judge.

use crate::Result;
use crate::embeddings::{Embeddings, Space};
use crate::kernels::sample::Sampling;
use crate::model_file::{GenerateOptions, ModelFile, Prediction, generate_text, predict_text};
use crate::synthetic::{self, Analogy};
use crate::token_stream::TokenStream;
use serde::Serialize;
use std::cmp::Reverse;
use std::fmt;
use std::ops::Range;

/// Predictions, neighbours, and for the built-in corpus how many answers are right.
#[derive(Clone, Debug, Serialize)]
pub struct Samples {
    /// The likeliest next tokens after three places of the held-out text.
    pub predictions: Vec<ShownPrediction>,
    /// The nearest tokens of three frequent words.
    pub neighbors: Vec<Neighbors>,
    /// A text that the model wrote.
    pub generated: String,
    /// The analogies that the built-in corpus teaches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analogies: Option<Analogies>,
    /// How many generated sentences the built-in grammar accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentences: Option<Sentences>,
}

/// The likeliest next tokens after some text.
#[derive(Clone, Debug, Serialize)]
pub struct ShownPrediction {
    /// The text before.
    pub prompt: String,
    /// The token that follows there in truth.
    pub truth: String,
    /// The likeliest tokens with their probabilities.
    pub guesses: Vec<(String, f32)>,
}

/// The nearest tokens of a word.
#[derive(Clone, Debug, Serialize)]
pub struct Neighbors {
    /// The word.
    pub word: String,
    /// Tokens and cosines.
    pub nearest: Vec<(String, f32)>,
}

/// Accuracy on the analogies of the built-in corpus.
#[derive(Clone, Debug, Serialize)]
pub struct Analogies {
    /// Right answers.
    pub correct: usize,
    /// Questions whose words all are tokens.
    pub asked: usize,
    /// Questions with a word that is more than one token.
    pub skipped: usize,
}

/// Generated sentences, judged by the grammar that wrote the corpus.
#[derive(Clone, Debug, Serialize)]
pub struct Sentences {
    /// Sentences that the grammar could have written.
    pub accepted: usize,
    /// Whole sentences generated.
    pub generated: usize,
}

const GUESSES: usize = 5;
/// Tokens before a prediction that are shown and looked at.
const PROMPT_TOKENS: usize = 16;
/// Tokens generated to be judged by the grammar, or to be shown.
const JUDGED_TOKENS: usize = 4000;
const SHOWN_TOKENS: usize = 60;
const SHOWN_CHARS: usize = 300;
const SAMPLING: Sampling = Sampling {
    temperature: 0.7,
    top_k: 0,
    top_p: 0.95,
};
/// Among words by frequency, those whose neighbours are shown.
const SHOWN_RANKS: [usize; 3] = [10, 40, 100];

/// Draws all samples; equal arguments give equal samples.
pub(super) fn draw(
    model: &ModelFile,
    embeddings: &Embeddings,
    valid: &TokenStream,
    synthetic: bool,
    seed: u64,
) -> Result<Samples> {
    let quarters = [1, 2, 3].map(|quarter| valid.len() * quarter / 4);
    let predictions = quarters.into_iter().map(|at| predict_at(model, valid, at));
    let prompt = text_of(model, valid, 0..PROMPT_TOKENS);
    let length = if synthetic {
        JUDGED_TOKENS
    } else {
        SHOWN_TOKENS
    };
    let options = GenerateOptions {
        max_tokens: length,
        sampling: SAMPLING,
        seed,
        ..GenerateOptions::default()
    };
    let text = generate_text(model, prompt.as_bytes(), &options, |_| Ok(()))?;
    let text = String::from_utf8_lossy(&text.text);
    let space = Space::new(embeddings, usize::MAX);
    let words = frequent_words(embeddings, &valid.counts());
    Ok(Samples {
        predictions: predictions.collect::<Result<_>>()?,
        neighbors: words
            .into_iter()
            .map(|word| neighbors(&space, word))
            .collect::<Result<_>>()?,
        analogies: synthetic.then(|| ask_analogies(&space)).transpose()?,
        sentences: synthetic.then(|| judge(&text)),
        generated: text.chars().take(SHOWN_CHARS).collect(),
    })
}

/// What tokens `range` of the stream, cut to those that exist, stand for.
fn text_of(model: &ModelFile, stream: &TokenStream, range: Range<usize>) -> String {
    let ids: Vec<u32> = range.filter_map(|at| stream.get(at)).collect();
    String::from_utf8_lossy(&model.tokenizer().decode(&ids)).into_owned()
}

fn predict_at(model: &ModelFile, valid: &TokenStream, at: usize) -> Result<ShownPrediction> {
    let prompt = text_of(model, valid, at.saturating_sub(PROMPT_TOKENS)..at);
    let shown = |guess: &Prediction| {
        (
            String::from_utf8_lossy(&guess.token).into_owned(),
            guess.probability,
        )
    };
    Ok(ShownPrediction {
        guesses: predict_text(model, prompt.as_bytes(), GUESSES)?
            .iter()
            .map(shown)
            .collect(),
        truth: text_of(model, valid, at..at + 1),
        prompt,
    })
}

/// Words of four bytes or more: frequent ones, spread over the ranks.
fn frequent_words<'e>(embeddings: &'e Embeddings, counts: &[u64]) -> Vec<&'e [u8]> {
    let is_word = |(_, word): &(u64, &&[u8])| {
        let text = String::from_utf8_lossy(word);
        text.trim().len() >= 4 && text.trim().chars().all(char::is_alphabetic)
    };
    let spellings: Vec<&[u8]> = embeddings.words.iter().map(|word| &word[..]).collect();
    let mut words: Vec<(u64, &&[u8])> = counts
        .iter()
        .copied()
        .zip(&spellings)
        .filter(is_word)
        .collect();
    words.sort_by_key(|(count, word)| (Reverse(*count), **word));
    let last = words.len().saturating_sub(1);
    SHOWN_RANKS
        .iter()
        .filter_map(|rank| words.get(*rank.min(&last)).map(|(_, word)| **word))
        .collect()
}

fn neighbors(space: &Space<'_>, word: &[u8]) -> Result<Neighbors> {
    let nearest = space.neighbors(word, GUESSES)?;
    let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    let nearest = nearest
        .into_iter()
        .map(|n| (text(&n.word), n.cosine))
        .collect();
    Ok(Neighbors {
        word: text(word),
        nearest,
    })
}

/// Asks every question of the grammar; words stand in running text, so with their space.
fn ask_analogies(space: &Space<'_>) -> Result<Analogies> {
    let mut result = Analogies {
        correct: 0,
        asked: 0,
        skipped: 0,
    };
    for Analogy { a, b, c, d, .. } in synthetic::analogies() {
        let [a, b, c, d] = [a, b, c, d].map(|word| format!(" {word}").into_bytes());
        if [&a, &b, &c, &d].iter().any(|word| space.id(word).is_none()) {
            result.skipped += 1;
            continue;
        }
        let best = space.analogy(&a, &b, &c, 1)?;
        result.asked += 1;
        result.correct += usize::from(best.first().is_some_and(|best| best.word == d));
    }
    Ok(result)
}

/// The first and the last sentence may be cut off: they are not judged.
fn judge(text: &str) -> Sentences {
    let sentences: Vec<&str> = synthetic::split_sentences(text).collect();
    let whole = sentences
        .get(1..sentences.len().saturating_sub(1))
        .unwrap_or_default();
    let accepted = whole
        .iter()
        .filter(|sentence| synthetic::accepts(sentence))
        .count();
    Sentences {
        accepted,
        generated: whole.len(),
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ShownPrediction {
            prompt,
            truth,
            guesses,
        } in &self.predictions
        {
            let guesses: Vec<String> = guesses
                .iter()
                .map(|(token, p)| format!("{token:?} {:.0} %", p * 100.0))
                .collect();
            writeln!(
                f,
                "after      {prompt:?}\n  predicts {}; the text has {truth:?}",
                guesses.join(", ")
            )?;
        }
        for Neighbors { word, nearest } in &self.neighbors {
            let nearest: Vec<String> = nearest
                .iter()
                .map(|(word, _)| word.trim().to_string())
                .collect();
            writeln!(f, "near       {:?}: {}", word.trim(), nearest.join(", "))?;
        }
        if let Some(Analogies {
            correct,
            asked,
            skipped,
        }) = self.analogies
        {
            let share = 100.0 * correct as f64 / asked.max(1) as f64;
            writeln!(
                f,
                "analogies  {correct} of {asked} right ({share:.0} %), {skipped} skipped"
            )?;
        }
        if let Some(Sentences {
            accepted,
            generated,
        }) = self.sentences
        {
            let share = 100.0 * accepted as f64 / generated.max(1) as f64;
            writeln!(
                f,
                "grammar    accepts {accepted} of {generated} generated sentences ({share:.0} %)"
            )?;
        }
        writeln!(
            f,
            "generates  {}",
            self.generated.trim().replace('\n', " / ")
        )
    }
}
