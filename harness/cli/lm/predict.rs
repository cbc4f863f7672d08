//! `barelm lm predict`.

use super::ModelArg;
use super::ngram::MixtureArgs;
use crate::Result;
use crate::cli::Global;
use crate::cli::print::Stdout;
use crate::model_file::{ModelFile, attention_text, predict_text};
use clap::Args;

#[derive(Args)]
pub(in crate::cli) struct PredictArgs {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    mixture: MixtureArgs,
    /// The text before
    #[arg(long, short)]
    prompt: String,
    /// How many tokens to show
    #[arg(long, short = 'k', value_name = "N", default_value_t = 10)]
    top: usize,
    /// Show how much each head of each layer looks at which token before
    #[arg(long)]
    attention: bool,
}

pub(super) fn predict(global: &Global, args: &PredictArgs) -> Result<()> {
    let model = args.mixture.open_mixed(global, &args.model.path)?;
    let mut stdout = Stdout::new();
    for guess in predict_text(&model, args.prompt.as_bytes(), args.top)? {
        let token = String::from_utf8_lossy(&guess.token);
        let probability = guess.probability;
        if global.json {
            stdout.json(
                &serde_json::json!({ "id": guess.id, "token": token, "probability": probability }),
            )?;
        } else {
            stdout.line(format!("{probability:.4}  {token:?}"))?;
        }
    }
    if args.attention {
        print_attention(global, &mut stdout, &model, &args.prompt)?;
    }
    stdout.flush()
}

/// Tokens of a head that are shown, those with the largest weights.
const LOOKED_AT: usize = 5;

/// Layers and heads are counted from 1, as people do.
fn print_attention(
    global: &Global,
    stdout: &mut Stdout,
    model: &ModelFile,
    prompt: &str,
) -> Result<()> {
    let (ids, heads) = attention_text(model, prompt.as_bytes())?;
    let text = |id: u32| String::from_utf8_lossy(&model.tokenizer().decode(&[id])).into_owned();
    for found in heads {
        let (layer, head) = (found.layer + 1, found.head + 1);
        let tokens = ids.iter().zip(&found.weights);
        if global.json {
            let token = |(id, weight): (&u32, &f32)| serde_json::json!({ "id": id, "token": text(*id), "weight": weight });
            let tokens: Vec<_> = tokens.map(token).collect();
            let line = serde_json::json!({ "layer": layer, "head": head, "attention": tokens });
            stdout.json(&line)?;
            continue;
        }
        let mut tokens: Vec<_> = tokens.collect();
        tokens.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let shown = tokens.iter().take(LOOKED_AT);
        let shown: Vec<_> = shown
            .map(|(id, weight)| format!("{weight:.2} {:?}", text(**id)))
            .collect();
        stdout.line(format!("layer {layer}, head {head}:  {}", shown.join("  ")))?;
    }
    Ok(())
}
