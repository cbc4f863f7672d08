use super::*;
use crate::attention_trainer::Output;
use crate::model_file::tests::{save_into, trained_llama};
use crate::model_file::{ConvertOptions, FILE_NAME, predict_text};
use crate::tensor_file::{TensorFile, header};
use half::{bf16, f16};
use safetensors::tensor::Dtype;
use std::path::PathBuf;

fn convert(from: &Path, to: &Path, context: Option<usize>) -> Result<()> {
    let options = ConvertOptions {
        context,
        ..ConvertOptions::default()
    };
    crate::model_file::convert(from, to, &options)
}

/// A folder with a small model of ours and what it was converted to.
struct Folders {
    root: tempfile::TempDir,
}

impl Folders {
    fn new(output: Output) -> Self {
        let folders = Self {
            root: tempfile::tempdir().unwrap(),
        };
        save_into(&trained_llama(output), &folders.path("ours"));
        convert(&folders.path("ours"), &folders.path("theirs"), None).unwrap();
        folders
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn weights(&self, name: &str) -> Vec<f32> {
        let file = ModelFile::open(self.path(name)).unwrap();
        let Network::Llama(model) = file.network().unwrap() else {
            panic!("another configuration");
        };
        model.weights().to_vec()
    }

    /// Changes `config.json`.
    fn set(&self, field: &str, value: Value) {
        let path = self.path("theirs").join(CONFIG);
        let mut json = read_json(&path).unwrap();
        json[field] = value;
        write_json(&path, &json).unwrap();
    }

    /// The tensors of theirs: names, shapes, elements.
    fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let path = self.path("theirs").join(WEIGHTS);
        let bytes = std::fs::read(&path).unwrap();
        let file = TensorFile::open(&path, &bytes).unwrap();
        let tensor = |name: String| {
            let tensor = file.tensor(&name).unwrap();
            let words = tensor.bytes.as_chunks::<4>().0.iter();
            let values = words.map(|word| f32::from_le_bytes(*word)).collect();
            let shape = tensor.shape.to_vec();
            (name, shape, values)
        };
        file.names().into_iter().map(tensor).collect()
    }

    fn write(&self, name: &str, dtype: Dtype, tensors: &[(String, Vec<usize>, Vec<f32>)]) {
        let shapes = tensors
            .iter()
            .map(|(name, shape, _)| (name, dtype, shape.clone()));
        let mut bytes = header(&[], shapes.collect());
        for x in tensors.iter().flat_map(|(.., values)| values) {
            match dtype {
                Dtype::F16 => bytes.extend(f16::from_f32(*x).to_le_bytes()),
                Dtype::BF16 => bytes.extend(bf16::from_f32(*x).to_le_bytes()),
                _ => bytes.extend(x.to_le_bytes()),
            }
        }
        write_file(self.path("theirs").join(name), &bytes).unwrap();
    }

    fn load(&self) -> Result<()> {
        convert(&self.path("theirs"), &self.path("back"), None)
    }

    #[track_caller]
    fn refused(&self, words: &str) {
        let error = self.load().unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains(words), "{error}");
        assert!(!self.path("back").join(FILE_NAME).exists());
    }
}

#[test]
fn a_model_comes_back_bit_for_bit() {
    for output in [Output::Tied, Output::Softmax] {
        let folders = Folders::new(output);
        folders.load().unwrap();
        assert_eq!(folders.weights("back"), folders.weights("ours"));
        let [ours, back] =
            ["ours", "back"].map(|name| ModelFile::open(folders.path(name)).unwrap());
        let predict = |file: &ModelFile| predict_text(file, b"she sells", 5).unwrap();
        assert_eq!(predict(&ours), predict(&back));
        let (ours, back) = (ours.model().unwrap(), back.model().unwrap());
        assert_eq!(ours.config().context, back.config().context);
    }
}

#[test]
fn the_context_can_be_cut() {
    let folders = Folders::new(Output::Tied);
    convert(&folders.path("theirs"), &folders.path("back"), Some(5)).unwrap();
    let file = ModelFile::open(folders.path("back")).unwrap();
    assert_eq!(file.model().unwrap().config().context, 5);
}

