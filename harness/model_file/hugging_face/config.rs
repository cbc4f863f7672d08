//! `config.json`: the shape of a `LlamaForCausalLM`.

use crate::kernels::model::{LlamaConfig, OutputKind};
use crate::{Error, Result};
use serde_json::{Value, json};
use std::path::Path;

/// What `transformers` takes for a missing `rope_theta`, `rms_norm_eps`, `max_position_embeddings`.
const THETA: f64 = 1e4;
const EPSILON: f64 = 1e-6;
const CONTEXT: usize = 2048;

/// The file for a shape.
pub(super) fn to_json(config: &LlamaConfig) -> Value {
    let theta = decimal(config.theta);
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab_size,
        "hidden_size": config.dim,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_width,
        "max_position_embeddings": config.context,
        "hidden_act": "silu",
        "rms_norm_eps": decimal(config.epsilon),
        "rope_theta": theta,
        "rope_parameters": { "rope_type": "default", "rope_theta": theta },
        "rope_scaling": null,
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": config.output == OutputKind::Tied,
        "bos_token_id": null,
        "eos_token_id": null,
        "torch_dtype": "float32",
    })
}

/// The number that an `f32` was written as: 1e-5, not 9.999999747378752e-6.
fn decimal(x: f32) -> f64 {
    x.to_string().parse().expect("a number")
}

/// The shape that a file tells, which makes sense; what is not supported is refused by name.
pub(super) fn from_json(path: &Path, json: &Value) -> Result<LlamaConfig> {
    let file = Reader { path, json };
    file.check_supported()?;
    let heads = file.size("num_attention_heads", None)?;
    let dim = file.size("hidden_size", None)?;
    let tied = file.flag("tie_word_embeddings")?;
    let config = LlamaConfig {
        vocab_size: file.size("vocab_size", None)?,
        dim,
        layers: file.size("num_hidden_layers", None)?,
        heads,
        kv_heads: file.size("num_key_value_heads", Some(heads))?,
        head_width: file.size("head_dim", dim.checked_div(heads))?,
        hidden: file.size("intermediate_size", None)?,
        context: file.size("max_position_embeddings", Some(CONTEXT))?,
        theta: file.theta()? as f32,
        epsilon: file.number(json, "rms_norm_eps", EPSILON)? as f32,
        output: match tied {
            true => OutputKind::Tied,
            false => OutputKind::Table,
        },
    };
    match config.checked_len() {
        Some(_) => Ok(config),
        None => file.refuse("the sizes make no sense together"),
    }
}

struct Reader<'a> {
    path: &'a Path,
    json: &'a Value,
}

impl<'a> Reader<'a> {
    fn refuse<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(Error::data(self.path, message))
    }

    /// A field; none if it is missing or `null`.
    fn field(&self, object: &'a Value, name: &str) -> Option<&'a Value> {
        object.get(name).filter(|value| !value.is_null())
    }

    /// Refuses every field that would make another model.
    fn check_supported(&self) -> Result<()> {
        for (name, only) in [("model_type", "llama"), ("hidden_act", "silu")] {
            match self.field(self.json, name) {
                Some(value) if value != only => {
                    return self.refuse(format!(
                        "`{name}` {value} is not supported, only \"{only}\""
                    ));
                }
                None if name == "model_type" => return self.refuse("no `model_type`"),
                _ => {}
            }
        }
        for name in ["attention_bias", "mlp_bias"] {
            if self.flag(name)? {
                return self.refuse(format!("`{name}` is not supported"));
            }
        }
        for name in ["quantization_config", "sliding_window"] {
            if self.field(self.json, name).is_some() {
                return self.refuse(format!("`{name}` is not supported"));
            }
        }
        for name in ["rope_scaling", "rope_parameters"] {
            if let Some(rope) = self.field(self.json, name) {
                self.check_rope(name, rope)?;
            }
        }
        Ok(())
    }

    fn check_rope(&self, name: &str, rope: &'a Value) -> Result<()> {
        let kind = self.field(rope, "rope_type").or(self.field(rope, "type"));
        if kind.is_some_and(|kind| kind != "default") || !rope.is_object() {
            let kind = kind.unwrap_or(rope);
            return self.refuse(format!("`{name}` {kind} is not supported"));
        }
        match self.number(rope, "partial_rotary_factor", 1.0)? {
            1.0 => Ok(()),
            _ => self.refuse(format!(
                "`partial_rotary_factor` in `{name}` is not supported"
            )),
        }
    }

    fn theta(&self) -> Result<f64> {
        let outer = self.number(self.json, "rope_theta", THETA)?;
        match self.field(self.json, "rope_parameters") {
            Some(rope) => self.number(rope, "rope_theta", outer),
            None => Ok(outer),
        }
    }

    fn size(&self, name: &str, default: Option<usize>) -> Result<usize> {
        let Some(value) = self.field(self.json, name) else {
            return default.map_or_else(|| self.refuse(format!("no `{name}`")), Ok);
        };
        match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) => Ok(n),
            None => self.refuse(format!("`{name}` {value} is no size")),
        }
    }

    fn number(&self, object: &'a Value, name: &str, default: f64) -> Result<f64> {
        match self
            .field(object, name)
            .map(|value| (value, value.as_f64()))
        {
            None => Ok(default),
            Some((_, Some(x))) => Ok(x),
            Some((value, None)) => self.refuse(format!("`{name}` {value} is no number")),
        }
    }

    fn flag(&self, name: &str) -> Result<bool> {
        match self.field(self.json, name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => self.refuse(format!("`{name}` {value} is neither true nor false")),
        }
    }
}
