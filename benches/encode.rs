//! Encoding with a vocabulary learned here, by the kernels alone and by the harness with caches
//! that are empty at first, in bytes a second.
//!
//! `cargo bench --bench encode`

use barelm::bpe_trainer::{self, BpeTrainerOptions};
use barelm::corpus::Corpus;
use barelm::pretoken_counts::{CountMode, PretokenCounts};
use barelm::progress::Progress;
use barelm::tokenizer::{HarnessPattern, Tokenizer};
use barelm_kernels::bpe::encode_workspace_len;
use barelm_kernels::rng::Rng;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const LEN: usize = 1 << 20;

/// Words of a lexicon, the first ones more often, each behind one of the separators.
fn words(rng: &mut Rng, lexicon: &[String], separators: &[&str]) -> String {
    let mut text = String::new();
    while text.len() < LEN {
        let below = 1 + rng.below(lexicon.len() as u64);
        text.push_str(&lexicon[rng.below(below) as usize]);
        text.push_str(separators[rng.below(separators.len() as u64) as usize]);
    }
    text
}

/// Random words over some characters.
fn lexicon(rng: &mut Rng, letters: &[char], words: usize, longest: u64) -> Vec<String> {
    let mut word = || {
        let len = 1 + rng.below(longest);
        (0..len)
            .map(|_| letters[rng.below(letters.len() as u64) as usize])
            .collect()
    };
    (0..words).map(|_| word()).collect()
}

fn texts() -> [(&'static str, String); 5] {
    let rng = &mut Rng::new(1);
    let latin: Vec<char> = "etaoinshrdlucmfwypvbgkqjxz".chars().collect();
    let han: Vec<char> = ('\u{4e00}'..'\u{5600}').collect();
    let english = lexicon(rng, &latin, 20_000, 10);
    let chinese = lexicon(rng, &han, 5_000, 3);
    let spaced = [" ", " ", " ", " ", " ", " ", ", ", ". ", ".\n"];
    let symbols = [
        "_",
        "(",
        ") {\n    ",
        ".",
        ", ",
        " = ",
        ";\n",
        "]\n",
        " + 12",
    ];
    let random = (0..LEN).map(|_| latin[rng.below(26) as usize]).collect();
    [
        ("english-like", words(rng, &english, &spaced)),
        ("code-like", words(rng, &english[..3000], &symbols)),
        (
            "chinese-like",
            words(rng, &chinese, &["", "", "", "", "，", "。"]),
        ),
        ("random letters", random),
        ("identical letters", "a".repeat(LEN)),
    ]
}

/// A vocabulary learned from the first three texts.
fn tokenizer(texts: &[(&str, String)]) -> barelm::Result<Tokenizer> {
    let learned: String = texts[..3].iter().map(|(_, text)| &text[..]).collect();
    let corpus = Corpus::from_bytes("texts", learned.into_bytes());
    let pattern = HarnessPattern::parse("cl100k")?;
    let progress = || Progress::new("", 0, "");
    let counts = PretokenCounts::count(&corpus, &pattern, CountMode::Lines, 1, &progress())?;
    let options = BpeTrainerOptions {
        vocab_size: 8192,
        ..Default::default()
    };
    Tokenizer::from_vocabulary(&bpe_trainer::train(&counts, &options, &progress())?)
}

fn encode(criterion: &mut Criterion) {
    let texts = texts();
    let tokenizer = tokenizer(&texts).expect("a vocabulary");
    for (name, text) in &texts {
        let mut group = criterion.benchmark_group(*name);
        group.throughput(Throughput::Bytes(text.len() as u64));
        let mut ids = vec![0; text.len()];
        let mut workspace = vec![0; encode_workspace_len(text.len())];
        group.bench_function("kernels", |bencher| {
            let kernel = tokenizer.as_ref();
            bencher.iter(|| kernel.encode_into(text.as_bytes(), &mut ids, &mut workspace));
        });
        group.bench_function("harness, first pass", |bencher| {
            bencher.iter(|| {
                ids.clear();
                tokenizer.encoder().encode_into(text.as_bytes(), &mut ids);
            });
        });
        let mut encoder = tokenizer.encoder();
        group.bench_function("harness, again", |bencher| {
            bencher.iter(|| {
                ids.clear();
                encoder.encode_into(text.as_bytes(), &mut ids);
            });
        });
    }
}

criterion_group!(benches, encode);
criterion_main!(benches);
