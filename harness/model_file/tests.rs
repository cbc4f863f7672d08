use super::*;
use crate::attention_trainer::{Config, LmOptions, Output, train};
use crate::kernels::format::FormatProblem;
use crate::kernels::sample::Sampling;
use crate::output::write_file;
use crate::token_stream::TokenStream;
use crate::tokenizer::{HarnessPattern, MergeRule, Pattern, Vocabulary};
use std::sync::OnceLock;

const TEXT: &str = "she sells sea shells by the sea shore. ";

fn tokenizer() -> Tokenizer {
    let tokens = (0..=255u8).map(|byte| vec![byte]).collect();
    Tokenizer::from_vocabulary(&Vocabulary {
        tokens,
        merges: Vec::new(),
        specials: Vec::new(),
        pattern: HarnessPattern::Known(Pattern::Gpt2),
        rule: MergeRule::PairRank,
    })
    .unwrap()
}

fn trained(output: Output) -> TrainedLm {
    trained_with(LmOptions {
        output,
        ..LmOptions::default()
    })
}

/// A model of configuration llama.
pub(super) fn trained_llama(output: Output) -> TrainedLm {
    trained_with(LmOptions {
        output,
        layers: 2,
        kv_heads: 1,
        hidden: 32,
        // Enough to learn a sentence in few steps.
        init_scale: 0.2,
        ..LmOptions::llama()
    })
}

fn trained_with(options: LmOptions) -> TrainedLm {
    let text = TEXT.repeat(20);
    let tokenizer = tokenizer();
    let stream = TokenStream::from_ids(tokenizer.encode(text.as_bytes()), 256);
    let options = LmOptions {
        dim: 16,
        heads: 2,
        context: 16,
        batch_tokens: 128,
        steps: Some(60),
        learning_rate: match options.config {
            Config::Seed => 0.05,
            Config::Llama => 0.01,
        },
        ..options
    };
    train(&stream, None, None, &stream.counts(), &options).unwrap()
}

/// The bytes of a model file with a Huffman tree.
fn sample_file() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| file_of(&trained(Output::Huffman)))
}

/// The bytes of a model file of configuration llama.
fn llama_file() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| file_of(&trained_llama(Output::Tied)))
}

fn file_of(lm: &TrainedLm) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    save(lm, folder.path());
    std::fs::read(folder.path().join(FILE_NAME)).unwrap()
}

/// Writes a model to a folder.
pub(super) fn save_into(lm: &TrainedLm, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    save(lm, folder);
}

fn save(lm: &TrainedLm, folder: &Path) {
    let origin = Origin {
        corpus_bytes: 780,
        corpus_hash: 5,
    };
    let vectors = vec![0.5; 256 * 3];
    save_model(
        folder.join(FILE_NAME),
        lm,
        &tokenizer(),
        origin,
        Some(&vectors),
    )
    .unwrap();
}

/// A copy of a file at an aligned address.
struct Aligned(Vec<u64>, usize);

impl Aligned {
    fn new(bytes: &[u8]) -> Self {
        let mut words = vec![0_u64; bytes.len() / 8 + 16];
        let start = words.as_ptr().align_offset(64) * 8;
        bytemuck::cast_slice_mut(&mut words)[start..start + bytes.len()].copy_from_slice(bytes);
        Self(words, start)
    }

    fn bytes(&mut self, len: usize) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.0)[self.1..self.1 + len]
    }
}

#[test]
fn a_saved_model_predicts_as_the_trained_one() {
    for output in [Output::Softmax, Output::Tied, Output::Huffman] {
        let lm = trained(output);
        let folder = tempfile::tempdir().unwrap();
        save(&lm, folder.path());
        let file = ModelFile::open(folder.path()).unwrap();
        let model = file.model().unwrap();
        let config = model.config();
        assert_eq!(
            (config.vocab_size, config.steps, config.corpus_hash),
            (256, 60, 5)
        );
        assert_eq!(
            model.vectors().map(|v| (v.rows(), v.cols())),
            Some((256, 3))
        );
        let (Network::Seed(saved), Network::Seed(trained)) = (file.network().unwrap(), lm.model())
        else {
            panic!("another configuration");
        };
        for (saved, trained) in saved.tables().iter().zip(trained.tables()) {
            assert_eq!(saved.data(), trained.data());
        }
        let text = TEXT.repeat(3);
        let evaluated = evaluate_text(&file, text.as_bytes(), 1).unwrap();
        let stream = TokenStream::from_ids(file.tokenizer().encode(text.as_bytes()), 256);
        let bytes = text.len() as u64;
        let direct = crate::attention_trainer::bits_per_byte(lm.model(), &stream, bytes, 2);
        assert_eq!(evaluated.bits_per_byte, direct.unwrap());
        assert_eq!(evaluated.bytes, bytes);
    }
}

