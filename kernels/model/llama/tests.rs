use crate::error::{BufferTooSmall, ShapeError};
use crate::model::{LlamaConfig, LlamaRef, OutputKind, Parameters, Session, Tensor};
use crate::testing::values;
use std::vec;
use std::vec::Vec;

mod stored;

const CONFIG: LlamaConfig = LlamaConfig {
    vocab_size: 7,
    dim: 6,
    layers: 2,
    heads: 4,
    kv_heads: 2,
    head_width: 4,
    hidden: 10,
    context: 8,
    theta: 1e4,
    epsilon: 1e-5,
    output: OutputKind::Tied,
};

fn weights(config: &LlamaConfig) -> Vec<f32> {
    values(config.checked_len().unwrap(), 3)
}

/// The formulas, in `f64`, over all positions at once.
struct Naive<'a> {
    model: LlamaRef<'a>,
}

impl Naive<'_> {
    fn row(&self, tensor: Tensor, row: usize) -> Vec<f64> {
        let row = self.model.matrix(tensor).row(row);
        row.iter().map(|x| f64::from(*x)).collect()
    }

    fn product(&self, tensor: Tensor, x: &[f64]) -> Vec<f64> {
        let rows = self.model.matrix(tensor).rows();
        (0..rows).map(|i| dot(&self.row(tensor, i), x)).collect()
    }

    fn norm(&self, tensor: Tensor, x: &[f64]) -> Vec<f64> {
        let epsilon = f64::from(self.model.config().epsilon);
        let rms = (dot(x, x) / x.len() as f64 + epsilon).sqrt();
        let weight = self.row(tensor, 0);
        x.iter().zip(weight).map(|(x, w)| x / rms * w).collect()
    }

    fn turn(&self, x: &mut [f64], position: usize) {
        let h = x.len() / 2;
        let theta = f64::from(self.model.config().theta);
        for i in 0..h {
            let angle = position as f64 * theta.powf(-(i as f64) / h as f64);
            let (a, b) = (x[i], x[i + h]);
            x[i] = a * angle.cos() - b * angle.sin();
            x[i + h] = b * angle.cos() + a * angle.sin();
        }
    }

    /// What the heads of the last position find.
    fn attend(&self, qkv: &[Vec<f64>]) -> Vec<f64> {
        let config = self.model.config();
        let (w, last) = (config.head_width, qkv.len() - 1);
        let part = |t: usize, at: usize| &qkv[t][at * w..][..w];
        let head = |head: usize| -> Vec<f64> {
            let kv = head / (config.heads / config.kv_heads);
            let (key, value) = (config.heads + kv, config.heads + config.kv_heads + kv);
            let score = |s| (dot(part(last, head), part(s, key)) / (w as f64).sqrt()).exp();
            let total: f64 = (0..=last).map(score).sum();
            let element = |i: usize| {
                (0..=last)
                    .map(|s| score(s) / total * part(s, value)[i])
                    .sum()
            };
            (0..w).map(element).collect()
        };
        (0..config.heads).flat_map(head).collect()
    }

    fn logits(&self, tokens: &[u32]) -> Vec<f64> {
        let config = self.model.config();
        let embed = |token: &u32| self.row(Tensor::Embedding, *token as usize);
        let mut stream: Vec<Vec<f64>> = tokens.iter().map(embed).collect();
        for l in 0..config.layers {
            let mut qkv: Vec<Vec<f64>> = stream
                .iter()
                .map(|x| self.norm(Tensor::AttentionNorm(l), x))
                .map(|n| self.product(Tensor::QueryKeyValue(l), &n))
                .collect();
            for (t, row) in qkv.iter_mut().enumerate() {
                let turned = config.query_width() + config.key_width();
                for head in row[..turned].chunks_mut(config.head_width) {
                    self.turn(head, t);
                }
            }
            for (t, x) in stream.iter_mut().enumerate() {
                add(
                    x,
                    &self.product(Tensor::AttentionOutput(l), &self.attend(&qkv[..=t])),
                );
                let n = self.norm(Tensor::HiddenNorm(l), x);
                let gate_up = self.product(Tensor::GateUp(l), &n);
                let (gate, up) = gate_up.split_at(config.hidden);
                let silu = |(g, u): (&f64, &f64)| g / (1.0 + (-g).exp()) * u;
                let gated: Vec<f64> = gate.iter().zip(up).map(silu).collect();
                add(x, &self.product(Tensor::Down(l), &gated));
            }
        }
        let h = self.norm(Tensor::FinalNorm, stream.last().unwrap());
        let output = match config.output {
            OutputKind::Tied => Tensor::Embedding,
            _ => Tensor::Output,
        };
        self.product(output, &h)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

#[test]
fn a_session_agrees_with_the_formulas() {
    let untied = LlamaConfig {
        kv_heads: 1,
        layers: 3,
        output: OutputKind::Table,
        ..CONFIG
    };
    let single = LlamaConfig {
        kv_heads: 4,
        layers: 1,
        ..CONFIG
    };
    for config in [CONFIG, untied, single] {
        let weights = weights(&config);
        let model = LlamaRef::new(config, &weights, None).unwrap();
        let mut workspace = vec![f32::NAN; Parameters::from(model).session_workspace_len()];
        let mut session = Session::new(model, &mut workspace).unwrap();
        let mut logits = [1.0; 7];
        session.logits(&mut logits).unwrap();
        assert_eq!(logits, [0.0; 7]);
        let text = [3, 3, 0, 6, 1, 2, 5, 4];
        for (i, token) in text.iter().enumerate() {
            session.push(*token).unwrap();
            session.logits(&mut logits).unwrap();
            for (got, want) in logits.iter().zip(Naive { model }.logits(&text[..=i])) {
                assert!((f64::from(*got) - want).abs() < 2e-5, "{got} {want}");
            }
        }
    }
}

#[test]
fn one_layer_forgets_what_falls_out_of_the_context() {
    let config = LlamaConfig {
        layers: 1,
        context: 3,
        ..CONFIG
    };
    let weights = weights(&config);
    let model = LlamaRef::new(config, &weights, None).unwrap();
    let logits_after = |text: &[u32]| {
        let mut workspace = vec![0.0; Parameters::from(model).session_workspace_len()];
        let mut session = Session::new(model, &mut workspace).unwrap();
        text.iter().for_each(|token| session.push(*token).unwrap());
        let mut logits = [0.0; 7];
        session.logits(&mut logits).unwrap();
        logits
    };
    let (long, short) = (
        logits_after(&[6, 0, 2, 2, 1, 4, 5]),
        logits_after(&[1, 4, 5]),
    );
    for (long, short) in long.iter().zip(short) {
        assert!((long - short).abs() < 1e-5, "{long} {short}");
    }
}

#[test]
fn tensors_lie_one_behind_the_other() {
    for output in [OutputKind::Table, OutputKind::Tied, OutputKind::Tree] {
        let config = LlamaConfig { output, ..CONFIG };
        let mut end = 0;
        for tensor in config.tensors() {
            let (rows, cols) = config.shape(tensor);
            assert_eq!(config.range(tensor), end..end + rows * cols, "{tensor:?}");
            end += rows * cols;
        }
        assert_eq!(config.checked_len(), Some(end));
    }
}

#[test]
fn shapes_that_make_no_sense_are_refused() {
    let lens = [
        LlamaConfig {
            vocab_size: 0,
            ..CONFIG
        },
        LlamaConfig {
            dim: usize::MAX,
            ..CONFIG
        },
        LlamaConfig {
            layers: 0,
            ..CONFIG
        },
        LlamaConfig { heads: 3, ..CONFIG },
        LlamaConfig {
            kv_heads: 0,
            ..CONFIG
        },
        LlamaConfig {
            head_width: 3,
            ..CONFIG
        },
        LlamaConfig {
            hidden: 1 << 60,
            ..CONFIG
        },
        LlamaConfig {
            context: 0,
            ..CONFIG
        },
        LlamaConfig {
            theta: f32::NAN,
            ..CONFIG
        },
        LlamaConfig {
            theta: 0.0,
            ..CONFIG
        },
        LlamaConfig {
            epsilon: -1.0,
            ..CONFIG
        },
        LlamaConfig {
            dim: 1 << 24,
            heads: 1 << 24,
            head_width: 1 << 24,
            kv_heads: 1,
            ..CONFIG
        },
    ];
    for config in lens {
        assert_eq!(config.checked_len(), None, "{config:?}");
        assert_eq!(LlamaRef::new(config, &[], None).err(), Some(ShapeError));
    }
}

#[test]
fn buffers_weights_and_trees_that_do_not_fit_are_errors() {
    let weights = weights(&CONFIG);
    let model = LlamaRef::new(CONFIG, &weights, None).unwrap();
    let needed = Parameters::from(model).session_workspace_len();
    let mut workspace = vec![0.0; needed];
    let short = Session::new(model, &mut workspace[1..]).unwrap_err();
    assert_eq!(short, BufferTooSmall { needed });
    let mut session = Session::new(model, &mut workspace).unwrap();
    assert!(session.push(7).is_err());
    assert!(session.logits(&mut [0.0; 6]).is_err());
    let with_tree = LlamaConfig {
        output: OutputKind::Tree,
        ..CONFIG
    };
    let len = with_tree.checked_len().unwrap();
    assert!(LlamaRef::new(with_tree, &vec![0.0; len], None).is_err());
}
