use super::*;
use crate::rng::Rng;
use crate::sample::Sampling;
use crate::testing::values;
use std::vec;
use std::vec::Vec;

const V: usize = 7;
const D: usize = 6;

/// Tables of a model with two heads and a context of four.
struct Owner {
    tables: [Vec<f32>; 4],
    bias: Vec<f32>,
}

impl Owner {
    fn new() -> Self {
        let tables = [1, 2, 3, 4].map(|seed| values(V * D, seed));
        Self {
            tables,
            bias: values(2 * 4, 5),
        }
    }

    fn view(&self) -> SeedRef<'_> {
        let [q, k, v, u] = self
            .tables
            .each_ref()
            .map(|t| MatRef::new(t, V, D).unwrap());
        let bias = MatRef::new(&self.bias, 2, 4).unwrap();
        SeedRef::new([q, k, v], Some(bias), OutputRef::Table(u), 2, 4).unwrap()
    }
}

/// Logits after `context` by the formulas, in `f64`.
fn naive_logits(owner: &Owner, context: &[u32]) -> Vec<f64> {
    let context = &context[context.len().saturating_sub(4)..];
    let row =
        |t: usize, token: u32, head: usize| &owner.tables[t][token as usize * D + head * 3..][..3];
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    let last = context.len() - 1;
    let mut h = [0.0; D];
    for head in 0..2 {
        let score = |s: usize| {
            let bias = f64::from(owner.bias[head * 4 + last - s]);
            dot(row(0, context[last], head), row(1, context[s], head)) / 3.0_f64.sqrt() + bias
        };
        let total: f64 = (0..=last).map(|s| score(s).exp()).sum();
        for (s, token) in context.iter().enumerate() {
            for (h, v) in h[head * 3..].iter_mut().zip(row(2, *token, head)) {
                *h += score(s).exp() / total * f64::from(*v);
            }
        }
    }
    let logit = |u: &[f32]| u.iter().zip(h).map(|(u, h)| f64::from(*u) * h).sum();
    owner.tables[3].chunks(D).map(logit).collect()
}

#[test]
fn a_session_agrees_with_the_formulas_beyond_its_context() {
    let owner = Owner::new();
    let model = owner.view();
    let mut workspace = vec![f32::NAN; model.session_workspace_len()];
    let mut session = Session::new(model, &mut workspace).unwrap();
    let text = [3, 3, 0, 6, 1, 2, 5, 4, 4];
    let mut logits = [0.0; V];
    for (i, token) in text.iter().enumerate() {
        session.push(*token).unwrap();
        session.logits(&mut logits).unwrap();
        for (got, want) in logits.iter().zip(naive_logits(&owner, &text[..=i])) {
            assert!((f64::from(*got) - want).abs() < 1e-5, "{got} {want}");
        }
    }
}

#[test]
fn before_the_first_token_all_are_equally_likely() {
    let owner = Owner::new();
    let mut workspace = vec![0.0; owner.view().session_workspace_len()];
    let mut session = Session::new(owner.view(), &mut workspace).unwrap();
    let mut logits = [1.0; V];
    session.logits(&mut logits).unwrap();
    assert_eq!(logits, [0.0; V]);
}

#[test]
fn generation_repeats_with_its_seed() {
    let owner = Owner::new();
    let mut workspace = vec![0.0; owner.view().session_workspace_len()];
    let (mut logits, mut order) = ([0.0; V], [0; V]);
    let mut generate = |seed| -> Vec<u32> {
        let mut session = Session::new(owner.view(), &mut workspace).unwrap();
        let mut rng = Rng::new(seed);
        let sampling = Sampling::default();
        let mut next = || {
            session
                .generate(&sampling, &mut rng, &mut logits, &mut order)
                .unwrap()
        };
        (0..20).map(|_| next()).collect()
    };
    assert_eq!(generate(1), generate(1));
    assert_ne!(generate(1), generate(2));
}

