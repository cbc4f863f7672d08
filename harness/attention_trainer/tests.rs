//! The whole model against a naive one in `f64`, and what a user of a run relies on.

use super::parameters::Table;
use super::*;
use crate::kernels::model::Session;
use crate::kernels::rng::Rng;

const VOCAB: usize = 11;

/// A small model of each form.
fn forms() -> [LmOptions; 4] {
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

fn random_stream(len: usize) -> TokenStream {
    let mut rng = Rng::new(9);
    let ids = (0..len).map(|_| rng.below(VOCAB as u64) as u32).collect();
    TokenStream::from_ids(ids, VOCAB)
}

fn counts() -> Vec<u64> {
    (1..=VOCAB as u64).map(|n| n * n).collect()
}

/// A trainer whose shards hold a batch.
fn trainer(options: &LmOptions) -> Trainer {
    let options = options.effective();
    let layout = Layout::new(VOCAB, &options);
    let huffman = options.output == Output::Huffman;
    let tree = huffman.then(|| HuffmanTree::from_counts(&counts()).unwrap());
    let parameters = Parameters::new(layout, tree, None, &options);
    let mut trainer = Trainer::new(parameters, options);
    let stream = random_stream(200);
    let mut windows = Windows::new(&stream, trainer.options.context, 3);
    trainer.fill_shards(&mut windows);
    trainer
}

/// The mean loss of the batch in the trainer's shards, from the formulas alone.
fn naive_loss(trainer: &Trainer, values: &[f64]) -> f64 {
    let Parameters { layout, tree, .. } = &trainer.parameters;
    let context = layout.context;
    let mut sum = 0.0;
    let mut tokens = 0.0;
    for shard in &trainer.shards {
        let sequences = shard
            .inputs
            .chunks(context)
            .zip(shard.targets.chunks(context));
        for (inputs, targets) in sequences {
            for t in 0..inputs.len() {
                let h = naive_hidden(layout, values, &inputs[..=t]);
                sum += naive_token_loss(layout, tree.as_ref(), values, &h, targets[t]);
                tokens += 1.0;
            }
        }
    }
    sum / tokens
}

fn row<'a>(layout: &Layout, values: &'a [f64], table: Table, row: u32) -> &'a [f64] {
    &values[layout.range(table)][row as usize * layout.dim..][..layout.dim]
}

fn naive_dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The hidden vector of the last of `inputs`.
fn naive_hidden(layout: &Layout, values: &[f64], inputs: &[u32]) -> Vec<f64> {
    let width = layout.dim / layout.heads;
    let bias = &values[layout.range(Table::Bias)];
    let last = inputs.len() - 1;
    let mut h = vec![0.0; layout.dim];
    for head in 0..layout.heads {
        let part = |table, token| &row(layout, values, table, token)[head * width..][..width];
        let q = part(Table::Query, inputs[last]);
        let weights: Vec<f64> = (0..=last)
            .map(|s| {
                let bias = bias.get(head * layout.context + last - s).unwrap_or(&0.0);
                let score = naive_dot(q, part(Table::Key, inputs[s])) / (width as f64).sqrt();
                (score + bias).exp()
            })
            .collect();
        let total: f64 = weights.iter().sum();
        for (weight, token) in weights.iter().zip(inputs) {
            let v = part(Table::Value, *token);
            for (h, v) in h[head * width..].iter_mut().zip(v) {
                *h += weight / total * v;
            }
        }
    }
    h
}

fn naive_token_loss(
    layout: &Layout,
    tree: Option<&HuffmanTree>,
    values: &[f64],
    h: &[f64],
    target: u32,
) -> f64 {
    let table = match layout.output {
        Output::Softmax => Table::Output,
        Output::Tied => Table::Value,
        Output::Huffman => {
            let (path, code) = tree.unwrap().view().path(target);
            let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
            let decisions = path.iter().enumerate().map(|(i, node)| {
                let score = naive_dot(row(layout, values, Table::Tree, *node), h);
                sigmoid(if code >> i & 1 == 1 { score } else { -score })
            });
            return -decisions.map(f64::ln).sum::<f64>();
        }
    };
    let logit = |token| naive_dot(row(layout, values, table, token), h);
    let sum: f64 = (0..layout.vocab_size as u32).map(|w| logit(w).exp()).sum();
    sum.ln() - logit(target)
}

