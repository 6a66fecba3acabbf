//! Directories' names in order, and how far each reader is. Pure.
//!
//! In: names as a file system gives them. Out: them sorted, as getdents(2) has them.
//!
//! How far a reader is the kernel keeps for whoever has the open directory, and programs set it
//! themselves (lseek(2), as rewinddir(3) and seekdir(3) do). So it stays there, and every place in every
//! listing has a position of its own: 0 is a listing yet to be made, [`END`] the end of each.

use std::collections::BTreeMap;

/// Where every listing ends: the largest that each file system, and each program of 32 bits, takes.
pub const END: u32 = i32::MAX as u32;
/// The first position within a listing: more than most file systems have themselves.
const FIRST: u32 = 1 << 30;
/// Bytes of one listing that are too many.
const MOST: usize = 64 << 20;
/// Bytes of all listings of a step from which on the oldest are forgotten.
const ENOUGH: usize = 32 << 20;
/// Bytes that a name takes beside itself.
const BESIDE: usize = 48;

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name's bytes.
    pub text: Box<[u8]>,
    /// The file's number.
    pub inode: u64,
    /// What it is, as `d_type` has it.
    pub kind: u8,
}

/// All names of a directory.
#[derive(Debug, Default)]
pub struct Names {
    names: Vec<Name>,
    bytes: usize,
}

impl Names {
    /// One more.
    ///
    /// # Errors
    /// They are too many.
    pub fn add(&mut self, name: Name) -> Result<(), TooMany> {
        self.bytes += name.text.len() + BESIDE;
        self.names.push(name);
        match self.bytes <= MOST {
            true => Ok(()),
            false => Err(TooMany),
        }
    }

    /// The directory itself and the one above first, as everywhere; then bytewise.
    fn sort(&mut self) {
        let rank = |text: &[u8]| match text {
            b"." => 0,
            b".." => 1,
            _ => 2,
        };
        let key = |name: &Name| (rank(&name.text), name.text.clone());
        self.names.sort_by_cached_key(key);
    }
}

/// A directory is left to the kernel.
#[derive(Debug)]
pub struct TooMany;

/// Which call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `struct linux_dirent64`.
    Wide,
    /// `struct linux_dirent`, which has the kind at its end.
    Old,
}

/// What a position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a listing: its first position, and how many names come before.
    In(u32, usize),
    /// In one that was forgotten.
    Forgotten,
    /// In none.
    Elsewhere,
}

/// The listings of a step.
#[derive(Debug, Default)]
pub struct Listings {
    /// By their first positions. Those that somebody has yet to read to the end are forgotten last.
    unread: BTreeMap<u32, Names>,
    read: BTreeMap<u32, Names>,
    bytes: usize,
    /// Positions that were given out.
    given: u32,
}

impl Listings {
    /// Takes a directory's names; where they begin.
    ///
    /// # Errors
    /// No position is left for them.
    pub fn take(&mut self, mut names: Names) -> Result<u32, TooMany> {
        let count = u32::try_from(names.names.len()).map_err(|_| TooMany)?;
        let begin = FIRST + self.given;
        let given = self.given.checked_add(count).ok_or(TooMany)?;
        if given >= END - FIRST {
            return Err(TooMany);
        }
        self.given = given;
        names.sort();
        self.bytes += names.bytes;
        self.unread.insert(begin, names);
        while self.bytes > ENOUGH && self.unread.len() + self.read.len() > 1 {
            let oldest = self.read.pop_first().or_else(|| self.unread.pop_first());
            self.bytes -= oldest.map_or(0, |(_, names)| names.bytes);
        }
        Ok(begin)
    }

    /// What a position other than 0 and [`END`] is.
    pub fn place(&self, position: u32) -> Place {
        let before = |listings: &BTreeMap<u32, Names>| {
            let (begin, names) = listings.range(..=position).next_back()?;
            let passed = usize::try_from(position - begin).ok()?;
            (passed < names.names.len()).then_some(Place::In(*begin, passed))
        };
        let is_given = (FIRST..FIRST + self.given).contains(&position);
        match before(&self.unread).or_else(|| before(&self.read)) {
            Some(place) => place,
            None if is_given => Place::Forgotten,
            None => Place::Elsewhere,
        }
    }

    /// The names of the listing that begins there, but for so many, as far as there is room; and the
    /// position after them. No names where there is room for none.
    pub fn tell(&self, begin: u32, passed: usize, form: Form, room: usize) -> (Vec<u8>, u32) {
        let names = self.unread.get(&begin).or_else(|| self.read.get(&begin));
        let names = names.map_or(&[][..], |names| &names.names);
        let mut bytes = Vec::new();
        let mut next = begin + u32::try_from(passed).unwrap_or(0);
        for (at, name) in names.iter().enumerate().skip(passed) {
            let after = match at + 1 == names.len() {
                true => END,
                false => next + 1,
            };
            let length = bytes.len();
            encode(&mut bytes, name, after, form);
            if bytes.len() > room {
                bytes.truncate(length);
                break;
            }
            next = after;
        }
        (bytes, next)
    }

