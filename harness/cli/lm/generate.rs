//! `barelm lm generate`.

use super::ModelArg;
use super::ngram::MixtureArgs;
use crate::Result;
use crate::cli::Global;
use crate::cli::print::Stdout;
use crate::kernels::model::CacheType;
use crate::kernels::sample::Sampling;
use crate::model_file::{GenerateOptions, Generated, generate_text};
use crate::progress::note;
use clap::{Args, ValueEnum};

#[derive(Args)]
pub(in crate::cli) struct GenerateArgs {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    mixture: MixtureArgs,
    /// The text before
    #[arg(long, short, default_value = "")]
    prompt: String,
    /// Tokens to add
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_tokens: usize,
    /// 0 takes the likeliest token, higher is wilder
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    temperature: f32,
    /// Draw among the N likeliest tokens; 0 for all
    #[arg(long, value_name = "N", default_value_t = 0)]
    top_k: usize,
    /// Draw among the likeliest tokens that hold this share of the probability
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    top_p: f32,
    /// Above 1: tokens of the prompt and of the text so far become less likely
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    repetition_penalty: f32,
    /// End before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Keys and values in half precision take half the memory (llama)
    #[arg(long, value_enum, default_value_t = CacheArg::F32)]
    cache: CacheArg,
    /// Equal seeds give equal text
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CacheArg {
    F32,
    F16,
}

impl From<CacheArg> for CacheType {
    fn from(cache: CacheArg) -> Self {
        match cache {
            CacheArg::F32 => Self::F32,
            CacheArg::F16 => Self::F16,
        }
    }
}

pub(super) fn generate(global: &Global, args: &GenerateArgs) -> Result<()> {
    let model = args.mixture.open_mixed(global, &args.model.path)?;
    let options = args.options();
    let (mut stdout, prompt) = (Stdout::new(), args.prompt.as_bytes());
    if global.json {
        let generated = generate_text(&model, prompt, &options, |_| Ok(()))?;
        tell_speed(&generated);
        let Generated { text, ids, .. } = generated;
        let text = String::from_utf8_lossy(&text);
        let line = serde_json::json!({ "prompt": args.prompt, "text": text, "tokens": ids });
        stdout.json(&line)?;
    } else {
        // The prompt stands before the text, and not before a refusal.
        let mut before = prompt;
        let generated = generate_text(&model, prompt, &options, |text| {
            stdout.bytes(std::mem::take(&mut before))?;
            stdout.bytes(text)?;
            stdout.flush()
        })?;
        stdout.bytes(before)?;
        stdout.line("")?;
        tell_speed(&generated);
    }
    stdout.flush()
}

fn tell_speed(generated: &Generated) {
    let (count, seconds) = (generated.ids.len(), generated.elapsed.as_secs_f64());
    let speed = count as f64 / seconds;
    note(format_args!("{count} tokens, {speed:.1} tokens/s"));
}

impl GenerateArgs {
    fn options(&self) -> GenerateOptions {
        GenerateOptions {
            max_tokens: self.max_tokens,
            sampling: Sampling {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
            },
            repetition_penalty: self.repetition_penalty,
            stops: self.stop.clone(),
            cache: self.cache.into(),
            seed: self.seed,
        }
    }
}
