//! What is generated, and where it looked.

use super::*;

#[test]
fn a_model_that_learnt_a_sentence_goes_on_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other name");
    write_file(&path, sample_file()).unwrap();
    let file = ModelFile::open(&path).unwrap();
    let best = predict_text(&file, b"she sells sea shell", 3).unwrap();
    assert_eq!((best.len(), &best[0].token[..]), (3, &b"s"[..]));
    assert!(best[0].probability > 0.5 && best[0].probability > best[1].probability);
    let greedy = Sampling {
        temperature: 0.0,
        ..Sampling::default()
    };
    let mut streamed = Vec::new();
    let options = |max_tokens, sampling, seed| GenerateOptions {
        max_tokens,
        sampling,
        seed,
        ..GenerateOptions::default()
    };
    let text = generate_text(&file, b"she sells s", &options(4, greedy, 1), |token| {
        streamed.extend_from_slice(token);
        Ok(())
    });
    let generated = text.unwrap();
    assert_eq!(generated.text, streamed);
    assert_eq!(file.tokenizer().decode(&generated.ids), streamed);
    assert_eq!(streamed.len(), 4);
    let generate = |options: GenerateOptions| generate_text(&file, b"", &options, |_| Ok(()));
    let drawn = |seed| {
        generate(options(30, Sampling::default(), seed))
            .unwrap()
            .ids
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
    let absurd = Sampling {
        temperature: f32::NAN,
        ..Sampling::default()
    };
    assert_eq!(generate(options(1, absurd, 1)).unwrap_err().exit_code(), 2);
}

#[test]
fn stop_texts_penalties_and_half_a_cache_change_what_is_generated() {
    let folder = tempfile::tempdir().unwrap();
    write_file(folder.path().join(FILE_NAME), llama_file()).unwrap();
    let file = ModelFile::open(folder.path()).unwrap();
    let greedy = GenerateOptions {
        max_tokens: 60,
        sampling: Sampling {
            temperature: 0.0,
            ..Sampling::default()
        },
        ..GenerateOptions::default()
    };
    let generate = |options: &GenerateOptions| {
        let mut streamed = Vec::new();
        let text = generate_text(&file, b"she sells", options, |text| {
            assert!(!text.is_empty());
            streamed.extend(text);
            Ok(())
        });
        assert_eq!(text.unwrap().text, streamed);
        // Bytes that a penalty brings up may be no characters.
        String::from_utf8_lossy(&streamed).into_owned()
    };
    let plain = generate(&greedy);
    // The middle of the text ends it; a token is a byte, so this spans tokens.
    let stop = plain[20..25].to_string();
    let stops = vec!["no such text".into(), stop.clone()];
    let stopped = generate(&GenerateOptions {
        stops,
        ..greedy.clone()
    });
    assert_eq!(Some(stopped.len()), plain.find(&stop));
    assert!(plain.starts_with(&stopped));
    let cache = crate::kernels::model::CacheType::F16;
    assert_eq!(
        generate(&GenerateOptions {
            cache,
            ..greedy.clone()
        }),
        plain
    );
    let penalised = |repetition_penalty| GenerateOptions {
        repetition_penalty,
        ..greedy.clone()
    };
    assert_ne!(generate(&penalised(5.0)), plain);
    let stops = vec![String::new()];
    for absurd in [
        penalised(0.0),
        GenerateOptions {
            stops,
            ..greedy.clone()
        },
    ] {
        let error = generate_text(&file, b"", &absurd, |_| Ok(())).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn attention_is_shown_for_what_the_last_token_sees() {
    for bytes in [sample_file(), llama_file()] {
        let folder = tempfile::tempdir().unwrap();
        write_file(folder.path().join(FILE_NAME), bytes).unwrap();
        let file = ModelFile::open(folder.path()).unwrap();
        let (ids, heads) = attention_text(&file, b"she sells sea shells").unwrap();
        // A token is a byte, and the context is 16.
        assert_eq!(file.tokenizer().decode(&ids), b"sells sea shells");
        let layers = heads.last().unwrap().layer + 1;
        assert_eq!(heads.len(), 2 * layers);
        for found in heads {
            assert_eq!(found.weights.len(), 16);
            assert!((found.weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        assert_eq!(attention_text(&file, b"").unwrap_err().exit_code(), 2);
    }
}
