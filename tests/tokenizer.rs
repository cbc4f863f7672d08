//! `barelm tokenizer` as a user runs it.

use crate::support::{Workplace, succeed};

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
