use super::*;
use crate::attention_trainer::{Config, LmOptions, Output, train};
use crate::kernels::format::FormatProblem;
use crate::kernels::sample::Sampling;
use crate::output::write_file;
use crate::token_stream::TokenStream;
use crate::tokenizer::{HarnessPattern, MergeRule, Pattern, Vocabulary};
use std::sync::OnceLock;

mod device;
mod generation;
mod hostile;

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
fn tokenizer_and_vectors_of_another_vocabulary_are_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    let lm = trained(Output::Tied);
    let vectors = [0.0; 3];
    let error = save_model(&path, &lm, &tokenizer(), Origin::default(), Some(&vectors));
    assert_eq!(error.unwrap_err().exit_code(), 2);
    assert!(!path.exists());
}
