//! How `tokenizer.json` says where pieces end: `normalizer`, `pre_tokenizer` and `decoder`.

use crate::tokenizer::{HarnessPattern, Pattern};
use serde_json::{Value, json};

fn byte_level(use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex})
}

/// Cuts by a regular expression, then writes bytes as characters.
fn split_then_bytes(regex: &str) -> Value {
    let split = json!({
        "type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false
    });
    json!({"type": "Sequence", "pretokenizers": [split, byte_level(false)]})
}

fn replace(regex: &str, content: &str) -> Value {
    json!({"type": "Replace", "pattern": {"Regex": regex}, "content": content})
}

/// The normalizer of a pattern: for words between white space, each word is to end in one space.
pub(super) fn normalizer(pattern: &HarnessPattern) -> Value {
    if pattern.end_of_word().is_none() {
        return Value::Null;
    }
    let steps = [replace(r"^\s+", ""), replace(r"\s+|(?<=\S)\z", " ")];
    json!({"type": "Sequence", "normalizers": steps})
}

/// The pre-tokenizer of a pattern.
pub(super) fn pre_tokenizer(pattern: &HarnessPattern) -> Value {
    match pattern.known() {
        // The expression built into `ByteLevel` is GPT-2's.
        Some(Pattern::Gpt2) => byte_level(true),
        Some(Pattern::Whitespace) => split_then_bytes(r"\S+ "),
        _ => split_then_bytes(pattern.regex()),
    }
}

/// The decoder of every pattern.
pub(super) fn decoder() -> Value {
    byte_level(true)
}

/// The pattern of a file, or what barelm does not have.
pub(super) fn pattern(normalizer: &Value, pre_tokenizer: &Value) -> Result<HarnessPattern, String> {
    let words = HarnessPattern::Known(Pattern::Whitespace);
    if *pre_tokenizer == self::pre_tokenizer(&words) && *normalizer == self::normalizer(&words) {
        return Ok(words);
    }
    if !normalizer.is_null() {
        return Err(unsupported("normalizer", normalizer));
    }
    match (
        kind(pre_tokenizer),
        pre_tokenizer["pretokenizers"].as_array(),
    ) {
        ("ByteLevel", _) => byte_level_pattern(pre_tokenizer),
        ("Sequence", Some(steps)) => match &steps[..] {
            [split, last] if kind(last) == "ByteLevel" && last["use_regex"] == false => {
                prefix_space(last)?;
                split_pattern(split)
            }
            [one] if kind(one) == "ByteLevel" => byte_level_pattern(one),
            _ => Err("this sequence of pre-tokenizers is not supported".into()),
        },
        _ => Err(unsupported("pre-tokenizer", pre_tokenizer)),
    }
}

fn kind(value: &Value) -> &str {
    value["type"].as_str().unwrap_or("none")
}

fn unsupported(what: &str, value: &Value) -> String {
    format!(
        "the {what} {} is not supported (byte-level BPE is)",
        kind(value)
    )
}

fn prefix_space(byte_level: &Value) -> Result<(), String> {
    match byte_level["add_prefix_space"] {
        Value::Bool(true) => Err("add_prefix_space is not supported".into()),
        _ => Ok(()),
    }
}

fn byte_level_pattern(value: &Value) -> Result<HarnessPattern, String> {
    prefix_space(value)?;
    match value["use_regex"] {
        // Without an expression the whole text is one piece.
        Value::Bool(false) => own(r"(?s:.)+"),
        _ => Ok(HarnessPattern::Known(Pattern::Gpt2)),
    }
}

fn split_pattern(split: &Value) -> Result<HarnessPattern, String> {
    let regex = split["pattern"]["Regex"].as_str();
    let (Some(regex), "Split") = (regex, kind(split)) else {
        return Err(unsupported("pre-tokenizer", split));
    };
    let pattern = own(regex)?;
    let invert = split["invert"].as_bool().unwrap_or(false);
    match split["behavior"].as_str() {
        Some("Isolated") => Ok(pattern),
        // A published pattern leaves nothing between its pieces that could be removed.
        Some("Removed") if invert && pattern.known().is_some() => Ok(pattern),
        other => Err(format!(
            "the split behavior {} is not supported",
            other.unwrap_or("?")
        )),
    }
}

fn own(regex: &str) -> Result<HarnessPattern, String> {
    HarnessPattern::from_regex(regex).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for name in ["gpt2", "cl100k", "o200k", "whitespace", r"\d|\D+"] {
            let want = HarnessPattern::parse(name).unwrap();
            assert_eq!(pattern(&normalizer(&want), &pre_tokenizer(&want)), Ok(want));
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let error = |normalizer, pre| pattern(&normalizer, &pre).unwrap_err();
        let nfc = json!({"type": "NFC"});
        assert!(error(nfc, byte_level(true)).contains("normalizer NFC"));
        let metaspace = json!({"type": "Metaspace", "replacement": "_"});
        assert!(error(Value::Null, metaspace).contains("pre-tokenizer Metaspace"));
        assert!(error(Value::Null, Value::Null).contains("pre-tokenizer none"));
        let prefix = json!({"type": "ByteLevel", "add_prefix_space": true});
        assert!(error(Value::Null, prefix).contains("add_prefix_space"));
        let mut merged = split_then_bytes("x");
        merged["pretokenizers"][0]["behavior"] = json!("MergedWithNext");
        assert!(error(Value::Null, merged).contains("MergedWithNext"));
    }
}
