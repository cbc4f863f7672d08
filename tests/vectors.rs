//! `barelm vectors` as a user runs it.

use crate::support::{Workplace, barelm, refuse, succeed};
use std::time::Duration;

fn trained(place: &Workplace, name: &str, threads: &str) -> String {
    let out = place.arg(name);
    let text = place.path("stories.txt");
    let text = if text.exists() {
        place.arg("stories.txt")
    } else {
        place.stories("1M")
    };
    succeed(&[
        "vectors",
        "train",
        "--dim",
        "100",
        "--epochs",
        "2",
        "--sample",
        "0.01",
        "--threads",
        threads,
        "-o",
        &out,
        &text,
    ]);
    out
}

#[test]
fn one_two_and_three_threads_write_the_same_vectors() {
    let place = Workplace::new();
    let files: Vec<Vec<u8>> = [("a", "1"), ("b", "2"), ("c", "3")]
        .map(|(name, threads)| std::fs::read(trained(&place, name, threads)).unwrap())
        .into();
    assert!(files[0] == files[1] && files[1] == files[2]);
}

#[test]
fn text_and_binary_hold_the_same_vectors() {
    let place = Workplace::new();
    let binary = trained(&place, "vectors.bin", "2");
    let (text, again) = (place.arg("vectors.txt"), place.arg("again.bin"));
    succeed(&["vectors", "convert", "-m", &binary, "-o", &text]);
    succeed(&["vectors", "convert", "-m", &text, "-o", &again]);
    assert!(std::fs::read(binary).unwrap() == std::fs::read(again).unwrap());
}

#[test]
fn neighbours_analogies_and_evaluation_read_what_training_wrote() {
    let place = Workplace::new();
    let vectors = trained(&place, "vectors.bin", "2");
    let near = String::from_utf8(succeed(&[
        "vectors",
        "neighbors",
        "-m",
        &vectors,
        "-k",
        "3",
        "dog",
    ]))
    .unwrap();
    assert_eq!(near.lines().count(), 3);
    assert!(
        near.lines()
            .all(|line| line.split_whitespace().nth(1) != Some("dog"))
    );
    let sum = succeed(&[
        "vectors",
        "neighbors",
        "--json",
        "-m",
        &vectors,
        "dogs",
        "-",
        "dog",
        "cat",
    ]);
    let analogy = succeed(&[
        "vectors", "analogy", "--json", "-k", "10", "-m", &vectors, "dog", "dogs", "cat",
    ]);
    assert_eq!(sum, analogy);
    let questions = place.write(
        "questions.txt",
        b": plural\ndog dogs cat cats\ncat cats dog dogs\nxyzzy a b c\n",
    );
    let report = succeed(&["vectors", "evaluate", "--json", "-m", &vectors, &questions]);
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["result"]["total"]["asked"], 2);
    assert_eq!(report["result"]["total"]["out_of_vocabulary"], 1);
}

/// Arguments of a training that takes some seconds, with checkpoints in the folder `at`.
fn long_training<'a>(text: &'a str, out: &'a str, at: &'a str) -> Vec<&'a str> {
    let job = [
        "vectors",
        "train",
        "--dim",
        "100",
        "--sample",
        "0",
        "--min-count",
        "1",
    ];
    let checkpoints = [
        "--checkpoint-minutes",
        "0.001",
        "--resume",
        "--checkpoint",
        at,
    ];
    [&job[..], &checkpoints, &["-o", out, text]].concat()
}

#[test]
fn a_training_killed_twenty_times_ends_with_the_vectors_of_an_undisturbed_one() {
    let place = Workplace::new();
    let text = place.stories("1500K");
    let (want, got) = (place.arg("want.bin"), place.arg("got.bin"));
    succeed(&long_training(&text, &want, &place.arg("undisturbed")));
    let at = place.arg("killed");
    let mut kills = 0;
    for i in 0..20u64 {
        let threads = (1 + i % 3).to_string();
        let mut arguments = long_training(&text, &got, &at);
        arguments.extend(["--threads", &threads]);
        let mut training = barelm(&arguments).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(100 + 37 * i % 250));
        kills += u32::from(training.try_wait().unwrap().is_none());
        training.kill().unwrap();
        training.wait().unwrap();
    }
    assert!(kills > 0, "this machine is faster than the test thinks");
    succeed(&long_training(&text, &got, &at));
    assert!(std::fs::read(want).unwrap() == std::fs::read(got).unwrap());
    let left = std::fs::read_dir(at).unwrap().count();
    assert_eq!(left, 1, "the checkpoint, and nothing that a kill left");
}

#[test]
fn senseless_trainings_are_refused_by_the_setting_to_change() {
    let place = Workplace::new();
    let text = place.write("text.txt", &b"some words and other words\n".repeat(20));
    let out = place.arg("vectors.bin");
    let refused = |more: &[&str], words: &str| {
        let job = ["vectors", "train", "-o", &out, &text];
        refuse(&[&job[..], more].concat(), 2, words);
    };
    refused(&["--memory", "1K"], "--dim");
    refused(&["--loss", "ns", "--negatives", "0"], "negative samples");
    refused(&["--hold-out", "0.9"], "held out");
    refused(&["--resume"], "--checkpoint");
    refused(
        &["--checkpoint", &place.arg("c"), "--checkpoint-minutes=-1"],
        "no time",
    );
    refused(
        &["--tokenizer", &text, "--min-count", "1"],
        "cannot be used",
    );
    assert!(!place.path("vectors.bin").exists());
}

