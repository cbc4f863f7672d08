//! Questions with known answers.

use super::*;
use std::path::PathBuf;
use tempfile::TempDir;

fn sample() -> Embeddings {
    let words = ["man", "woman", "king", "queen", "apple"];
    let words = words.iter().map(|w| w.as_bytes().to_vec()).collect();
    #[rustfmt::skip]
    let data = vec![
        1.0, 0.0, 0.1,
        1.0, 1.0, 0.1,
        1.0, 0.0, 1.1,
        1.0, 1.0, 1.1,
        -1.0, 0.3, -0.2,
    ];
    Embeddings::new(words, 3, data).unwrap()
}

fn file(folder: &TempDir, content: &[u8]) -> PathBuf {
    let path = folder.path().join("file");
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn neighbours_and_analogies_leave_the_question_out() {
    let embeddings = sample();
    let space = Space::new(&embeddings, usize::MAX);
    let near = space.neighbors(b"King", 10).unwrap();
    assert_eq!(near.len(), 4);
    assert_eq!(near[0].word, b"queen");
    assert!(near.windows(2).all(|pair| pair[0].cosine >= pair[1].cosine));
    let answer = space.analogy(b"man", b"woman", b"king", 1).unwrap();
    assert_eq!(answer[0].word, b"queen");
    assert!((space.cosine(0, 0) - 1.0).abs() < 1e-6);
    let error = space.neighbors(b"zebra", 1).unwrap_err();
    assert_eq!(error.exit_code(), 1);
    let restricted = Space::new(&embeddings, 3);
    assert!(restricted.neighbors(b"queen", 1).is_err());
}

#[test]
fn analogies_are_counted_by_section() {
    let folder = tempfile::tempdir().unwrap();
    let questions = b": family\nMan Woman King Queen\nman king woman queen\nman woman king zebra\n\
        : gram1-wrong\nman woman apple king\n";
    let path = file(&folder, questions);
    let Evaluation::Analogies(report) = evaluate(&sample(), path, usize::MAX, 2).unwrap() else {
        panic!("four words a line are analogies");
    };
    let family = &report.sections[0];
    assert_eq!(
        (family.asked, family.correct, family.out_of_vocabulary),
        (2, 2, 1)
    );
    assert_eq!((report.syntactic.asked, report.syntactic.correct), (1, 0));
    assert_eq!(report.semantic.accuracy, Some(1.0));
    assert_eq!((report.total.asked, report.total.correct), (3, 2));
}

/// Sections of CA8: those of its morphological file are about form.
#[test]
fn sections_of_ca8_are_grouped() {
    let folder = tempfile::tempdir().unwrap();
    let line = "man woman king queen\n";
    let sections = ["A", "AB", "prefix", "suffix", "geography"];
    let questions: String = sections.map(|name| format!(": {name}\n{line}")).concat();
    let path = file(&folder, questions.as_bytes());
    let Evaluation::Analogies(report) = evaluate(&sample(), path, usize::MAX, 1).unwrap() else {
        panic!("four words a line are analogies");
    };
    assert_eq!((report.syntactic.asked, report.semantic.asked), (4, 1));
}

#[test]
fn words_that_differ_in_case_alone_are_one_in_a_test_set() {
    let folder = tempfile::tempdir().unwrap();
    let mut cased = sample();
    cased
        .words
        .extend(["Queen", "KING"].map(|w| w.as_bytes().to_vec()));
    // Nearer to the question than `queen`: an answer as good, and a word of the question.
    cased.data.extend([1.0, 1.0, 1.2, 1.0, 0.9, 1.1]);
    let path = file(&folder, b": family\nman woman King QUEEN\n");
    let Evaluation::Analogies(report) = evaluate(&cased, path, usize::MAX, 1).unwrap() else {
        panic!("four words a line are analogies");
    };
    assert_eq!((report.total.asked, report.total.correct), (1, 1));
}

#[test]
fn vectors_of_any_length_are_compared_by_their_angle() {
    let mut scaled = sample();
    let plain = Space::new(&sample(), usize::MAX).cosine(0, 3);
    for (i, row) in scaled.data.chunks_mut(3).enumerate() {
        row.iter_mut()
            .for_each(|x| *x *= [1e30, 1e-30, 1.0, 1e20, 1e-15][i]);
    }
    let space = Space::new(&scaled, usize::MAX);
    assert!((space.cosine(0, 3) - plain).abs() < 1e-6);
    assert_eq!(space.neighbors(b"king", 1).unwrap()[0].word, b"queen");
}

#[test]
fn pairs_are_correlated() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(
        &folder,
        b"# comment\nman\tKing\t9\nman\twoman\t8.5\nman\tapple\t1\nman\tzebra\t5\n",
    );
    let Evaluation::Pairs(report) = evaluate(&sample(), path, usize::MAX, 1).unwrap() else {
        panic!("two words and a score are pairs");
    };
    assert_eq!((report.pairs, report.out_of_vocabulary), (3, 1));
    assert!(
        report.pearson > Some(0.9) && report.spearman > Some(0.4),
        "{report:?}"
    );
}

#[test]
fn test_sets_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for content in [
        &b"one two\n"[..],
        b"a b c d\na b c\n",
        b"a b 1\na b x\n",
        b": only a name\n",
        b"\n",
    ] {
        let error = evaluate(&sample(), file(&folder, content), 10, 1).unwrap_err();
        assert_eq!(error.exit_code(), 3);
    }
}
