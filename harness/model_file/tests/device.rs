//! A model made to fit flash and memory.

use super::*;

const AMPLE: u64 = 1 << 30;

/// How the model of [`llama_file`] is fitted: what is told of the file must be so.
fn fitted(flash: u64, memory: u64) -> Result<Fitted> {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    std::fs::create_dir(&from).unwrap();
    write_file(from.join(FILE_NAME), llama_file()).unwrap();
    let (to, text) = (folder.path().join("to"), TEXT.repeat(3));
    let fitted = fit(&from, &to, Device { flash, memory }, text.as_bytes(), 2);
    assert_eq!(fitted.is_ok(), to.join(FILE_NAME).exists());
    if let Ok(fitted) = &fitted {
        let file = ModelFile::open(&to).unwrap();
        assert_eq!(file.model().unwrap().config().context, fitted.context);
        let len = std::fs::metadata(file.path()).unwrap().len();
        assert_eq!(len, fitted.flash);
        assert!(fitted.flash <= flash && fitted.memory <= memory);
    }
    fitted
}

#[test]
fn what_fits_is_as_precise_as_it_was() {
    let whole = fitted(AMPLE, AMPLE).unwrap();
    assert_eq!(
        (whole.weights, whole.cache, whole.context),
        ("f32", "f32", 16)
    );
    assert!((whole.bits_per_byte - whole.bits_per_byte_before).abs() < 1e-5);
    // Keys and values: two layers, a head of width 8, a context of 16.
    let half = fitted(AMPLE, whole.memory - 1).unwrap();
    assert_eq!((half.weights, half.cache, half.context), ("f32", "f16", 16));
    assert_eq!(half.memory, whole.memory - 2 * 2 * 8 * 16 * 2);
    let shorter = fitted(AMPLE, half.memory - 1).unwrap();
    assert_eq!((shorter.cache, shorter.context), ("f16", 15));
    assert_ne!(shorter.bits_per_byte, whole.bits_per_byte);
    let small = fitted(whole.flash - 1, AMPLE).unwrap();
    assert_eq!(
        (small.weights, small.cache, small.context),
        ("int8", "f32", 16)
    );
    assert!(small.flash < whole.flash);
    let loss = small.bits_per_byte - small.bits_per_byte_before;
    assert!(loss != 0.0 && loss.abs() < 0.05, "{loss}");
}

#[test]
fn what_does_not_fit_is_refused_with_a_remedy() {
    for (flash, memory, remedy) in [(1000, AMPLE, "--dim"), (AMPLE, 9000, "--layers")] {
        let error = fitted(flash, memory).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(remedy), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path().join(FILE_NAME), sample_file()).unwrap();
    let device = Device {
        flash: AMPLE,
        memory: AMPLE,
    };
    let error = fit(folder.path(), &folder.path().join("to"), device, b"she", 1).unwrap_err();
    assert!(error.to_string().contains("llama"), "{error}");
}
