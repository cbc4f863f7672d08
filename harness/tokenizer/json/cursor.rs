//! Walks over JSON without building values: a tokenizer's file is two long lists and little else.
//!
//! What is walked over as a whole is checked for its strings and brackets alone; the reader hands
//! it to a full parser afterwards.

const SPACES: u64 = u64::from_le_bytes([b' '; 8]);

/// A place in JSON text.
pub(in crate::tokenizer) struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
}

/// What is wrong, and at which byte.
#[derive(Debug, PartialEq)]
pub(in crate::tokenizer) struct Bad {
    pub(in crate::tokenizer) at: usize,
    pub(in crate::tokenizer) message: String,
}

pub(in crate::tokenizer) type Scan<T> = std::result::Result<T, Bad>;

impl<'t> Cursor<'t> {
    /// The start of a text.
    pub(in crate::tokenizer) fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Where the next byte is.
    pub(in crate::tokenizer) fn at(&self) -> usize {
        self.at
    }

    /// Goes to a place.
    pub(in crate::tokenizer) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// What is left of the text.
    #[inline]
    pub(in crate::tokenizer) fn rest(&self) -> &'t [u8] {
        self.text.get(self.at..).unwrap_or(&[])
    }

    pub(in crate::tokenizer) fn bad<T>(&self, message: impl Into<String>) -> Scan<T> {
        let message = message.into();
        let at = self.at;
        Err(Bad { at, message })
    }

    /// The next byte that is no white space.
    #[inline]
    pub(in crate::tokenizer) fn peek(&mut self) -> Option<u8> {
        loop {
            self.at += match self.rest() {
                // Indented files are white space for the most part.
                [b' ', a, b, c, d, e, f, g, ..] => {
                    let others = u64::from_le_bytes([b' ', *a, *b, *c, *d, *e, *f, *g]) ^ SPACES;
                    others.trailing_zeros() as usize / 8
                }
                [b' ' | b'\n' | b'\r' | b'\t', ..] => 1,
                rest => return rest.first().copied(),
            };
        }
    }

    /// Takes the next byte if it is this one.
    #[inline]
    pub(in crate::tokenizer) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    #[inline]
    pub(in crate::tokenizer) fn expect(&mut self, byte: u8) -> Scan<()> {
        match self.take(byte) {
            true => Ok(()),
            false => self.bad(format!(
                "not a tokenizer: {:?} is missing here",
                char::from(byte)
            )),
        }
    }

    /// Calls `f` at the value of each member of an object, with its key.
    pub(in crate::tokenizer) fn members(
        &mut self,
        mut f: impl FnMut(&mut Self, &'t [u8]) -> Scan<()>,
    ) -> Scan<()> {
        self.expect(b'{')?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            f(self, key)?;
            if !self.take(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// Calls `f` at each element of an array.
    pub(in crate::tokenizer) fn elements(
        &mut self,
        mut f: impl FnMut(&mut Self) -> Scan<()>,
    ) -> Scan<()> {
        self.expect(b'[')?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            f(self)?;
            if !self.take(b',') {
                return self.expect(b']');
            }
        }
    }

    /// What stands between the quotes of a string, escapes as they are.
    pub(in crate::tokenizer) fn string(&mut self) -> Scan<&'t [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.rest() {
                [b'"', ..] => break,
                [b'\\', _, ..] => self.at += 2,
                [_, ..] => self.at += 1,
                [] => return self.bad("the file ends inside a string"),
            }
        }
        let content = &self.text[start..self.at];
        self.at += 1;
        Ok(content)
    }

    /// A whole number.
    #[inline]
    pub(in crate::tokenizer) fn number(&mut self) -> Scan<u32> {
        self.peek();
        let (rest, mut value, mut len) = (self.rest(), 0_u64, 0);
        // More digits would be too high anyway.
        while let Some(digit @ b'0'..=b'9') = rest.get(len)
            && len < 12
        {
            value = 10 * value + u64::from(digit - b'0');
            len += 1;
        }
        match u32::try_from(value) {
            Ok(value) if len > 0 => {
                self.at += len;
                Ok(value)
            }
            _ => self.bad("an id is not a whole number, or too high"),
        }
    }

    /// Walks over one value.
    pub(in crate::tokenizer) fn skip(&mut self) -> Scan<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                Some(b'0'..=b'9' | b'a'..=b'z' | b'-') => {
                    let plain = |c: &&u8| c.is_ascii_alphanumeric() || b"+-.".contains(c);
                    self.at += self.rest().iter().take_while(plain).count();
                }
                Some(_) => return self.bad("no JSON"),
                None => return self.bad("the file ends inside a value"),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// The text of a string whose escapes are as they were.
pub(in crate::tokenizer) fn unescape(content: &[u8]) -> Option<String> {
    let quoted = [b"\"", content, b"\""].concat();
    serde_json::from_slice(&quoted).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_elements_are_walked_over() {
        let mut cursor = Cursor::new(br#" {"a\"": [1, 23 ,{"x": [null, "]"]}] , "b":-1.5e+3}x"#);
        let mut seen = Vec::new();
        let walked = cursor.members(|cursor, key| {
            seen.push(unescape(key).unwrap());
            cursor.skip()
        });
        assert_eq!((walked, seen.join(" ")), (Ok(()), "a\" b".to_string()));
        assert_eq!(cursor.rest(), b"x");
        let mut cursor = Cursor::new(b"[1, 4294967295\t]");
        let mut numbers = Vec::new();
        let walked = cursor.elements(|cursor| {
            numbers.push(cursor.number()?);
            Ok(())
        });
        assert_eq!((walked, numbers), (Ok(()), vec![1, u32::MAX]));
    }

    #[test]
    fn broken_text_has_a_place() {
        let place = |text: &[u8]| Cursor::new(text).members(|c, _| c.skip()).unwrap_err().at;
        assert_eq!(place(b"[]"), 0);
        assert_eq!(place(br#"{"a": "b"#), 8);
        assert_eq!(place(br#"{"a" 1}"#), 5);
        assert_eq!(place(br#"{"a": [[1]"#), 10);
        assert_eq!(place(br#"{"a": ]}"#), 6);
        for text in [&b"-1"[..], b"4294967296", b"x", b""] {
            assert!(Cursor::new(text).number().is_err());
        }
    }
}
