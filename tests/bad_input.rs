//! Bad days: one clear sentence, the right exit code, and no half-written file.

use crate::support::{Workplace, barelm, refuse, succeed};
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

/// Refuses, and leaves the folder as it was.
#[track_caller]
fn refuse_and_leave(place: &Workplace, args: &[&str], code: i32, words: &str) {
    let before = place.files();
    refuse(args, code, words);
    assert_eq!(place.files(), before, "{args:?} left files behind");
}

/// Each training command on one input, with its output beside it.
fn training_commands<'a>(input: &'a str, out: &'a str) -> [Vec<&'a str>; 4] {
    [
        vec!["train", input, "--out", out],
        vec!["tokenizer", "train", "-o", out, input],
        vec!["vectors", "train", "-o", out, input],
        vec!["lm", "train", "-o", out, input],
    ]
}

#[test]
fn a_missing_file_is_named() {
    let place = Workplace::new();
    let (input, out) = (place.arg("absent.txt"), place.arg("out"));
    for args in training_commands(&input, &out) {
        refuse_and_leave(&place, &args, 4, "absent.txt");
    }
}

#[test]
fn an_empty_file_and_a_folder_without_text_are_refused() {
    let place = Workplace::new();
    let (empty, out) = (place.write("empty.txt", b""), place.arg("out"));
    std::fs::create_dir(place.path("folder")).unwrap();
    let folder = place.arg("folder");
    for input in [&empty, &folder] {
        for args in training_commands(input, &out) {
            refuse_and_leave(&place, &args, 3, input);
        }
    }
}

#[test]
fn a_file_of_nuls_trains_a_tokenizer_that_gives_it_back_or_is_refused() {
    let place = Workplace::new();
    let (nuls, out) = (
        place.write("nuls", &[0; 100_000]),
        place.arg("tokenizer.json"),
    );
    succeed(&[
        "tokenizer",
        "train",
        "--vocab-size",
        "300",
        "-o",
        &out,
        &nuls,
    ]);
    let ids = place.write("ids", &succeed(&["tokenizer", "encode", "-m", &out, &nuls]));
    assert!(succeed(&["tokenizer", "decode", "-m", &out, &ids]) == [0; 100_000]);
    refuse_and_leave(
        &place,
        &["vectors", "train", "-o", &place.arg("v"), &nuls],
        3,
        "nuls",
    );
}

#[test]
fn absurd_parameters_are_usage_errors() {
    let place = Workplace::new();
    let (text, out) = (place.stories("50K"), place.arg("out"));
    let cases: [&[&str]; 9] = [
        &[
            "tokenizer",
            "train",
            "--vocab-size",
            "100",
            "-o",
            &out,
            &text,
        ],
        &["vectors", "train", "--window", "0", "-o", &out, &text],
        &["vectors", "train", "--dim", "0", "-o", &out, &text],
        &["vectors", "train", "--alpha", "nan", "-o", &out, &text],
        &["lm", "train", "--dim", "0", "-o", &out, &text],
        &["lm", "train", "--learning-rate", "nan", "-o", &out, &text],
        &[
            "lm", "train", "--heads", "3", "--dim", "64", "-o", &out, &text,
        ],
        &["train", "--vocab-size", "10", "--out", &out, &text],
        &["train", "--dim", "0", "--out", &out, &text],
    ];
    for args in cases {
        refuse_and_leave(&place, args, 2, "barelm: ");
    }
}

/// A small trained model directory.
fn model(place: &Workplace) -> String {
    let (text, out) = (place.stories("100K"), place.arg("model"));
    succeed(&[
        "train",
        &text,
        "--out",
        &out,
        "--vocab-size",
        "400",
        "--dim",
        "32",
        "--context",
        "16",
        "--steps",
        "5",
        "--vector-epochs",
        "1",
    ]);
    out
}

#[test]
fn a_damaged_model_file_is_refused_wherever_the_damage_is() {
    let place = Workplace::new();
    let model = model(&place);
    let file = place.path("model/model.barelm");
    let good = std::fs::read(&file).unwrap();
    let predict = ["lm", "predict", "-m", &model, "-p", "The"];
    succeed(&predict);
    for len in [0, 1, 63, 64, good.len() / 2, good.len() - 1] {
        std::fs::write(&file, &good[..len]).unwrap();
        refuse(&predict, 3, "model.barelm");
    }
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(&file, &bad).unwrap();
        refuse(&predict, 3, "model.barelm");
    }
}

