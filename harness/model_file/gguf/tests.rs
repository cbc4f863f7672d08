//! Reads back what was written, by the specification, and compares it with the model.

use super::*;
use crate::attention_trainer::Output;
use crate::kernels::model::{LlamaRef, Tensor};
use crate::model_file::tests::{save_into, trained_llama};
use crate::model_file::{ConvertOptions, ModelFile, convert};
use half::f16;
use std::collections::HashMap;

/// A naive reader.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.0.split_first_chunk().unwrap();
        self.0 = rest;
        *head
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn size(&mut self) -> usize {
        u64::from_le_bytes(self.take()) as usize
    }

    fn text(&mut self) -> String {
        let len = self.size();
        let (text, rest) = self.0.split_at(len);
        self.0 = rest;
        String::from_utf8(text.to_vec()).unwrap()
    }

    /// A value as text.
    fn value(&mut self, kind: u32) -> String {
        match kind {
            4 => self.u32().to_string(),
            5 => i32::from_le_bytes(self.take()).to_string(),
            6 => f32::from_le_bytes(self.take()).to_string(),
            7 => (self.take() == [1]).to_string(),
            8 => self.text(),
            9 => {
                let (kind, len) = (self.u32(), self.size());
                let values: Vec<String> = (0..len).map(|_| self.value(kind)).collect();
                values.join("\n")
            }
            other => panic!("type {other}"),
        }
    }
}

struct File {
    fields: HashMap<String, String>,
    /// Sides, type, bytes.
    tensors: HashMap<String, (Vec<usize>, u32, Vec<u8>)>,
}

fn read(bytes: &[u8]) -> File {
    let mut reader = Reader(bytes);
    assert_eq!((&reader.take(), reader.u32()), (b"GGUF", 3));
    let (tensors, fields) = (reader.size(), reader.size());
    let field = |reader: &mut Reader| {
        let name = reader.text();
        let kind = reader.u32();
        (name, reader.value(kind))
    };
    let fields = (0..fields).map(|_| field(&mut reader)).collect();
    let tensor = |reader: &mut Reader| {
        let name = reader.text();
        let sides: Vec<usize> = (0..reader.u32()).map(|_| reader.size()).collect();
        (name, sides, reader.u32(), reader.size())
    };
    let list: Vec<_> = (0..tensors).map(|_| tensor(&mut reader)).collect();
    let data = (bytes.len() - reader.0.len()).next_multiple_of(32);
    let content = |(name, sides, kind, place): (String, Vec<usize>, u32, usize)| {
        assert_eq!(place % 32, 0);
        let numbers: usize = sides.iter().product();
        let len = match kind {
            0 => numbers * 4,
            1 => numbers * 2,
            8 => numbers / 32 * 34,
            other => panic!("type {other}"),
        };
        (name, (sides, kind, bytes[data + place..][..len].to_vec()))
    };
    File {
        fields,
        tensors: list.into_iter().map(content).collect(),
    }
}

/// A small model and its file.
fn written(output: Output, kind: TensorType) -> (ModelFile, File) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    save_into(&trained_llama(output), folder.path());
    let options = ConvertOptions {
        tensors: Some(kind),
        ..ConvertOptions::default()
    };
    convert(folder.path(), &path, &options).unwrap();
    let file = read(&std::fs::read(path).unwrap());
    (ModelFile::open(folder.path()).unwrap(), file)
}

#[test]
fn fields_tell_shape_and_vocabulary() {
    let (_, file) = written(Output::Tied, TensorType::F16);
    let field = |name: &str| &file.fields[name][..];
    for (name, value) in [
        ("general.architecture", "llama"),
        ("general.file_type", "1"),
        ("llama.context_length", "16"),
        ("llama.embedding_length", "16"),
        ("llama.block_count", "2"),
        ("llama.feed_forward_length", "32"),
        ("llama.attention.head_count", "2"),
        ("llama.attention.head_count_kv", "1"),
        ("llama.rope.dimension_count", "8"),
        ("llama.rope.freq_base", "10000"),
        ("llama.attention.layer_norm_rms_epsilon", "0.00001"),
        ("tokenizer.ggml.model", "gpt2"),
        ("tokenizer.ggml.pre", "gpt-2"),
        ("tokenizer.ggml.merges", ""),
        // No special token: the byte that no text holds.
        ("tokenizer.ggml.eos_token_id", "255"),
        ("tokenizer.ggml.add_bos_token", "false"),
    ] {
        assert_eq!(field(name), value, "{name}");
    }
    let names: Vec<&str> = field("tokenizer.ggml.tokens").split('\n').collect();
    assert_eq!((names.len(), names[97], names[32]), (256, "a", "Ġ"));
}