#[test]
fn half_precision_and_shared_out_weights_are_read() {
    let folders = Folders::new(Output::Tied);
    let (tensors, ours) = (folders.tensors(), folders.weights("ours"));
    folders.write(WEIGHTS, Dtype::F16, &tensors);
    folders.load().unwrap();
    let want: Vec<f32> = ours.iter().map(|x| f16::from_f32(*x).to_f32()).collect();
    assert_eq!(folders.weights("back"), want);
    std::fs::remove_file(folders.path("theirs").join(WEIGHTS)).unwrap();
    let (head, tail) = tensors.split_at(5);
    folders.write("a.safetensors", Dtype::BF16, tail);
    folders.write("b.safetensors", Dtype::BF16, head);
    let index =
        |name: &str| serde_json::json!({ "weight_map": { "x": "a.safetensors", "y": name } });
    let path = folders.path("theirs").join(INDEX);
    write_json(&path, &index("b.safetensors")).unwrap();
    folders.load().unwrap();
    let want: Vec<f32> = ours.iter().map(|x| bf16::from_f32(*x).to_f32()).collect();
    assert_eq!(folders.weights("back"), want);
    std::fs::remove_dir_all(folders.path("back")).unwrap();
    for name in ["../a.safetensors", "/etc/passwd", "", ".."] {
        write_json(&path, &index(name)).unwrap();
        folders.refused("no file beside it");
    }
    write_json(&path, &serde_json::json!({})).unwrap();
    folders.refused("weight_map");
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let folders = Folders::new(Output::Tied);
    let linear = serde_json::json!({ "rope_type": "linear", "factor": 2.0 });
    let partial = serde_json::json!({ "rope_theta": 1e4, "partial_rotary_factor": 0.5 });
    let cases = [
        ("model_type", serde_json::json!("qwen2"), "qwen2"),
        ("model_type", Value::Null, "model_type"),
        ("hidden_act", serde_json::json!("gelu"), "gelu"),
        ("attention_bias", serde_json::json!(true), "attention_bias"),
        ("mlp_bias", serde_json::json!(1), "mlp_bias"),
        ("rope_scaling", linear.clone(), "linear"),
        ("rope_parameters", linear, "linear"),
        ("rope_parameters", partial, "partial_rotary_factor"),
        (
            "quantization_config",
            serde_json::json!({}),
            "quantization_config",
        ),
        ("vocab_size", serde_json::json!(300), "300"),
        ("vocab_size", serde_json::json!(-1), "vocab_size"),
        ("hidden_size", serde_json::json!(1_u64 << 63), "sizes"),
        ("num_attention_heads", serde_json::json!(0), "sizes"),
        ("num_key_value_heads", serde_json::json!(3), "sizes"),
        ("intermediate_size", serde_json::json!(48), "gate_proj"),
        ("num_hidden_layers", serde_json::json!(3), "layers.2"),
        ("num_hidden_layers", serde_json::json!(1), "layers.1"),
        ("rms_norm_eps", serde_json::json!("small"), "rms_norm_eps"),
        ("tie_word_embeddings", serde_json::json!(false), "lm_head"),
    ];
    let good = read_json(&folders.path("theirs").join(CONFIG)).unwrap();
    for (field, value, words) in cases {
        folders.set(field, value);
        folders.refused(words);
        write_json(&folders.path("theirs").join(CONFIG), &good).unwrap();
    }
    folders.load().unwrap();
}

#[test]
fn hostile_weights_are_refused() {
    let folders = Folders::new(Output::Tied);
    let good = folders.tensors();
    let mut with_bias = good.clone();
    with_bias.push((
        "model.layers.0.self_attn.q_proj.bias".into(),
        vec![2],
        vec![0.0; 2],
    ));
    folders.write(WEIGHTS, Dtype::F32, &with_bias);
    folders.refused("q_proj.bias");
    folders.write(WEIGHTS, Dtype::F32, &good[1..]);
    folders.refused(&good[0].0);
    let mut not_finite = good.clone();
    not_finite[3].2[1] = f32::NAN;
    folders.write(WEIGHTS, Dtype::F32, &not_finite);
    folders.refused(&good[3].0);
    for bytes in [
        &b""[..],
        b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
        b"\x02\0\0\0\0\0\0\0{]",
    ] {
        write_file(folders.path("theirs").join(WEIGHTS), bytes).unwrap();
        folders.refused("safetensors");
    }
    write_file(folders.path("theirs").join(CONFIG), b"[").unwrap();
    folders.refused("JSON");
}

/// Some programs write the embedding again; another table would be used by theirs and not by ours.
#[test]
fn a_head_beside_a_tied_embedding_is_the_same_or_refused() {
    let folders = Folders::new(Output::Tied);
    let mut tensors = folders.tensors();
    let (_, shape, numbers) = tensors[0].clone();
    tensors.push(("lm_head.weight".into(), shape, numbers));
    tensors.last_mut().unwrap().2[3] += 1.0;
    folders.write(WEIGHTS, Dtype::F32, &tensors);
    folders.refused("tie_word_embeddings");
    tensors.last_mut().unwrap().2[3] = tensors[0].2[3];
    folders.write(WEIGHTS, Dtype::F32, &tensors);
    folders.load().unwrap();
}

#[test]
fn models_that_are_no_llama_are_not_written() {
    let folders = Folders::new(Output::Tied);
    save_into(&trained_llama(Output::Huffman), &folders.path("tree"));
    let error = convert(&folders.path("tree"), &folders.path("out"), None).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(!folders.path("out").exists());
}
