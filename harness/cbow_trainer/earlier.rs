//! An earlier training, from its checkpoint, that goes on with another text.
//!
//! All its words stay, and those of the new text join them. Vectors, and output rows that belong to
//! words, go where the same spelling is; those of a tree's inner nodes go to a new tree over the new
//! text (see `transfer.rs`). The tables are read from the mapped file.

use super::checkpoint::{self, CODES, COUNTS, ENDS, KIND, NODES, OFFSETS, State, TABLES, WORDS};
use super::parameters::{ParameterSlice, THETAS, VECTORS, fill_from};
use super::transfer::Transfer;
use super::{Architecture, CbowOptions, HuffmanTree, Loss, MAX_DIM};
use crate::corpus::map::{Mapping, map_path};
use crate::kernels::cbow::slices;
use crate::kernels::huffman::{HuffmanRef, check_workspace_len};
use crate::{Error, Result};
use barelm_kernels::format::{Container, FormatError, FormatProblem};
use std::borrow::Cow;
use std::mem::discriminant;
use std::path::{Path, PathBuf};

/// A training to go on with.
///
/// # Example
/// ```
/// use barelm::cbow_trainer::{
///     CbowOptions, Checkpoints, Earlier, ExtendedStream, Start, Training, WordStream,
/// };
/// use barelm::corpus::Corpus;
/// let folder = std::env::temp_dir().join(format!("earlier-{}", std::process::id()));
/// let options = CbowOptions { dim: 8, sample: 0.0, ..CbowOptions::default() };
/// let text = "the cat sat on the mat\n".repeat(50);
/// let stream = WordStream::new(&Corpus::from_bytes("cats", text.into()), 1, 100)?;
/// let mut training = Training::new(stream.source(), stream.words().to_vec(), &options);
/// training.checkpoints = Some(Checkpoints {
///     folder: folder.clone(),
///     every: std::time::Duration::MAX,
///     resume: false,
/// });
/// training.run()?;
///
/// let earlier = Earlier::open(&folder)?;
/// let text = "the dog sat on the rug\n".repeat(50);
/// let stream = ExtendedStream::new(&Corpus::from_bytes("dogs", text.into()), 1, 100, &earlier)?;
/// let mut training = Training::new(stream.source(), stream.words().to_vec(), &options);
/// training.start = Some(Start::Earlier(&earlier));
/// let words = training.run()?.embeddings.words;
/// assert_eq!(words.len(), 7, "five old words, two new ones");
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), barelm::Error>(())
/// ```
#[derive(Debug)]
pub struct Earlier {
    path: PathBuf,
    file: Mapping,
    state: State,
    words: Vec<Vec<u8>>,
    counts: Vec<u64>,
    tree: Option<HuffmanTree>,
}

/// What a vocabulary has from an earlier one.
pub(super) struct CarriedOver<'a> {
    /// How often each word was seen, in both texts.
    pub(super) counts: Cow<'a, [u64]>,
    /// The earlier number of each word.
    pub(super) ids: Vec<Option<u32>>,
}

impl<'a> CarriedOver<'a> {
    /// A training that starts by itself, over a text with these counts.
    pub(super) fn nothing(counts: &'a [u64]) -> Self {
        Self {
            counts: Cow::Borrowed(counts),
            ids: Vec::new(),
        }
    }
}

