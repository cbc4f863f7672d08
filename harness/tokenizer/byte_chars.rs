//! GPT-2's way to write bytes as printable characters in JSON.
//!
//! Printable characters of Latin-1 stand for themselves; the other bytes, in order, are the
//! characters from U+0100 on (a space is `Ġ`). Source: `bytes_to_unicode` of openai/gpt-2.

/// The character of a byte.
pub(crate) const CHARS: [char; 256] = {
    let mut chars = ['\0'; 256];
    let (mut byte, mut others) = (0, 0);
    while byte < 256 {
        let printable = matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
        let code = if printable { byte } else { 256 + others };
        others += !printable as u32;
        // No surrogate is near, so every code is a character.
        chars[byte as usize] = match char::from_u32(code) {
            Some(c) => c,
            None => '\0',
        };
        byte += 1;
    }
    chars
};

/// The bytes of a token that is written in such characters; `None` if one is no such character.
pub(crate) fn to_bytes(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| byte_of(u32::from(c))).collect()
}

/// A token's bytes as characters.
pub(crate) fn to_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| CHARS[*byte as usize]).collect()
}

/// The byte of a character, given by its code point.
#[inline]
pub(crate) fn byte_of(code: u32) -> Option<u8> {
    const LEN: usize = 0x144;
    // One more than the byte of each code point; 0 where there is none.
    const BYTES: [u16; LEN] = {
        let mut bytes = [0; LEN];
        let mut byte = 0;
        while byte < 256 {
            bytes[CHARS[byte] as usize] = byte as u16 + 1;
            byte += 1;
        }
        bytes
    };
    let byte = BYTES.get(code as usize)?.checked_sub(1)?;
    Some(byte as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_character() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = to_text(&bytes);
        assert_eq!(text.chars().count(), 256);
        assert_eq!(to_bytes(&text), Some(bytes));
        assert_eq!(to_text(b" a\n"), "ĠaĊ");
        assert_eq!((to_bytes(" "), to_bytes("中")), (None, None));
    }
}