#[test]
fn what_is_read_is_not_overwritten() {
    let place = Workplace::new();
    let text = place.write("text.txt", &b"some words and other words\n".repeat(20));
    let folder = place.path("").display().to_string();
    for (command, input) in [
        ("vectors", &text),
        ("tokenizer", &text),
        ("vectors", &folder),
    ] {
        refuse(&[command, "train", "-o", &text, input], 2, "is read");
    }
    assert_eq!(std::fs::read(&text).unwrap().len(), 27 * 20);
    let (at, out) = (place.arg("checkpoint"), place.arg("vectors.bin"));
    let job = [
        "vectors",
        "train",
        "--sample",
        "0",
        "--checkpoint",
        &at,
        "-o",
        &out,
        &text,
    ];
    succeed(&job);
    refuse(&job, 2, "--resume");
}

#[test]
fn a_text_without_a_window_is_no_success() {
    let place = Workplace::new();
    let (at, text) = with_checkpoint(&place);
    let out = place.arg("vectors.bin");
    refuse(
        &["vectors", "train", "--sample", "1e-30", "-o", &out, &text],
        1,
        "--sample",
    );
    let strange = place.write("strange.txt", b"xyzzy plugh\n");
    let job = ["vectors", "train", "--dim", "20", "--continue", &at];
    refuse(
        &[&job[..], &["-o", &out, &strange]].concat(),
        1,
        "--min-count",
    );
    assert!(!place.path("vectors.bin").exists());
}

/// Words before options, and the other way round; a figure that is not defined is none.
#[test]
fn options_may_follow_words_and_one_pair_has_no_correlation() {
    let place = Workplace::new();
    let vectors = trained(&place, "vectors.bin", "2");
    let near = succeed(&[
        "vectors",
        "neighbors",
        "the",
        "-",
        "a",
        "-k",
        "3",
        "-m",
        &vectors,
    ]);
    assert_eq!(near.iter().filter(|byte| **byte == b'\n').count(), 3);
    let pair = place.write("pair.tsv", b"the\ta\t1.5\n");
    let report = succeed(&["vectors", "evaluate", "--json", "-m", &vectors, &pair]);
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let result = report["result"].to_string();
    assert!(
        result.contains("null") && !result.contains("0.0"),
        "{result}"
    );
}

/// Nobody reads what is said on stderr: no reason to lose the work.
#[test]
#[cfg(target_os = "linux")]
fn a_full_stderr_does_not_end_training() {
    let place = Workplace::new();
    let (text, out) = (place.stories("100K"), place.arg("vectors.bin"));
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_barelm")); // with progress
    command.args(["vectors", "train", "--dim", "8", "-o", &out, &text]);
    assert!(command.stderr(full).status().unwrap().success());
    assert!(place.path("vectors.bin").exists());
}

#[test]
fn vectors_of_another_dimension_are_no_start() {
    let place = Workplace::new();
    let vectors = trained(&place, "vectors.bin", "1");
    let (text, out) = (place.arg("stories.txt"), place.arg("more.bin"));
    let job = [
        "vectors", "train", "--epochs", "1", "--init", &vectors, "-o", &out,
    ];
    refuse(
        &[&job[..], &["--dim", "60", &text]].concat(),
        2,
        "--dim 100",
    );
    succeed(&[&job[..], &["--dim", "100", &text]].concat());
}

/// A training of stories with a checkpoint, and another text with new words.
fn with_checkpoint(place: &Workplace) -> (String, String) {
    let (at, out) = (place.arg("checkpoint"), place.arg("old.bin"));
    let text = place.stories("300K");
    let job = ["vectors", "train", "--dim", "20", "--epochs", "1"];
    succeed(&[&job[..], &["--checkpoint", &at, "-o", &out, &text]].concat());
    let line = b"a quux met the zyx and the quux saw the zyx\n";
    (at, place.write("new.txt", &line.repeat(400)))
}

#[test]
fn training_goes_on_with_a_text_of_new_words() {
    let place = Workplace::new();
    let (at, text) = with_checkpoint(&place);
    let train = |name: &str, more: &[&str]| {
        let out = place.arg(name);
        let job = ["vectors", "train", "--dim", "20", "--epochs", "2"];
        let job = [&job[..], more, &["--continue", &at, "-o", &out, &text]].concat();
        succeed(&job);
        std::fs::read(out).unwrap()
    };
    let one = train("1.bin", &["--threads", "1"]);
    assert!(one == train("2.bin", &["--threads", "2"]));
    assert!(one == train("3.bin", &["--threads", "3"]));
    let own = place.arg("another");
    let checkpoints = ["--checkpoint", &own, "--resume"];
    assert!(one == train("4.bin", &checkpoints) && one == train("5.bin", &checkpoints));
    let out = place.arg("1.bin");
    for word in ["quux", "dog"] {
        succeed(&["vectors", "neighbors", "-m", &out, word]);
    }
}

#[test]
fn a_checkpoint_of_another_kind_is_no_start() {
    let place = Workplace::new();
    let (at, text) = with_checkpoint(&place);
    let out = place.arg("more.bin");
    let refused = |more: &[&str], code, words: &str| {
        let job = ["vectors", "train", "-o", &out, "--continue"];
        refuse(&[&job[..], more, &[&text]].concat(), code, words);
    };
    refused(&[&at], 2, "--dim 20");
    refused(
        &[&at, "--dim", "20", "--arch", "skipgram"],
        2,
        "--arch cbow",
    );
    refused(&[&at, "--dim", "20", "--loss", "ns"], 2, "--loss hs");
    refused(
        &[&at, "--dim", "20", "--checkpoint", &at, "--resume"],
        2,
        "take another",
    );
    refused(&[&at, "--init", &place.arg("old.bin")], 2, "--init");
    refused(&[&place.arg("nothing")], 4, "check the path");
    refused(&[&text], 3, "new.txt");
    assert!(!place.path("more.bin").exists());
}
