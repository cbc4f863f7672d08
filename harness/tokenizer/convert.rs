//! From one file format to another, without loss or with its name.
//!
//! `tokenizer.json` and `tokenizer.barelm` hold all of a tokenizer. The other two do not: what
//! they would lose is found by reading them back and comparing.

use super::{LoadOptions, MergeRule, Tokenizer, Vocabulary};
use super::{gpt2_files, json, load, tiktoken};
use crate::{Error, Result, output};
use barelm_kernels::bpe::table::{NONE, UNREACHABLE};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// A format that tokenizers are saved in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenizerFormat {
    /// Hugging Face's `tokenizer.json`.
    Json,
    /// `tokenizer.barelm`, which is mapped.
    Flat,
    /// `.tiktoken`: tokens and their ranks, nothing else.
    Tiktoken,
    /// GPT-2's `vocab.json` and `merges.txt`, side by side.
    Gpt2,
}

impl TokenizerFormat {
    /// The format that a file's name stands for.
    ///
    /// # Errors
    /// [`Error::Usage`] when it stands for none.
    pub fn of_name(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let formats = [
            ("vocab.json", Self::Gpt2),
            ("merges.txt", Self::Gpt2),
            (".json", Self::Json),
            (".barelm", Self::Flat),
            (".tiktoken", Self::Tiktoken),
        ];
        let found = formats.iter().find(|(end, _)| name.ends_with(end));
        found.map(|(_, format)| *format).ok_or_else(|| {
            let names = "vocab.json, merges.txt, .json, .barelm or .tiktoken";
            Error::Usage(format!("the output's name must end in {names}"))
        })
    }
}

/// Parts of a tokenizer that a format may have no place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Special tokens.
    Specials,
    /// How text is cut into pieces.
    Pattern,
    /// What a `tokenizer.json` does to ids after encoding: its `post_processor`, `truncation` and
    /// `padding`, none of which barelm has.
    Processing,
}

impl Loss {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Specials => "specials",
            Self::Pattern => "pattern",
            Self::Processing => "processing",
        }
    }
}

impl Tokenizer {
    /// Saves the tokenizer in a format, if that loses nothing but what is named in `may_lose`.
    ///
    /// Loading the files again gives the same ids for every text. The rule may have changed to
    /// the other one, where both give the same.
    ///
    /// # Errors
    /// [`Error::Failed`] with the names of what would be lost; [`Error::Io`].
    pub fn save_as(
        &self,
        path: impl AsRef<Path>,
        format: TokenizerFormat,
        may_lose: &[Loss],
    ) -> Result<()> {
        let path = path.as_ref();
        let files = match format {
            TokenizerFormat::Json => return self.save_json(path),
            TokenizerFormat::Flat => return self.save_flat(path),
            TokenizerFormat::Tiktoken => vec![(path.to_path_buf(), self.to_tiktoken())],
            TokenizerFormat::Gpt2 => self.to_gpt2(path, may_lose.contains(&Loss::Specials))?,
        };
        self.refuse_losses(&files, may_lose)?;
        for (path, content) in files {
            output::write_file(path, &content)?;
        }
        Ok(())
    }

    fn to_tiktoken(&self) -> Vec<u8> {
        let tokenizer = self.as_ref();
        let ordinary = (0..self.vocab_size() as u32).filter(|id| !tokenizer.is_special(*id));
        tiktoken::to_lines(ordinary.filter_map(|id| Some((id, tokenizer.token_bytes(id)?))))
    }

