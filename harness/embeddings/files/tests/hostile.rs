//! Files that must be refused, with the byte where they go wrong.

use super::*;

/// The byte that is named when `content` is refused.
#[track_caller]
fn refused(folder: &TempDir, name: &str, content: &[u8]) -> Option<u64> {
    match Embeddings::load(write(folder, name, content)) {
        Err(Error::Data { offset, .. }) => offset,
        other => panic!("{:?} gave {other:?}", String::from_utf8_lossy(content)),
    }
}

#[test]
fn hostile_word2vec_files_are_refused_with_their_byte() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |content: &[u8]| refused(&folder, "v.bin", content);
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
    let mut nan = b"1 2\na ".to_vec();
    nan.extend([1.0, f32::NAN].map(f32::to_le_bytes).concat());
    assert_eq!(refused(&nan), Some(10));
}

#[test]
fn hostile_npy_files_are_refused_with_their_byte() {
    let folder = tempfile::tempdir().unwrap();
    sample()
        .save(folder.path().join("v.npy"), FileFormat::Npy)
        .unwrap();
    let whole = std::fs::read(folder.path().join("v.npy")).unwrap();
    let refused = |content: &[u8]| refused(&folder, "v.npy", content);
    let changed = |from: &str, to: &str| {
        let header = String::from_utf8_lossy(&whole[10..128]).replace(from, to);
        [&whole[..10], &header.as_bytes()[..118], &whole[128..]].concat()
    };
    assert_eq!(refused(&changed("<f4", "<f8")), Some(0));
    assert_eq!(refused(&changed("False", "True ")), Some(0));
    assert_eq!(refused(&changed("(3, 3)", "(3,)  ")), Some(0));
    assert_eq!(refused(&changed("(3, 3)", "(9, 9)")), Some(128));
    assert_eq!(refused(&changed("(3, 3)", "(0, 3)")), Some(128));
    assert_eq!(
        refused(&changed("(3, 3), }", "(9223372036854775807, 3), }")),
        Some(128)
    );
    assert_eq!(refused(&changed("'shape'", "'shame'")), Some(0));
    let mut nan = whole.clone();
    nan[128 + 16..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    assert_eq!(refused(&nan), Some(144));
    // The list of words is a stranger's, too.
    let path = write(&folder, "v.npy", &whole);
    for list in [&b"man\nwoman\n"[..], b"man\n\nking\n", b"a\nb\nc\nd\n", b""] {
        write(&folder, "v.words.txt", list);
        let error = Embeddings::load(&path).unwrap_err();
        assert!(error.to_string().contains("v.words.txt: byte "), "{error}");
    }
    std::fs::remove_file(folder.path().join("v.words.txt")).unwrap();
    assert_eq!(Embeddings::load(&path).unwrap_err().exit_code(), 3);
}

/// A safetensors file of this header, padded as the format wants it, and these bytes.
fn safetensors(header: &str, tensors: &[u8]) -> Vec<u8> {
    let header = format!("{header:<width$}", width = header.len().next_multiple_of(8));
    let len = (header.len() as u64).to_le_bytes();
    [&len[..], header.as_bytes(), tensors].concat()
}

#[test]
fn hostile_safetensors_files_are_refused_with_their_byte() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |content: &[u8]| refused(&folder, "v.safetensors", content);
    assert_eq!(refused(b"abc"), Some(0));
    assert_eq!(refused(&[0xFF; 64]), Some(0));
    assert_eq!(refused(&safetensors("{}", b"")), Some(8));
    assert_eq!(refused(&safetensors("{]", b"")), Some(8));
    let one = |vectors: &str| safetensors(&format!("{{\"vectors\":{vectors}}}"), &[0; 16]);
    assert_eq!(
        refused(&one(r#"{"dtype":"F32","shape":[4],"data_offsets":[0,16]}"#)),
        Some(8)
    );
    assert_eq!(
        refused(&one(
            r#"{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]}"#
        )),
        Some(72)
    );
    assert_eq!(
        refused(&one(
            r#"{"dtype":"F64","shape":[1,2],"data_offsets":[0,16]}"#
        )),
        Some(8)
    );
    assert_eq!(
        refused(&one(
            r#"{"dtype":"F32","shape":[2,4],"data_offsets":[0,16]}"#
        )),
        Some(8)
    );
    assert_eq!(
        refused(&one(
            r#"{"dtype":"I8","shape":[4,4],"data_offsets":[0,16]}"#
        )),
        Some(8)
    );
    let huge = r#"{"dtype":"F32","shape":[4611686018427387904,1],"data_offsets":[0,18446744073709551615]}"#;
    assert_eq!(refused(&one(huge)), Some(8));
    let half =
        r#"{"dtype":"U8","shape":[1152921504606846976],"data_offsets":[0,1152921504606846976]}"#;
    assert!(refused(&one(half)).is_some());
    assert_eq!(
        refused(&one(
            r#"{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}"#
        )),
        Some(8)
    );
}

#[test]
fn damaged_numbers_in_safetensors_are_named_by_their_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.safetensors");
    for (dtype, bad, in_row) in [
        (Dtype::F32, &f32::NAN.to_le_bytes()[..], 12),
        (Dtype::F16, &half::f16::INFINITY.to_le_bytes(), 6),
        (Dtype::Int8, &f32::INFINITY.to_le_bytes(), 3),
    ] {
        sample()
            .save(&path, FileFormat::Safetensors(dtype))
            .unwrap();
        let mut file = std::fs::read(&path).unwrap();
        let start = 8 + u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
        // Behind the ends of the three words: the vectors, or the scales before them.
        let (numbers, vectors) = (
            start + 24,
            start + 24 + 12 * usize::from(dtype == Dtype::Int8),
        );
        let place = if dtype == Dtype::Int8 {
            numbers + 4
        } else {
            vectors + in_row
        };
        file[place..][..bad.len()].copy_from_slice(bad);
        let expected = Some((vectors + in_row) as u64);
        assert_eq!(
            refused(&folder, "v.safetensors", &file),
            expected,
            "{dtype:?}"
        );
        // A word that ends before it starts.
        file[start + 8] = 1;
        assert!(refused(&folder, "v.safetensors", &file).is_some());
    }
}

#[test]
fn every_truncation_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in EXACT {
        sample().save(folder.path().join(name), format).unwrap();
        let bytes = std::fs::read(folder.path().join(name)).unwrap();
        // Without the newline at its end, a word2vec file is still whole; without its last digit, a text is another.
        let least = bytes.len()
            - match format {
                FileFormat::Word2vecBinary => 1,
                FileFormat::Word2vecText => 9,
                _ => 0,
            };
        for len in 0..least {
            refused(&folder, name, &bytes[..len]);
        }
    }
}