#[test]
fn a_saved_llama_predicts_as_the_trained_one() {
    for output in [Output::Softmax, Output::Tied, Output::Huffman] {
        let lm = trained_llama(output);
        let folder = tempfile::tempdir().unwrap();
        save(&lm, folder.path());
        let file = ModelFile::open(folder.path()).unwrap();
        let (Network::Llama(saved), Network::Llama(trained)) =
            (file.network().unwrap(), lm.model())
        else {
            panic!("another configuration");
        };
        assert_eq!(saved.config(), trained.config());
        assert_eq!(saved.weights(), trained.weights());
        let text = TEXT.repeat(3);
        let evaluated = evaluate_text(&file, text.as_bytes(), 1).unwrap();
        assert!(evaluated.bits_per_byte < 2.0, "{}", evaluated.bits_per_byte);
    }
}

#[test]
fn equal_runs_give_equal_files() {
    assert_eq!(file_of(&trained(Output::Huffman)), sample_file());
    assert_eq!(file_of(&trained_llama(Output::Tied)), llama_file());
}

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

/// The bytes of a model file in eight bits.
fn int8_file() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("f32"), folder.path().join("int8"));
    std::fs::create_dir(&from).unwrap();
    write_file(from.join(FILE_NAME), llama_file()).unwrap();
    convert(&from, &to, &with_weights(WeightType::Int8)).unwrap();
    std::fs::read(to.join(FILE_NAME)).unwrap()
}

fn with_weights(weights: WeightType) -> ConvertOptions {
    ConvertOptions {
        weights: Some(weights),
        ..ConvertOptions::default()
    }
}

#[test]
fn weights_in_eight_bits_take_a_quarter_and_predict_nearly_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let [f32s, int8, back] = ["f32", "int8", "back"].map(|name| folder.path().join(name));
    std::fs::create_dir(&f32s).unwrap();
    write_file(f32s.join(FILE_NAME), llama_file()).unwrap();
    convert(&f32s, &int8, &with_weights(WeightType::Int8)).unwrap();
    convert(&int8, &back, &with_weights(WeightType::F32)).unwrap();
    let [f32s, int8, back] = [&f32s, &int8, &back].map(|path| ModelFile::open(path).unwrap());
    let Network::Llama(model) = f32s.network().unwrap() else {
        panic!("another configuration");
    };
    let Parameters::Int8(quantised) = int8.model().unwrap().parameters() else {
        panic!("another precision");
    };
    assert_eq!(quantised.config(), model.config());
    assert_eq!(int8.run().unwrap().steps, 60);
    let text = TEXT.repeat(3);
    let bits = |file| {
        evaluate_text(file, text.as_bytes(), 1)
            .unwrap()
            .bits_per_byte
    };
    assert!((bits(&int8) - bits(&f32s)).abs() < 0.02);
    assert_eq!(bits(&int8), bits(&back));
    let best = |file| predict_text(file, b"she sells sea shell", 1).unwrap();
    let [(f32s, int8)] = [(best(&f32s), best(&int8))];
    assert_eq!(f32s[0].id, int8[0].id);
    assert!((f32s[0].probability - int8[0].probability).abs() < 0.05);
    let error = convert(
        &f32_seed(&folder),
        &folder.path().join("x"),
        &with_weights(WeightType::Int8),
    );
    assert_eq!(error.unwrap_err().exit_code(), 2);
}

fn f32_seed(folder: &tempfile::TempDir) -> PathBuf {
    let path = folder.path().join("seed");
    write_file(&path, sample_file()).unwrap();
    path
}

#[test]
fn truncated_and_flipped_files_are_refused() {
    let file = sample_file();
    let mut copy = Aligned::new(file);
    let mut workspace = vec![0; ModelRef::check_workspace_len(copy.bytes(file.len())).unwrap()];
    assert!(ModelRef::new_checked(copy.bytes(file.len()), &mut workspace).is_ok());
    assert!(ModelRef::new_checked(copy.bytes(file.len()), &mut []).is_err());
    for len in (0..file.len())
        .step_by(97)
        .chain(file.len() - 3..file.len())
    {
        assert!(
            ModelRef::new_checked(copy.bytes(len), &mut workspace).is_err(),
            "{len}"
        );
    }
    // Every bit of the head, then one bit every now and then.
    for at in (0..640).chain((640..file.len()).step_by(53)) {
        let bytes = copy.bytes(file.len());
        bytes[at] ^= 1 << (at % 8);
        assert!(
            ModelRef::new_checked(bytes, &mut workspace).is_err(),
            "byte {at}"
        );
        copy.bytes(file.len())[at] = file[at];
    }
}

