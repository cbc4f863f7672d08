//! word2vec's two formats.
//!
//! ```text
//! binary   "V d\n", then for each word: its bytes, a space, d little-endian f32, "\n"
//! text     "V d\n", then for each word: its bytes, and d times a space and a number, "\n"
//! ```
//! Which of the two a file is shows in its first row.

use super::super::{Embeddings, spelling};
use super::{first_not_finite, word_list};
use crate::output::OutputFile;
use crate::{Error, Result};
use std::path::Path;

/// Largest dimension of a file.
const MAX_FILE_DIM: usize = 1 << 16;
/// Longest word of a file, in bytes.
const MAX_WORD: usize = 1 << 20;
const NOT_FINITE: &str = "a vector holds something that is no finite number";

pub(super) fn load(path: &Path, bytes: &[u8]) -> Result<Embeddings> {
    let mut reader = Reader { path, bytes, at: 0 };
    reader.read()
}

pub(super) fn save_binary(embeddings: &Embeddings, path: &Path) -> Result<()> {
    save(embeddings, path, |row, out| {
        out.push(b' ');
        out.extend_from_slice(bytemuck::cast_slice(row));
    })
}

/// Numbers have the digits that bring them back exactly.
pub(super) fn save_text(embeddings: &Embeddings, path: &Path) -> Result<()> {
    save(embeddings, path, |row, out| {
        row.iter().for_each(|x| out.extend(format!(" {x}").bytes()));
    })
}

fn save(embeddings: &Embeddings, path: &Path, put: impl Fn(&[f32], &mut Vec<u8>)) -> Result<()> {
    let words = word_list::spelled(&embeddings.words)?;
    let mut file = OutputFile::create(path)?;
    file.write(format!("{} {}\n", words.len(), embeddings.dim).as_bytes())?;
    let mut line = Vec::new();
    for (i, word) in words.iter().enumerate() {
        line.clear();
        line.extend_from_slice(word);
        put(embeddings.vector(i), &mut line);
        line.push(b'\n');
        file.write(&line)?;
    }
    file.commit()
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
        let words = spelling::unspell(words);
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
        let longest = self.rest().len().min(MAX_WORD);
        let space = memchr::memchr(b' ', &self.rest()[..longest]);
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
        let before = data.len();
        let numbers = row.as_chunks::<4>().0.iter();
        data.extend(numbers.map(|bytes| f32::from_le_bytes(*bytes)));
        if let Some(i) = first_not_finite(&data[before..]) {
            self.at += 4 * i;
            return self.refuse(NOT_FINITE);
        }
        self.at += row.len();
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
                if !value.is_finite() {
                    return self.refuse(NOT_FINITE);
                }
                data.push(value);
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
}

fn number(field: &[u8]) -> Option<f32> {
    str::from_utf8(field).ok()?.parse().ok()
}
