//! The tokens that training starts from: special ones, and bytes.

use super::BpeTrainerOptions;
use crate::pretoken_counts::PretokenCounts;
use crate::tokenizer::byte_chars;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Which bytes are tokens from the start.
///
/// Hugging Face's `initial_alphabet` has the same meaning: characters that are kept whether the
/// text has them or not. Theirs is empty unless told; ours is [`InitialAlphabet::Bytes`], so that
/// every text can be encoded.
///
/// # Example
/// ```
/// use barelm::bpe_trainer::InitialAlphabet;
/// assert_eq!("bytes".parse(), Ok(InitialAlphabet::Bytes));
/// assert_eq!("seen".parse(), Ok(InitialAlphabet::Seen(vec![])));
/// assert_eq!("xyz".parse(), Ok(InitialAlphabet::Seen(b"xyz".to_vec())));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum InitialAlphabet {
    /// All 256.
    #[default]
    Bytes,
    /// Those that occur in the text, and these. Encoding leaves others out.
    Seen(Vec<u8>),
}

impl InitialAlphabet {
    /// How many bytes there are at least.
    pub(super) fn least(&self) -> usize {
        match self {
            Self::Bytes => 256,
            Self::Seen(bytes) => flags(bytes).into_iter().filter(|kept| *kept).count(),
        }
    }
}

/// `bytes`, `seen`, or a text whose bytes are kept beside those that are seen.
impl FromStr for InitialAlphabet {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "bytes" => Self::Bytes,
            "seen" => Self::Seen(Vec::new()),
            _ => Self::Seen(text.as_bytes().to_vec()),
        })
    }
}

impl fmt::Display for InitialAlphabet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => f.write_str("bytes"),
            Self::Seen(bytes) if bytes.is_empty() => f.write_str("seen"),
            Self::Seen(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
        }
    }
}

/// Special tokens and bytes with their ids.
pub(super) struct Alphabet {
    /// Bytes by id: the special tokens' names, then bytes in the order of the characters that
    /// GPT-2 writes them as.
    pub(super) tokens: Vec<Vec<u8>>,
    /// Id of each byte; 0 for one that is no token, and does not occur.
    pub(super) ids: [u32; 256],
    /// What is put behind every pretoken.
    pub(super) end_of_word: Option<u8>,
    specials: usize,
}

impl Alphabet {
    pub(super) fn new(options: &BpeTrainerOptions, counts: &PretokenCounts) -> Self {
        let names = options.specials.iter();
        let mut tokens: Vec<_> = names.map(|name| name.clone().into_bytes()).collect();
        let end_of_word = counts.pattern().end_of_word();
        let kept = match &options.alphabet {
            InitialAlphabet::Bytes => [true; 256],
            InitialAlphabet::Seen(bytes) => {
                let words = counts.iter().flat_map(|(word, _)| word);
                flags(words.chain(bytes).chain(&end_of_word))
            }
        };
        let mut bytes: Vec<u8> = (0..=255).filter(|b| kept[usize::from(*b)]).collect();
        bytes.sort_by_key(|byte| byte_chars::CHARS[usize::from(*byte)]);
        let mut ids = [0; 256];
        for byte in bytes {
            ids[usize::from(byte)] = tokens.len() as u32;
            tokens.push(vec![byte]);
        }
        Self {
            tokens,
            ids,
            end_of_word,
            specials: options.specials.len(),
        }
    }

    /// How many bytes are tokens.
    pub(super) fn bytes(&self) -> usize {
        self.tokens.len() - self.specials
    }
}

/// Which bytes occur.
fn flags<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> [bool; 256] {
    let mut flags = [false; 256];
    for byte in bytes {
        flags[usize::from(*byte)] = true;
    }
    flags
}