#[test]
fn gradients_agree_with_finite_differences_in_f64() {
    for options in forms() {
        let mut trainer = trainer(&options);
        trainer.compute_gradient();
        let mut values: Vec<f64> = trainer
            .parameters
            .values
            .iter()
            .map(|x| f64::from(*x))
            .collect();
        assert!(
            (trainer.loss - naive_loss(&trainer, &values)).abs() < 1e-5,
            "{options:?}"
        );
        let mut rng = Rng::new(2);
        for (table, _) in trainer.parameters.layout.tables() {
            let range = trainer.parameters.layout.range(table);
            for _ in 0..40.min(range.len()) {
                let i = range.start + rng.below(range.len() as u64) as usize;
                let mut loss_at = |x: f64| {
                    let old = std::mem::replace(&mut values[i], x);
                    let loss = naive_loss(&trainer, &values);
                    values[i] = old;
                    loss
                };
                let x = f64::from(trainer.parameters.values[i]);
                let want = (loss_at(x + 1e-4) - loss_at(x - 1e-4)) / 2e-4;
                let got = f64::from(trainer.gradient.values[i]);
                assert!(
                    (got - want).abs() < 1e-6,
                    "{table:?} {i}: got {got}, want {want}"
                );
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let stream = random_stream(600);
    for form in forms() {
        let run = |threads| {
            let options = LmOptions {
                threads,
                context: 7,
                batch_tokens: 600,
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
        if !options.literal && options.output != Output::Tied {
            assert!(last < 0.15 && lm.bits_per_byte().unwrap() < 0.25, "{last}");
        }
    }
}

#[test]
fn the_session_predicts_what_training_computed() {
    for options in forms() {
        let mut trainer = trainer(&options);
        trainer.compute_gradient();
        let model = trainer.parameters.view();
        let mut workspace = vec![0.0; model.session_workspace_len()];
        let mut logits = vec![0.0; VOCAB];
        let shard = &trainer.shards[0];
        let context = model.context();
        for (sequence, inputs) in shard.inputs.chunks(context).enumerate() {
            let mut session = Session::new(model, &mut workspace).unwrap();
            for (t, token) in inputs.iter().enumerate() {
                session.push(*token).unwrap();
                session.logits(&mut logits).unwrap();
                let row = sequence * context + t;
                let target = shard.targets[row] as usize;
                let loss = crate::kernels::softmax::log_sum_exp(&logits) - logits[target];
                assert!((loss - shard.losses[row]).abs() < 1e-5, "{options:?}");
            }
        }
    }
}

#[test]
fn a_run_by_the_clock_is_repeated_by_its_step_count() {
    let stream = random_stream(600);
    let options = LmOptions {
        steps: None,
        minutes: Some(0.001),
        ..forms()[0].clone()
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
    let options = &forms()[0];
    let vectors: Vec<f32> = (0..VOCAB * options.dim).map(|i| (i % 7) as f32).collect();
    let from_vectors = train(&stream, None, Some(&vectors), &[], options).unwrap();
    let from_random = train(&stream, None, None, &[], options).unwrap();
    assert_ne!(
        from_vectors.parameters.values,
        from_random.parameters.values
    );
}

#[test]
fn text_that_does_not_fit_the_options_is_refused() {
    let [options, .., huffman, _] = forms();
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
    let model = trainer(&options);
    let other = TokenStream::from_ids(vec![1, 2], VOCAB + 1);
    assert!(bits_per_byte(&model.parameters.view(), &other, 2, 1).is_err());
}
