//! Runs that stop and go on: checkpoints, the model that is kept, the log.

use super::*;
use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

const NAME: &str = "lm.checkpoint";

/// A form of each configuration, with steps for several epochs.
fn short_runs() -> [LmOptions; 2] {
    [&seeds()[0], &with_dropout()].map(|form| LmOptions {
        steps: Some(20),
        // Several shards of either configuration.
        batch_tokens: 1500,
        eval_every: 3,
        ..form.clone()
    })
}

fn checkpoints(folder: &Path, every: Duration) -> Option<Checkpoints> {
    Some(Checkpoints {
        folder: folder.into(),
        every,
        resume: true,
    })
}

/// Everything about a result that does not depend on the clock.
fn result(lm: TrainedLm) -> (Vec<f32>, Vec<Evaluation>, u64, Option<f64>) {
    let bits = lm.bits_per_byte;
    (lm.parameters.values, lm.history, lm.kept_step, bits)
}

#[test]
fn a_run_goes_on_from_any_checkpoint_to_the_same_bits() {
    let (stream, valid, counts) = (random_stream(600), random_stream(90), counts());
    for options in short_runs() {
        let training = Training {
            valid: Some((&valid, 90)),
            ..Training::new(&stream, &counts, &options)
        };
        let want = result(training.run().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let copies = Cell::new(0);
        let copy = |_: Network<'_>| {
            let to = folder.path().join(copies.get().to_string());
            std::fs::create_dir(&to).unwrap();
            std::fs::copy(folder.path().join(NAME), to.join(NAME)).unwrap();
            copies.set(copies.get() + 1);
            String::new()
        };
        let training = Training {
            checkpoints: checkpoints(folder.path(), Duration::ZERO),
            sample: Some(&copy),
            ..training
        };
        assert_eq!(result(training.run().unwrap()), want);
        assert_eq!(copies.get(), 7);
        for i in 0..copies.get() {
            let options = LmOptions {
                threads: 1 + i % 3,
                ..options.clone()
            };
            let folder = folder.path().join(i.to_string());
            let training = Training {
                options: &options,
                checkpoints: checkpoints(&folder, Duration::MAX),
                sample: None,
                ..Training::new(&stream, &counts, &options)
            };
            let training = Training {
                valid: Some((&valid, 90)),
                ..training
            };
            assert_eq!(result(training.run().unwrap()), want, "copy {i}");
        }
    }
}

#[test]
fn checkpoints_of_other_jobs_and_damaged_ones_are_refused() {
    let (stream, counts) = (random_stream(100), counts());
    let folder = tempfile::tempdir().unwrap();
    let options = &llamas()[0];
    let run = |options: &LmOptions, stream: &TokenStream| {
        let training = Training {
            checkpoints: checkpoints(folder.path(), Duration::MAX),
            ..Training::new(stream, &counts, options)
        };
        training.run()
    };
    run(options, &stream).unwrap();
    let others = [
        LmOptions {
            steps: Some(4),
            ..options.clone()
        },
        LmOptions {
            dim: 32,
            ..options.clone()
        },
        seeds()[0].clone(),
    ];
    for other in &others {
        let error = run(other, &stream).unwrap_err();
        assert!(error.to_string().contains("another job"), "{error}");
        assert_eq!(error.exit_code(), 3);
    }
    let error = run(options, &random_stream(101)).unwrap_err();
    assert!(error.to_string().contains("another job"), "{error}");
    let path = folder.path().join(NAME);
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 50) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        // Bytes between sections are nobody's.
        let outcome = run(options, &stream);
        assert!(outcome.map_or_else(|e| e.exit_code() == 3, |_| bytes[at] == 0x10));
        std::fs::write(&path, &whole[..at]).unwrap();
        let code = run(options, &stream).map_or_else(|e| e.exit_code(), |_| 0);
        assert!(code == 3 || code == 4, "cut at {at}: {code}");
    }
}

