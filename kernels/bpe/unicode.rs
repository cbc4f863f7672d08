//! Character classes that the published patterns distinguish, as a table of two stages.
//!
//! A code point's upper bits choose a block of 128 characters; equal blocks are stored once. Each
//! half of a block is a row of three words, so that the classes of many characters of one row can
//! be told at once. 13 kB hold all of Unicode 16. The table file is generated:
//!
//! ```text
//! BARELM_REGENERATE=1 cargo test -p barelm-kernels --lib unicode
//! ```
//! and the same test, without the variable, compares it with the `regex-syntax` crate.

use super::unicode_table::{INDEX, ROWS};

/// A set of classes: one bit a class. A character is in exactly one class.
pub type Set = u8;

/// Everything that is in no other class: punctuation, symbols, controls, bytes that are not UTF-8.
pub const OTHER: Set = 1;
/// `\p{Lu}` and `\p{Lt}`.
pub const UPPER: Set = 2;
/// `\p{Ll}`.
pub const LOWER: Set = 4;
/// `\p{Lm}` and `\p{Lo}`: letters without case.
pub const CASELESS: Set = 8;
/// `\p{M}`.
pub const MARK: Set = 16;
/// `\p{N}`.
pub const NUMBER: Set = 32;
/// `\s` without line feed and carriage return.
pub const BLANK: Set = 64;
/// Line feed and carriage return.
pub const NEWLINE: Set = 128;
/// `\p{L}`.
pub const LETTER: Set = UPPER | LOWER | CASELESS;
/// `\s`, the property `White_Space`.
pub const SPACE: Set = BLANK | NEWLINE;
/// `[^\s\p{L}\p{N}]`.
pub const SYMBOL: Set = OTHER | MARK;

/// Classes of 64 characters that differ in their last six bits: word `j` has bit `j` of the numbers
/// of their classes, where class `1 << n` has the number `n`.
pub(super) type Row = [u64; 3];

/// The class of every ASCII character; 0 for the bytes of longer ones.
pub const ASCII: [Set; 256] = {
    let mut table = [0; 256];
    let mut c = 0;
    while c < 128 {
        table[c] = class_of(c as u32);
        c += 1;
    }
    table
};

/// The class of a code point (one bit); [`OTHER`] past the end of Unicode.
///
/// ```
/// use barelm_kernels::bpe::unicode::{CASELESS, LETTER, class_of};
/// assert_eq!(class_of('中' as u32), CASELESS);
/// assert!(class_of('é' as u32) & LETTER != 0);
/// ```
#[inline]
pub const fn class_of(code_point: u32) -> Set {
    1 << class_index(code_point)
}

/// Which bit of a [`Set`] is the class of a code point.
#[inline(always)]
const fn class_index(code_point: u32) -> u32 {
    let ([a, b, c], i) = (row(code_point >> 6), code_point % 64);
    (a >> i & 1 | (b >> i & 1) << 1 | (c >> i & 1) << 2) as u32
}

/// The classes of the code points from `64 * number` on.
#[inline(always)]
pub(super) const fn row(number: u32) -> Row {
    let block = (number / 2) as usize;
    if block < INDEX.len() {
        let row = INDEX[block] as usize * 2 + number as usize % 2;
        // Always so; a check takes less room than rows for blocks that there are not.
        return if row < ROWS.len() { ROWS[row] } else { [0; 3] };
    }
    // Past the index only the variation selectors U+E0100 to U+E01EF have a class of their own.
    match number {
        0x3804..=0x3806 => [0, 0, u64::MAX],
        0x3807 => [0, 0, u64::MAX >> 16],
        _ => [0; 3],
    }
}

/// The class and the length in bytes of the character at `at`; `(0, 0)` at the end of the text.
///
/// A byte that starts no well-formed UTF-8 sequence is a character of its own, of class [`OTHER`].
#[inline]
pub fn class_at(text: &[u8], at: usize) -> (Set, usize) {
    match text.get(at) {
        None => (0, 0),
        Some(byte) if *byte < 128 => (ASCII[*byte as usize], 1),
        Some(_) => class_of_sequence(text, at),
    }
}

fn class_of_sequence(text: &[u8], at: usize) -> (Set, usize) {
    match decode(text.get(at..).unwrap_or(&[])) {
        Some((code_point, len)) => (class_of(code_point), len),
        None => (OTHER, 1),
    }
}

/// The first character of `bytes`, if it is a well-formed sequence of two to four bytes
/// (Unicode 16, table 3-7: no overlong form, no surrogate).
#[inline(always)]
fn decode(bytes: &[u8]) -> Option<(u32, usize)> {
    let word = u32::from_be_bytes(match bytes.first_chunk() {
        Some(bytes) => *bytes,
        None => padded(bytes),
    });
    // The low `bits` of the byte at `shift`.
    let part = |shift: u32, bits: u32| (word >> shift) & ((1 << bits) - 1);
    if word & 0xE0C0_0000 == 0xC080_0000 {
        let c = part(24, 5) << 6 | part(16, 6);
        return (c >= 0x80).then_some((c, 2));
    }
    if word & 0xF0C0_C000 == 0xE080_8000 {
        let c = part(24, 4) << 12 | part(16, 6) << 6 | part(8, 6);
        return (c >= 0x800 && !(0xD800..0xE000).contains(&c)).then_some((c, 3));
    }
    if word & 0xF8C0_C0C0 == 0xF080_8080 {
        let c = part(24, 3) << 18 | part(16, 6) << 12 | part(8, 6) << 6 | part(0, 6);
        return (0x10000..0x110000).contains(&c).then_some((c, 4));
    }
    None
}

