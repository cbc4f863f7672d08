//! Test sets: analogies in sections (questions-words, CA8) and pairs of words with a judgement.
//!
//! Analogies are answered as word2vec's `compute-accuracy` and gensim's `evaluate_word_analogies`
//! do: the word nearest to `b - a + c`, of vectors at length 1, among all others of the restricted
//! vocabulary; of words that differ in upper and lower case alone the most frequent one stands for
//! all; a question with a word outside the vocabulary is not asked, but counted. CA8's own script
//! asks, too, where the fourth word alone is unknown, and counts the answer as wrong.

use super::Embeddings;
use super::space::{Space, normalize};
use crate::corpus::map::map_path;
use crate::kernels::mat::{MatMut, MatRef};
use crate::kernels::matmul::{Accum, matmul_nt, matmul_workspace_len};
use crate::kernels::top_k::top_k;
use crate::{Error, Result, parallel};
use serde::Serialize;
use std::path::Path;

/// Questions that are answered by one matrix product.
const BLOCK: usize = 128;

/// What a test set says about vectors.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Evaluation {
    /// The file holds analogies.
    Analogies(AnalogyReport),
    /// The file holds pairs of words.
    Pairs(PairReport),
}

/// Accuracy on analogies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnalogyReport {
    /// All questions together.
    pub total: Section,
    /// Sections about meaning: all that are not about form.
    pub semantic: Section,
    /// Sections about the form of words: `gram...` of questions-words; `A`, `AB` (reduplication),
    /// `prefix` and `suffix` of CA8's morphological file.
    pub syntactic: Section,
    /// Each section of the file.
    pub sections: Vec<Section>,
}

/// Analogies of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Section {
    /// Its name in the file.
    pub name: String,
    /// Questions whose words are all in the vocabulary.
    pub asked: u64,
    /// Questions that were answered as expected.
    pub correct: u64,
    /// Questions with a word outside the vocabulary.
    pub out_of_vocabulary: u64,
    /// `correct / asked`; nothing without questions.
    pub accuracy: Option<f64>,
}

/// Agreement with human judgement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairReport {
    /// Pairs whose words are both in the vocabulary.
    pub pairs: u64,
    /// Pairs with a word outside it.
    pub out_of_vocabulary: u64,
    /// Pearson's correlation of cosine and judgement; nothing where it is not defined, as for one pair.
    pub pearson: Option<f64>,
    /// Spearman's rank correlation, likewise; equal values share their mean rank.
    pub spearman: Option<f64>,
}

/// Evaluates the `restrict` most frequent words on a file of analogies or of word pairs; which of
/// the two shows in its lines: four words, or two and a number.
///
/// # Errors
/// [`Error::Io`], or [`Error::Data`] with the byte of a line that is neither.
pub fn evaluate(
    embeddings: &Embeddings,
    path: impl AsRef<Path>,
    restrict: usize,
    threads: usize,
) -> Result<Evaluation> {
    let path = path.as_ref();
    let bytes = map_path(path)?;
    let lines = || content_lines(&bytes);
    let space = Space::new(embeddings, restrict);
    let refuse = |at: usize, what: &str| {
        let message = format!("{what}; a test set has lines of four words, or of two and a score");
        Error::data_at(path, at as u64, message)
    };
    let first = lines().find(|(_, line)| !line.starts_with(b":"));
    let Some((at, first)) = first else {
        return Err(refuse(0, "no questions"));
    };
    match fields(first).count() {
        4 => {
            let questions =
                read_analogies(lines(), &space).map_err(|at| refuse(at, "not a question"))?;
            Ok(Evaluation::Analogies(questions.answer(&space, threads)))
        }
        3 => {
            let report = read_pairs(lines(), &space).map_err(|at| refuse(at, "not a pair"))?;
            Ok(Evaluation::Pairs(report))
        }
        _ => Err(refuse(at, "a line of another kind")),
    }
}

/// Whether a section's questions are about the form of words.
fn is_syntactic(name: &str) -> bool {
    name.starts_with("gram") || ["A", "AB", "prefix", "suffix"].contains(&name)
}

/// Lines that are neither empty nor comments, and where they start.
fn content_lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    let lines = bytes.split(|byte| *byte == b'\n').map(move |line| {
        let start = at;
        at += line.len() + 1;
        (start, line.trim_ascii())
    });
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
}

/// Questions within the vocabulary, with the section of each.
struct Questions {
    sections: Vec<Section>,
    asked: Vec<(usize, [u32; 4])>,
}

/// Reads a file of analogies; the error is the byte of a line that is none.
fn read_analogies<'b>(
    lines: impl Iterator<Item = (usize, &'b [u8])>,
    space: &Space<'_>,
) -> std::result::Result<Questions, usize> {
    let (mut sections, mut asked) = (Vec::<Section>::new(), Vec::new());
    for (at, line) in lines {
        if let Some(name) = line.strip_prefix(b":") {
            sections.push(Section {
                name: String::from_utf8_lossy(name.trim_ascii()).into_owned(),
                ..Section::default()
            });
            continue;
        }
        if sections.is_empty() {
            sections.push(Section::default());
        }
        let words: Vec<&[u8]> = fields(line).collect();
        let words: [&[u8]; 4] = words.try_into().map_err(|_| at)?;
        let current = sections.len() - 1;
        match words.map(|word| space.folded().id(word)) {
            [Some(a), Some(b), Some(c), Some(d)] => asked.push((current, [a, b, c, d])),
            _ => sections[current].out_of_vocabulary += 1,
        }
    }
    Ok(Questions { sections, asked })
}

