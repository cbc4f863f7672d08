//! word2vec's two formats.
//!
//! ```text
//! binary   "V d\n", then for each word: its bytes, a space, d little-endian f32, "\n"
//! text     "V d\n", then for each word: its bytes, and d times a space and a number, "\n"
//! ```
//! Which of the two a file is shows in its first row. A file is a stranger's: no number in it is
//! believed before it was compared with the length of the file.

use super::{Embeddings, spelling};
use crate::corpus::map::map_path;
use crate::output::OutputFile;
use crate::{Error, Result};
use std::borrow::Cow;
use std::path::Path;

/// Largest dimension of a file.
const MAX_FILE_DIM: usize = 1 << 16;
/// Longest word of a file, in bytes.
const MAX_WORD: usize = 1 << 20;

impl Embeddings {
    /// Reads word2vec's binary or text format.
    ///
    /// # Errors
    /// [`Error::Io`] when there is no such file, [`Error::Data`] with the byte where it is not
    /// what it should be.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if std::fs::metadata(path).is_ok_and(|m| m.len() == 0) {
            return Err(Error::data(path, "the file is empty; train vectors first"));
        }
        let bytes = map_path(path)?;
        let mut reader = Reader {
            path,
            bytes: &bytes,
            at: 0,
        };
        let embeddings = reader.read()?;
        crate::progress::check()?;
        Ok(embeddings)
    }

    /// Writes word2vec's binary format.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Usage`] for an empty word.
    pub fn save_binary(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save(path, |row, out| {
            out.push(b' ');
            row.iter().for_each(|x| out.extend(x.to_le_bytes()));
        })
    }

    /// Writes word2vec's text format; numbers have the digits that bring them back exactly.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Usage`] for an empty word.
    pub fn save_text(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save(path, |row, out| {
            row.iter().for_each(|x| out.extend(format!(" {x}").bytes()));
        })
    }

    fn save(&self, path: impl AsRef<Path>, put: impl Fn(&[f32], &mut Vec<u8>)) -> Result<()> {
        if let Some(i) = self.words.iter().position(Vec::is_empty) {
            let message = format!("word {i} is empty, which word2vec's formats cannot hold");
            return Err(Error::Usage(message));
        }
        let words = match spelling::must_map(&self.words) {
            true => Cow::Owned(spelling::map(&self.words)),
            false => Cow::Borrowed(&self.words),
        };
        let mut file = OutputFile::create(path)?;
        file.write(format!("{} {}\n", words.len(), self.dim).as_bytes())?;
        let mut line = Vec::new();
        for (i, word) in words.iter().enumerate() {
            line.clear();
            line.extend_from_slice(word);
            put(self.vector(i), &mut line);
            line.push(b'\n');
            file.write(&line)?;
        }
        file.commit()
    }
}

struct Reader<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn read(&mut self) -> Result<Embeddings> {
        let (rows, dim) = self.header()?;
        let binary = !self.first_row_is_text(dim);
        let (mut words, mut data) = (Vec::new(), Vec::new());
        words.reserve(rows);
        data.reserve(rows * dim);
        for _ in 0..rows {
            words.push(self.word()?.to_vec());
            if binary {
                self.binary_row(dim, &mut data)?;
            } else {
                self.text_row(dim, &mut data)?;
            }
        }
        if self.rest().iter().any(|byte| !byte.is_ascii_whitespace()) {
            return self.refuse(format!("text follows after {rows} rows"));
        }
        let words = spelling::unmap(words);
        Ok(Embeddings { words, dim, data })
    }

    fn refuse<T>(&self, message: impl AsRef<str>) -> Result<T> {
        let message = format!("{}; not a word2vec file, or cut off", message.as_ref());
        Err(Error::data_at(self.path, self.at as u64, message))
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// Numbers of rows and columns; as many values can be in the file.
    fn header(&mut self) -> Result<(usize, usize)> {
        let line = self
            .bytes
            .iter()
            .take(64)
            .take_while(|byte| **byte != b'\n');
        let line: Vec<u8> = line.copied().collect();
        let text = str::from_utf8(&line).unwrap_or("");
        let numbers: Option<Vec<usize>> = text
            .split_ascii_whitespace()
            .map(|n| n.parse().ok())
            .collect();
        let Some([rows, dim]) = numbers.as_deref() else {
            return self.refuse("the first line is not two numbers, of words and dimensions");
        };
        if *rows == 0 || *dim == 0 || *dim > MAX_FILE_DIM {
            return self.refuse(format!("{rows} words of dimension {dim} make no sense"));
        }
        self.at = line.len() + 1;
        // The shortest row has a word of one byte, and two bytes a number.
        let least = dim.checked_mul(2).and_then(|row| row.checked_mul(*rows));
        if least.is_none_or(|least| least > self.rest().len()) {
            return self.refuse(format!(
                "{rows} words of dimension {dim} do not fit the file"
            ));
        }
        Ok((*rows, *dim))
    }

    fn first_row_is_text(&self, dim: usize) -> bool {
        let longest = MAX_WORD + dim * 64;
        let row = self.rest();
        let row = &row[..row.len().min(longest)];
        let line = row.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
        let mut fields = line
            .split(u8::is_ascii_whitespace)
            .filter(|field| !field.is_empty());
        fields.next().is_some()
            && fields.clone().count() == dim
            && fields.all(|f| number(f).is_some())
    }

    /// The bytes up to the next space, without the newline that ends the row before.
    fn word(&mut self) -> Result<&'a [u8]> {
        let newlines = self
            .rest()
            .iter()
            .take_while(|byte| matches!(byte, b'\n' | b'\r'));
        self.at += newlines.count();
        let space = self
            .rest()
            .iter()
            .take(MAX_WORD)
            .position(|byte| *byte == b' ');
        let Some(len) = space.filter(|len| *len > 0) else {
            return self.refuse("a word is missing");
        };
        let word = &self.rest()[..len];
        self.at += len + 1;
        Ok(word)
    }

    fn binary_row(&mut self, dim: usize, data: &mut Vec<f32>) -> Result<()> {
        let Some(row) = self.rest().get(..4 * dim) else {
            return self.refuse("a vector is cut off");
        };
        for bytes in row.as_chunks::<4>().0 {
            self.push(f32::from_le_bytes(*bytes), data)?;
            self.at += 4;
        }
        Ok(())
    }

    fn text_row(&mut self, dim: usize, data: &mut Vec<f32>) -> Result<()> {
        let line = self
            .rest()
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or(&[]);
        let before = data.len();
        for field in line.split(u8::is_ascii_whitespace) {
            if !field.is_empty() {
                let Some(value) = number(field) else {
                    return self.refuse("a number is expected");
                };
                self.push(value, data)?;
            }
            self.at += field.len() + 1;
        }
        if data.len() - before != dim {
            return self.refuse(format!(
                "a row of {} numbers, not {dim}",
                data.len() - before
            ));
        }
        Ok(())
    }

    fn push(&self, value: f32, data: &mut Vec<f32>) -> Result<()> {
        if !value.is_finite() {
            return self.refuse("a vector holds something that is no finite number");
        }
        data.push(value);
        Ok(())
    }
}

fn number(field: &[u8]) -> Option<f32> {
    str::from_utf8(field).ok()?.parse().ok()
}
