//! Operands with fixed seeds. Nothing here is counted.

use barelm_kernels::attention::{Mask, attention_forward_workspace_len};
use barelm_kernels::bpe::{KIND, TokenizerRef, encode_workspace_len};
use barelm_kernels::cbow::step_workspace_len;
use barelm_kernels::format::Container;
use barelm_kernels::huffman::{HuffmanRef, build, build_workspace_len, nodes_len};
use barelm_kernels::rng::Rng;
use barelm_kernels::sigmoid::SigmoidMethod;
use barelm_kernels::simd::Backend;

const VOCAB_SIZE: usize = 1000;

/// What `run` makes before it counts.
const FOLDER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../target/instructions/text"
);

/// Leaks operands, once it is known that the forced backend will run: one that the processor, or
/// Valgrind, lacks would fall back in silence. To ask also spares the first kernel the detection.
fn ready<T>(operands: T) -> &'static mut T {
    let forced = if cfg!(barelm_backend = "portable") {
        "portable"
    } else if cfg!(barelm_backend = "avx2") {
        "avx2"
    } else {
        panic!("no backend is forced: use `run`")
    };
    let found = Backend::best().name();
    assert!(
        found.to_lowercase().starts_with(forced),
        "{found} would run, not {forced}"
    );
    Box::leak(Box::new(operands))
}

/// Numbers in `-scale .. scale`.
fn numbers(len: usize, scale: f32, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..len)
        .map(|_| scale * (2.0 * rng.uniform() - 1.0))
        .collect()
}

/// A matrix of 100 rows, and a vector as long as a row.
pub struct Rows {
    pub matrix: Vec<f32>,
    pub vector: Vec<f32>,
}

pub fn rows(len: usize) -> &'static mut Rows {
    ready(Rows {
        matrix: numbers(100 * len, 1.0, 1),
        vector: numbers(len, 1.0, 2),
    })
}

/// Scores on both sides of the table's limits.
pub fn scores(method: SigmoidMethod) -> &'static mut (SigmoidMethod, Vec<f32>) {
    ready((method, numbers(4099, 10.0, 3)))
}

/// A Huffman tree in memory of its own.
pub struct Tree {
    offsets: Vec<u32>,
    nodes: Vec<u32>,
    codes: Vec<u64>,
}

impl Tree {
    fn new(counts: &[u64]) -> Self {
        let mut workspace = vec![0; build_workspace_len(counts.len())];
        let nodes = nodes_len(counts, &mut workspace).expect("counts are small");
        let mut tree = Self {
            offsets: vec![0; counts.len() + 1],
            nodes: vec![0; nodes],
            codes: vec![0; counts.len()],
        };
        let (offsets, nodes) = (&mut tree.offsets, &mut tree.nodes);
        build(counts, &mut workspace, offsets, nodes, &mut tree.codes).expect("it fits");
        tree
    }

    pub fn view(&self) -> HuffmanRef<'_> {
        HuffmanRef::new_unchecked(&self.offsets, &self.nodes, &self.codes)
    }
}

/// Word vectors in training: parameters, and a text by Zipf's law.
pub struct Words {
    pub dim: usize,
    pub tree: Tree,
    pub vectors: Vec<f32>,
    pub thetas: Vec<f32>,
    pub text: Vec<u32>,
    pub workspace: Vec<f32>,
}

pub fn words(dim: usize) -> &'static mut Words {
    let counts: Vec<u64> = (1..=VOCAB_SIZE as u64)
        .map(|rank| 1_000_000 / rank)
        .collect();
    let total = counts.iter().sum();
    let mut rng = Rng::new(4);
    let mut word = || {
        let mut left = rng.below(total);
        let is_past = |count: &&u64| {
            let past = left >= **count;
            left -= if past { **count } else { 0 };
            past
        };
        counts.iter().take_while(is_past).count() as u32
    };
    ready(Words {
        dim,
        text: (0..106).map(|_| word()).collect(),
        tree: Tree::new(&counts),
        vectors: numbers(VOCAB_SIZE * dim, 0.5, 5),
        thetas: numbers((VOCAB_SIZE - 1) * dim, 0.5, 6),
        workspace: vec![0.0; step_workspace_len(dim)],
    })
}

/// Queries, keys and values of one head, and room for what becomes of them.
pub struct Attention {
    pub shape: [usize; 2],
    pub mask: Mask,
    pub inputs: [Vec<f32>; 3],
    pub out: Vec<f32>,
    pub log_sums: Vec<f32>,
    pub workspace: Vec<f32>,
}

pub fn attention([n, d]: [usize; 2], mask: Mask) -> &'static mut Attention {
    ready(Attention {
        shape: [n, d],
        mask,
        inputs: [7, 8, 9].map(|seed| numbers(n * d, 1.0, seed)),
        out: vec![0.0; n * d],
        log_sums: vec![0.0; n],
        workspace: vec![0.0; attention_forward_workspace_len(d, d)],
    })
}

/// A text, a tokenizer that was learned from another one of the same kind, and room for the ids.
pub struct Text {
    pub tokenizer: TokenizerRef<'static>,
    pub bytes: Vec<u8>,
    pub ids: Vec<u32>,
    pub workspace: Vec<u32>,
}

pub fn text() -> &'static mut Text {
    let read = |name: &str| {
        let path = format!("{FOLDER}/{name}");
        std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}; `run` makes it"))
    };
    let file = at_64(&read("tokenizer.barelm"));
    let file = Container::new(file, &KIND).expect("barelm wrote it");
    let bytes = read("encode.txt");
    ready(Text {
        tokenizer: TokenizerRef::new(&file).expect("barelm wrote it"),
        ids: vec![0; bytes.len()],
        workspace: vec![0; encode_workspace_len(bytes.len())],
        bytes,
    })
}

/// The bytes at a multiple of 64, where a flat file has to lie.
fn at_64(bytes: &[u8]) -> &'static [u8] {
    let room = Vec::leak(vec![0; bytes.len() + 63]);
    let start = room.as_ptr().align_offset(64);
    let place = &mut room[start..][..bytes.len()];
    place.copy_from_slice(bytes);
    place
}

/// A quantised matrix and vector.
pub struct Bytes {
    pub matrix: Vec<i8>,
    pub scales: Vec<f32>,
    pub vector: Vec<i8>,
    pub out: Vec<f32>,
}

pub fn bytes([rows, cols]: [usize; 2]) -> &'static mut Bytes {
    let quantised = |len, seed| numbers(len, 127.0, seed).into_iter().map(|x| x as i8);
    ready(Bytes {
        matrix: quantised(rows * cols, 10).collect(),
        scales: numbers(rows, 1.0, 11),
        vector: quantised(cols, 12).collect(),
        out: vec![0.0; rows],
    })
}
