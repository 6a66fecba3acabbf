//! What the kernel puts on the stack of a new program. Pure.
//!
//! In: its stack pointer, its memory. Out: where the auxiliary vector tells of the vDSO, and a word of
//! it that nothing uses (System V ABI, "Process Initialization"; getauxval(3)).

use rustix::io::Errno;

/// `AT_SYSINFO_EHDR`, where the vDSO is.
const VDSO: u64 = 33;
/// `AT_RANDOM`, where 16 bytes of chance are.
const RANDOM: u64 = 25;
/// Most words that are looked at: more than fit into the memory that arguments may take.
const LONGEST: u64 = 1 << 22;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stack {
    /// Where the vDSO is, if there is one, and the address of the entry that says so.
    pub vdso: Option<(u64, u64)>,
    /// Where the kernel left bytes of chance, if it did.
    pub random: Option<u64>,
    /// The address of what the last entry holds, which is nothing to anyone. Who moves the vector moves
    /// it down (ld.so(8), started by itself), so that nobody ever writes there.
    pub unused: u64,
}

/// Memory, read piece by piece.
struct Memory<R> {
    read: R,
    piece: Vec<u8>,
    start: u64,
    /// Bytes of a word.
    width: u64,
}

impl<R: FnMut(u64, &mut [u8]) -> Result<usize, Errno>> Memory<R> {
    fn word(&mut self, at: u64) -> Result<u64, Errno> {
        let offset = at.wrapping_sub(self.start);
        if offset + self.width > self.piece.len() as u64 {
            self.piece.resize(4096, 0);
            let read = (self.read)(at, &mut self.piece)?;
            self.piece.truncate(read);
            self.start = at;
        }
        let offset = usize::try_from(at - self.start).map_err(|_| Errno::FAULT)?;
        let width = usize::try_from(self.width).map_err(|_| Errno::FAULT)?;
        let bytes = self.piece.get(offset..offset + width);
        let mut word = [0; 8];
        word[..width].copy_from_slice(bytes.ok_or(Errno::FAULT)?);
        Ok(u64::from_le_bytes(word))
    }
}

/// Goes along the stack of a program that begins at `pointer`, to the end of the auxiliary vector.
pub fn walk(
    pointer: u64,
    is_of_32_bits: bool,
    read: impl FnMut(u64, &mut [u8]) -> Result<usize, Errno>,
) -> Result<Stack, Errno> {
    let width = match is_of_32_bits {
        true => 4,
        false => 8,
    };
    let mut memory = Memory {
        read,
        piece: Vec::new(),
        start: pointer,
        width,
    };
    let end = pointer.checked_add(LONGEST * width).ok_or(Errno::FAULT)?;
    let arguments = memory.word(pointer)?;
    // Behind the arguments and the zero after them.
    let mut at = arguments
        .checked_add(2)
        .and_then(|words| words.checked_mul(width))
        .and_then(|bytes| pointer.checked_add(bytes))
        .ok_or(Errno::FAULT)?;
    while at < end && memory.word(at)? != 0 {
        at += width;
    }
    at += width;
    let (mut vdso, mut random) = (None, None);
    while at < end {
        let (kind, value) = (memory.word(at)?, memory.word(at + width)?);
        match kind {
            0 => {
                let unused = at + width;
                return Ok(Stack {
                    vdso,
                    random,
                    unused,
                });
            }
            VDSO => vdso = Some((value, at)),
            RANDOM => random = Some(value),
            _ => {}
        }
        at += 2 * width;
    }
    Err(Errno::FAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found in a stack at 1000 of such words.
    fn found(words: &[u64], is_of_32_bits: bool) -> Result<Stack, Errno> {
        let bytes: Vec<u8> = match is_of_32_bits {
            true => words
                .iter()
                .flat_map(|it| (*it as u32).to_le_bytes())
                .collect(),
            false => words.iter().flat_map(|it| it.to_le_bytes()).collect(),
        };
        walk(1000, is_of_32_bits, |at, into| {
            let rest = &bytes[at as usize - 1000..];
            let count = rest.len().min(into.len());
            into[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    #[test]
    fn the_vector_is_found_behind_arguments_and_environment() {
        let long: Vec<u64> = [vec![2, 7, 7, 0], vec![9; 3000], vec![0]].concat();
        for start in [&[0, 0, 0][..], &[2, 7, 7, 0, 9, 9, 0], &long] {
            for (is_of_32_bits, width) in [(false, 8), (true, 4)] {
                let words = [start, &[6, 4096, 33, 5000, 8, 0, 25, 77, 0, 0]].concat();
                let vector = 1000 + width * start.len() as u64;
                let expected = Stack {
                    vdso: Some((5000, vector + 2 * width)),
                    random: Some(77),
                    unused: vector + 9 * width,
                };
                assert_eq!(found(&words, is_of_32_bits), Ok(expected));
            }
        }
    }

    #[test]
    fn what_is_no_stack_is_an_error() {
        for words in [&[][..], &[u64::MAX, 0, 0], &[0, 0, 1, 1], &[0, 0, 0, 33, 5]] {
            assert_eq!(found(words, false), Err(Errno::FAULT), "{words:?}");
        }
        let without = found(&[0, 0, 0, 8, 1, 0, 0], false).unwrap();
        assert_eq!(without.vdso, None);
    }
}
