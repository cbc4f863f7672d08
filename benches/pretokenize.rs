//! Text cut into pieces, each pattern on texts of several kinds: `cargo bench --bench pretokenize`.

use barelm::kernels::bpe::Pattern;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const BYTES: usize = 1 << 20;

const ENGLISH: [&str; 16] = [
    "the ",
    "people ",
    "of ",
    "a ",
    "town",
    ", ",
    "who ",
    "don't ",
    "ask ",
    "in ",
    "1984",
    ". ",
    "It ",
    "was ",
    "remembered ",
    "\n\n",
];
const SOURCE: [&str; 16] = [
    "fn ", "run", "(", "self", ", ", "x: ", "u64", ") -> ", "{\n", "        ", "let ", "HashMap",
    "::", "new()", ";\n    ", "// ",
];
const CHINESE: [&str; 16] = [
    "我",
    "们",
    "在",
    "一个",
    "小镇",
    "上",
    "，",
    "听说",
    "红楼",
    "的",
    "故事",
    "。",
    "今天",
    "人",
    "来",
    "“好”",
];
const RUSSIAN: [&str; 16] = [
    "Мы ",
    "в ",
    "городе",
    ", ",
    "слышали ",
    "старые ",
    "истории",
    ". ",
    "Он ",
    "не ",
    "знал ",
    "и ",
    "ё",
    "ж ",
    "— ",
    "1984 ",
];

/// A text of words drawn by a multiplicative generator.
fn text(words: &[&str]) -> String {
    let mut text = String::with_capacity(BYTES);
    let mut state = 1_u64;
    while text.len() < BYTES {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        text += words[(state >> 33) as usize % words.len()];
    }
    text
}

fn pieces(c: &mut Criterion) {
    for (language, words) in [
        ("english", ENGLISH),
        ("source", SOURCE),
        ("chinese", CHINESE),
        ("russian", RUSSIAN),
    ] {
        let text = text(&words);
        let mut group = c.benchmark_group(format!("pretokenize/{language}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        for (name, pattern) in [
            ("gpt2", Pattern::Gpt2),
            ("cl100k", Pattern::Cl100k),
            ("o200k", Pattern::O200k),
            ("whitespace", Pattern::Whitespace),
        ] {
            group.bench_function(name, |b| {
                b.iter(|| {
                    let mut letters = 0;
                    pattern
                        .pieces(black_box(text.as_bytes()))
                        .for_each(|piece| letters += piece.len());
                    letters
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, pieces);
criterion_main!(benches);
