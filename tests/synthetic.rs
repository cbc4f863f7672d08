//! The built-in corpus through tokenizer and vectors: the answers that its grammar knows come out.

use barelm::bpe_trainer::{self, BpeTrainerOptions};
use barelm::cbow_trainer::{self, CbowOptions, TokenSource};
use barelm::corpus::Corpus;
use barelm::embeddings::{Embeddings, Space};
use barelm::pretoken_counts::{CountMode, PretokenCounts};
use barelm::progress::Progress;
use barelm::synthetic::{Analogy, SyntheticCorpus, analogies};
use barelm::token_stream::TokenStream;
use barelm::tokenizer::{HarnessPattern, Tokenizer};

fn tokenizer(text: &[u8]) -> barelm::Result<Tokenizer> {
    let (corpus, progress) = (Corpus::from_bytes("synthetic", text.into()), progress());
    let pattern = HarnessPattern::parse("gpt2")?;
    let counts = PretokenCounts::count(&corpus, &pattern, CountMode::Lines, 1, &progress)?;
    let options = BpeTrainerOptions {
        vocab_size: 2048,
        ..BpeTrainerOptions::default()
    };
    Tokenizer::from_vocabulary(&bpe_trainer::train(&counts, &options, &progress)?)
}

fn vectors(tokenizer: &Tokenizer, text: &[u8]) -> barelm::Result<Embeddings> {
    let stream = TokenStream::from_ids(tokenizer.encode(text), tokenizer.vocab_size());
    let source = TokenSource {
        ids: stream.ids(),
        counts: &stream.counts(),
    };
    let options = CbowOptions {
        dim: 64,
        epochs: 2,
        sample: 0.01,
        threads: 1,
        ..CbowOptions::default()
    };
    let words = tokenizer.vocabulary().tokens;
    Ok(cbow_trainer::train(source, words, &options)?.embeddings)
}

fn progress() -> Progress {
    Progress::new("", 0, "")
}

#[test]
fn every_word_becomes_one_token_and_the_known_analogies_hold() {
    let mut text = Vec::new();
    let corpus = SyntheticCorpus::new(3).write_into(4_000_000, &mut text);
    corpus.expect("memory can be written");
    let tokenizer = tokenizer(&text).expect("the text is long enough");
    let vectors = vectors(&tokenizer, &text).expect("training goes well");
    let space = Space::new(&vectors, usize::MAX);
    let token = |word: &str| format!(" {word}").into_bytes();
    let is_answered = |q: &&Analogy| {
        let answer = space.analogy(&token(q.a), &token(q.b), &token(q.c), 1);
        let answer = answer.expect("every word of a question is one token");
        answer.first().is_some_and(|best| best.word == token(q.d))
    };
    let questions = analogies();
    let right = questions.iter().filter(is_answered).count();
    assert!(
        right * 10 >= questions.len() * 9,
        "{right} of {}",
        questions.len()
    );
}
