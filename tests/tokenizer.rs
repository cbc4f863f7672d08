//! `barelm tokenizer` as a user runs it.

use crate::support::{Workplace, barelm, refuse, succeed};
use std::io::Write;
use std::process::{Output, Stdio};

fn trained(place: &Workplace) -> (String, String) {
    let (text, model) = (place.stories("300K"), place.arg("tokenizer.json"));
    succeed(&[
        "tokenizer",
        "train",
        "--vocab-size",
        "600",
        "-o",
        &model,
        &text,
    ]);
    (text, model)
}

#[test]
fn decoding_what_was_encoded_gives_the_file_back() {
    let place = Workplace::new();
    let (text, model) = trained(&place);
    let odd = place.write(
        "odd",
        b"\xff\xfe caf\xc3\xa9\r\n\r\n\t  \x00 stories \xf0\x9f\x98\x80 \xf0\x9f",
    );
    for file in [&text, &odd] {
        for format in ["text", "json"] {
            let ids = succeed(&[
                "tokenizer",
                "encode",
                "-m",
                &model,
                "--format",
                format,
                file,
            ]);
            let ids = place.write("ids", &ids);
            let back = succeed(&["tokenizer", "decode", "-m", &model, &ids]);
            assert!(back == std::fs::read(file).unwrap(), "{file} as {format}");
        }
    }
}

#[test]
fn raw_formats_hold_the_ids_of_the_text_format() {
    let place = Workplace::new();
    let (text, model) = trained(&place);
    let ids = String::from_utf8(succeed(&["tokenizer", "encode", "-m", &model, &text])).unwrap();
    let ids: Vec<u32> = ids
        .split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect();
    let raw = |format: &str| {
        let out = place.arg(format);
        succeed(&[
            "tokenizer",
            "encode",
            "-m",
            &model,
            "--format",
            format,
            "-o",
            &out,
            &text,
        ]);
        std::fs::read(out).unwrap()
    };
    let u16s: Vec<u32> = raw("u16")
        .as_chunks::<2>()
        .0
        .iter()
        .map(|b| u16::from_le_bytes(*b).into())
        .collect();
    let u32s: Vec<u32> = raw("u32")
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| u32::from_le_bytes(*b))
        .collect();
    assert!(u16s == ids && u32s == ids);
    assert!(raw("npy")[128..] == raw("u32")[..]);
}

#[test]
fn lines_mode_gives_a_line_a_line() {
    let place = Workplace::new();
    let (_, model) = trained(&place);
    let text = place.write("lines", b"one line\n\nand a third");
    let out = succeed(&[
        "tokenizer",
        "encode",
        "-m",
        &model,
        "--lines",
        "--format",
        "json",
        &text,
    ]);
    let lines: Vec<Vec<u32>> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((lines.len(), lines[1].len()), (3, 0));
    let third = place.write("third", format!("{:?}", lines[2]).as_bytes());
    assert_eq!(
        succeed(&["tokenizer", "decode", "-m", &model, &third]),
        b"and a third"
    );
}

/// Runs the program with this on its standard input.
fn fed(args: &[&str], input: &[u8]) -> Output {
    let mut child = barelm(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A program that fails early closes the pipe.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    })
}

#[test]
fn standard_input_gives_the_ids_of_the_file() {
    let place = Workplace::new();
    let (text, model) = trained(&place);
    let bytes = std::fs::read(&text).unwrap();
    for mode in [
        &["--lines"][..],
        &["--offsets", "chars"],
        &["--dropout", "0.2", "--seed", "3"],
        &["--view"],
    ] {
        let args = [&["tokenizer", "encode", "-m", &model], mode].concat();
        let want = succeed(&[&args[..], &["--threads", "1", &text]].concat());
        let got = fed(&[&args[..], &["--threads", "3", "-"]].concat(), &bytes);
        assert!(got.status.success() && got.stdout == want, "{mode:?}");
    }
}

#[test]
fn a_special_token_in_the_text_is_an_error_unless_it_is_allowed_or_ordinary() {
    let place = Workplace::new();
    let (text, model) = (place.stories("100K"), place.arg("tokenizer.json"));
    let train = [
        "tokenizer",
        "train",
        "--vocab-size",
        "300",
        "--special",
        "<|end|>",
        "-o",
    ];
    succeed(&[&train[..], &[&model, &text]].concat());
    let file = place.write("text", b"one<|end|>two");
    let encode = ["tokenizer", "encode", "-m", &model, &file];
    refuse(&encode, 3, "byte 3: special token <|end|>");
    let ids = |more: &[&str]| -> Vec<u32> {
        serde_json::from_slice(&succeed(&[&encode[..], &["--json"], more].concat())).unwrap()
    };
    let special = ids(&["--allow-special", "<|end|>"]);
    assert_eq!(special, ids(&["--allow-special", "all"]));
    let ordinary = ids(&["--ordinary"]);
    assert_eq!(
        special.iter().filter(|id| !ordinary.contains(id)).count(),
        1
    );
    let decode = |ids: &[u32], more: &[&str]| {
        let ids = place.write("ids", format!("{ids:?}").as_bytes());
        succeed(&[&["tokenizer", "decode", "-m", &model, &ids], more].concat())
    };
    assert_eq!(decode(&special, &[]), b"one<|end|>two");
    assert_eq!(decode(&special, &["--skip-special"]), b"onetwo");
    refuse(
        &[&encode[..], &["--allow-special", "<|fin|>"]].concat(),
        2,
        "<|end|>",
    );
}

