//! What processes do, as `/proc` tells it.
//!
//! In: their numbers. Out: [`State`]s and children.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Look, State};
use crate::sandbox::processes::{self, Stat};

/// How long one may run without a call before others are let go on: it may wait for them in memory that
/// they share.
const OVERDUE: Duration = Duration::from_secs(600);

/// Who looks into `/proc`.
#[derive(Debug)]
pub struct Proc {
    /// By the number of a process when it began, in ticks since boot: numbers are given out again.
    began: RefCell<BTreeMap<u32, u64>>,
    /// When a call was answered last.
    answered: Cell<Instant>,
}

impl Proc {
    /// From now on.
    pub fn new() -> Proc {
        Proc {
            began: RefCell::default(),
            answered: Cell::new(Instant::now()),
        }
    }

    /// A call is answered now.
    pub fn answers(&self) {
        self.answered.set(Instant::now());
    }
}

fn named(letter: char) -> State {
    match letter {
        'R' => State::Runs,
        'D' => State::Still,
        'Z' | 'X' | 'x' => State::Gone,
        _ => State::Waits,
    }
}

/// What a process does whose threads do this: what the busiest of them does.
fn of_all(threads: impl Iterator<Item = State>) -> State {
    let states: Vec<State> = threads.collect();
    let order = [State::Runs, State::Still, State::Waits];
    let busiest = order.into_iter().find(|state| states.contains(state));
    busiest.unwrap_or(State::Gone)
}

impl Look for Proc {
    fn children(&self, process: u32) -> Vec<u32> {
        let mut children = processes::children(process);
        let is_there =
            |child: &u32| Stat::of(*child).is_some_and(|it| named(it.state) != State::Gone);
        children.retain(is_there);
        children
    }

    fn state(&self, process: u32) -> State {
        let mut known = self.began.borrow_mut();
        let stat = Stat::of(process);
        let stat = stat.filter(|it| *known.entry(process).or_insert(it.began) == it.began);
        let state = match stat {
            None => State::Gone,
            Some(stat) if stat.threads == 1 => named(stat.state),
            Some(_) => {
                let threads = processes::threads(process).into_iter();
                let stats = threads.filter_map(|thread| Stat::of_thread(process, thread));
                of_all(stats.map(|stat| named(stat.state)))
            }
        };
        if state == State::Gone {
            known.remove(&process);
        }
        state
    }

    fn is_overdue(&self) -> bool {
        self.answered.get().elapsed() >= OVERDUE
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_as_busy_as_its_busiest_thread() {
        for (threads, expected) in [
            (&[State::Waits, State::Runs, State::Gone][..], State::Runs),
            (&[State::Waits, State::Still], State::Still),
            (&[State::Gone, State::Waits], State::Waits),
            (&[State::Gone], State::Gone),
            (&[], State::Gone),
        ] {
            assert_eq!(of_all(threads.iter().copied()), expected);
        }
    }

    #[test]
    fn it_sees_a_child_that_waits_and_ends() {
        let look = Proc::new();
        let mut child = Command::new("cat");
        let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
        let number = child.id();
        assert!(look.children(std::process::id()).contains(&number));
        while look.state(number) != State::Waits {
            std::thread::yield_now();
        }
        drop(child.stdin.take());
        while look.state(number) != State::Gone {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(look.state(number), State::Gone);
        // This one has threads, one of which runs.
        assert_eq!(look.state(std::process::id()), State::Runs);
    }
}
