//! Where a model looks: the attention of the last token of a prompt.

use super::ModelFile;
use super::text::{damaged, workspace};
use crate::kernels::model::{CacheType, Session};
use crate::{Error, Result};

/// The weights of one head, which sum to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadAttention {
    /// Its layer, from 0 on.
    pub layer: usize,
    /// Its number in the layer, from 0 on.
    pub head: usize,
    /// A weight for each of the tokens, in their order; the last is the token's own.
    pub weights: Vec<f32>,
}

/// The tokens of a prompt that its last token can see, and how much every head looks at each.
///
/// # Errors
/// [`Error::Usage`] for an empty prompt; [`Error::Data`] when the file was changed since it was
/// opened.
pub fn attention_text(file: &ModelFile, prompt: &[u8]) -> Result<(Vec<u32>, Vec<HeadAttention>)> {
    let model = file.model()?;
    let mut workspace = workspace(file, &model, CacheType::F32)?;
    let changed = || damaged(file);
    let mut session = Session::new(model.parameters(), &mut workspace).map_err(|_| changed())?;
    let mut ids = file.tokenizer().encode(prompt);
    let Some((last, before)) = ids.split_last() else {
        return Err(Error::Usage(
            "there is no attention before the first token".into(),
        ));
    };
    for id in before {
        session.push(*id).map_err(|_| changed())?;
    }
    let mut heads = Vec::new();
    let mut observe = |layer, head, weights: &[f32]| {
        let weights = weights.to_vec();
        heads.push(HeadAttention {
            layer,
            head,
            weights,
        });
    };
    session
        .push_observed(*last, &mut observe)
        .map_err(|_| changed())?;
    let seen = ids.len().min(model.config().context);
    Ok((ids.split_off(ids.len() - seen), heads))
}
