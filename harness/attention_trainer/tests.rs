//! What a user of a run relies on, whatever the configuration.

mod options;
mod resumed;

use super::optimiser::Part;
use super::*;
use crate::cbow_trainer::HuffmanTree;
use crate::kernels::model::Session;
use crate::kernels::rng::Rng;

pub(super) const VOCAB: usize = 11;
/// The step whose chances gradients are checked with.
pub(super) const STEP: u64 = 5;

/// A small model of each form of configuration seed.
pub(super) fn seeds() -> [LmOptions; 4] {
    let small = LmOptions {
        dim: 8,
        heads: 2,
        context: 5,
        batch_tokens: 20,
        // Large enough that every part of the gradient matters.
        init_scale: 0.6,
        steps: Some(3),
        threads: 1,
        ..LmOptions::default()
    };
    [
        small.clone(),
        LmOptions {
            output: Output::Tied,
            ..small.clone()
        },
        LmOptions {
            output: Output::Huffman,
            ..small.clone()
        },
        LmOptions {
            literal: true,
            ..small
        },
    ]
}

/// Small models of configuration llama: each output, with heads that share keys in twos, alone, and
/// all together.
pub(super) fn llamas() -> [LmOptions; 3] {
    let small = LmOptions {
        layers: 2,
        heads: 4,
        kv_heads: 2,
        hidden: 10,
        config: Config::Llama,
        output: Output::Tied,
        dim: 16,
        ..seeds()[0].clone()
    };
    [
        small.clone(),
        LmOptions {
            output: Output::Softmax,
            optimizer: Optimizer::Muon,
            layers: 1,
            kv_heads: 4,
            ..small.clone()
        },
        LmOptions {
            output: Output::Huffman,
            layers: 3,
            kv_heads: 1,
            ..small
        },
    ]
}

/// A llama under Muon of which a third is left out in each step.
fn with_dropout() -> LmOptions {
    LmOptions {
        dropout: 0.3,
        ..llamas()[1].clone()
    }
}

fn forms() -> impl Iterator<Item = LmOptions> {
    seeds().into_iter().chain(llamas())
}

pub(super) fn random_stream(len: usize) -> TokenStream {
    let mut rng = Rng::new(9);
    let ids = (0..len).map(|_| rng.below(VOCAB as u64) as u32).collect();
    TokenStream::from_ids(ids, VOCAB)
}

fn counts() -> Vec<u64> {
    (1..=VOCAB as u64).map(|n| n * n).collect()
}

/// The initial parameters of a small model.
pub(super) fn parameters(options: &LmOptions) -> Parameters {
    let options = options.effective();
    let huffman = options.output == Output::Huffman;
    let tree = huffman.then(|| HuffmanTree::from_counts(&counts()).unwrap());
    Parameters::new(VOCAB, tree, None, &options)
}

/// `-ln p(target)` at the end of a path through the output layer, in `f64`: `row(i)` is row `i` of
/// the output's table or of the tree's parameters.
pub(super) fn naive_token_loss(
    tree: Option<&HuffmanTree>,
    row: impl Fn(u32) -> Vec<f64>,
    h: &[f64],
    target: u32,
) -> f64 {
    let score = |i| naive_dot(&row(i), h);
    let Some(tree) = tree else {
        let sum: f64 = (0..VOCAB as u32).map(|w| score(w).exp()).sum();
        return sum.ln() - score(target);
    };
    let (path, code) = tree.view().path(target);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let decisions = path.iter().enumerate().map(|(i, node)| {
        let score = score(*node);
        sigmoid(if code >> i & 1 == 1 { score } else { -score })
    });
    -decisions.map(f64::ln).sum::<f64>()
}

