//! What a command's programs did: which wrote what, and what each asked for that may be another each
//! time. Kept where it is asked for alone ([`super::Request::trace`]), as every file that is opened is
//! then asked about.
//!
//! In: a step's calls, seen before anybody answers them. Out: a [`Trace`], by which [`Trace::blame`]
//! says for a path which program wrote it, and from which it has what varies: from itself, from one
//! that it is joined to by a pipe, from one that wrote a file which it read, or, as its command line,
//! from who began it. Reads and writes of what is open aren't seen, so this is where to look first, and
//! no proof.

mod arguments;
mod counter;
mod place;
mod tracer;

pub(super) use tracer::Tracer;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use serde::{Deserialize, Serialize};

use crate::canon::EntryPath;
use crate::canon::path::escape;

/// What the programs of a command did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// In the order in which they were first seen.
    pub programs: Vec<Program>,
    /// What they wrote, by its escaped path from the root.
    pub files: BTreeMap<String, Touched>,
    /// Whether more was done than is kept.
    pub is_cut: bool,
}

/// A program that ran: from an exec, or the fork of another, to the next exec or its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its command line.
    pub command: String,
    /// Who began it, by its place among the programs.
    pub parent: Option<usize>,
    /// What it asked for.
    pub asked: BTreeSet<Asked>,
    /// Pipes that it was given, by their inodes.
    pub pipes: BTreeSet<u64>,
}

/// Who touched a file, by their places among the programs, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// Who opened it to write, or made it, the last at the end.
    pub writers: Vec<usize>,
    /// Who opened it to read after that.
    pub readers: Vec<usize>,
}

/// Something that may be another each time, the surest to differ first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// The machine's time of day.
    Clock,
    /// The machine's chance.
    Chance,
    /// The network.
    Network,
    /// A folder that outlives the build.
    Cache,
    /// The processor's own counter: its program has an instruction that reads it.
    Counter,
    /// Files of processes in `/proc`.
    Process,
    /// How long something takes: a clock that counts from the machine's begin.
    Duration,
}

/// Who wrote a path, and what varies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// Who wrote it last.
    pub writer: usize,
    /// Whether several did that don't follow from each other.
    pub has_several: bool,
    /// Who asked for something that varies, and what: the one nearest to who wrote it. None where
    /// nobody did whose words may have come there.
    pub source: Option<(usize, Asked)>,
}

/// How far a program is from who began it: what it has from there is its command line, so that others
/// come first.
const TO_PARENT: u32 = 2;
/// Of what many ask for that write nothing of it, those count that are no further away than this.
const NEAR: u32 = 1;

impl Trace {
    /// Who wrote what is at `path`, and from whom it may have something that `varies`; none where
    /// nobody was seen to.
    pub fn blame(&self, path: &EntryPath, varies: impl Fn(Asked) -> bool) -> Option<Blame> {
        let touched = self.files.get(&escape(path.as_bytes()))?;
        let known = |it: &&usize| **it < self.programs.len();
        let writers: Vec<usize> = touched.writers.iter().filter(known).copied().collect();
        let writer = *writers.last()?;
        let distances = self.distances(&writers);
        // By what is surest, then by who is nearest; of those as near as each other the last.
        let asked = distances.iter().flat_map(|(&program, &distance)| {
            let asked = self.programs[program].asked.iter();
            let asked = asked.filter(|asked| varies(**asked));
            let asked = asked.map(move |&asked| {
                let is_weak = matches!(asked, Asked::Counter | Asked::Process | Asked::Duration);
                (is_weak, distance, asked, Reverse(program))
            });
            asked.filter(|(is_weak, distance, ..)| !is_weak || *distance <= NEAR)
        });
        let source = asked.min();
        let roots: BTreeSet<usize> = writers
            .iter()
            .map(|&it| self.line_of(it, &writers))
            .collect();
        Some(Blame {
            writer,
            has_several: roots.len() > 1,
            source: source.map(|(.., asked, Reverse(program))| (program, asked)),
        })
    }

