//! The tensors, under the names that llama.cpp gives them.
//!
//! llama.cpp turns neighbouring dimensions of queries and keys by a position, `LlamaForCausalLM` and we
//! those half a head apart; so their rows are shuffled, within each head, until halves are neighbours.

use super::header::Header;
use super::{ALIGNMENT, TensorType};
use crate::kernels::model::{LlamaConfig, LlamaRef, OutputKind, Tensor};
use half::f16;
use std::ops::Range;

/// Numbers of one block of [`TensorType::Q8_0`].
const BLOCK: usize = 32;

/// A tensor of theirs: some rows of one of ours.
pub(super) struct Part {
    pub(super) name: String,
    tensor: Tensor,
    rows: Range<usize>,
    cols: usize,
    /// Width of the heads whose rows are shuffled.
    head_width: Option<usize>,
}

/// All tensors.
pub(super) fn all(config: &LlamaConfig) -> Vec<Part> {
    config
        .tensors()
        .flat_map(|tensor| parts(config, tensor))
        .collect()
}

fn parts(config: &LlamaConfig, tensor: Tensor) -> Vec<Part> {
    let (rows, cols) = config.shape(tensor);
    let part = |name: String, rows: Range<usize>| Part {
        name: format!("{name}.weight"),
        tensor,
        rows,
        cols,
        head_width: None,
    };
    let whole = |name: &str| vec![part(name.into(), 0..rows)];
    let of_layer = |l: usize, name: &str| vec![part(format!("blk.{l}.{name}"), 0..rows)];
    match tensor {
        Tensor::Embedding => whole("token_embd"),
        Tensor::AttentionNorm(l) => of_layer(l, "attn_norm"),
        Tensor::QueryKeyValue(l) => {
            let keys = config.query_width();
            let values = keys + config.key_width();
            let turned = |name: &str, rows| Part {
                head_width: Some(config.head_width),
                ..part(format!("blk.{l}.{name}"), rows)
            };
            vec![
                turned("attn_q", 0..keys),
                turned("attn_k", keys..values),
                part(format!("blk.{l}.attn_v"), values..rows),
            ]
        }
        Tensor::AttentionOutput(l) => of_layer(l, "attn_output"),
        Tensor::HiddenNorm(l) => of_layer(l, "ffn_norm"),
        Tensor::GateUp(l) => vec![
            part(format!("blk.{l}.ffn_gate"), 0..config.hidden),
            part(format!("blk.{l}.ffn_up"), config.hidden..rows),
        ],
        Tensor::Down(l) => of_layer(l, "ffn_down"),
        Tensor::FinalNorm => whole("output_norm"),
        // Without it llama.cpp takes the embedding.
        Tensor::Output if config.output == OutputKind::Tied => Vec::new(),
        Tensor::Output => whole("output"),
    }
}

impl Part {
    fn is_norm(&self) -> bool {
        matches!(
            self.tensor,
            Tensor::AttentionNorm(_) | Tensor::HiddenNorm(_) | Tensor::FinalNorm
        )
    }

    /// The type that this tensor gets where `kind` is asked for.
    fn kind(&self, kind: TensorType) -> TensorType {
        match kind {
            _ if self.is_norm() => TensorType::F32,
            TensorType::Q8_0 if !self.cols.is_multiple_of(BLOCK) => TensorType::F16,
            kind => kind,
        }
    }

    pub(super) fn announce(&self, header: &mut Header, kind: TensorType) {
        let numbers = self.rows.len() * self.cols;
        let (code, len) = match self.kind(kind) {
            TensorType::F32 => (0, numbers * size_of::<f32>()),
            TensorType::F16 => (1, numbers * size_of::<f16>()),
            TensorType::Q8_0 => (8, numbers / BLOCK * (size_of::<f16>() + BLOCK)),
        };
        let sides = [self.cols, self.rows.len()];
        let sides = if self.is_norm() { &sides[..1] } else { &sides };
        header.tensor(&self.name, sides, code, len);
    }

    /// Whether half precision holds what it is to hold of the numbers.
    pub(super) fn fits(&self, model: &LlamaRef<'_>, kind: TensorType) -> bool {
        let largest = match self.kind(kind) {
            TensorType::F32 => f32::INFINITY,
            TensorType::F16 => f16::MAX.to_f32(),
            TensorType::Q8_0 => f16::MAX.to_f32() * 127.0,
        };
        let matrix = model.matrix(self.tensor);
        let mut rows = self.rows.clone().map(|row| matrix.row(row));
        rows.all(|row| row.iter().all(|x| x.abs() <= largest))
    }

    /// The elements, filled up to a multiple of [`ALIGNMENT`].
    pub(super) fn bytes(&self, model: &LlamaRef<'_>, kind: TensorType) -> Vec<u8> {
        let matrix = model.matrix(self.tensor);
        let mut bytes = Vec::new();
        for row in 0..self.rows.len() {
            let row = self.head_width.map_or(row, |width| unshuffled(row, width));
            let numbers = matrix.row(self.rows.start + row);
            match self.kind(kind) {
                TensorType::F32 => bytes.extend(numbers.iter().flat_map(|x| x.to_le_bytes())),
                TensorType::F16 => {
                    let halves = numbers.iter().map(|x| f16::from_f32(*x));
                    bytes.extend(halves.flat_map(f16::to_le_bytes));
                }
                TensorType::Q8_0 => numbers.chunks(BLOCK).for_each(|x| block(x, &mut bytes)),
            }
        }
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes
    }
}

/// Our row of their row: pairs of neighbours are, with us, half a head apart.
fn unshuffled(row: usize, width: usize) -> usize {
    let (head, i) = (row / width, row % width);
    head * width + i / 2 + i % 2 * (width / 2)
}

/// A scale in half precision, and the numbers over it in bytes, as ggml's reference rounds them.
fn block(numbers: &[f32], bytes: &mut Vec<u8>) {
    let largest = numbers.iter().fold(0.0, |a: f32, x| a.max(x.abs()));
    let scale = largest / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    bytes.extend(f16::from_f32(scale).to_le_bytes());
    bytes.extend(numbers.iter().map(|x| (x * inverse).round() as i8 as u8));
}
