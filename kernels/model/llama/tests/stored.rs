//! Weights in eight bits, caches in half precision, and what an observer sees.

use super::{CONFIG, weights};
use crate::int8::{dequantize_into, quantize_into};
use crate::model::{
    CacheType, LlamaConfig, LlamaInt8Ref, LlamaRef, OutputKind, Parameters, Session,
};
use std::vec;
use std::vec::Vec;

/// A model of random weights in eight bits, and the `f32` that they stand for.
struct Quantized {
    config: LlamaConfig,
    norms: Vec<f32>,
    scales: Vec<f32>,
    values: Vec<i8>,
    back: Vec<f32>,
}

impl Quantized {
    fn new(config: LlamaConfig) -> Self {
        let weights = weights(&config);
        let model = LlamaRef::new(config, &weights, None).unwrap();
        let (mut norms, mut scales, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let mut back = Vec::new();
        for tensor in config.tensors() {
            if config.is_norm(tensor) {
                norms.extend(model.vector(tensor));
                back.extend(model.vector(tensor));
                continue;
            }
            let matrix = model.matrix(tensor);
            for row in (0..matrix.rows()).map(|i| matrix.row(i)) {
                let (mut bytes, mut number) = (vec![0; row.len()], vec![0.0; row.len()]);
                let scale = quantize_into(row, &mut bytes).unwrap();
                dequantize_into(&bytes, scale, &mut number).unwrap();
                scales.push(scale);
                values.extend(bytes);
                back.extend(number);
            }
        }
        Self {
            config,
            norms,
            scales,
            values,
            back,
        }
    }

    fn view(&self) -> LlamaInt8Ref<'_> {
        LlamaInt8Ref::new(self.config, &self.norms, &self.scales, &self.values).unwrap()
    }
}

#[test]
fn weights_in_eight_bits_lie_where_those_in_f32_do() {
    for output in [OutputKind::Table, OutputKind::Tied] {
        let model = Quantized::new(LlamaConfig { output, ..CONFIG });
        let back = LlamaRef::new(model.config, &model.back, None).unwrap();
        for tensor in model.config.tensors() {
            if model.config.is_norm(tensor) {
                assert_eq!(model.view().norm(tensor), back.vector(tensor), "{tensor:?}");
                assert_eq!(model.view().matrix(tensor).rows(), 0);
                continue;
            }
            let (bytes, numbers) = (model.view().matrix(tensor), back.matrix(tensor));
            assert_eq!(
                (bytes.rows(), bytes.cols()),
                (numbers.rows(), numbers.cols())
            );
            for i in 0..bytes.rows() {
                let (row, scale) = bytes.row(i);
                let mut number = vec![0.0; row.len()];
                dequantize_into(row, scale, &mut number).unwrap();
                assert_eq!(number, numbers.row(i), "{tensor:?}");
            }
        }
    }
}

/// Logits after each token of a text.
fn logits_of<'a>(model: impl Into<Parameters<'a>>, cache: CacheType, text: &[u32]) -> Vec<f32> {
    let model = model.into();
    let mut workspace = vec![f32::NAN; model.session_workspace_len_with(cache)];
    let mut session = Session::with_cache(model, cache, &mut workspace).unwrap();
    let mut all = Vec::new();
    for token in text {
        let mut logits = vec![0.0; model.vocab_size()];
        session.push(*token).unwrap();
        session.logits(&mut logits).unwrap();
        all.extend(logits);
    }
    all
}

const TEXT: [u32; 11] = [3, 3, 0, 6, 1, 2, 5, 4, 4, 1, 0];

#[test]
fn a_session_in_eight_bits_stays_near_the_numbers_they_stand_for() {
    for output in [OutputKind::Table, OutputKind::Tied] {
        let model = Quantized::new(LlamaConfig { output, ..CONFIG });
        let back = LlamaRef::new(model.config, &model.back, None).unwrap();
        let got = logits_of(model.view(), CacheType::F32, &TEXT);
        let want = logits_of(back, CacheType::F32, &TEXT);
        let error = |(a, b): (&f32, &f32)| (a - b).abs();
        let worst = got.iter().zip(&want).map(error).fold(0.0, f32::max);
        // Only the vectors are rounded here: by a 254th of their largest number at most.
        assert!(worst > 0.0 && worst < 0.1, "{worst}");
    }
}