    /// A program, who began it, who began that one, and so on.
    fn line(&self, program: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(program), |&program| {
            let parent = self.programs.get(program)?.parent;
            // Who began it was there before it.
            parent.filter(|parent| *parent < program)
        })
    }

    /// The first of `writers` among a program and those that it was begun by.
    fn line_of(&self, program: usize, writers: &[usize]) -> usize {
        let line = self.line(program).filter(|it| writers.contains(it));
        line.last().unwrap_or(program)
    }

    /// From whom each program has something by a pipe.
    fn by_pipes(&self) -> BTreeMap<usize, BTreeSet<usize>> {
        let mut holders: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (number, program) in self.programs.iter().enumerate() {
            for &pipe in &program.pipes {
                holders.entry(pipe).or_default().push(number);
            }
        }
        let mut from: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for holders in holders.values() {
            let Some(&first) = holders.first() else {
                continue;
            };
            let is_line = holders
                .iter()
                .all(|&it| self.line(it).any(|it| it == first));
            match self.programs[first].parent.filter(|_| is_line) {
                // Where nobody else has it, who made it reads it.
                Some(parent) => from.entry(parent).or_default().extend(holders),
                None => {
                    for &holder in holders {
                        from.entry(holder).or_default().extend(holders);
                    }
                }
            }
        }
        from
    }

    /// How far those are from whom `from` may have something.
    fn distances(&self, from: &[usize]) -> BTreeMap<usize, u32> {
        let mut near = self.by_pipes();
        for touched in self.files.values() {
            for &reader in &touched.readers {
                near.entry(reader).or_default().extend(&touched.writers);
            }
        }
        let mut distances = BTreeMap::new();
        let mut open: BinaryHeap<_> = from.iter().map(|&it| Reverse((0, it))).collect();
        while let Some(Reverse((distance, program))) = open.pop() {
            let Some(it) = self.programs.get(program) else {
                continue;
            };
            if distances.contains_key(&program) {
                continue;
            }
            distances.insert(program, distance);
            let near = near.get(&program).into_iter().flatten();
            open.extend(near.map(|&next| Reverse((distance + 1, next))));
            open.extend(it.parent.map(|next| Reverse((distance + TO_PARENT, next))));
        }
        distances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(command: &str, parent: Option<usize>, asked: &[Asked], pipes: &[u64]) -> Program {
        Program {
            command: command.to_owned(),
            parent,
            asked: asked.iter().copied().collect(),
            pipes: pipes.iter().copied().collect(),
        }
    }

    fn trace(programs: Vec<Program>, files: &[(&str, &[usize], &[usize])]) -> Trace {
        let touched = files.iter().map(|(path, writers, readers)| {
            let touched = Touched {
                writers: writers.to_vec(),
                readers: readers.to_vec(),
            };
            ((*path).to_owned(), touched)
        });
        Trace {
            programs,
            files: touched.collect(),
            is_cut: false,
        }
    }

    fn blamed(trace: &Trace, path: &str) -> (usize, bool, Option<(usize, Asked)>) {
        let blame = trace
            .blame(&EntryPath::new(path.as_bytes()).unwrap(), |_| true)
            .unwrap();
        (blame.writer, blame.has_several, blame.source)
    }

    #[test]
    fn what_varies_is_followed_to_who_asked_for_it() {
        let shell = || program("sh", None, &[], &[]);
        let date = |parent, pipes: &[u64]| program("date", Some(parent), &[Asked::Clock], pipes);
        // By itself.
        let it = trace(vec![shell(), date(0, &[])], &[("now", &[0, 1], &[])]);
        assert_eq!(blamed(&it, "now"), (1, false, Some((1, Asked::Clock))));
        // By one that it began to read what that says.
        let it = trace(vec![shell(), date(0, &[5])], &[("now", &[0], &[])]);
        assert_eq!(blamed(&it, "now"), (0, false, Some((1, Asked::Clock))));
        // By a pipe, and not by who asked beside it.
        let tee = program("tee", Some(0), &[], &[7]);
        let other = program("mktemp", Some(0), &[Asked::Chance], &[]);
        let it = trace(
            vec![shell(), other, date(0, &[7]), tee],
            &[("now", &[3], &[])],
        );
        assert_eq!(blamed(&it, "now"), (3, false, Some((2, Asked::Clock))));
        // By a file, and another.
        let copy = |parent| program("cp", Some(parent), &[], &[]);
        let programs = vec![shell(), date(0, &[]), copy(0), copy(0)];
        let files: &[(&str, &[usize], &[usize])] =
            &[("a", &[1], &[2]), ("b", &[2], &[3]), ("c", &[3], &[])];
        assert_eq!(
            blamed(&trace(programs, files), "c"),
            (3, false, Some((1, Asked::Clock)))
        );
        // By its command line.
        let touch = || program("touch -d @1", Some(0), &[], &[]);
        let it = trace(vec![shell(), date(0, &[5]), touch()], &[("t", &[2], &[])]);
        assert_eq!(blamed(&it, "t"), (2, false, Some((1, Asked::Clock))));
        // And not because it stands in the same script.
        let it = trace(vec![shell(), date(0, &[]), touch()], &[("t", &[2], &[])]);
        assert_eq!(blamed(&it, "t"), (2, false, None));
    }

    #[test]
    fn what_nearly_all_ask_for_counts_least_and_several_writers_are_told() {
        let asks = |asked, parent| program("x", parent, &[asked], &[]);
        let mut chance = asks(Asked::Chance, Some(0));
        chance.pipes.insert(3);
        let it = trace(
            vec![asks(Asked::Duration, None), chance],
            &[("f", &[0], &[])],
        );
        assert_eq!(blamed(&it, "f").2, Some((1, Asked::Chance)));
        let silent = |parent| program("x", parent, &[], &[]);
        let it = trace(
            vec![silent(None), silent(Some(0)), silent(Some(0))],
            &[("f", &[1, 2], &[]), ("g", &[0, 1], &[])],
        );
        assert_eq!(blamed(&it, "f"), (2, true, None));
        assert_eq!(blamed(&it, "g"), (1, false, None));
        assert_eq!(it.blame(&EntryPath::new(b"h").unwrap(), |_| true), None);
        // What is damaged is no more than odd.
        let it = trace(
            vec![silent(Some(9)), silent(Some(1))],
            &[("f", &[1, 7], &[8])],
        );
        assert_eq!(blamed(&it, "f"), (1, false, None));
    }
}