pub(super) fn naive_dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Compares the gradient of a batch of random text with the slopes of the mean of `naive_loss`,
/// which is the sum of the losses of the window that begins with a row of the batch, at some places of every part of the parameters.
/// Slopes above 1 may be off by the tolerance's share.
pub(super) fn check_gradient(
    options: &LmOptions,
    tolerance: f64,
    naive_loss: impl Fn(&Parameters, &[f64], usize, &[u32], &[u32]) -> f64,
) {
    let options = options.effective();
    let parameters = parameters(&options);
    let mut batch = new_batch(&parameters, &options);
    let stream = random_stream(200);
    let mut windows = Windows::new(&stream, options.context, 3);
    fill(&mut *batch, &mut windows, options.context);
    let tokens = batch.tokens();
    let [inputs, targets] = [0, 1].map(|i| tokens.iter().flat_map(|t| t[i].to_vec()).collect());
    let (inputs, targets): (Vec<u32>, Vec<u32>) = (inputs, targets);
    let naive_loss = |values: &[f64]| {
        let pairs = inputs
            .chunks(options.context)
            .zip(targets.chunks(options.context));
        let rows = (0..).step_by(options.context);
        let losses = rows
            .zip(pairs)
            .map(|(row, (i, t))| naive_loss(&parameters, values, row, i, t));
        losses.sum::<f64>() / inputs.len() as f64
    };
    let loss = batch.compute_gradient(&parameters, STEP, 1).loss;
    let mut values: Vec<f64> = parameters.values.iter().map(|x| f64::from(*x)).collect();
    let want = naive_loss(&values);
    assert!((loss - want).abs() < 1e-5, "{loss} {want}");
    let mut rng = Rng::new(2);
    let mut start = 0;
    let parts = parameters.parts(Optimizer::AdamW).into_iter();
    for (part, Part { len, .. }) in parts.enumerate() {
        for _ in 0..40.min(len) {
            let i = start + rng.below(len as u64) as usize;
            let mut loss_at = |x: f64| {
                let old = std::mem::replace(&mut values[i], x);
                let loss = naive_loss(&values);
                values[i] = old;
                loss
            };
            let x = f64::from(parameters.values[i]);
            let want = (loss_at(x + 1e-5) - loss_at(x - 1e-5)) / 2e-5;
            let got = f64::from(batch.gradient()[i]);
            let size = 1.0_f64.max(want.abs());
            assert!(
                (got - want).abs() < tolerance * size,
                "part {part}, {i}: got {got}, want {want}"
            );
        }
        start += len;
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let stream = random_stream(600);
    for form in forms().chain([with_dropout()]) {
        let run = |threads| {
            let options = LmOptions {
                threads,
                context: 7,
                // Several shards of either configuration.
                batch_tokens: 3000,
                ..form.clone()
            };
            let lm = train(&stream, None, None, &counts(), &options).unwrap();
            (lm.parameters.values, lm.history)
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(3));
    }
}

#[test]
fn the_gradient_of_a_batch_is_the_mean_of_those_of_its_halves() {
    let stream = random_stream(600);
    for form in forms() {
        // Whole shards, so that no batch is rounded up.
        let half = match form.config {
            Config::Seed => 1040,
            Config::Llama => 1025,
        };
        let parameters = parameters(&form);
        let mut windows = Windows::new(&stream, form.context, 3);
        let gradient = |windows: &mut Windows<'_>, batch_tokens| {
            let options = LmOptions {
                batch_tokens,
                ..form.effective()
            };
            let mut batch = new_batch(&parameters, &options);
            fill(&mut *batch, windows, options.context);
            let tokens: usize = batch.tokens().iter().map(|[inputs, _]| inputs.len()).sum();
            assert_eq!(tokens, batch_tokens);
            batch.compute_gradient(&parameters, STEP, 2);
            batch.gradient().to_vec()
        };
        let whole = gradient(&mut windows, 2 * half);
        let mut windows = Windows::new(&stream, form.context, 3);
        let halves = [(); 2].map(|()| gradient(&mut windows, half));
        for (i, whole) in whole.iter().enumerate() {
            let mean = (halves[0][i] + halves[1][i]) / 2.0;
            assert!(
                (mean - whole).abs() < 1e-5 * whole.abs().max(1.0),
                "{i}: {mean} {whole}"
            );
        }
    }
}

#[test]
fn two_layers_learn_one_batch_by_heart() {
    // A text of one window is the same batch in each step.
    let stream = random_stream(65);
    let options = LmOptions {
        dim: 64,
        layers: 2,
        context: 64,
        batch_tokens: 64,
        steps: Some(300),
        learning_rate: 0.01,
        weight_decay: 0.0,
        threads: 1,
        ..LmOptions::llama()
    };
    let lm = train(&stream, None, None, &[], &options).unwrap();
    let mut ids = [0; 65];
    stream.read(0, &mut ids);
    let losses = evaluate::losses_of(lm.model(), &ids[..64], &ids[1..], 0);
    let mean = losses.iter().sum::<f32>() / 64.0;
    assert!(mean < 0.01, "{mean}");
}

