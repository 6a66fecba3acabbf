//! Whether a program reads the processor's own counter, which no call tells of.
//!
//! In: the file of a program. Out: whether it holds the instruction and what compilers put behind it:
//! `rdtsc` or `rdtscp`, which leave the counter in two halves, and soon `shl rdx, 32`, by which one number
//! is made of them (Intel, Software Developer's Manual, volume 2). What is in its libraries isn't seen.

use std::fs::File;
use std::io::Read as _;

const READS: [&[u8]; 2] = [b"\x0f\x31", b"\x0f\x01\xf9"];
const JOINS: &[u8] = b"\x48\xc1\xe2\x20";
/// Bytes between the two, at most.
const SOON: usize = 24;
/// Most bytes of a program that are looked at.
const MOST: u64 = 128 << 20;

/// Whether the program in a file does; not where it can't be read.
pub fn is_read_by(file: &std::path::Path) -> bool {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(MOST).read_to_end(&mut bytes));
    read.is_ok() && bytes.starts_with(b"\x7fELF") && holds(&bytes)
}

fn holds(bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == 0x0f) {
        at += found;
        let rest = &bytes[at..];
        let reads = READS.iter().any(|read| rest.starts_with(read));
        let end = rest.len().min(SOON + JOINS.len());
        if reads && rest[..end].windows(JOINS.len()).any(|it| it == JOINS) {
            return true;
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instruction_is_found_where_its_halves_are_joined() {
        let between = [0x90; 5];
        for read in READS {
            assert!(holds(
                &[&b"abc\x0f\x0f"[..], read, &between, JOINS].concat()
            ));
            assert!(!holds(&[read, &between[..]].concat()));
            assert!(!holds(&[read, &[0x90; SOON + 1], JOINS].concat()));
        }
        assert!(!holds(JOINS) && !holds(b"") && !holds(b"\x0f"));
    }
}
