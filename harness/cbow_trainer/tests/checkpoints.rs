//! Training that stops and goes on from its checkpoints, and those that are damaged.

use super::*;

/// A checkpoint at every look, also within an epoch, from each of which training goes on.
#[test]
fn training_goes_on_from_any_checkpoint_to_the_same_bits() {
    let corpus = generated(2500);
    let stream = WordStream::new(&corpus, 1, 100).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let train = |threads, epochs, resume, every| {
        let options = CbowOptions {
            threads,
            epochs,
            hold_out: 0.1,
            ..options()
        };
        let folder = folder.path().into();
        let mut training = Training::new(stream.source(), stream.words().to_vec(), &options);
        training.checkpoints = Some(Checkpoints {
            folder,
            every,
            resume,
        });
        training.run()
    };
    let (soon, never) = (std::time::Duration::ZERO, std::time::Duration::MAX);
    let want = train(1, 3, false, never).unwrap();
    let losses = |trained: &[EpochReport]| trained.iter().map(|e| e.loss_nats).collect::<Vec<_>>();
    for (writes, reads) in [(1, 2), (2, 1), (2, 3)] {
        let often = train(writes, 3, false, soon).unwrap();
        assert_eq!(
            (&often.embeddings, &often.thetas),
            (&want.embeddings, &want.thetas)
        );
        let done = train(reads, 3, true, never).unwrap();
        assert_eq!(
            (&done.embeddings, &done.thetas),
            (&want.embeddings, &want.thetas)
        );
        assert_eq!(losses(&done.epochs), losses(&want.epochs));
    }
    let other = train(1, 4, true, never).unwrap_err();
    assert!(other.to_string().contains("another job"), "{other}");
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let corpus = generated(100);
    let stream = WordStream::new(&corpus, 1, 100).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = options();
    let train = || {
        let mut training = Training::new(stream.source(), stream.words().to_vec(), &options);
        training.checkpoints = Some(Checkpoints {
            folder: folder.path().into(),
            every: std::time::Duration::MAX,
            resume: true,
        });
        training.run()
    };
    train().unwrap();
    let path = folder.path().join("vectors.checkpoint");
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 50) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        // Bytes between sections are nobody's.
        assert!(train().is_ok_and(|_| bytes[at] == 0x10) || train().unwrap_err().exit_code() == 3);
        std::fs::write(&path, &whole[..at]).unwrap();
        let code = train().map_or_else(|e| e.exit_code(), |_| 0);
        assert!(code == 3 || code == 4, "cut at {at}: {code}");
    }
}
