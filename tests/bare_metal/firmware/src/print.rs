//! Text and numbers without `core::fmt`, which is larger than the kernels.

use crate::write;

/// Writes text.
pub fn print_text(text: &str) {
    write(text.as_bytes());
}

/// Writes a number in decimal.
pub fn print_number(number: u64) {
    let (mut digits, mut rest, mut used) = ([b'0'; 20], number, 0);
    for digit in digits.iter_mut().rev() {
        if rest == 0 && used > 0 {
            break;
        }
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
    }
    write(digits.get(digits.len() - used..).unwrap_or(&[]));
}

/// Sixteen digits.
pub(crate) fn hexadecimal(number: u64) -> [u8; 16] {
    core::array::from_fn(|i| match (number >> (60 - 4 * i)) as u8 & 15 {
        digit @ 0..10 => b'0' + digit,
        digit => b'a' + digit - 10,
    })
}

/// Writes a line `name checksum`, or `name failed`, and says which of them.
pub fn print_checksum(name: &str, checksum: Option<u64>) -> bool {
    print_text(name);
    match checksum {
        Some(checksum) => {
            print_text(" ");
            write(&hexadecimal(checksum));
        }
        None => print_text(" failed"),
    }
    print_text("\n");
    checksum.is_some()
}
