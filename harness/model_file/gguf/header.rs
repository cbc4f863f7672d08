//! What stands before the tensors.

use super::ALIGNMENT;

const MAGIC: &[u8; 4] = b"GGUF";
const VERSION: u32 = 3;

/// Types of fields.
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// Fields and announced tensors.
#[derive(Default)]
pub(super) struct Header {
    fields: Vec<u8>,
    field_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    /// Where the next tensor starts, from the first.
    place: u64,
}

impl Header {
    fn field(&mut self, name: &str, kind: u32) -> &mut Vec<u8> {
        self.field_count += 1;
        text(&mut self.fields, name);
        self.fields.extend(kind.to_le_bytes());
        &mut self.fields
    }

    pub(super) fn number(&mut self, name: &str, value: u32) {
        self.field(name, U32).extend(value.to_le_bytes());
    }

    pub(super) fn float(&mut self, name: &str, value: f32) {
        self.field(name, F32).extend(value.to_le_bytes());
    }

    pub(super) fn flag(&mut self, name: &str, value: bool) {
        self.field(name, BOOL).push(value.into());
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        text(self.field(name, TEXT), value);
    }

    pub(super) fn texts(&mut self, name: &str, values: &[String]) {
        let field = self.array(name, TEXT, values.len());
        for value in values {
            text(field, value);
        }
    }

    pub(super) fn integers(&mut self, name: &str, values: &[i32]) {
        let field = self.array(name, I32, values.len());
        for value in values {
            field.extend(value.to_le_bytes());
        }
    }

    fn array(&mut self, name: &str, kind: u32, len: usize) -> &mut Vec<u8> {
        let field = self.field(name, ARRAY);
        field.extend(kind.to_le_bytes());
        field.extend((len as u64).to_le_bytes());
        field
    }

    /// A tensor of `len` bytes, which will be filled up to a multiple of [`ALIGNMENT`].
    pub(super) fn tensor(&mut self, name: &str, sides: &[usize], kind: u32, len: usize) {
        let tensors = &mut self.tensors;
        text(tensors, name);
        tensors.extend((sides.len() as u32).to_le_bytes());
        for side in sides {
            tensors.extend((*side as u64).to_le_bytes());
        }
        tensors.extend(kind.to_le_bytes());
        tensors.extend(self.place.to_le_bytes());
        self.tensor_count += 1;
        self.place += len.next_multiple_of(ALIGNMENT) as u64;
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.tensor_count.to_le_bytes());
        bytes.extend(self.field_count.to_le_bytes());
        bytes.extend(self.fields);
        bytes.extend(self.tensors);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes
    }
}

fn text(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as u64).to_le_bytes());
    to.extend(text.as_bytes());
}
