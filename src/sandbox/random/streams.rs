//! Streams of bytes that follow from a seed, and which process reads which. Pure.
//!
//! In: a seed, processes with their command lines. Out: bytes. A stream is sha256 of its key and a
//! counter, block after block; its key is sha256 of the seed, what it is for, the command line's
//! digest and how many came before.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sha2::{Digest as _, Sha256};

use super::Seed;

/// Most command lines that are told apart; those beyond are counted as one.
const COMMANDS: usize = 1 << 20;
/// Most processes whose streams are kept before the ended ones are forgotten.
const PROCESSES: usize = 4096;

/// Bytes without end.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u8; 32],
    block: [u8; 32],
    /// How many blocks were made.
    count: u64,
    /// How many bytes of the last block were given away.
    used: usize,
}

impl Stream {
    /// The stream that is `number`th of those of `what` with that command line.
    pub fn of(seed: &Seed, what: &[u8], command: &[u8], number: u64) -> Stream {
        let mut hasher = Sha256::new();
        hasher.update(b"cairn randomness 1\0");
        hasher.update(seed.0);
        hasher.update((what.len() as u64).to_le_bytes());
        hasher.update(what);
        hasher.update(Sha256::digest(command));
        hasher.update(number.to_le_bytes());
        Stream {
            key: hasher.finalize().into(),
            block: [0; 32],
            count: 0,
            used: 32,
        }
    }

    /// The next bytes.
    pub fn fill(&mut self, mut into: &mut [u8]) {
        while !into.is_empty() {
            if self.used == self.block.len() {
                let mut hasher = Sha256::new();
                hasher.update(self.key);
                hasher.update(self.count.to_le_bytes());
                self.block = hasher.finalize().into();
                (self.count, self.used) = (self.count + 1, 0);
            }
            let left = &self.block[self.used..];
            let length = left.len().min(into.len());
            let (now, later) = into.split_at_mut(length);
            now.copy_from_slice(&left[..length]);
            self.used += length;
            into = later;
        }
    }

    /// The next bytes, as many as there are in `N`.
    pub fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// Which stream is whose.
#[derive(Debug)]
struct Names {
    seed: Seed,
    /// By a part of the command line's digest: how many processes ran it so far.
    commands: BTreeMap<u64, u64>,
    /// How many ran command lines that aren't told apart any more.
    beyond: u64,
}

impl Names {
    /// The stream of the next process with that command line.
    fn next(&mut self, command: &[u8]) -> Stream {
        let digest: [u8; 32] = Sha256::digest(command).into();
        let name = u64::from_le_bytes(std::array::from_fn(|at| digest[at]));
        let is_told = self.commands.len() < COMMANDS || self.commands.contains_key(&name);
        let (what, count): (&[u8], _) = match is_told {
            true => (b"process", self.commands.entry(name).or_default()),
            false => (b"process beyond", &mut self.beyond),
        };
        let number = *count;
        *count += 1;
        Stream::of(&self.seed, what, command, number)
    }
}

/// The streams of one step's processes.
#[derive(Debug)]
pub struct Streams {
    names: Names,
    by_process: BTreeMap<u32, Stream>,
}

impl Streams {
    /// None is read yet.
    pub fn new(seed: Seed) -> Streams {
        Streams {
            names: Names {
                seed,
                commands: BTreeMap::new(),
                beyond: 0,
            },
            by_process: BTreeMap::new(),
        }
    }

    /// A stream for a process that begins with such a command line; `is_there` says which processes
    /// haven't ended.
    pub fn begin(
        &mut self,
        process: u32,
        command: &[u8],
        is_there: impl Fn(u32) -> bool,
    ) -> &mut Stream {
        if self.by_process.len() >= PROCESSES {
            self.by_process.retain(|process, _| is_there(*process));
        }
        let stream = self.names.next(command);
        match self.by_process.entry(process) {
            Entry::Vacant(entry) => entry.insert(stream),
            Entry::Occupied(mut entry) => {
                entry.insert(stream);
                entry.into_mut()
            }
        }
    }

    /// The stream of a process, if it has one: else it was forked, and has executed nothing.
    pub fn get(&mut self, process: u32) -> Option<&mut Stream> {
        self.by_process.get_mut(&process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(streams: &mut Streams, process: u32, command: &str) -> [u8; 8] {
        streams.begin(process, command.as_bytes(), |_| true).take()
    }

    #[test]
    fn a_stream_is_the_same_however_it_is_read() {
        let whole: [u8; 100] = Stream::of(&Seed([7; 32]), b"x", b"y", 3).take();
        let mut pieces = Stream::of(&Seed([7; 32]), b"x", b"y", 3);
        let mut joined = Vec::new();
        for length in [0, 1, 31, 32, 33, 3] {
            let mut piece = vec![0; length];
            pieces.fill(&mut piece);
            joined.extend(piece);
        }
        assert_eq!(joined, whole);
        for (seed, what, command, number) in [
            ([8; 32], "x", "y", 3),
            ([7; 32], "xy", "", 3),
            ([7; 32], "x", "z", 3),
            ([7; 32], "x", "y", 4),
        ] {
            let other = Stream::of(&Seed(seed), what.as_bytes(), command.as_bytes(), number);
            assert_ne!(other.clone().take::<100>(), whole);
        }
    }

    #[test]
    fn it_follows_from_the_command_line_and_not_from_numbers_or_neighbours() {
        let [mut one, mut other] = [(); 2].map(|()| Streams::new(Seed([1; 32])));
        let here = ["a", "b", "a"].map(|command| first(&mut one, 5, command));
        let there: Vec<_> = [(9, "b"), (3, "c"), (3, "a"), (4, "a")]
            .map(|(process, command)| first(&mut other, process, command))
            .into();
        assert_eq!(here, [there[2], there[0], there[3]]);
        assert_ne!(here[0], here[2]);
    }

    #[test]
    fn a_process_goes_on_in_its_stream_until_it_begins_anew() {
        let mut streams = Streams::new(Seed::default());
        let begun: [u8; 4] = streams.begin(1, b"a", |_| true).take();
        assert_ne!(streams.get(1).unwrap().take(), begun);
        assert!(streams.get(2).is_none());
        for process in 2..2 + PROCESSES as u32 {
            streams.begin(process, b"b", |process| process == 1);
        }
        assert!(streams.get(1).is_some() && streams.by_process.len() <= PROCESSES);
    }
}