#[test]
fn a_tiny_text_is_learnt_by_heart() {
    let ids: Vec<u32> = (0..400).map(|i| [0, 3, 1, 3, 2, 5, 7, 5][i % 8]).collect();
    let stream = TokenStream::from_ids(ids, VOCAB);
    for form in forms() {
        let options = LmOptions {
            steps: Some(300),
            learning_rate: 0.03,
            weight_decay: 0.0,
            batch_tokens: 40,
            ..form
        };
        let lm = train(&stream, Some((&stream, 400)), None, &counts(), &options).unwrap();
        let first = lm.history[0].train_loss;
        let last = lm.history.last().unwrap().train_loss;
        assert!(last < first);
        // "3" is followed by "1" and "2" in turn: only what stands before it can tell. Forms that
        // compare values with values can hardly tell "1 3" from "3 1".
        let is_seed = options.config == Config::Seed;
        if !(is_seed && (options.literal || options.output == Output::Tied)) {
            assert!(last < 0.15 && lm.bits_per_byte.unwrap() < 0.25, "{last}");
        }
    }
}

#[test]
fn the_session_predicts_what_training_computes() {
    for options in forms() {
        let parameters = parameters(&options);
        let network = parameters.network();
        let mut workspace = vec![0.0; network.session_workspace_len()];
        let mut ids = vec![0; options.context + 1];
        random_stream(200).read(7, &mut ids);
        let (inputs, targets) = (&ids[..options.context], &ids[1..]);
        let losses = evaluate::losses_of(network, inputs, targets, 0);
        let mut session = Session::new(network, &mut workspace).unwrap();
        let mut logits = vec![0.0; VOCAB];
        for (t, token) in inputs.iter().enumerate() {
            session.push(*token).unwrap();
            session.logits(&mut logits).unwrap();
            let target = targets[t] as usize;
            let loss = crate::kernels::softmax::log_sum_exp(&logits) - logits[target];
            assert!((loss - losses[t]).abs() < 2e-5, "{options:?}");
        }
    }
}

#[test]
fn a_run_by_the_clock_is_repeated_by_its_step_count() {
    let stream = random_stream(600);
    let options = LmOptions {
        steps: None,
        minutes: Some(0.001),
        ..seeds()[0].clone()
    };
    let timed = train(&stream, None, None, &[], &options).unwrap();
    assert!(timed.steps > 1);
    let counted = train(&stream, None, None, &[], &timed.options).unwrap();
    assert_eq!(timed.parameters.values, counted.parameters.values);
    assert_eq!(timed.options, counted.options);
}

#[test]
fn word_vectors_change_where_training_starts() {
    let stream = random_stream(100);
    for options in [&seeds()[0], &llamas()[0]] {
        let vectors: Vec<f32> = (0..VOCAB * options.dim).map(|i| (i % 7) as f32).collect();
        let from_vectors = train(&stream, None, Some(&vectors), &[], options).unwrap();
        let from_random = train(&stream, None, None, &[], options).unwrap();
        assert_ne!(
            from_vectors.parameters.values,
            from_random.parameters.values
        );
    }
}

#[test]
fn text_that_does_not_fit_the_options_is_refused() {
    let [options, .., huffman, _] = seeds();
    let refused = |stream: &TokenStream, vectors: Option<&[f32]>, options: &LmOptions| {
        let error = train(stream, None, vectors, &[1; 3], options).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let short = refused(&random_stream(5), None, &options);
    assert!(
        short.contains("5 tokens") && short.contains("--context"),
        "{short}"
    );
    refused(&random_stream(50), Some(&[0.0; 8]), &options);
    refused(&random_stream(50), None, &huffman);
    let empty = TokenStream::from_ids(vec![], VOCAB);
    assert!(train(&random_stream(50), Some((&empty, 0)), None, &[], &options).is_err());
    let model = parameters(&options);
    let other = TokenStream::from_ids(vec![1, 2], VOCAB + 1);
    assert!(bits_per_byte(model.network(), &other, 2, 1).is_err());
}
