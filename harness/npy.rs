//! The header of NumPy's array files: what an array is, as a literal of Python.
//!
//! ```text
//! "\x93NUMPY", version (2 bytes), length of the literal (u16; u32 from version 2 on), the literal:
//! {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
//! ```
//! The array's elements follow.

use std::fmt::Write;

/// Length of a header that [`header`] makes, whatever the shape.
pub(crate) const HEADER_LEN: usize = 128;
/// First bytes of every such file.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";

/// The header of an array in the order of C, of one or two dimensions; `descr` is NumPy's name of
/// its elements' type.
pub(crate) fn header(descr: &str, shape: &[u64]) -> Vec<u8> {
    let mut fields = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (");
    for n in shape {
        let _ = write!(fields, "{n}, "); // strings take everything
    }
    // Python's way: `(3, 4)`, but `(3,)`.
    fields.truncate(fields.len() - if shape.len() == 1 { 1 } else { 2 });
    fields += "), }";
    let mut header = [MAGIC, b"\x01\x00"].concat();
    header.extend(((HEADER_LEN - 10) as u16).to_le_bytes());
    header.extend(format!("{fields:<width$}\n", width = HEADER_LEN - 11).into_bytes());
    header
}

/// What a header says. Nothing of it has been compared with the rest of the file.
#[derive(Debug, PartialEq)]
pub(crate) struct Header<'a> {
    /// The elements' type; `None` if it is none of NumPy's simple ones.
    pub(crate) descr: Option<&'a str>,
    /// Whether columns stand one behind the other, not rows.
    pub(crate) fortran_order: bool,
    /// Length of each dimension.
    pub(crate) shape: Vec<usize>,
    /// Where the elements start.
    pub(crate) len: usize,
}

impl<'a> Header<'a> {
    /// The header at the start of a file; `None` if there is none.
    pub(crate) fn parse(file: &'a [u8]) -> Option<Self> {
        let rest = file.strip_prefix(MAGIC)?;
        let (start, literal_len) = match *rest {
            [1, _, a, b, ..] => (10, u16::from_le_bytes([a, b]).into()),
            [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([a, b, c, d])),
            _ => return None,
        };
        let len = usize::try_from(literal_len).ok()?.checked_add(start)?;
        let literal = str::from_utf8(file.get(start..len)?).ok()?;
        let field = |name: &str| literal.split_once(name).map(|(_, rest)| rest.trim_start());
        let shape = field("'shape':")?.strip_prefix('(')?.split_once(')')?.0;
        let numbers = shape.split(',').map(str::trim).filter(|n| !n.is_empty());
        let quoted = |text: &'a str| Some(text.strip_prefix('\'')?.split_once('\'')?.0);
        Some(Self {
            descr: field("'descr':").and_then(quoted),
            fortran_order: field("'fortran_order':")?.starts_with("True"),
            shape: numbers.map(|n| n.parse().ok()).collect::<Option<_>>()?,
            len,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back() {
        for (shape, text) in [(&[7][..], "'shape': (7,)"), (&[3, 4], "'shape': (3, 4)")] {
            let header = header("<f4", shape);
            assert_eq!((header.len(), header[HEADER_LEN - 1]), (HEADER_LEN, b'\n'));
            assert!(
                String::from_utf8_lossy(&header).contains(text),
                "{header:?}"
            );
            let parsed = Header::parse(&header).unwrap();
            assert!(
                parsed
                    .shape
                    .iter()
                    .map(|n| *n as u64)
                    .eq(shape.iter().copied())
            );
            assert_eq!((parsed.descr, parsed.fortran_order), (Some("<f4"), false));
            assert_eq!(parsed.len, HEADER_LEN);
        }
    }

    #[test]
    fn what_is_no_header_is_not_read() {
        let whole = header("<f4", &[1, 2]);
        for len in 0..whole.len() {
            assert_eq!(Header::parse(&whole[..len]), None);
        }
        for literal in [
            "",
            "{'descr': '<f4', 'fortran_order': False, }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, }",
        ] {
            let mut file = b"\x93NUMPY\x02\x00".to_vec();
            file.extend((literal.len() as u32).to_le_bytes());
            file.extend(literal.as_bytes());
            assert_eq!(Header::parse(&file), None, "{literal}");
        }
        let records = b"\x93NUMPY\x01\x00\x40\x00{'descr': [('x', '<f4')], 'fortran_order': True, 'shape': (1,)}  ";
        let records = Header::parse(records).unwrap();
        assert_eq!((records.descr, records.fortran_order), (None, true));
    }
}