#[test]
fn buffers_and_tokens_that_do_not_fit_are_errors() {
    let owner = Owner::new();
    let model = owner.view();
    let needed = model.session_workspace_len();
    let mut workspace = vec![0.0; needed];
    let short = Session::new(model, &mut workspace[1..]).unwrap_err();
    assert_eq!(short, BufferTooSmall { needed });
    let mut session = Session::new(model, &mut workspace).unwrap();
    assert!(session.push(V as u32).is_err());
    assert!(session.logits(&mut [0.0; V - 1]).is_err());
    let drawn = session.generate(
        &Sampling::default(),
        &mut Rng::new(1),
        &mut [0.0; V],
        &mut [],
    );
    assert!(drawn.is_err());
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    let data = values(64, 1);
    let m = |rows, cols| MatRef::new(&data[..rows * cols], rows, cols).unwrap();
    let new = |q, k, v, u, bias, heads, context| {
        SeedRef::new([q, k, v], bias, OutputRef::Table(u), heads, context).is_ok()
    };
    let t = m(5, 4);
    assert!(new(t, t, t, t, Some(m(2, 3)), 2, 3));
    assert!(!new(t, m(4, 4), t, t, None, 2, 3));
    assert!(!new(t, t, m(5, 5), t, None, 2, 3));
    assert!(!new(t, t, t, m(5, 2), None, 2, 3));
    assert!(!new(t, t, t, t, Some(m(3, 2)), 2, 3));
    assert!(!new(t, t, t, t, None, 3, 3));
    assert!(!new(t, t, t, t, None, 0, 3));
    assert!(!new(t, t, t, t, None, 2, 0));
    assert!(!new(t, t, t, t, None, 2, usize::MAX));
}

#[test]
fn configs_survive_their_words_and_others_are_refused() {
    let config = ModelConfig {
        architecture: Architecture::Seed,
        vocab_size: 1024,
        dim: 128,
        heads: 4,
        context: 64,
        output: OutputKind::Tree,
        bias: true,
        seed: u64::MAX,
        steps: 3,
        corpus_bytes: 1 << 40,
        corpus_hash: 7,
    };
    let words = config.to_words();
    assert_eq!(ModelConfig::from_words(&words), Some(config));
    assert_eq!(ModelConfig::from_words(&words[1..]), None);
    // A transformer has no bias, as this model does.
    for (at, value) in [(0, 1), (0, 2), (5, 3), (6, 2), (11, 1)] {
        let mut words = words;
        words[at] = value;
        assert_eq!(ModelConfig::from_words(&words), None);
    }
}

#[test]
fn an_observer_sees_weights_that_give_the_hidden_vector() {
    let owner = Owner::new();
    let model = owner.view();
    let mut workspace = vec![0.0; model.session_workspace_len()];
    let mut session = Session::new(model, &mut workspace).unwrap();
    let text = [3, 3, 0, 6, 1, 2];
    let mut hidden = vec![0.0; D];
    for (i, token) in text.iter().enumerate() {
        hidden.fill(0.0);
        let window = &text[(i + 1).saturating_sub(4)..=i];
        let mut observe = |layer: usize, head: usize, weights: &[f32]| {
            assert_eq!((layer, weights.len()), (0, window.len()));
            for (token, weight) in window.iter().zip(weights) {
                let value = &owner.tables[2][*token as usize * D + head * 3..][..3];
                for (h, v) in hidden[head * 3..].iter_mut().zip(value) {
                    *h += weight * v;
                }
            }
        };
        session.push_observed(*token, &mut observe).unwrap();
    }
    let mut logits = [0.0; V];
    session.logits(&mut logits).unwrap();
    for (logit, row) in logits.iter().zip(owner.tables[3].chunks(D)) {
        let want: f32 = row.iter().zip(&hidden).map(|(u, h)| u * h).sum();
        assert!((logit - want).abs() < 1e-5, "{logit} {want}");
    }
}