/// The last bytes of a text, and zeros, which continue no sequence.
#[cold]
fn padded(bytes: &[u8]) -> [u8; 4] {
    let mut padded = [0; 4];
    for (padded, byte) in padded.iter_mut().zip(bytes) {
        *padded = *byte;
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_syntax::hir::{Class, HirKind};
    use std::format;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    const LINE_ROWS: usize = 2;

    /// Class numbers of all code points, by the `regex-syntax` crate.
    fn expected() -> Vec<u8> {
        let properties = [
            (r"[\p{Lu}\p{Lt}]", UPPER),
            (r"\p{Ll}", LOWER),
            (r"[\p{Lm}\p{Lo}]", CASELESS),
            (r"\p{M}", MARK),
            (r"\p{N}", NUMBER),
            (r"[\s&&[^\r\n]]", BLANK),
            (r"[\r\n]", NEWLINE),
        ];
        let mut classes = vec![0; 0x11_0000];
        for (regex, class) in properties {
            let hir = regex_syntax::parse(regex).unwrap();
            let HirKind::Class(Class::Unicode(set)) = hir.kind() else {
                panic!("{regex} is a class");
            };
            for range in set.ranges() {
                let span = range.start() as usize..=range.end() as usize;
                classes[span].fill(class.trailing_zeros() as u8);
            }
        }
        classes
    }

    /// The text of the table file.
    fn table_file(classes: &[u8]) -> String {
        let (mut blocks, mut index) = (Vec::<&[u8]>::new(), Vec::new());
        for block in classes[..0x40000].chunks(128) {
            let known = blocks.iter().position(|b| *b == block);
            index.push(known.unwrap_or(blocks.len()));
            if known.is_none() {
                blocks.push(block);
            }
        }
        while index.last() == index.get(index.len() - 2) {
            index.pop();
        }
        let bit = |row: &[u8], j: u32| {
            let bits = row.iter().zip(0..64);
            bits.fold(0, |word, (class, i)| word | u64::from(class >> j & 1) << i)
        };
        let row = |row: &[u8]| [0, 1, 2].map(|j| bit(row, j));
        let rows: Vec<Row> = blocks.concat().chunks(64).map(row).collect();
        let mut text =
            String::from("//! Generated by the tests of `unicode`; not edited by hand.\n\n");
        text += "use super::unicode::Row;\n\n";
        text += "/// Block of each run of 128 code points.\n";
        text += &format!("pub(super) static INDEX: [u8; {}] = [\n", index.len());
        for line in index.chunks(20) {
            let line: Vec<String> = line.iter().map(|i| format!("{i}")).collect();
            text += &format!("    {},\n", line.join(", "));
        }
        text += "];\n\n/// Two rows of each block.\n";
        text += &format!("pub(super) static ROWS: [Row; {}] = [\n", rows.len());
        for line in rows.chunks(LINE_ROWS) {
            let line: Vec<String> = line.iter().map(|row| format!("{row:#x?}")).collect();
            let line = line.join(", ").replace(['\n', ' '], "").replace(',', ", ");
            text += &format!("    {},\n", line.replace(", ]", "]"));
        }
        text + "];\n"
    }

    #[test]
    fn the_table_file_is_the_generated_one() {
        let text = table_file(&expected());
        if std::env::var_os("BARELM_REGENERATE").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/bpe/unicode_table.rs");
            std::fs::write(path, &text).unwrap();
        } else {
            assert!(text == include_str!("unicode_table.rs"), "regenerate it");
        }
    }

    #[test]
    fn every_character_has_the_class_that_regex_syntax_gives_it() {
        let classes = expected();
        let mut utf8 = [0; 4];
        for c in '\0'..=char::MAX {
            let want = 1 << classes[c as usize];
            assert_eq!(class_of(c as u32), want, "{c:?}");
            let bytes = c.encode_utf8(&mut utf8).as_bytes();
            assert_eq!(class_at(bytes, 0), (want, bytes.len()), "{c:?}");
        }
        assert_eq!(class_of(u32::MAX), OTHER);
    }

    #[test]
    fn bytes_are_decoded_as_the_standard_library_does() {
        let mut bytes = [0; 4];
        for n in 0..1u32 << 20 {
            // All pairs of first bytes with every kind of continuation behind them.
            let kinds = [0x00, 0x7F, 0x80, 0xBF];
            bytes[..2].copy_from_slice(&(n as u16).to_be_bytes());
            bytes[2] = kinds[(n >> 16 & 3) as usize];
            bytes[3] = kinds[(n >> 18 & 3) as usize];
            let first = (1..=4).find_map(|len| {
                let text = std::str::from_utf8(&bytes[..len]).ok()?;
                text.chars().next().map(|c| (class_of(c as u32), len))
            });
            assert_eq!(
                class_at(&bytes, 0),
                first.unwrap_or((OTHER, 1)),
                "{bytes:x?}"
            );
        }
    }

    #[test]
    fn the_table_is_small() {
        assert!(INDEX.len() + ROWS.len() * 24 < 13_000);
    }
}