impl Earlier {
    /// Opens a checkpoint, or the one in a folder, and checks all of it.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] for a file that is damaged or no checkpoint of vectors.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let mut path = path.as_ref().to_path_buf();
        if path.is_dir() {
            path.push(checkpoint::FILE_NAME);
        }
        let file = map_path(&path)?;
        let container = Container::new(&file, &KIND).map_err(Error::format(&path))?;
        container.verify().map_err(Error::format(&path))?;
        let state = checkpoint::read_state(&path, &container)?;
        let (words, counts, tree) =
            read_vocabulary(&container, &state).map_err(Error::format(&path))?;
        Ok(Self {
            state,
            words,
            counts,
            tree,
            path,
            file,
        })
    }

    /// The words that stay.
    pub fn words(&self) -> &[Vec<u8>] {
        &self.words
    }

    /// How often each of them was seen.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The checkpoint's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Vectors and output rows, slice by slice.
    pub(super) fn tables(&self) -> Result<[&[f32]; 2]> {
        let container = Container::new(&self.file, &KIND).map_err(Error::format(&self.path))?;
        let table = |name| container.section(name).map_err(Error::format(&self.path));
        Ok([table(&TABLES[0])?, table(&TABLES[1])?])
    }

    /// Which of these words are among the earlier ones, and where.
    pub(super) fn ids_of(&self, words: &[Vec<u8>]) -> Vec<Option<u32>> {
        // Tokenizers have spellings that occur twice; sorted lists pair them in their order.
        let mut ids = vec![None; words.len()];
        let mut earlier = sorted(&self.words).into_iter().peekable();
        for id in sorted(words) {
            let word = &words[id as usize];
            while earlier
                .next_if(|old| self.words[*old as usize] < *word)
                .is_some()
            {}
            ids[id as usize] = earlier.next_if(|old| self.words[*old as usize] == *word);
        }
        ids
    }

    /// Finds the earlier words among those of a training, whose own text has these counts.
    ///
    /// # Errors
    /// [`Error::Usage`] when the training is of another kind or does not have all earlier words.
    pub(super) fn carry_over(
        &self,
        words: &[Vec<u8>],
        counts: &[u64],
        options: &CbowOptions,
    ) -> Result<CarriedOver<'static>> {
        self.check(options)?;
        let ids = self.ids_of(words);
        self.check_words(&ids)?;
        let earlier = |id: &Option<u32>| id.map_or(0, |id| self.counts[id as usize]);
        let seen = ids
            .iter()
            .zip(counts)
            .map(|(id, count)| earlier(id) + count);
        Ok(CarriedOver {
            counts: Cow::Owned(seen.collect()),
            ids,
        })
    }

    /// Fills the tables of a training over these words; `tree` is its own.
    pub(super) fn fill(
        &self,
        parameters: &mut [ParameterSlice],
        ids: &[Option<u32>],
        tree: Option<&HuffmanTree>,
    ) -> Result<()> {
        let [vectors, thetas] = self.tables()?;
        let by_word = |width: usize, from: &[f32], to: &mut [f32]| {
            for (row, id) in to.chunks_mut(width).zip(ids) {
                if let Some(id) = id {
                    row.copy_from_slice(&from[*id as usize * width..][..width]);
                }
            }
        };
        fill_from(parameters, VECTORS, vectors, by_word);
        match (&self.tree, tree) {
            (Some(old), Some(new)) => {
                let transfer = Transfer::new(old, new, ids);
                let by_node = |width: usize, from: &[f32], to: &mut [f32]| {
                    transfer.add_rows(width, from, to);
                };
                fill_from(parameters, THETAS, thetas, by_node);
            }
            _ => fill_from(parameters, THETAS, thetas, by_word),
        }
        Ok(())
    }

    /// Refuses options under which the tables would mean something else.
    ///
    /// # Errors
    /// [`Error::Usage`] with the setting to change.
    pub fn check(&self, options: &CbowOptions) -> Result<()> {
        let State {
            architecture,
            loss,
            dim,
            ..
        } = &self.state;
        let refuse = |what: &str, flag: String| {
            let path = self.path.display();
            let message = format!("{path}: the checkpoint is of another {what}; say {flag}");
            Err(Error::Usage(message))
        };
        if *dim != options.dim {
            return refuse(
                &format!("dimension than {}", options.dim),
                format!("--dim {dim}"),
            );
        }
        if *architecture != options.architecture {
            return refuse(
                "architecture",
                format!("--arch {}", arch_name(*architecture)),
            );
        }
        // Another number of negative samples changes nothing that was learned.
        if discriminant(loss) != discriminant(&options.loss) {
            return refuse("loss", format!("--loss {}", loss_name(*loss)));
        }
        Ok(())
    }

    fn check_words(&self, ids: &[Option<u32>]) -> Result<()> {
        let mut found = vec![false; self.words.len()];
        ids.iter()
            .flatten()
            .for_each(|id| found[*id as usize] = true);
        let Some(lost) = found.iter().position(|found| !found) else {
            return Ok(());
        };
        let word = String::from_utf8_lossy(&self.words[lost]);
        Err(Error::Usage(format!(
            "{}: its token {word:?} is not in the vocabulary; take the same tokenizer, or one that \
             `tokenizer train --extend` made of it",
            self.path.display()
        )))
    }
}

fn arch_name(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Cbow => "cbow",
        Architecture::SkipGram => "skipgram",
    }
}

fn loss_name(loss: Loss) -> &'static str {
    match loss {
        Loss::HierarchicalSoftmax => "hs",
        Loss::NegativeSampling { .. } => "ns",
        Loss::Softmax => "softmax",
    }
}

/// Numbers of words in the order of their bytes; equal words in their own.
fn sorted(words: &[Vec<u8>]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..words.len() as u32).collect();
    order.sort_by(|a, b| words[*a as usize].cmp(&words[*b as usize]));
    order
}

type VocabularyTables = (Vec<Vec<u8>>, Vec<u64>, Option<HuffmanTree>);

/// Words, counts and tree, all of which fit each other and the tables.
fn read_vocabulary(
    container: &Container<'_>,
    state: &State,
) -> std::result::Result<VocabularyTables, FormatError> {
    let wrong = |name| FormatError::at(FormatProblem::Content, container.offset_of(name));
    let (bytes, counts) = (container.section(&WORDS)?, container.section(&COUNTS)?);
    let words = cut(bytes, container.section(&ENDS)?).ok_or(wrong(&ENDS))?;
    if words.len() < 2 || words.len() != counts.len() {
        return Err(wrong(&COUNTS));
    }
    let tree = match state.loss {
        Loss::HierarchicalSoftmax => Some(HuffmanTree {
            offsets: container.section(&OFFSETS)?.to_vec(),
            nodes: container.section(&NODES)?.to_vec(),
            codes: container.section(&CODES)?.to_vec(),
        }),
        _ => None,
    };
    if let Some(HuffmanTree {
        offsets,
        nodes,
        codes,
    }) = &tree
    {
        let mut workspace = vec![0; check_workspace_len(codes.len())];
        let checked = HuffmanRef::new_checked(offsets, nodes, codes, &mut workspace);
        if checked.is_err() || codes.len() != words.len() {
            return Err(wrong(&OFFSETS));
        }
    }
    let padded: usize = slices(state.dim.min(MAX_DIM))
        .map(|slice| slice.len())
        .sum();
    let rows = [words.len(), words.len() - usize::from(tree.is_some())];
    for (name, rows) in TABLES.iter().zip(rows) {
        if container.section::<f32>(name)?.len() != rows * padded {
            return Err(wrong(name));
        }
    }
    Ok((words, counts.to_vec(), tree))
}

/// Bytes cut at `ends`, unless those fall or do not end where the bytes do.
fn cut(bytes: &[u8], ends: &[u64]) -> Option<Vec<Vec<u8>>> {
    let mut start = 0;
    let words = ends.iter().map(|end| {
        let end = usize::try_from(*end).ok()?;
        let word = bytes.get(start..end)?.to_vec();
        start = end;
        Some(word)
    });
    let words = words.collect::<Option<_>>()?;
    (start == bytes.len()).then_some(words)
}