/// A file whose section `name` was changed and whose checksums are right all the same.
fn forged(file: &[u8], name: &[u8; 8], change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut copy = Aligned::new(file);
    let container = crate::kernels::format::Container::new(copy.bytes(file.len()), &KIND).unwrap();
    let names = table_names(file);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forged");
    let mut writer = ContainerWriter::create(&path, &KIND, names.len()).unwrap();
    for section in &names {
        let mut payload = container.section::<u8>(section).unwrap().to_vec();
        if section == name {
            change(&mut payload);
        }
        writer.section(section, &payload).unwrap();
    }
    writer.finish().unwrap();
    std::fs::read(path).unwrap()
}

fn table_names(file: &[u8]) -> Vec<[u8; 8]> {
    let count = u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize;
    let entries = file[64..].chunks(32).take(count);
    entries
        .map(|entry| entry[..8].try_into().unwrap())
        .collect()
}

#[test]
fn forged_content_with_right_checksums_is_refused() {
    let refused_in = |file: &[u8], name: &[u8; 8], change: &dyn Fn(&mut Vec<u8>)| {
        let file = forged(file, name, change);
        let mut copy = Aligned::new(&file);
        let result = ModelRef::new_checked(copy.bytes(file.len()), &mut vec![0; 1000]);
        let Err(ModelError::Format(error)) = result else {
            panic!("{name:?}: {result:?}");
        };
        assert_eq!(error.problem, FormatProblem::Content, "{name:?}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.barelm");
        write_file(&path, &file).unwrap();
        assert_eq!(ModelFile::open(&path).unwrap_err().exit_code(), 3);
    };
    let refused = |name: &[u8; 8], change: &dyn Fn(&mut Vec<u8>)| {
        refused_in(sample_file(), name, change);
    };
    let nan = |at: usize| {
        move |payload: &mut Vec<u8>| payload[4 * at..][..4].copy_from_slice(&f32::NAN.to_le_bytes())
    };
    for name in &sections::TABLES {
        refused(name, &nan(17));
        refused(name, &|payload| payload.truncate(payload.len() - 4));
    }
    refused(&sections::THETAS, &nan(0));
    refused(&sections::BIAS, &|p| {
        p[..4].copy_from_slice(&f32::INFINITY.to_le_bytes())
    });
    refused(&sections::VECTORS, &nan(700));
    refused(&sections::SETTINGS, &|payload| payload[0] = 0xff);
    refused(&sections::TREE[0], &|payload| payload[4] ^= 1);
    refused(&sections::TREE[1], &|payload| payload[8] ^= 1);
    refused(&sections::TREE[2], &|payload| payload[0] ^= 1);
    // Sizes of the configuration: vocabulary, width, heads, context.
    for word in 1..5 {
        for value in [0, 3, u64::MAX, u64::MAX / 2 + 1] {
            refused(&sections::CONFIG, &|payload| {
                payload[8 * word..][..8].copy_from_slice(&u64::to_le_bytes(value));
            });
        }
    }
    let weights = &sections::LLAMA_WEIGHTS;
    refused_in(llama_file(), weights, &nan(4321));
    refused_in(llama_file(), weights, &|p| p.truncate(p.len() - 4));
    // Layers, heads, widths, theta, epsilon; then the kind of model, its sizes, a bias.
    let places = (0..6).map(|word| (&sections::LLAMA_CONFIG, word));
    for (name, word) in places.chain((0..7).map(|word| (&sections::CONFIG, word))) {
        for value in [u64::MAX, u64::MAX / 2 + 1, f32::NAN.to_bits().into()] {
            refused_in(llama_file(), name, &|payload| {
                payload[8 * word..][..8].copy_from_slice(&u64::to_le_bytes(value));
            });
        }
    }
    for (name, word) in [(&sections::LLAMA_CONFIG, 2), (&sections::CONFIG, 3)] {
        refused_in(llama_file(), name, &|payload| payload[8 * word] = 3);
    }
    let int8 = int8_file();
    for name in [&sections::LLAMA_NORMS, &sections::LLAMA_SCALES] {
        refused_in(&int8, name, &nan(7));
        refused_in(&int8, name, &|payload| payload.truncate(payload.len() - 4));
        refused_in(&int8, name, &|payload| payload.truncate(payload.len() - 1));
    }
    refused_in(&int8, &sections::LLAMA_VALUES, &|payload| {
        payload.pop();
    });
    for (name, words) in [(&sections::LLAMA_CONFIG, 6), (&sections::CONFIG, 7)] {
        for word in 0..words {
            refused_in(&int8, name, &|payload| {
                payload[8 * word..][..8].copy_from_slice(&u64::MAX.to_le_bytes());
            });
        }
    }
}

#[test]
fn tokenizer_and_vectors_of_another_vocabulary_are_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    let lm = trained(Output::Tied);
    let vectors = [0.0; 3];
    let error = save_model(&path, &lm, &tokenizer(), Origin::default(), Some(&vectors));
    assert_eq!(error.unwrap_err().exit_code(), 2);
    assert!(!path.exists());
}