impl Questions {
    fn answer(mut self, space: &Space<'_>, threads: usize) -> AnalogyReport {
        let blocks: Vec<_> = self.asked.chunks(BLOCK).collect();
        let answers = parallel::map(threads, blocks, |block| answer_block(space, block));
        for ((section, [.., d]), answer) in self.asked.iter().zip(answers.into_iter().flatten()) {
            let section = &mut self.sections[*section];
            section.asked += 1;
            section.correct += u64::from(answer == Some(*d));
        }
        self.sections.iter_mut().for_each(Section::finish);
        let of = |name: &str, wanted: fn(&str) -> bool| {
            let wanted = self.sections.iter().filter(|s| wanted(&s.name));
            wanted.fold(Section::named(name), Section::plus)
        };
        AnalogyReport {
            total: of("total", |_| true),
            semantic: of("semantic", |name| !is_syntactic(name)),
            syntactic: of("syntactic", is_syntactic),
            sections: self.sections,
        }
    }
}

impl Section {
    fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    fn finish(&mut self) {
        self.accuracy = (self.asked > 0).then(|| self.correct as f64 / self.asked as f64);
    }

    fn plus(mut self, other: &Self) -> Self {
        self.asked += other.asked;
        self.correct += other.correct;
        self.out_of_vocabulary += other.out_of_vocabulary;
        self.finish();
        self
    }
}

/// The answer to each question: all cosines by one product; of the best eight (three words of the
/// question, five answers, as many as gensim looks at), the first that is not in the question.
fn answer_block(space: &Space<'_>, block: &[(usize, [u32; 4])]) -> Vec<Option<u32>> {
    let table = space.table();
    let (rows, dim) = (table.rows(), table.cols());
    let mut questions = Vec::with_capacity(block.len() * dim);
    for (_, [a, b, c, _]) in block {
        let mut question = vec![0.0; dim];
        for (weight, id) in [(-1.0, a), (1.0, b), (1.0, c)] {
            space.add(weight, *id, &mut question);
        }
        normalize(&mut question);
        questions.extend(question);
    }
    let mut cosines = vec![0.0; block.len() * rows];
    let mut workspace = vec![0.0; matmul_workspace_len(block.len(), rows, dim)];
    let mut product = || {
        let dst = MatMut::new(&mut cosines, block.len(), rows)?;
        let questions = MatRef::new(&questions, block.len(), dim)?;
        matmul_nt(dst, questions, table, Accum::Replace, &mut workspace)
    };
    product().expect("buffers were made for these shapes");
    let first = &space.folded().first;
    let best = |(row, (_, [a, b, c, _])): (&mut [f32], &(usize, [u32; 4]))| {
        let norms = row.iter_mut().zip(space.inverse_norms());
        norms.for_each(|(product, inverse_norm)| *product *= inverse_norm);
        let best = top_k::<8>(row);
        let mut answers = best.iter().map(|e| first[e.index as usize]);
        answers.find(|answer| ![a, b, c].contains(&answer))
    };
    cosines.chunks_mut(rows).zip(block).map(best).collect()
}

/// Reads and judges a file of pairs; the error is the byte of a line that is none.
fn read_pairs<'b>(
    lines: impl Iterator<Item = (usize, &'b [u8])>,
    space: &Space<'_>,
) -> std::result::Result<PairReport, usize> {
    let (mut cosines, mut judgements, mut out_of_vocabulary) = (Vec::new(), Vec::new(), 0);
    for (at, line) in lines {
        let words: Vec<&[u8]> = fields(line).collect();
        let [a, b, score] = words[..] else {
            return Err(at);
        };
        let score = str::from_utf8(score)
            .ok()
            .and_then(|s| s.parse::<f64>().ok());
        let score = score.filter(|s| s.is_finite()).ok_or(at)?;
        match (space.folded().id(a), space.folded().id(b)) {
            (Some(a), Some(b)) => {
                cosines.push(f64::from(space.cosine(a, b)));
                judgements.push(score);
            }
            _ => out_of_vocabulary += 1,
        }
    }
    Ok(PairReport {
        pairs: cosines.len() as u64,
        out_of_vocabulary,
        pearson: pearson(&cosines, &judgements),
        spearman: pearson(&ranks(&cosines), &ranks(&judgements)),
    })
}

/// Pearson's correlation; nothing where all values are equal.
fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (x, y) = (x - mean_x, y - mean_y);
        xy += x * y;
        xx += x * x;
        yy += y * y;
    }
    let scale = (xx * yy).sqrt();
    (scale > 0.0).then(|| xy / scale)
}

/// The rank of each value; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let mean = first as f64 + (equal.len() - 1) as f64 / 2.0;
        equal.iter().for_each(|i| ranks[*i] = mean);
        first += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlations_agree_with_their_textbook_values() {
        let (x, y) = ([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0]);
        for (y, want) in [
            (y, 0.8),
            ([2.0, 4.0, 6.0, 8.0], 1.0),
            ([4.0, 3.0, 2.0, 1.0], -1.0),
        ] {
            assert!((pearson(&x, &y).unwrap() - want).abs() < 1e-12);
        }
        assert_eq!(pearson(&x, &[1.0; 4]), None);
        assert_eq!(pearson(&[1.0], &[2.0]), None);
        assert_eq!(ranks(&[10.0, 20.0, 10.0, 5.0]), [1.5, 3.0, 1.5, 0.0]);
    }
}