#[test]
fn a_cache_in_half_precision_halves_the_room_and_stays_near() {
    let weights = weights(&CONFIG);
    let model = LlamaRef::new(CONFIG, &weights, None).unwrap();
    let [single, half] = [CacheType::F32, CacheType::F16]
        .map(|cache| Parameters::from(model).session_workspace_len_with(cache));
    // Two layers, a tile of places, keys and values of width eight.
    assert_eq!(single - half, 2 * 2 * 16 * 8 / 2);
    let got = logits_of(model, CacheType::F16, &TEXT);
    let want = logits_of(model, CacheType::F32, &TEXT);
    let error = |(a, b): (&f32, &f32)| (a - b).abs();
    let worst = got.iter().zip(&want).map(error).fold(0.0, f32::max);
    assert!(worst > 0.0 && worst < 2e-3, "{worst}");
}

#[test]
fn an_observer_sees_weights_of_every_head_oldest_first() {
    let weights = weights(&CONFIG);
    let model = LlamaRef::new(CONFIG, &weights, None).unwrap();
    let mut workspace = vec![0.0; Parameters::from(model).session_workspace_len()];
    let mut session = Session::new(model, &mut workspace).unwrap();
    for (t, token) in TEXT.iter().enumerate() {
        let mut seen = Vec::new();
        let mut observe = |l: usize, head: usize, weights: &[f32]| {
            assert_eq!(weights.len(), CONFIG.context.min(t + 1));
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            seen.push((l, head));
        };
        session.push_observed(*token, &mut observe).unwrap();
        let heads = |l| (0..CONFIG.heads).map(move |head| (l, head));
        assert_eq!(seen, (0..CONFIG.layers).flat_map(heads).collect::<Vec<_>>());
    }
}

#[test]
fn observed_weights_are_in_order_wherever_the_ring_stands() {
    let owner = Quantized::new(CONFIG);
    let model = LlamaRef::new(CONFIG, &owner.back, None).unwrap();
    let context = CONFIG.context;
    let attention_after = |text: &[u32]| {
        let mut workspace = vec![0.0; Parameters::from(model).session_workspace_len()];
        let mut session = Session::new(model, &mut workspace).unwrap();
        let mut first: Vec<f32> = Vec::new();
        for token in text {
            first.clear();
            let mut observe = |l: usize, head: usize, weights: &[f32]| {
                if (l, head) == (0, 0) {
                    first.extend(weights);
                }
            };
            session.push_observed(*token, &mut observe).unwrap();
        }
        first
    };
    // The first layer remembers nothing of what fell out.
    let (long, short) = (
        attention_after(&TEXT),
        attention_after(&TEXT[TEXT.len() - context..]),
    );
    for (long, short) in long.iter().zip(&short) {
        assert!((long - short).abs() < 1e-5, "{long:?} {short:?}");
    }
}

#[test]
fn parts_in_eight_bits_that_do_not_fit_are_refused() {
    let owner = Quantized::new(CONFIG);
    let (norms, scales, values) = owner.view().parts();
    let new = |config, norms, scales, values| LlamaInt8Ref::new(config, norms, scales, values);
    assert!(new(CONFIG, &norms[1..], scales, values).is_err());
    assert!(new(CONFIG, norms, &scales[1..], values).is_err());
    assert!(new(CONFIG, norms, scales, &values[1..]).is_err());
    let tree = LlamaConfig {
        output: OutputKind::Tree,
        ..CONFIG
    };
    assert_eq!(LlamaInt8Ref::lens(&tree), None);
    let long = LlamaConfig {
        hidden: 131_072,
        ..CONFIG
    };
    assert_eq!(LlamaInt8Ref::lens(&long), None);
    assert!(
        LlamaInt8Ref::lens(&LlamaConfig {
            layers: 0,
            ..CONFIG
        })
        .is_none()
    );
}

#[test]
fn a_session_fits_the_room_that_is_known_at_compile_time() {
    const LEN: usize = CONFIG.session_workspace_len(true, CacheType::F16);
    static ZEROS: [f32; LEN] = [0.0; LEN];
    let owner = Quantized::new(CONFIG);
    let mut workspace = ZEROS;
    assert!(Session::with_cache(owner.view(), CacheType::F16, &mut workspace[1..]).is_err());
    let mut session = Session::with_cache(owner.view(), CacheType::F16, &mut workspace).unwrap();
    let mut logits = vec![0.0; CONFIG.vocab_size];
    for token in TEXT {
        session.push(token).unwrap();
    }
    session.logits(&mut logits).unwrap();
    let want = logits_of(owner.view(), CacheType::F16, &TEXT);
    assert_eq!(logits, want[want.len() - CONFIG.vocab_size..]);
}
