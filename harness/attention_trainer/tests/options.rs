//! Settings that make no sense.

use super::*;

#[test]
fn absurd_settings_are_refused_in_one_sentence() {
    let fine = LmOptions::default();
    fine.validate().unwrap();
    let absurd = [
        LmOptions {
            dim: 0,
            ..fine.clone()
        },
        LmOptions {
            heads: 0,
            ..fine.clone()
        },
        LmOptions {
            heads: 3,
            ..fine.clone()
        },
        LmOptions {
            context: 0,
            ..fine.clone()
        },
        LmOptions {
            batch_tokens: 0,
            ..fine.clone()
        },
        LmOptions {
            learning_rate: f32::NAN,
            ..fine.clone()
        },
        LmOptions {
            weight_decay: -1.0,
            ..fine.clone()
        },
        LmOptions {
            steps: Some(0),
            ..fine.clone()
        },
        LmOptions {
            minutes: Some(f64::NAN),
            ..fine.clone()
        },
        LmOptions {
            minutes: Some(1.0),
            steps: Some(1),
            ..fine.clone()
        },
    ];
    let absurd_llamas = [
        LmOptions {
            layers: 0,
            ..LmOptions::llama()
        },
        LmOptions {
            kv_heads: 3,
            ..LmOptions::llama()
        },
        LmOptions {
            dim: 12,
            ..LmOptions::llama()
        },
        LmOptions {
            literal: true,
            ..LmOptions::llama()
        },
        LmOptions {
            dropout: 1.0,
            ..LmOptions::llama()
        },
        LmOptions {
            muon_rate: f32::INFINITY,
            ..LmOptions::llama()
        },
        LmOptions {
            dropout: 0.1,
            ..LmOptions::default()
        },
        LmOptions {
            optimizer: Optimizer::Muon,
            ..LmOptions::default()
        },
    ];
    LmOptions::llama().validate().unwrap();
    for options in absurd.into_iter().chain(absurd_llamas) {
        let error = options.validate().unwrap_err();
        assert_eq!(error.exit_code(), 2, "{options:?}");
        assert!(!error.to_string().contains('\n'));
    }
}
