//! Files that come back, files that must be refused, and questions with known answers.

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
fn both_formats_bring_back_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let mut odd = sample();
    odd.words[0] = " the".into();
    odd.words[1] = b"\n\xFF\x00".to_vec();
    odd.data[0] = f32::MIN_POSITIVE / 3.0;
    odd.data[1] = -0.1;
    odd.data[2] = f32::MAX;
    let mut latin = sample();
    latin.words[3] = b"caf\xE9".to_vec();
    for embeddings in [sample(), odd, latin] {
        let path = folder.path().join("vectors");
        embeddings.save_binary(&path).unwrap();
        assert_eq!(Embeddings::load(&path).unwrap(), embeddings);
        embeddings.save_text(&path).unwrap();
        assert_eq!(Embeddings::load(&path).unwrap(), embeddings);
    }
}

#[test]
fn an_empty_word_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors");
    let mut empty = sample();
    empty.words[2].clear();
    assert_eq!(empty.save_text(&path).unwrap_err().exit_code(), 2);
    assert!(!path.exists());
}

#[test]
fn files_of_other_programs_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        Embeddings::load(file(&folder, b"2 2 \r\n</s> 0.5 -1e-3 \r\nword 1 2 \r\n")).unwrap();
    assert_eq!(text.words, [b"</s>".to_vec(), b"word".to_vec()]);
    assert_eq!(text.data, [0.5, -1e-3, 1.0, 2.0]);
    // gensim writes no newline after a row.
    let mut binary = b"2 1\na ".to_vec();
    binary.extend(1.5f32.to_le_bytes());
    binary.extend(b"b ");
    binary.extend(2.5f32.to_le_bytes());
    let binary = Embeddings::load(file(&folder, &binary)).unwrap();
    assert_eq!((binary.words.len(), binary.data), (2, vec![1.5, 2.5]));
}

#[test]
fn hostile_files_are_refused_with_their_byte() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |content: &[u8]| match Embeddings::load(file(&folder, content)) {
        Err(Error::Data { offset, .. }) => offset,
        other => panic!("{:?} gave {other:?}", String::from_utf8_lossy(content)),
    };
    assert_eq!(refused(b""), None);
    assert_eq!(refused(b"\0\0\0\0\0\0"), Some(0));
    assert_eq!(refused(b"999999999999999 100\n"), Some(20));
    assert_eq!(
        refused(b"18446744073709551615 18446744073709551615\n"),
        Some(0)
    );
    assert_eq!(refused(b"9223372036854775807 4\na 1 2 3 4"), Some(22));
    assert_eq!(refused(b"2 0\n"), Some(0));
    assert_eq!(refused(b"-2 3\na 1 2 3\n"), Some(0));
    assert_eq!(refused(b"2 2\na 1 2\nb 1 x\n"), Some(14));
    assert_eq!(refused(b"2 2\na 1 2\nb 1\n"), Some(14));
    assert_eq!(refused(b"1 2\na 1 2\nb 1 2\n"), Some(10));
    assert_eq!(refused(b"2 2\na 1 2\nb 1 nan\n"), Some(14));
    let mut nan = b"1 1\na ".to_vec();
    nan.extend(f32::NAN.to_le_bytes());
    assert_eq!(refused(&nan), Some(6));
}

#[test]
fn every_truncation_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors");
    sample().save_binary(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    // Without its last byte, a newline, the file is still whole.
    for len in 0..bytes.len() - 1 {
        assert!(
            Embeddings::load(file(&folder, &bytes[..len])).is_err(),
            "{len}"
        );
    }
    assert!(Embeddings::load(file(&folder, &bytes[..bytes.len() - 1])).is_ok());
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
    assert_eq!(report.semantic.accuracy, 1.0);
    assert_eq!((report.total.asked, report.total.correct), (3, 2));
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
    assert!(report.pearson > 0.9 && report.spearman > 0.4, "{report:?}");
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