#[test]
fn tensors_are_those_of_the_model_with_turned_rows_shuffled() {
    for output in [Output::Tied, Output::Softmax] {
        let (model, file) = written(output, TensorType::F32);
        let Network::Llama(model) = model.network().unwrap() else {
            panic!("another configuration");
        };
        assert_eq!(
            file.tensors.contains_key("output.weight"),
            output == Output::Softmax
        );
        let rows = |name: &str| -> Vec<Vec<f32>> {
            let (sides, kind, bytes) = &file.tensors[name];
            assert_eq!(*kind, 0, "{name}");
            let words = bytes.as_chunks::<4>().0.iter();
            let numbers: Vec<f32> = words.map(|word| f32::from_le_bytes(*word)).collect();
            numbers.chunks(sides[0]).map(<[f32]>::to_vec).collect()
        };
        let ours = |tensor: Tensor, row: usize| model.matrix(tensor).row(row).to_vec();
        assert_eq!(rows("token_embd.weight")[97], ours(Tensor::Embedding, 97));
        assert_eq!(rows("output_norm.weight"), [ours(Tensor::FinalNorm, 0)]);
        assert_eq!(
            rows("blk.1.ffn_up.weight")[3],
            ours(Tensor::GateUp(1), 32 + 3)
        );
        assert_eq!(rows("blk.0.ffn_down.weight")[2], ours(Tensor::Down(0), 2));
        // Two query heads, a key and a value head of width 8; row 3 is the second half's second.
        let qkv = |row| ours(Tensor::QueryKeyValue(1), row);
        let queries = rows("blk.1.attn_q.weight");
        assert_eq!((&queries[8], &queries[9]), (&qkv(8), &qkv(12)));
        assert_eq!((&queries[2], &queries[3]), (&qkv(1), &qkv(5)));
        assert_eq!(rows("blk.1.attn_k.weight")[3], qkv(16 + 5));
        assert_eq!(rows("blk.1.attn_v.weight")[3], qkv(24 + 3));
    }
}

#[test]
fn blocks_and_halves_stay_within_their_rounding() {
    let (model, file) = written(Output::Tied, TensorType::Q8_0);
    let Network::Llama(model) = model.network().unwrap() else {
        panic!("another configuration");
    };
    // Rows of 16 are no whole blocks, rows of 32 are.
    assert_eq!(file.tensors["token_embd.weight"].1, 1);
    assert_eq!(file.tensors["blk.0.ffn_norm.weight"].1, 0);
    let (sides, kind, bytes) = &file.tensors["blk.0.ffn_down.weight"];
    assert_eq!((&sides[..], *kind), (&[32, 16][..], 8));
    for (i, block) in bytes.as_chunks::<34>().0.iter().enumerate() {
        let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
        for (byte, x) in block[2..].iter().zip(model.matrix(Tensor::Down(0)).row(i)) {
            let error = f32::from(*byte as i8) * scale - x;
            // Half a step, and what the scale itself was rounded by.
            assert!(error.abs() <= 0.57 * scale, "{error} of {scale}");
        }
    }
}

#[test]
fn what_llama_cpp_has_no_name_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    save_into(&trained_llama(Output::Huffman), &path("tree"));
    save_into(&trained_llama(Output::Tied), &path("tied"));
    let refused = |from: &str, to: &str, options: &ConvertOptions, words: &str| {
        let error = convert(&path(from), &path(to), options).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(words), "{error}");
        assert!(!path(to).exists());
    };
    let plain = ConvertOptions::default();
    refused("tree", "a.gguf", &plain, "Huffman");
    let tensors = Some(TensorType::F16);
    refused(
        "tied",
        "folder",
        &ConvertOptions { tensors, ..plain },
        "--type",
    );
    let weights = Some(crate::model_file::WeightType::Int8);
    refused(
        "tied",
        "a.gguf",
        &ConvertOptions { weights, ..plain },
        "--weights",
    );
    let file = ModelFile::open(path("tied")).unwrap();
    let mut vocabulary = file.tokenizer().vocabulary();
    for pattern in ["whitespace", r"\w+|\W+"] {
        vocabulary.pattern = crate::tokenizer::HarnessPattern::parse(pattern).unwrap();
        let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
        let to = path("b.gguf");
        let error = save(file.network().unwrap(), &tokenizer, TensorType::F32, &to).unwrap_err();
        assert!(error.to_string().contains("no name"), "{error}");
        assert!(!to.exists());
    }
    let Network::Llama(model) = file.network().unwrap() else {
        panic!("it was trained as one");
    };
    let mut weights = model.weights().to_vec();
    weights[0] = 1e7;
    let huge = LlamaRef::new(*model.config(), &weights, None).unwrap();
    for kind in [TensorType::F16, TensorType::Q8_0] {
        let error = save(huge.into(), file.tokenizer(), kind, &path("c.gguf")).unwrap_err();
        assert!(error.to_string().contains("token_embd.weight"), "{error}");
    }
    assert!(!path("c.gguf").exists());
}
