//! What is written into a program's vDSO (vdso(7)) so that it reads the step's clock. Pure.
//!
//! In: the kernel's image, which is the same in every program, and code. Out: a [`Patch`].
//!
//! The kernel's own clock_gettime stays where it is, as the other clocks are real: only the symbols
//! lead to the code instead, by which every library finds it (the C libraries, Go). The code lies
//! where gettimeofday was, of which nothing is needed any more. System V ABI, "Symbol Table".

use crate::sandbox::sys_trace::{Cell, Code, MARK};

const CLOCK_GETTIME: [&[u8]; 2] = [b"__vdso_clock_gettime", b"clock_gettime"];
const GETTIMEOFDAY: [&[u8]; 2] = [b"__vdso_gettimeofday", b"gettimeofday"];
const TIME: [&[u8]; 2] = [b"__vdso_time", b"time"];
const GETRANDOM: [&[u8]; 2] = [b"__vdso_getrandom", b"getrandom"];

/// Where a symbol has the section that it is in, and its value; 0 for one that is elsewhere
/// (`SHN_UNDEF`), which nobody takes.
const SECTION: usize = 6;
const VALUE: usize = 8;
/// `mov eax, -ENOSYS; ret`.
const MISSING: [u8; 6] = [0xb8, 0xda, 0xff, 0xff, 0xff, 0xc3];

/// `SHT_DYNSYM`, and bytes of a symbol.
const SYMBOLS: u32 = 11;
const SYMBOL: usize = 24;
/// Bytes of a jump to a place 32 bits away.
const JUMP: usize = 5;

/// What is written to a vDSO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Where the bytes go, from where the vDSO begins.
    start: usize,
    bytes: Vec<u8>,
    /// Where the code's cell is, from where the vDSO begins.
    cell: usize,
    /// Where the kernel's own clock_gettime is.
    original: usize,
}

/// One symbol of the image: where it stands, what it is worth, how large its function is.
struct Symbol<'a> {
    name: &'a [u8],
    at: usize,
    value: usize,
    size: usize,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    number(bytes, at).map(u16::from_le_bytes).map(usize::from)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    number(bytes, at).map(u32::from_le_bytes)
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let value = number(bytes, at).map(u64::from_le_bytes)?;
    usize::try_from(value).ok()
}

impl Patch {
    /// For an image; none where it isn't as kernels have made it so far.
    pub fn new(image: &[u8], code: &Code) -> Option<Patch> {
        let symbols = symbols(image)?;
        let named = |names: &[&[u8]]| {
            let mut found = symbols.iter().filter(|it| names.contains(&it.name));
            let first = found.next()?;
            found.all(|it| it.value == first.value).then_some(first)
        };
        let clock_gettime = named(&CLOCK_GETTIME)?;
        let (gettimeofday, time) = (named(&GETTIMEOFDAY)?, named(&TIME)?);
        // A jump to the code for who comes by no symbol, then the code.
        let cell = (gettimeofday.value + JUMP).next_multiple_of(16);
        let end = cell + code.bytes.len();
        if end > gettimeofday.value + gettimeofday.size || time.size < JUMP {
            return None;
        }
        let mut patched = image.to_vec();
        let mut put = |at: usize, bytes: &[u8]| {
            patched
                .get_mut(at..at + bytes.len())?
                .copy_from_slice(bytes);
            Some((at, at + bytes.len()))
        };
        let mut places = vec![put(cell, code.bytes)?];
        for (names, at) in [
            (CLOCK_GETTIME, code.clock_gettime),
            (GETTIMEOFDAY, code.gettimeofday),
            (TIME, code.time),
        ] {
            let value = (cell + at) as u64;
            for symbol in symbols.iter().filter(|it| names.contains(&it.name)) {
                places.push(put(symbol.at + VALUE, &value.to_le_bytes())?);
            }
        }
        for (from, at) in [
            (gettimeofday.value, code.gettimeofday),
            (time.value, code.time),
        ] {
            let far = i64::try_from(cell + at).ok()? - i64::try_from(from + JUMP).ok()?;
            let far = i32::try_from(far).ok()?.to_le_bytes();
            places.push(put(from, &[0xe9, far[0], far[1], far[2], far[3]])?);
        }
        // What gives chance without a call isn't there.
        for symbol in symbols.iter().filter(|it| GETRANDOM.contains(&it.name)) {
            if symbol.size < MISSING.len() {
                return None;
            }
            places.push(put(symbol.value, &MISSING)?);
            places.push(put(symbol.at + SECTION, &[0; 2])?);
            places.push(put(symbol.at + VALUE, &[0; 8])?);
        }
        let start = places.iter().map(|(start, _)| *start).min()?;
        let end = places.iter().map(|(_, end)| *end).max()?;
        Some(Patch {
            start,
            bytes: patched.get(start..end)?.to_vec(),
            cell,
            original: clock_gettime.value,
        })
    }