#[test]
fn a_timed_run_that_goes_on_takes_the_time_that_is_left() {
    let (stream, counts) = (random_stream(600), counts());
    let folder = tempfile::tempdir().unwrap();
    let options = LmOptions {
        steps: None,
        minutes: Some(0.02),
        ..llamas()[0].clone()
    };
    // The run is copied as it was after its first evaluation, of step 100, and goes on from there.
    let at_100 = folder.path().join("at 100");
    let copy = |_: Network<'_>| {
        if std::fs::create_dir(&at_100).is_ok() {
            std::fs::copy(folder.path().join(NAME), at_100.join(NAME)).unwrap();
        }
        String::new()
    };
    let training = Training {
        checkpoints: checkpoints(folder.path(), Duration::ZERO),
        sample: Some(&copy),
        ..Training::new(&stream, &counts, &options)
    };
    let timed = training.run().unwrap();
    let again = Training {
        checkpoints: checkpoints(folder.path(), Duration::MAX),
        ..Training::new(&stream, &counts, &options)
    };
    let again = again.run().unwrap();
    assert_eq!((again.steps, result(again)), (timed.steps, result(timed)));
    let start = std::time::Instant::now();
    let resumed = Training {
        checkpoints: checkpoints(&at_100, Duration::MAX),
        ..Training::new(&stream, &counts, &options)
    };
    let resumed = resumed.run().unwrap();
    assert!(start.elapsed() < Duration::from_secs(60));
    let counted = train(&stream, None, None, &counts, &resumed.options).unwrap();
    assert_eq!(result(counted), result(resumed));
}

/// A text that the model can only learn by heart, and one that it then predicts ever worse.
#[test]
fn the_model_of_the_best_evaluation_is_the_result() {
    let (stream, valid) = (
        random_stream(100),
        TokenStream::from_ids(vec![1; 60], VOCAB),
    );
    let options = LmOptions {
        steps: Some(60),
        learning_rate: 0.03,
        eval_every: 2,
        ..llamas()[0].clone()
    };
    let lm = train(&stream, Some((&valid, 60)), None, &counts(), &options).unwrap();
    let bits = |e: &Evaluation| e.bits_per_byte.unwrap();
    let best = lm.history.iter().map(bits).fold(f64::INFINITY, f64::min);
    let at_best = lm.history.iter().find(|e| bits(e) == best).unwrap();
    assert!(
        bits(lm.history.last().unwrap()) > 1.5 * best,
        "{:?}",
        lm.history
    );
    assert_eq!((lm.kept_step, lm.bits_per_byte), (at_best.step, Some(best)));
    assert_eq!(bits_per_byte(lm.model(), &valid, 60, 1).unwrap(), best);
}

#[test]
fn the_log_has_a_line_an_evaluation_and_goes_on() {
    let (stream, counts) = (random_stream(600), counts());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let [_, options] = short_runs();
    let training = Training {
        valid: Some((&stream, 600)),
        checkpoints: checkpoints(folder.path(), Duration::MAX),
        log: Some(&path),
        ..Training::new(&stream, &counts, &options)
    };
    let lines = || -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with('\n'));
        let parsed = text.lines().map(|line| serde_json::from_str(line).unwrap());
        parsed.collect()
    };
    let lm = training.run().unwrap();
    let first = lines();
    assert_eq!(first.len(), lm.history.len() + 1);
    for (line, evaluation) in first.iter().zip(&lm.history) {
        assert_eq!(line["step"], evaluation.step);
        assert_eq!(line["bits_per_byte"].as_f64(), evaluation.bits_per_byte);
        let step_tokens = first[0]["tokens"].as_u64().unwrap() / 3;
        assert_eq!(line["tokens"], evaluation.step * step_tokens);
        for field in [
            "train_loss",
            "tokens_per_second",
            "share_of_peak",
            "seconds",
        ] {
            assert!(line[field].as_f64().unwrap() > 0.0, "{line}");
        }
        assert!(line["learning_rate"].as_f64().unwrap() <= 0.03);
    }
    let last = first.last().unwrap();
    assert_eq!(last["kept_step"], lm.kept_step);
    assert_eq!(last["bits_per_byte"].as_f64(), lm.bits_per_byte);
    // A kill in the middle of a line, and a run that has nothing left to do.
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 10]).unwrap();
    training.run().unwrap();
    let second = lines();
    assert_eq!(second[..first.len() - 1], first[..first.len() - 1]);
    assert_eq!(
        (second.len(), &second.last().unwrap()["kept_step"]),
        (first.len(), &last["kept_step"])
    );
}
