//! What the kernel puts on the stack of a new program. Pure.
//!
//! In: its stack pointer, its memory. Out: its arguments, where the auxiliary vector tells of the vDSO, and
//! a word of it that nothing uses (System V ABI, "Process Initialization"; getauxval(3)).

use rustix::io::Errno;

/// `AT_SYSINFO_EHDR`, where the vDSO is.
const VDSO: u64 = 33;
/// `AT_RANDOM`, where 16 bytes of chance are.
const RANDOM: u64 = 25;
/// Most words that are looked at: more than fit into the memory that arguments may take.
const LONGEST: u64 = 1 << 22;
/// Bytes of the longest arguments that are read: more than the kernel takes (execve(2)).
const LONGEST_ARGUMENTS: u64 = 8 << 20;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The arguments, each with its end, as `/proc` has them (`cmdline`, proc(5)).
    pub arguments: Vec<u8>,
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

    /// What there is from an address on, as much as is read at once.
    fn bytes(&mut self, at: u64, beside: &mut Vec<u8>) -> Result<(), Errno> {
        let known = at
            .checked_sub(self.start)
            .and_then(|offset| self.piece.get(usize::try_from(offset).ok()?..))
            .filter(|known| !known.is_empty());
        beside.clear();
        match known {
            Some(known) => beside.extend_from_slice(known),
            None => {
                beside.resize(4096, 0);
                let read = (self.read)(at, beside)?;
                beside.truncate(read);
            }
        }
        Ok(())
    }

    /// Strings that follow one another, from the first one's address to the end of the last one.
    fn strings(&mut self, first: u64, last: u64) -> Result<Vec<u8>, Errno> {
        let before = last.checked_sub(first).ok_or(Errno::FAULT)?;
        let (mut found, mut piece) = (Vec::new(), Vec::new());
        while (found.len() as u64) < LONGEST_ARGUMENTS {
            self.bytes(first + found.len() as u64, &mut piece)?;
            let length = found.len() as u64;
            let rest = usize::try_from(before.saturating_sub(length)).map_err(|_| Errno::FAULT)?;
            let end = piece.get(rest..);
            let end = end.and_then(|last| last.iter().position(|byte| *byte == 0));
            match end {
                Some(end) => {
                    found.extend_from_slice(&piece[..=rest + end]);
                    return Ok(found);
                }
                None if piece.is_empty() => return Err(Errno::FAULT),
                None => found.append(&mut piece),
            }
        }
        Err(Errno::FAULT)
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
    let count = memory.word(pointer)?;
    let place = |words: Option<u64>| {
        let bytes = words.and_then(|words| words.checked_mul(width));
        let place = bytes.and_then(|bytes| pointer.checked_add(bytes));
        place.ok_or(Errno::FAULT)
    };
    let arguments = match count {
        0 => Vec::new(),
        count => {
            let first = memory.word(place(Some(1))?)?;
            let last = memory.word(place(Some(count))?)?;
            memory.strings(first, last)?
        }
    };
    // Behind the arguments and the zero after them.
    let mut at = place(count.checked_add(2))?;
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
                    arguments,
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

    /// Found in a stack at 1000 of such words, behind which there is such a text.
    fn found(words: &[u64], text: &[u8], is_of_32_bits: bool) -> Result<Stack, Errno> {
        let mut bytes: Vec<u8> = match is_of_32_bits {
            true => words
                .iter()
                .flat_map(|it| (*it as u32).to_le_bytes())
                .collect(),
            false => words.iter().flat_map(|it| it.to_le_bytes()).collect(),
        };
        bytes.extend_from_slice(text);
        walk(1000, is_of_32_bits, |at, into| {
            let rest = bytes.get(at as usize - 1000..).unwrap_or_default();
            let count = rest.len().min(into.len());
            into[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    #[test]
    fn arguments_and_the_vector_behind_them_are_found() {
        let long: Vec<u64> = [vec![0; 1], vec![9; 3000], vec![0]].concat();
        let texts = [&b"sh\0-c\0"[..], &[&[b'a'; 9000][..], b"\0b\0"].concat()];
        for environment in [&[0, 0][..], &[0, 9, 9, 0], &long] {
            for (is_of_32_bits, width) in [(false, 8), (true, 4)] {
                for text in texts {
                    let second = text.iter().position(|byte| *byte == 0).unwrap() as u64 + 1;
                    let vector = [6, 4096, 33, 5000, 8, 0, 25, 77, 0, 0];
                    let count = 3 + environment.len() + vector.len();
                    let at = 1000 + width * count as u64;
                    let words = [&[2, at, at + second], environment, &vector].concat();
                    let behind = [text, b"HOME=/\0"].concat();
                    let vector = 1000 + width * (3 + environment.len() as u64);
                    let expected = Stack {
                        arguments: text.to_vec(),
                        vdso: Some((5000, vector + 2 * width)),
                        random: Some(77),
                        unused: vector + 9 * width,
                    };
                    assert_eq!(found(&words, &behind, is_of_32_bits), Ok(expected));
                }
            }
        }
    }

    #[test]
    fn what_is_no_stack_is_an_error() {
        for words in [
            &[][..],
            &[u64::MAX, 0, 0],
            &[0, 0, 1, 1],
            &[0, 0, 0, 33, 5],
            // Arguments that end before they begin, that have no end, that are nowhere.
            &[2, 1016, 1008, 0, 0, 0, 0],
            &[1, 1048, 0, 0, 0, 0, !0],
            &[1, 9000, 0, 0, 0, 0],
        ] {
            assert_eq!(found(words, b"", false), Err(Errno::FAULT), "{words:?}");
        }
        let without = found(&[0, 0, 0, 8, 1, 0, 0], b"", false).unwrap();
        assert_eq!((without.vdso, without.arguments), (None, Vec::new()));
    }
}
