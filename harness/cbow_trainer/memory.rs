//! How much memory training will need, before it starts.

use super::objective::Objective;
use crate::kernels::cbow::slices;
use crate::progress::human;
use crate::{Error, Result};

/// Bytes of memory, not counting mapped files, that training has at its peak: the vectors and the
/// output table by slices, one of the two once more when they are gathered, and what belongs to a
/// token (its spelling, its count, its path).
pub(super) fn needed(words: &[Vec<u8>], dim: usize, objective: &Objective) -> u64 {
    let (tokens, rows) = (words.len() as u64, objective.rows(words.len()) as u64);
    let padded = slices(dim).map(|slice| slice.len() as u64).sum::<u64>();
    let element = size_of::<f32>() as u64;
    let tables = (tokens + rows) * padded * element;
    let gathered = tokens * dim as u64 * element;
    let spellings: usize = words
        .iter()
        .map(|word| word.len() + size_of::<Vec<u8>>())
        .sum();
    let of_objective = match objective {
        Objective::Tree(tree) => tree.nodes.len() as u64 * 4 + tokens * 12,
        Objective::Negatives { .. } => tokens * 8,
        Objective::Softmax { .. } => tokens * 4,
    };
    let counts_and_chances = tokens * 16;
    tables + gathered + spellings as u64 + of_objective + counts_and_chances
}

/// # Errors
/// [`Error::Usage`] when more is needed than `limit`.
pub(super) fn check(needed: u64, limit: Option<u64>) -> Result<()> {
    match limit {
        Some(limit) if needed > limit => {
            let (needed, limit) = (human(needed as f64), human(limit as f64));
            Err(Error::Usage(format!(
                "training needs {needed}B of memory, and --memory allows {limit}B; \
                 lower --dim or --max-vocab, or raise --min-count"
            )))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbow_trainer::Loss;

    #[test]
    fn the_tables_are_most_of_what_is_needed() {
        let counts = vec![1; 1000];
        let words: Vec<Vec<u8>> = (0..1000).map(|i| i.to_string().into_bytes()).collect();
        for (loss, rows) in [(Loss::HierarchicalSoftmax, 999), (Loss::Softmax, 1000)] {
            let objective = Objective::new(&counts, loss).unwrap();
            let needed = needed(&words, 200, &objective);
            let tables = ((1000 + rows) * 208 + 1000 * 200) * 4;
            assert!((tables..tables + 120_000).contains(&needed), "{needed}");
            assert!(check(needed, None).is_ok() && check(needed, Some(needed)).is_ok());
            let refused = check(needed, Some(1 << 20)).unwrap_err();
            assert!(refused.to_string().contains("--dim"), "{refused}");
        }
    }
}
