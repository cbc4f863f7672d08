//! A damaged image in flash: bits flipped, the end cut off, lengths that lie. All must be refused.
#![no_std]
#![no_main]

use barelm_kernels::format::{ENTRY_LEN, HEADER_LEN};
use barelm_kernels::model::ModelRef;
use firmware::{Once, print_number, print_text};

firmware::flash!(FILE, "seed.barelm");

/// The image as the machine has it, to be damaged.
struct Memory {
    file: firmware::Flash<{ FILE.bytes().len() }>,
    words: [u32; 4096],
}

static MEMORY: Once<Memory> = Once::new(Memory {
    file: firmware::Flash([0; FILE.bytes().len()]),
    words: [0; 4096],
});

firmware::entry!(main);

fn main() -> bool {
    MEMORY.take().and_then(run).is_some()
}

fn run(memory: &mut Memory) -> Option<()> {
    let Memory { file, words } = memory;
    for (to, from) in file.0.iter_mut().zip(FILE.bytes()) {
        *to = *from;
    }
    let mut refused = 0;
    ModelRef::new_checked(&file.0, words).ok()?;
    for len in (0..file.0.len()).step_by(9973).chain(0..HEADER_LEN + 2) {
        refused += refuse(file.0.get(..len)?, words)?;
    }
    let table = HEADER_LEN + 24 * ENTRY_LEN;
    for at in (0..table).chain((table..file.0.len()).step_by(7001)) {
        let bit = 1 << (at % 8);
        *file.0.get_mut(at)? ^= bit;
        refused += refuse(&file.0, words)?;
        *file.0.get_mut(at)? ^= bit;
    }
    refused += lying_lengths(file, words)?;
    ModelRef::new_checked(&file.0, words).ok()?;
    print_number(refused);
    print_text(" damaged images, all refused\n");
    Some(())
}

fn refuse(file: &[u8], words: &mut [u32]) -> Option<u64> {
    ModelRef::new_checked(file, words).is_err().then_some(1)
}

/// Lengths and offsets that lie, under a checksum of the table that is right.
fn lying_lengths<const N: usize>(file: &mut firmware::Flash<N>, words: &mut [u32]) -> Option<u64> {
    let sections = u64::from(*file.0.get(12)?) as usize;
    let mut refused = 0;
    for section in 0..sections {
        for field in [8, 16] {
            let at = HEADER_LEN + section * ENTRY_LEN + field;
            for lie in [
                0,
                1,
                63,
                64,
                N as u64,
                u64::from(u32::MAX),
                u64::MAX - 63,
                u64::MAX,
            ] {
                let (old, checksum) = (word(&file.0, at)?, word(&file.0, 24)?);
                if lie == old {
                    continue;
                }
                put(&mut file.0, at, lie)?;
                let table = file.0.get(32..HEADER_LEN + sections * ENTRY_LEN)?;
                let sum = xxhash_rust::xxh64::xxh64(table, 0);
                put(&mut file.0, 24, sum)?;
                refused += refuse(&file.0, words)?;
                put(&mut file.0, at, old)?;
                put(&mut file.0, 24, checksum)?;
            }
        }
    }
    Some(refused)
}

fn word(file: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

fn put(file: &mut [u8], at: usize, word: u64) -> Option<()> {
    *file.get_mut(at..)?.first_chunk_mut()? = word.to_le_bytes();
    Some(())
}