    /// What is written for a program whose vDSO begins at `base`, and where to.
    pub fn fill(&self, base: u64, cell: Cell) -> (u64, Vec<u8>) {
        let mut bytes = self.bytes.clone();
        let members = [
            MARK,
            cell.read.to_le_bytes(),
            cell.since.to_le_bytes(),
            base.wrapping_add(self.original as u64).to_le_bytes(),
        ];
        let at = self.cell - self.start;
        bytes[at..at + 32].copy_from_slice(&members.concat());
        (base.wrapping_add(self.start as u64), bytes)
    }

    /// Where the cell is of a program whose vDSO begins at `base`.
    pub fn cell(&self, base: u64) -> u64 {
        base.wrapping_add(self.cell as u64)
    }
}

/// A cell as it is read from a program; none where there is none.
pub fn cell(bytes: &[u8; 24]) -> Option<Cell> {
    let cell = Cell {
        read: number(bytes, 8).map(u64::from_le_bytes)?,
        since: number(bytes, 16).map(i64::from_le_bytes)?,
    };
    bytes.starts_with(&MARK).then_some(cell)
}

fn symbols(image: &[u8]) -> Option<Vec<Symbol<'_>>> {
    // 64 bits, least significant byte first.
    if !image.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (headers, size, count) = (long(image, 0x28)?, half(image, 0x3a)?, half(image, 0x3c)?);
    let header = |at: usize| {
        let at = headers.checked_add(at.checked_mul(size)?)?;
        // Type, offset, size, the section of its names. The image is loaded as it lies.
        let is_there = long(image, at + 0x10)? == long(image, at + 0x18)?;
        let place = (long(image, at + 0x18)?, long(image, at + 0x20)?);
        let link = usize::try_from(word(image, at + 0x28)?).ok()?;
        is_there.then_some((word(image, at + 4)?, place, link))
    };
    let mut sections = (0..count).filter_map(header);
    let (_, (start, length), names) = sections.find(|(kind, _, _)| *kind == SYMBOLS)?;
    let (_, (names, _), _) = header(names)?;
    let symbol = |at: usize| {
        let at = start + at * SYMBOL;
        let name = names.checked_add(usize::try_from(word(image, at)?).ok()?)?;
        let name = image.get(name..)?.split(|byte| *byte == 0).next()?;
        Some(Symbol {
            name,
            at,
            value: long(image, at + 8)?,
            size: long(image, at + 16)?,
        })
    };
    (0..length / SYMBOL).map(symbol).collect()
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::sandbox::clock::exec::own_vdso;
    use crate::sandbox::sys_trace::code;

    #[test]
    fn the_symbols_lead_to_the_code_and_the_cell_is_found() {
        let ((_, image), code) = (own_vdso().unwrap(), code().unwrap());
        let patch = Patch::new(&image, &code).unwrap();
        let cell_of = Cell {
            read: 0x7ffc_0000_1238,
            since: 77,
        };
        let base = 0x7fff_0000_0000;
        let (at, bytes) = patch.fill(base, cell_of);
        let start = usize::try_from(at - base).unwrap();
        let mut patched = image.clone();
        patched[start..start + bytes.len()].copy_from_slice(&bytes);
        let place = usize::try_from(patch.cell(base) - base).unwrap();
        let here = patched[place..place + 24].try_into().unwrap();
        assert_eq!(cell(&here), Some(cell_of));
        assert_eq!(cell(&[0; 24]), None);
        let (old, new) = (symbols(&image).unwrap(), symbols(&patched).unwrap());
        let mut seen = 0;
        for (old, new) in old.iter().zip(&new) {
            assert_eq!(old.name, new.name);
            let wanted = [
                (&CLOCK_GETTIME, code.clock_gettime),
                (&GETTIMEOFDAY, code.gettimeofday),
                (&TIME, code.time),
            ];
            if GETRANDOM.contains(&old.name) {
                assert_eq!(
                    (new.value, &patched[new.at + SECTION..][..2]),
                    (0, &[0; 2][..])
                );
                assert_eq!(patched[old.value..][..MISSING.len()], MISSING);
                continue;
            }
            let to = wanted.iter().find(|(names, _)| names.contains(&old.name));
            assert_eq!(new.value, to.map_or(old.value, |(_, at)| place + at));
            seen += usize::from(to.is_some());
        }
        assert_eq!(seen, 6);
        // The kernel's own is untouched, and known.
        let kernels = old.iter().find(|it| it.name == CLOCK_GETTIME[0]).unwrap();
        let its = kernels.value..kernels.value + kernels.size;
        assert_eq!(image[its.clone()], patched[its]);
        let original = (base + kernels.value as u64).to_le_bytes();
        assert_eq!(patched[place + 24..place + 32], original);
    }

    #[test]
    fn what_is_not_as_known_is_left_alone() {
        let ((_, image), code) = (own_vdso().unwrap(), code().unwrap());
        // The table of sections is behind all that is needed.
        let headers = long(&image, 0x28).unwrap();
        for end in (0..=headers).step_by(7) {
            assert_eq!(Patch::new(&image[..end], &code), None, "{end}");
        }
        let mut other = image.clone();
        // Of 32 bits.
        other[4] = 1;
        assert_eq!(Patch::new(&other, &code), None);
        let larger = Code {
            bytes: &[0x90; 4096],
            ..code
        };
        assert_eq!(Patch::new(&image, &larger), None);
    }
}
