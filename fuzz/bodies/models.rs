//! Sessions over any shape and any numbers.

use super::naive::Input;
use barelm::kernels::model::{
    CacheType, LlamaConfig, LlamaInt8Ref, LlamaRef, OutputKind, Parameters, Session,
};

/// A shape whose sizes are those of the input; many make no sense.
fn config(input: &mut Input<'_>) -> LlamaConfig {
    let heads = input.byte() % 5;
    LlamaConfig {
        vocab_size: input.byte() % 40,
        dim: input.byte() % 70,
        layers: input.byte() % 4,
        heads,
        kv_heads: if input.byte().is_multiple_of(2) {
            heads
        } else {
            1
        },
        head_width: input.byte() % 36,
        hidden: input.byte() % 70,
        context: input.byte() % 20,
        theta: 1e4,
        epsilon: [0.0, 1e-5][input.byte() % 2],
        output: [OutputKind::Table, OutputKind::Tied][input.byte() % 2],
    }
}

/// Numbers of any bits: NaN, infinities and the smallest among them.
fn number(input: &mut Input<'_>) -> f32 {
    f32::from_bits((input.byte() << 24 | input.byte() << 16 | input.byte() << 8) as u32)
}

/// A shape is refused, or a session over it, in both precisions and with both caches, reads tokens
/// beyond its context and gives logits, whatever its numbers are.
pub fn sessions(bytes: &[u8]) {
    let mut input = Input(bytes);
    let config = config(&mut input);
    let tokens: Vec<u32> = (0..input.byte() % 30)
        .map(|_| input.byte() as u32)
        .collect();
    let numbers: Vec<f32> = (0..16).map(|_| number(&mut input)).collect();
    let repeated = |len: usize| numbers.iter().copied().cycle().take(len).collect();
    if let Some(len) = config.checked_len() {
        let weights: Vec<f32> = repeated(len);
        let model = LlamaRef::new(config, &weights, None).expect("as long as it should be");
        run(model.into(), &tokens);
        assert!(LlamaRef::new(config, &weights[1..], None).is_err());
    }
    if let Some([norms, scales, values]) = LlamaInt8Ref::lens(&config) {
        let (norms, scales): (Vec<f32>, Vec<f32>) = (repeated(norms), repeated(scales));
        let values: Vec<i8> = (0..values).map(|i| (i * 37) as i8).collect();
        let model = LlamaInt8Ref::new(config, &norms, &scales, &values);
        run(model.expect("as long as they should be").into(), &tokens);
        assert!(LlamaInt8Ref::new(config, &norms, &scales, &values[1..]).is_err());
    }
}

fn run(model: Parameters<'_>, tokens: &[u32]) {
    for cache in [CacheType::F32, CacheType::F16] {
        let mut workspace = vec![f32::NAN; model.session_workspace_len_with(cache)];
        let short = workspace.len() - 1;
        assert!(Session::with_cache(model, cache, &mut workspace[..short]).is_err());
        let mut session = Session::with_cache(model, cache, &mut workspace).expect("long enough");
        let mut logits = vec![0.0; model.vocab_size()];
        for token in tokens {
            let known = (*token as usize) < model.vocab_size();
            assert_eq!(session.push(*token).is_ok(), known);
            session.logits(&mut logits).expect("one logit a token");
        }
    }
}