#[test]
fn a_count_is_the_number_of_ids_of_each_file() {
    let place = Workplace::new();
    let (text, model) = trained(&place);
    let other = place.write(
        "other.jsonl",
        b"{\"text\":\"one\"}\n{\"text\":\"two words\"}\n",
    );
    let number = |file: &str| {
        let ids = succeed(&["tokenizer", "encode", "-m", &model, file]);
        ids.split(|b| b.is_ascii_whitespace())
            .filter(|id| !id.is_empty())
            .count()
    };
    let (first, second) = (number(&text), number(&other));
    let lines = succeed(&["tokenizer", "count", "-m", &model, &text, &other]);
    let lines = String::from_utf8(lines).unwrap();
    let numbers: Vec<usize> = lines
        .lines()
        .map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, [first, second, first + second]);
    let json = succeed(&["tokenizer", "count", "--json", "-m", &model, &other]);
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        (&json["tokens"], &json["documents"]),
        (&second.into(), &2.into())
    );
}

#[test]
fn offsets_point_into_each_record() {
    let place = Workplace::new();
    let (_, model) = trained(&place);
    let file = place.write("text", "é the\nthe".as_bytes());
    let run = |more: &[&str]| {
        let args = ["tokenizer", "encode", "-m", &model, "--lines", "--offsets"];
        String::from_utf8(succeed(&[&args[..], more, &[&file]].concat())).unwrap()
    };
    let ends = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.rsplit('\t').next().unwrap().to_string())
            .collect()
    };
    let (bytes, chars) = (ends(&run(&["bytes"])), ends(&run(&["chars"])));
    assert!(
        bytes.contains(&"6".into()) && bytes.last() == Some(&"3".into()),
        "{bytes:?}"
    );
    assert!(
        chars.contains(&"5".into()) && !chars.contains(&"6".into()),
        "{chars:?}"
    );
    let json = run(&["bytes", "--json"]);
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["start"], 0);
}

#[test]
fn a_token_stream_holds_the_ids_of_the_text_format() {
    let place = Workplace::new();
    let (text, model) = trained(&place);
    let out = place.arg("text.tokens");
    succeed(&[
        "tokenizer",
        "encode",
        "-m",
        &model,
        "--format",
        "tokens",
        "-o",
        &out,
        &text,
        &text,
    ]);
    let stream = barelm::token_stream::TokenStream::open(&out).unwrap();
    let ids = succeed(&[
        "tokenizer",
        "encode",
        "-m",
        &model,
        "--format",
        "json",
        &text,
    ]);
    let ids: Vec<u32> = serde_json::from_slice(&ids).unwrap();
    assert_eq!(
        stream.documents().collect::<Vec<_>>(),
        [0..ids.len(), ids.len()..2 * ids.len()]
    );
    let mut read = vec![0; ids.len()];
    stream.read(ids.len(), &mut read);
    assert_eq!(read, ids);
    refuse(
        &[
            "tokenizer",
            "encode",
            "-m",
            &model,
            "--format",
            "tokens",
            &text,
        ],
        2,
        "-o FILE",
    );
}

#[test]
fn a_view_without_colours_has_marks_between_the_pieces() {
    let place = Workplace::new();
    let (_, model) = trained(&place);
    let file = place.write("text", b"the the\x1b\n\xff");
    let shown = succeed(&["tokenizer", "encode", "-m", &model, "--view", &file]);
    let shown = String::from_utf8(shown).unwrap();
    assert!(
        shown.contains("| the") && shown.contains("<1b>") && shown.contains("↵\n"),
        "{shown}"
    );
    assert!(
        !shown.contains('\x1b') && shown.ends_with("<ff>\n"),
        "{shown}"
    );
}

#[test]
fn ids_outside_the_vocabulary_are_named_with_their_place() {
    let place = Workplace::new();
    let (_, model) = trained(&place);
    let decode = ["tokenizer", "decode", "-m", &model];
    let file = place.write("ids", b"1 2 600");
    refuse(&[&decode[..], &[&file]].concat(), 3, "byte 4: this id");
    let half = place.write("half", b"\xc3");
    let half = succeed(&["tokenizer", "encode", "-m", &model, &half]);
    let shown = fed(&[&decode[..], &["--replace-invalid", "-"]].concat(), &half).stdout;
    assert_eq!(shown, "\u{fffd}".as_bytes());
}