    fn to_gpt2(&self, path: &Path, without_specials: bool) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let (vocab_path, merges_path) = gpt2_files::both(path)?;
        let mut vocabulary = self.vocabulary();
        if without_specials {
            for (_, id) in std::mem::take(&mut vocabulary.specials) {
                vocabulary.tokens[id as usize].clear();
            }
        }
        let vocab = json::to_vocab(&vocabulary).into_bytes();
        let merges = gpt2_files::to_merges(&vocabulary).into_bytes();
        Ok(vec![(vocab_path, vocab), (merges_path, merges)])
    }

    /// Writes the files elsewhere, reads them back, and compares.
    fn refuse_losses(&self, files: &[(PathBuf, Vec<u8>)], may_lose: &[Loss]) -> Result<()> {
        let folder = std::env::temp_dir();
        let folder = tempfile::tempdir_in(&folder).map_err(Error::io(&folder))?;
        for (path, content) in files {
            let name = path.file_name().unwrap_or_default();
            output::write_file(folder.path().join(name), content)?;
        }
        let name = files[0].0.file_name().unwrap_or_default();
        let differences = self.differences(&folder.path().join(name));
        let lost = differences.into_iter().find(|difference| match difference {
            Difference::Named(loss) => !may_lose.contains(loss),
            Difference::Ids(_) => true,
        });
        let path = files[0].0.display();
        match lost {
            None => Ok(()),
            Some(Difference::Ids(why)) => Err(Error::Failed(format!(
                "{path} cannot hold this tokenizer: {why}"
            ))),
            Some(Difference::Named(loss)) => Err(Error::Failed(format!(
                "{path} cannot hold {}; choose another format, or leave that out with --drop {}",
                self.describe(loss),
                loss.name()
            ))),
        }
    }

    fn describe(&self, loss: Loss) -> String {
        let names = |v: &Vocabulary| {
            v.specials
                .iter()
                .map(|(n, _)| n.clone())
                .collect::<Vec<_>>()
        };
        match loss {
            Loss::Specials => format!(
                "the special tokens ({})",
                names(&self.vocabulary()).join(", ")
            ),
            Loss::Pattern => format!("the pattern ({})", self.pattern()),
            Loss::Processing => "what is done to ids after encoding".into(),
        }
    }

    /// What differs in the tokenizer that a file holds, which may be unreadable.
    fn differences(&self, path: &Path) -> Vec<Difference> {
        let mut differences = Vec::new();
        let back = Tokenizer::load(path).ok();
        if back
            .as_ref()
            .is_none_or(|back| back.pattern() != self.pattern())
        {
            differences.push(Difference::Named(Loss::Pattern));
        }
        let pattern = Some(self.pattern().clone());
        let options = LoadOptions {
            pattern,
            rule: None,
        };
        let back = back.map_or_else(|| Tokenizer::load_with(path, &options), Ok);
        let back = match back {
            Ok(back) => back,
            Err(error) => return vec![Difference::Ids(error.to_string())],
        };
        let (ours, theirs) = (self.vocabulary(), back.vocabulary());
        if by_id(&ours.specials) != by_id(&theirs.specials) {
            differences.push(Difference::Named(Loss::Specials));
        }
        if !self.same_tokens(&back) {
            differences.push(Difference::Ids(
                "special and other tokens could not be told apart".into(),
            ));
        } else if !same_ids((self, &ours), (&back, &theirs)) {
            let why = "merging by the rank of pairs and by the rank of bytes gives other ids here";
            differences.push(Difference::Ids(why.into()));
        }
        differences
    }

    /// Whether both have the same ordinary tokens.
    fn same_tokens(&self, other: &Self) -> bool {
        let token = |of: &Self, id| {
            let of = of.as_ref();
            let ordinary = of.token_bytes(id).filter(|_| !of.is_special(id));
            ordinary.map(<[u8]>::to_vec)
        };
        let ids = 0..self.vocab_size().max(other.vocab_size()) as u32;
        ids.into_iter()
            .all(|id| token(self, id) == token(other, id))
    }
}

/// A difference between a tokenizer and what came back from a file.
enum Difference {
    Named(Loss),
    /// Texts would get other ids; why.
    Ids(String),
}

fn by_id(specials: &[(String, u32)]) -> Vec<(u32, &str)> {
    let mut specials: Vec<_> = specials.iter().map(|(n, id)| (*id, n.as_str())).collect();
    specials.sort_unstable();
    specials
}

/// Whether two tokenizers of the same tokens encode every piece alike.
///
/// By one rule, that is having the same pairs. By different rules: the list of pairs is in the
/// order of the tokens that they give and has every pair that the ranks of bytes lead to, so that
/// both take the same steps; and the steps lead to every token.
fn same_ids(a: (&Tokenizer, &Vocabulary), b: (&Tokenizer, &Vocabulary)) -> bool {
    let (ranks, (pairs, listed)) = match (a.1.rule, b.1.rule) {
        (MergeRule::BytesRank, MergeRule::PairRank) => (a.1, b),
        (MergeRule::PairRank, MergeRule::BytesRank) => (b.1, a),
        _ => return a.1.merges == b.1.merges,
    };
    let tokenizer = pairs.as_ref();
    let hashes = tokenizer.tables().hashes;
    let reached = |entry: &u32| *entry == NONE || entry & UNREACHABLE == 0;
    let whole = |(l, r): &(u32, u32)| tokenizer.merge_of(*l, *r).map(|(_, id)| id);
    let has: HashSet<_> = listed.merges.iter().collect();
    hashes.iter().all(reached)
        && listed.merges.iter().map(whole).is_sorted()
        && ranks.merges.iter().all(|pair| has.contains(pair))
}

/// What a tokenizer's file says beyond what barelm reads: names of what no other file can get.
///
/// # Errors
/// [`Error::Failed`] with the parts, unless [`Loss::Processing`] is in `may_lose`; [`Error::Io`].
pub fn refuse_unread_parts(path: impl AsRef<Path>, may_lose: &[Loss]) -> Result<()> {
    let path = load::file_at(path.as_ref())?;
    let parts = json::unread_parts(&path)?;
    if parts.is_empty() || may_lose.contains(&Loss::Processing) {
        return Ok(());
    }
    let (path, parts) = (path.display(), parts.join(", "));
    Err(Error::Failed(format!(
        "{path} has a {parts}, which would be lost; leave that out with --drop processing"
    )))
}