    /// Somebody has read that listing to the end.
    pub fn is_read(&mut self, begin: u32) {
        if let Some(names) = self.unread.remove(&begin) {
            self.read.insert(begin, names);
        }
    }
}

fn encode(bytes: &mut Vec<u8>, name: &Name, position: u32, form: Form) {
    let begin = bytes.len();
    bytes.extend(name.inode.to_ne_bytes());
    bytes.extend(u64::from(position).to_ne_bytes());
    // The name's end, and in the old form the kind.
    let (before, after) = match form {
        Form::Wide => (19, 1),
        Form::Old => (18, 2),
    };
    let length = (before + name.text.len() + after).next_multiple_of(8);
    bytes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
    if form == Form::Wide {
        bytes.push(name.kind);
    }
    bytes.extend(&name.text);
    bytes.resize(begin + length, 0);
    if let (Form::Old, Some(last)) = (form, bytes.last_mut()) {
        *last = name.kind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> Names {
        let mut names = Names::default();
        for (inode, text) in (1..).zip(all) {
            let text = Box::from(text.as_bytes());
            let kind = 8;
            names.add(Name { text, inode, kind }).unwrap();
        }
        names
    }

    /// The names and positions in an answer.
    fn read(bytes: &[u8], form: Form) -> Vec<(String, u64)> {
        let (mut told, mut rest) = (Vec::new(), bytes);
        while !rest.is_empty() {
            let position = u64::from_ne_bytes(rest[8..16].try_into().unwrap());
            let length = usize::from(u16::from_ne_bytes(rest[16..18].try_into().unwrap()));
            let (name, kind) = match form {
                Form::Wide => (&rest[19..length], rest[18]),
                Form::Old => (&rest[18..length - 1], rest[length - 1]),
            };
            assert_eq!(kind, 8);
            let end = name.iter().position(|byte| *byte == 0).unwrap();
            told.push((String::from_utf8(name[..end].to_vec()).unwrap(), position));
            rest = &rest[length..];
        }
        told
    }

    #[test]
    fn names_are_sorted_and_every_place_is_found_again() {
        let mut listings = Listings::default();
        listings.take(names(&["other"])).unwrap();
        let begin = listings.take(names(&["b", "!", "..", "a", "."])).unwrap();
        for form in [Form::Wide, Form::Old] {
            let (bytes, next) = listings.tell(begin, 0, form, 4096);
            let told = read(&bytes, form);
            let texts: Vec<_> = told.iter().map(|(text, _)| text.as_str()).collect();
            assert_eq!(texts, [".", "..", "!", "a", "b"]);
            assert_eq!((next, told[4].1), (END, u64::from(END)));
            // From each name's own position those after it are read on.
            for (at, (_, position)) in told.iter().enumerate().take(4) {
                let place = listings.place(u32::try_from(*position).unwrap());
                assert_eq!(place, Place::In(begin, at + 1));
            }
            // Room for two; for none.
            let (bytes, next) = listings.tell(begin, 2, form, 50);
            assert_eq!(read(&bytes, form).len(), 2);
            assert_eq!(listings.place(next), Place::In(begin, 4));
            let (bytes, next) = listings.tell(begin, 2, form, 23);
            assert_eq!(
                (bytes.len(), listings.place(next)),
                (0, Place::In(begin, 2))
            );
        }
    }

    #[test]
    fn what_is_read_is_forgotten_first() {
        let mut listings = Listings::default();
        let long = "x".repeat(ENOUGH / 2 - 200);
        let unread = listings.take(names(&["a", "b"])).unwrap();
        let read = listings.take(names(&[".", &long])).unwrap();
        listings.is_read(read);
        assert_eq!(listings.place(read + 1), Place::In(read, 1));
        let last = listings.take(names(&[&long, &long])).unwrap();
        assert_eq!(listings.place(read + 1), Place::Forgotten);
        assert_eq!(listings.place(unread + 1), Place::In(unread, 1));
        assert_eq!(listings.place(last), Place::In(last, 0));
        assert_eq!(listings.place(last + 2), Place::Elsewhere);
        assert_eq!(listings.place(7), Place::Elsewhere);
    }

    #[test]
    fn what_is_too_much_is_left_to_the_kernel() {
        let mut names = Names::default();
        let name = |length| Name {
            text: vec![b'x'; length].into(),
            inode: 1,
            kind: 0,
        };
        names.add(name(MOST / 2)).unwrap();
        assert!(names.add(name(MOST / 2)).is_err());
        let mut listings = Listings {
            given: END - FIRST - 2,
            ..Listings::default()
        };
        assert!(listings.take(self::names(&["a"])).is_ok());
        assert!(listings.take(self::names(&["a"])).is_err());
    }
}
