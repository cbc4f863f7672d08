//! Files that come back, and files of other programs.

mod hostile;

use super::*;
use std::path::PathBuf;
use tempfile::TempDir;

/// Every format that keeps all bits, with a name of its own.
const EXACT: [(&str, FileFormat); 4] = [
    ("v.bin", FileFormat::Word2vecBinary),
    ("v.txt", FileFormat::Word2vecText),
    ("v.npy", FileFormat::Npy),
    ("v.safetensors", FileFormat::Safetensors(Dtype::F32)),
];

fn with_words(words: &[&[u8]]) -> Embeddings {
    let data = (0..3 * words.len()).map(|i| i as f32 * 0.1 - 0.3).collect();
    let words = words.iter().map(|word| word.to_vec()).collect();
    Embeddings::new(words, 3, data).unwrap()
}

fn sample() -> Embeddings {
    with_words(&[b"man", b"woman", b"king"])
}

fn write(folder: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn every_format_brings_back_the_same_bits_and_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut rough = sample();
    rough.data[..3].copy_from_slice(&[f32::MIN_POSITIVE / 3.0, -0.1, f32::MAX]);
    let lists = [
        sample(),
        rough,
        with_words(&[b" the", b"\n\xFF\x00", "café".as_bytes()]),
        with_words(&[b"caf\xE9", b"the"]),
        with_words(&[b"nul\0", b"\x01\x7F", b"\x0B"]),
        with_words(&["Ġthe".as_bytes(), b"\t"]),
        with_words(&[b"\r", b"\r\n", b" "]),
    ];
    for embeddings in lists {
        for (name, format) in EXACT {
            let path = folder.path().join(name);
            embeddings.save(&path, format).unwrap();
            assert_eq!(Embeddings::load(&path).unwrap(), embeddings, "{name}");
        }
    }
}

#[test]
fn a_file_is_read_as_what_it_is_whatever_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for (_, format) in EXACT {
        let path = folder.path().join("vectors");
        sample().save(&path, format).unwrap();
        assert_eq!(Embeddings::load(&path).unwrap(), sample(), "{format:?}");
    }
}

#[test]
fn words_in_word2vec_files_are_always_utf8() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.txt");
    with_words(&[b"caf\xE9", b"\xFF\xFE", b"the"])
        .save(&path, FileFormat::Word2vecText)
        .unwrap();
    let text = std::fs::read_to_string(path).expect("UTF-8");
    let words: Vec<&str> = text
        .lines()
        .skip(1)
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(words, ["Ġcafé", "Ġÿþ", "Ġthe"]);
}

#[test]
fn an_empty_word_stands_in_safetensors_alone() {
    let folder = tempfile::tempdir().unwrap();
    let empty = with_words(&[b"a", b""]);
    for (name, format) in EXACT.into_iter().chain([("v.tsv", FileFormat::Projector)]) {
        let path = folder.path().join(name);
        match format {
            FileFormat::Safetensors(_) => {
                empty.save(&path, format).unwrap();
                assert_eq!(Embeddings::load(&path).unwrap(), empty);
            }
            _ => {
                assert_eq!(empty.save(&path, format).unwrap_err().exit_code(), 2);
                assert!(!path.exists());
            }
        }
    }
}

#[test]
fn smaller_elements_are_near_and_take_less_room() {
    let folder = tempfile::tempdir().unwrap();
    let data: Vec<f32> = (0..3000).map(|i| (i as f32 * 0.7).sin()).collect();
    let words = (0..10).map(|i| format!("word{i}").into_bytes()).collect();
    let embeddings = Embeddings::new(words, 300, data).unwrap();
    for (dtype, bytes, error) in [
        (Dtype::F16, 6000, 1.0 / 2048.0),
        (Dtype::Int8, 3000, 0.5 / 127.0),
    ] {
        let path = folder.path().join("v.safetensors");
        embeddings
            .save(&path, FileFormat::Safetensors(dtype))
            .unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < bytes + 500);
        let loaded = Embeddings::load(&path).unwrap();
        assert_eq!(loaded.words, embeddings.words);
        let mut pairs = loaded.data.iter().zip(&embeddings.data);
        assert!(pairs.all(|(x, y)| (x - y).abs() <= error * 1.0001));
    }
}

#[test]
fn a_number_that_half_precision_cannot_hold_is_refused_by_its_word() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.safetensors");
    let mut large = sample();
    large.data[4] = 1e5;
    let error = large
        .save(&path, FileFormat::Safetensors(Dtype::F16))
        .unwrap_err();
    assert!(error.to_string().contains("\"woman\""), "{error}");
    assert!(!path.exists());
}

#[test]
fn the_projector_gets_numbers_between_tabs_and_a_word_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let embeddings = with_words(&[b" king", b"tab\there"]);
    embeddings
        .save(folder.path().join("vectors.tsv"), FileFormat::Projector)
        .unwrap();
    assert_eq!(read("metadata.tsv"), "Ġking\ntabĉhere\n");
    let rows: Vec<Vec<f32>> = read("vectors.tsv")
        .lines()
        .map(|line| line.split('\t').map(|x| x.parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.concat(), embeddings.data);
    embeddings
        .save(folder.path().join("en.tsv"), FileFormat::Projector)
        .unwrap();
    assert_eq!(read("en.metadata.tsv"), read("metadata.tsv"));
    let error = Embeddings::load(folder.path().join("en.tsv")).unwrap_err();
    assert!(error.to_string().contains("Projector"), "{error}");
}

#[test]
fn files_of_other_programs_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let text = write(
        &folder,
        "v.txt",
        b"2 2 \r\n</s> 0.5 -1e-3 \r\nword 1 2 \r\n",
    );
    let text = Embeddings::load(text).unwrap();
    assert_eq!(text.words, [b"</s>".to_vec(), b"word".to_vec()]);
    assert_eq!(text.data, [0.5, -1e-3, 1.0, 2.0]);
    // gensim writes no newline after a row.
    let mut binary = b"2 1\na ".to_vec();
    binary.extend(1.5f32.to_le_bytes());
    binary.extend(b"b ");
    binary.extend(2.5f32.to_le_bytes());
    let binary = Embeddings::load(write(&folder, "v.bin", &binary)).unwrap();
    assert_eq!((binary.words.len(), binary.data), (2, vec![1.5, 2.5]));
    // A list from Windows, without a newline at its end.
    sample()
        .save(folder.path().join("v.npy"), FileFormat::Npy)
        .unwrap();
    write(&folder, "v.words.txt", b"a\r\nb\r\nc");
    let npy = Embeddings::load(folder.path().join("v.npy")).unwrap();
    assert_eq!(npy.words, [b"a", b"b", b"c"]);
}