#[test]
fn a_folder_in_place_of_a_file_is_refused() {
    let place = Workplace::new();
    std::fs::create_dir_all(place.path("model/model.barelm")).unwrap();
    refuse(
        &["lm", "generate", "-p", "x", "-m", &place.arg("model")],
        3,
        "no regular file",
    );
    refuse(
        &["vectors", "neighbors", "-m", &place.arg("model"), "x"],
        3,
        "no regular file",
    );
}

#[test]
fn tokenizers_of_other_kinds_are_refused_by_name() {
    let place = Workplace::new();
    let text = place.write("text", b"some text");
    let unigram = br#"{"version":"1.0","model":{"type":"Unigram","vocab":[["a",0.0]]}}"#;
    let unigram = place.write("tokenizer.json", unigram);
    refuse_and_leave(
        &place,
        &["tokenizer", "encode", "-m", &unigram, &text],
        3,
        "Unigram",
    );
    let broken = place.write("broken.json", b"{\"model\": ");
    refuse_and_leave(
        &place,
        &["tokenizer", "encode", "-m", &broken, &text],
        3,
        "broken.json",
    );
}

#[test]
fn an_output_folder_that_is_a_file_is_refused_before_the_work() {
    let place = Workplace::new();
    let (text, file) = (place.stories("50K"), place.write("file", b"mine"));
    let out = format!("{file}/tokenizer.json");
    refuse_and_leave(
        &place,
        &[
            "tokenizer",
            "train",
            "--vocab-size",
            "300",
            "-o",
            &out,
            &text,
        ],
        4,
        "file",
    );
    refuse_and_leave(&place, &["train", "--out", &file, &text], 4, "file");
    assert_eq!(std::fs::read(place.path("file")).unwrap(), b"mine");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let mut child = barelm(&["corpus", "generate", "--bytes", "100M"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 80];
    child.stdout.take().unwrap().read_exact(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_with_130_and_no_half_written_file() {
    let place = Workplace::new();
    let (text, out) = (place.stories("20M"), place.arg("out"));
    let before = place.files();
    let child = barelm(&["vectors", "train", "--epochs", "1000", "-o", &out, &text])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(
        stderr.starts_with("barelm: interrupted") && stderr.lines().count() == 1,
        "{stderr}"
    );
    assert_eq!(place.files(), before);
}

#[cfg(target_os = "linux")]
#[test]
fn a_corpus_that_shrinks_while_it_is_mapped_is_an_error_not_a_crash() {
    let place = Workplace::new();
    let (text, out) = (place.stories("60M"), place.arg("tokenizer.json"));
    let before = place.files();
    let child = barelm(&["tokenizer", "train", "--threads", "1", "-o", &out, &text])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let maps = format!("/proc/{}/maps", child.id());
    while !std::fs::read_to_string(&maps)
        .unwrap()
        .contains("stories.txt")
    {
        std::thread::yield_now();
    }
    std::fs::File::options()
        .write(true)
        .open(&text)
        .unwrap()
        .set_len(10_000)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(
        stderr.contains("shrank") && stderr.lines().count() == 1,
        "{stderr}"
    );
    assert_eq!(place.files(), before);
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs the right to mount a tmpfs"]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let place = Workplace::new();
    let text = place.stories("2M");
    std::fs::create_dir(place.path("disk")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=64k none {disk} && {barelm} --quiet corpus generate --bytes 1M -o {disk}/text; \
         echo code $?; {barelm} --quiet train {text} --out {disk}/model --steps 5; echo code $?; \
         echo files $(find {disk} -type f | wc -l)",
        disk = place.arg("disk"),
        barelm = env!("CARGO_BIN_EXE_barelm"),
    );
    let output = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(stdout.matches("code 4").count(), 2, "{stdout}{stderr}");
    assert_eq!(stderr.matches("free some space").count(), 2, "{stderr}");
    assert!(!stderr.contains(".barelm-"), "{stderr}");
    assert!(
        stdout.contains(
            "files 0
"
        ),
        "{stdout}"
    );
}
