use super::inspect::{Encoding, inspect};
use super::*;
use crate::progress::Progress;
use std::fs;
use std::io::Write;
use tempfile::TempDir;

fn open(paths: &[&Path]) -> Result<Corpus> {
    let paths: Vec<PathBuf> = paths.iter().map(|p| p.to_path_buf()).collect();
    Corpus::open(&paths, &CorpusOptions::default())
}

fn texts(corpus: &Corpus) -> Vec<String> {
    let text = |d: Document<'_>| String::from_utf8_lossy(d.text).into_owned();
    corpus.documents().map(text).collect()
}

fn folder_with(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_folder_is_walked_in_the_order_of_names_without_hidden_or_empty_files() {
    let folder = folder_with(&[
        ("b.txt", b"two"),
        ("a/z.txt", b"one"),
        (".hidden", b"no"),
        ("c", b""),
        ("d.bin", b"\0\xFF"),
    ]);
    let corpus = open(&[folder.path()]).unwrap();
    assert_eq!(texts(&corpus), ["one", "two", "\0\u{FFFD}"]);
    assert_eq!((corpus.bytes(), corpus.sources()), (8, 3));
}

#[test]
fn compressed_files_and_json_lines_become_plain_documents() {
    let records = b"{\"text\": \"first\\n\", \"id\": 1}\n\n{\"text\": null}\n{\"text\": \"\"}\n{\"id\": 2, \"text\": \"h\\u00e9\"}";
    let mut two_members = gzip(b"gz one ");
    two_members.extend(gzip(b"gz two"));
    let folder = folder_with(&[
        ("1.txt.gz", &two_members),
        ("2.zst", &zstd::encode_all(&b"zst"[..], 1).unwrap()),
        ("3.jsonl", records),
        ("4.jsonl.gz", &gzip(records)),
    ]);
    let corpus = open(&[folder.path()]).unwrap();
    assert_eq!(
        texts(&corpus),
        [
            "gz one gz two",
            "zst",
            "first\n",
            "h\u{e9}",
            "first\n",
            "h\u{e9}"
        ]
    );
}

#[test]
fn a_named_field_makes_any_file_json_lines() {
    let folder = folder_with(&[("data", b"{\"body\": \"x\"}\n{\"body\": \"y\"}\n")]);
    let options = CorpusOptions {
        jsonl_field: Some("body".into()),
    };
    let corpus = Corpus::open(&[folder.path().join("data")], &options).unwrap();
    assert_eq!(texts(&corpus), ["x", "y"]);
}

#[test]
fn bad_input_is_refused_with_its_place_and_a_remedy() {
    let gz = gzip(&b"some text to damage ".repeat(1000));
    let folder = folder_with(&[
        ("empty.txt", b""),
        ("half.gz", &gz[..gz.len() / 2]),
        ("plain.gz", b"not compressed"),
        (
            "half.zst",
            &zstd::encode_all(&[7u8; 9999][..], 1).unwrap()[..12],
        ),
        ("broken.jsonl", b"{\"text\": \"fine\"}\n{\"text\": \n"),
        ("field.jsonl", b"{\"body\": \"fine\"}\n"),
        ("number.jsonl", b"{\"text\": 7}\n"),
        ("list.jsonl", b"[1]\n"),
    ]);
    fs::create_dir(folder.path().join("nothing")).unwrap();
    for (name, code, said) in [
        ("missing", 4, "check the path"),
        ("empty.txt", 3, "the corpus is empty"),
        ("nothing", 3, "holds no file"),
        ("half.gz", 3, "damaged .gz"),
        ("plain.gz", 3, "damaged .gz"),
        ("half.zst", 3, "damaged .zst"),
        ("broken.jsonl", 3, "byte 17: line 2: not JSON"),
        ("field.jsonl", 3, "(here: body)"),
        ("number.jsonl", 3, "not a string"),
        ("list.jsonl", 3, "not a JSON object"),
    ] {
        let path = folder.path().join(name);
        let error = open(&[&path]).unwrap_err();
        let message = error.to_string();
        assert_eq!(error.exit_code(), code, "{message}");
        assert!(message.contains(said), "{message}");
        assert!(message.contains(name), "{message}");
    }
    assert_eq!(open(&[]).unwrap_err().exit_code(), 2);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_to_its_end() {
    let corpus = open(&[Path::new("/dev/null")]);
    assert!(corpus.unwrap_err().to_string().contains("empty"));
    let mut child = std::process::Command::new("echo")
        .arg("piped")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(child.stdout.as_ref().unwrap());
    let corpus = open(&[Path::new(&format!("/dev/fd/{fd}"))]).unwrap();
    assert_eq!(texts(&corpus), ["piped\n"]);
    child.wait().unwrap();
}

#[test]
fn more_files_than_can_be_mapped_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let count = MAX_MAPPED_FILES + 100;
    for i in 0..count {
        fs::write(folder.path().join(format!("{i:05}")), format!("{i},")).unwrap();
    }
    let corpus = open(&[folder.path()]).unwrap();
    let expected: Vec<String> = (0..count).map(|i| format!("{i},")).collect();
    assert_eq!(texts(&corpus), expected);
}

#[test]
fn the_hash_sees_content_and_documents_but_no_names() {
    let one = folder_with(&[("a", b"some"), ("b", b"text")]);
    let same = folder_with(&[("c", b"some"), ("d", b""), ("e/f", b"text")]);
    let joined = folder_with(&[("a", b"sometext")]);
    let hash = |folder: &TempDir| open(&[folder.path()]).unwrap().hash();
    assert_eq!(hash(&one), hash(&same));
    assert_ne!(hash(&one), hash(&joined));
}

#[test]
fn a_split_keeps_every_byte_and_cuts_no_character() {
    let newline = "first line\nsecond line\n".repeat(50).into_bytes();
    let unbroken = "紅樓夢".repeat(100).into_bytes();
    let binary: Vec<u8> = (0..=255).cycle().take(3000).collect();
    for text in [newline, unbroken, binary] {
        let corpus = Corpus::from_bytes("text", text.clone());
        for tail in [
            0,
            1,
            10,
            100,
            text.len() as u64 - 1,
            text.len() as u64,
            1 << 40,
        ] {
            let (head, held_out) = corpus.split_off_tail(tail);
            let joined: Vec<u8> = head
                .documents()
                .chain(held_out.documents())
                .flat_map(|d| d.text.to_vec())
                .collect();
            assert_eq!(joined, text);
            assert!(held_out.bytes() <= tail);
            if let Ok(whole) = std::str::from_utf8(&text) {
                assert!(whole.is_char_boundary(head.bytes() as usize));
            }
            if tail == 100 {
                assert!(held_out.bytes() > 50);
            }
        }
    }
}

/// Texts that have tripped splitters: long white space, CRLF, no boundary at all, odd bytes.
fn awkward_texts() -> Vec<Vec<u8>> {
    vec![
        b"a b c\n\nd e  f\r\ng\r\n\r\nh\n/i\n j\n".repeat(20),
        "\u{3000}\n\u{3000}x\u{a0}\ny\n\u{2003}z\n紅\n樓夢。\nй\n"
            .repeat(20)
            .into_bytes(),
        vec![b'x'; 5000],
        vec![b'\n'; 5000],
        vec![0; 5000],
        (0..=255).rev().cycle().take(5000).collect(),
    ]
}

#[test]
fn chunks_cover_the_corpus_whatever_their_length() {
    for text in awkward_texts() {
        let folder = folder_with(&[("a", &text), ("b", b"short"), ("c", &text)]);
        let corpus = open(&[folder.path()]).unwrap();
        let (_, tail) = corpus.split_off_tail(corpus.bytes() * 2 / 3);
        for (corpus, target) in [&corpus, &tail]
            .into_iter()
            .flat_map(|c| [0, 1, 7, 100, 1 << 30].map(|t| (c, t)))
        {
            for cuts in [
                Cuts::DOCUMENTS,
                Cuts::LINES,
                Cuts::WORDS,
                Cuts::LINES_AND_WORDS,
            ] {
                let chunks = corpus.chunks_at(target, cuts);
                let mut joined: Vec<Vec<u8>> = Vec::new();
                for (piece, starts) in chunks.iter().flat_map(Chunk::pieces) {
                    assert!(!piece.is_empty());
                    if starts || joined.is_empty() {
                        joined.push(Vec::new());
                    }
                    joined.last_mut().unwrap().extend(piece);
                }
                let expected: Vec<&[u8]> = corpus.documents().map(|d| d.text).collect();
                assert_eq!(joined, expected);
                let shorter = chunks
                    .iter()
                    .rev()
                    .skip(1)
                    .filter(|c| c.bytes() < target as u64);
                assert_eq!(shorter.count(), 0);
            }
        }
    }
}

#[test]
fn cuts_between_words_change_no_pretoken() {
    let patterns = [
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ];
    let patterns = patterns.map(|p| fancy_regex::Regex::new(p).unwrap());
    let pieces = [
        "a", "B", "'s", "é", "e\u{301}", "紅", "。", "1", "23", "/", ".", "'", " ", "  ", "\n",
        "\n\n", "\r\n", "\t", "\u{a0}", "\u{3000}", "\u{2003}", "\u{85}", "\u{2028}", "“", "🙂",
    ];
    let mut rng = barelm_kernels::rng::Rng::new(1);
    let mut cuts = 0;
    for _ in 0..4000 {
        let text: String = (0..60)
            .map(|_| pieces[rng.below(pieces.len() as u64) as usize])
            .collect();
        let corpus = Corpus::from_bytes("random", text.clone().into_bytes());
        let chunks = corpus.chunks(1);
        cuts += chunks.len() - 1;
        for pattern in &patterns {
            let split = |text: &str| -> Vec<String> {
                pattern
                    .find_iter(text)
                    .map(|m| m.unwrap().as_str().to_owned())
                    .collect()
            };
            let apart: Vec<String> = chunks
                .iter()
                .flat_map(Chunk::pieces)
                .flat_map(|(piece, _)| split(std::str::from_utf8(piece).unwrap()))
                .collect();
            assert_eq!(apart, split(&text), "{text:?}");
        }
    }
    assert!(cuts > 1000, "{cuts} cuts are too few to prove anything");
}

#[test]
fn results_of_chunks_do_not_depend_on_threads_and_errors_are_the_first() {
    let corpus = Corpus::from_bytes("text", b"some words here\n".repeat(1000));
    let progress = Progress::new("test", corpus.bytes(), "bytes");
    let lengths = |threads| {
        corpus
            .map_chunks(threads, 100, &progress, |chunk| Ok(chunk.bytes()))
            .unwrap()
    };
    assert_eq!(lengths(1), lengths(3));
    assert_eq!(lengths(1).iter().sum::<u64>(), corpus.bytes());
    let fail = |chunk: Chunk<'_>| match chunk.range().start {
        0..3000 => Ok(()),
        start => Err(Error::data_at("text", start, "stop")),
    };
    let place = |threads| {
        corpus
            .map_chunks(threads, 100, &progress, fail)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(place(1), place(4));
}

#[test]
fn an_inspection_counts_what_is_there() {
    let text = b"\xEF\xBB\xBFh\xC3\xA9llo\r\n\r\nlast \xFF line\0";
    let folder = folder_with(&[("a", text), ("b", b"plain\n")]);
    let corpus = open(&[folder.path()]).unwrap();
    let found = inspect(&corpus, 2).unwrap();
    assert_eq!(
        (found.files, found.documents, found.bytes),
        (2, 2, text.len() as u64 + 6)
    );
    assert_eq!(
        (found.lines, found.crlf_lines, found.longest_line),
        (4, 2, 12)
    );
    assert_eq!(
        (found.bytes_not_utf8, found.nuls, found.encoding),
        (1, 1, Encoding::Binary)
    );
    assert_eq!(found.characters, 1 + 5 + 2 + 2 + 11 + 6);
    assert_eq!(inspect(&corpus, 1).unwrap(), found);
}

#[test]
fn encodings_are_told_apart() {
    for (text, encoding) in [
        (&b"plain"[..], Encoding::Ascii),
        ("h\u{e9}".as_bytes(), Encoding::Utf8),
        (b"\xEF\xBB\xBFmarked", Encoding::Utf8WithBom),
        (b"\xFF\xFEa\0", Encoding::Utf16),
        (b"\0\0\0\0", Encoding::Binary),
    ] {
        let corpus = Corpus::from_bytes("text", text.to_vec());
        assert_eq!(inspect(&corpus, 1).unwrap().encoding, encoding);
    }
    let mut damaged = vec![b'a'; 1000];
    damaged[500] = 0xFF;
    let corpus = Corpus::from_bytes("text", damaged);
    assert_eq!(inspect(&corpus, 1).unwrap().encoding, Encoding::DamagedUtf8);
}
