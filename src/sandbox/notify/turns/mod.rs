//! Whose turn it is where a step's processes run one at a time (`--strict`). Pure, but for who looks.
//!
//! In: which calls wait, and what the processes do. Out: the call that is answered next. Every call is
//! handed over then, and only those of one process are answered: until it waits for something else, has
//! ended, or has had its share of calls. Processes meet in calls alone, so what comes of the others' code
//! meanwhile nobody sees. The turn goes round in the order in which they were born, which one at a time
//! makes the same in every run; so does the order of all that they write, as in DetTrace (Navarro Leija
//! et al., ASPLOS 2020) and Hermit. Threads of one process run beside each other; so does what shares
//! memory. Who comes back from the network or a timer comes when that does, and who writes more than a pipe
//! holds to the step's own output waits for who reads it outside.

mod look;
mod rules;

pub use look::Proc;
pub use rules::{birth, rules};

use std::collections::{BTreeMap, BTreeSet};

/// Calls of one process in a turn, so that who asks again and again for what another has yet to do isn't
/// alone for ever.
const SHARE: u32 = 10_000;

/// What a process does whose calls don't wait for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs, or will soon.
    Runs,
    /// It waits for what others do.
    Waits,
    /// It waits where none can wait for others but who waits for a child to begin (vfork(2)).
    Still,
    /// It has ended.
    Gone,
}

/// What a call may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Birth {
    /// No process.
    None,
    /// A process.
    Child,
    /// A process that its parent waits for.
    Waited,
}

/// Who looks at processes, which have numbers.
pub trait Look {
    /// Its children, in the order of their births.
    fn children(&self, process: u32) -> Vec<u32>;
    /// What it does.
    fn state(&self, process: u32) -> State;
    /// Whether it runs for so long without a call that others are let go on.
    fn is_overdue(&self) -> bool;
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The call at that place is answered; `is_new` where the turn went on to another process.
    Answer {
        /// Which of those that wait.
        at: usize,
        /// Whether the turn went on.
        is_new: bool,
    },
    /// Somebody runs: it calls or ends soon.
    Soon,
    /// All wait for what comes from elsewhere.
    Idle,
}

/// Whose turn it is.
#[derive(Debug, Default)]
pub struct Turns {
    /// In the order of their births.
    processes: Vec<u32>,
    holder: Option<u32>,
    /// How many calls it has had in this turn.
    calls: u32,
    /// Those that ran for so long without a call that nobody waits for them until they call.
    overdue: BTreeSet<u32>,
    /// Threads whose last call makes a process that isn't known yet.
    births: BTreeMap<u32, u32>,
    /// Threads that may wait for a child to begin, until they call again; and their processes.
    parents: BTreeMap<u32, u32>,
}

/// A call that waits.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// Whose it is.
    pub thread: u32,
    /// Of which process.
    pub process: u32,
}

impl Turns {
    /// Which call is next of those that wait, in the order of their arrival.
    pub fn next(&mut self, waiting: impl Iterator<Item = Waiting>, look: &impl Look) -> Next {
        let mut ready: BTreeMap<u32, usize> = BTreeMap::new();
        for (at, Waiting { thread, process }) in waiting.enumerate() {
            ready.entry(process).or_insert(at);
            // What it made is there, if it made something.
            if self.births.remove(&thread).is_some() {
                self.know_all(look.children(process));
            }
            self.parents.remove(&thread);
        }
        let unborn: Vec<(u32, u32)> = self.births.iter().map(|(it, of)| (*it, *of)).collect();
        // Of a child that isn't seen among the parent's, its first call tells.
        let is_known = |process: &u32| self.processes.contains(process);
        let has_called = !ready.keys().all(is_known);
        for (thread, process) in unborn {
            let is_born = self.know_all(look.children(process)) || has_called;
            if !is_born && look.state(process) != State::Gone && !look.is_overdue() {
                return Next::Soon;
            }
            self.births.remove(&thread);
        }
        for process in ready.keys() {
            self.know(*process);
            self.overdue.remove(process);
        }
        let held = self.holder;
        let at_holder = held.and_then(|it| self.processes.iter().position(|there| *there == it));
        let first = match at_holder {
            Some(at) if self.calls < SHARE => at,
            Some(at) => at + 1,
            None => 0,
        };
        let mut gone = Vec::new();
        let count = self.processes.len();
        let mut next = Next::Idle;
        for step in 0..count {
            let process = self.processes[(first + step) % count];
            if let Some(at) = ready.get(&process) {
                let is_new = held != Some(process) || self.calls >= SHARE;
                next = Next::Answer { at: *at, is_new };
                break;
            }
            match look.state(process) {
                State::Gone => gone.push(process),
                State::Waits => {}
                State::Still if self.parents.values().any(|it| *it == process) => {}
                State::Runs | State::Still if self.overdue.contains(&process) => {}
                State::Runs | State::Still if look.is_overdue() => {
                    self.overdue.insert(process);
                }
                State::Runs | State::Still => {
                    next = Next::Soon;
                    break;
                }
            }
        }
        self.forget(&gone);
        next
    }

    /// A call is answered, which may make a process.
    pub fn answered(&mut self, call: Waiting, birth: Birth) {
        let Waiting { thread, process } = call;
        if self.holder != Some(process) || self.calls >= SHARE {
            self.calls = 0;
        }
        self.holder = Some(process);
        self.calls += 1;
        if birth != Birth::None {
            self.births.insert(thread, process);
        }
        if birth == Birth::Waited {
            self.parents.insert(thread, process);
        }
    }

    /// Whether there are new ones among them.
    fn know_all(&mut self, processes: Vec<u32>) -> bool {
        let before = self.processes.len();
        processes.into_iter().for_each(|one| self.know(one));
        self.processes.len() > before
    }

    fn know(&mut self, process: u32) {
        if !self.processes.contains(&process) {
            self.processes.push(process);
        }
    }

    /// Forgets who has ended; the turn is then with who comes before them.
    fn forget(&mut self, gone: &[u32]) {
        for process in gone {
            let Some(at) = self.processes.iter().position(|it| it == process) else {
                continue;
            };
            self.births.retain(|_, of| of != process);
            self.overdue.remove(process);
            self.parents.retain(|_, of| of != process);
            if self.holder == Some(*process) {
                let before = at.checked_sub(1).map(|before| self.processes[before]);
                // Its turn is over, wherever it goes on.
                (self.holder, self.calls) = (before, SHARE);
            }
            self.processes.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Made {
        children: BTreeMap<u32, Vec<u32>>,
        states: BTreeMap<u32, State>,
        is_overdue: bool,
    }

    impl Look for Made {
        fn children(&self, process: u32) -> Vec<u32> {
            self.children.get(&process).cloned().unwrap_or_default()
        }

        fn state(&self, process: u32) -> State {
            self.states.get(&process).copied().unwrap_or(State::Gone)
        }

        fn is_overdue(&self) -> bool {
            self.is_overdue
        }
    }

    /// A call of a process's only thread.
    fn of(process: u32) -> Waiting {
        Waiting {
            thread: process,
            process,
        }
    }

    /// Who is answered, of those who wait.
    fn answered(turns: &mut Turns, look: &Made, waiting: &[u32]) -> Option<u32> {
        match turns.next(waiting.iter().copied().map(of), look) {
            Next::Answer { at, .. } => {
                turns.answered(of(waiting[at]), Birth::None);
                Some(waiting[at])
            }
            _ => None,
        }
    }

    #[test]
    fn one_goes_on_until_it_waits_or_ends_and_then_who_was_born_next() {
        let (mut turns, mut look) = (Turns::default(), Made::default());
        turns.next([of(7)].into_iter(), &look);
        turns.answered(of(7), Birth::Child);
        look.states.insert(7, State::Runs);
        assert_eq!(turns.next([].into_iter(), &look), Next::Soon);
        // The child's number may be less, and it may be the first to call.
        look.children.insert(7, vec![5]);
        look.states.insert(5, State::Runs);
        assert_eq!(turns.next([of(5)].into_iter(), &look), Next::Soon);
        assert_eq!(answered(&mut turns, &look, &[5, 7]), Some(7));
        look.states.insert(7, State::Waits);
        assert_eq!(answered(&mut turns, &look, &[5]), Some(5));
        look.states.insert(5, State::Runs);
        // Who was woken has to wait.
        assert_eq!(answered(&mut turns, &look, &[7]), None);
        look.states.remove(&5);
        assert_eq!(answered(&mut turns, &look, &[7]), Some(7));
        look.states.insert(7, State::Waits);
        assert_eq!(turns.next([].into_iter(), &look), Next::Idle);
    }

    #[test]
    fn the_turn_goes_round_whoever_comes_first() {
        let (mut turns, mut look) = (Turns::default(), Made::default());
        for process in [1, 2, 3] {
            look.states.insert(process, State::Runs);
        }
        assert_eq!(answered(&mut turns, &look, &[1, 2, 3]), Some(1));
        look.states.insert(1, State::Waits);
        // The third was first; the second runs still.
        assert_eq!(answered(&mut turns, &look, &[3]), None);
        assert_eq!(answered(&mut turns, &look, &[3, 2]), Some(2));
        look.states.insert(2, State::Gone);
        assert_eq!(answered(&mut turns, &look, &[1, 3]), Some(3));
        look.states.insert(3, State::Waits);
        assert_eq!(answered(&mut turns, &look, &[1]), Some(1));
    }

    #[test]
    fn nobody_is_alone_for_ever() {
        let (mut turns, mut look) = (Turns::default(), Made::default());
        let mut had = BTreeMap::new();
        for _ in 0..4 * SHARE {
            let one = answered(&mut turns, &look, &[1, 2]).unwrap();
            *had.entry(one).or_insert(0) += 1;
        }
        assert_eq!(had, BTreeMap::from([(1, 2 * SHARE), (2, 2 * SHARE)]));
        look.states.insert(1, State::Runs);
        assert_eq!(answered(&mut turns, &look, &[2]), None);
        look.is_overdue = true;
        assert_eq!(answered(&mut turns, &look, &[2]), Some(2));
        // Nobody waits for it again until it calls.
        look.is_overdue = false;
        assert_eq!(answered(&mut turns, &look, &[2]), Some(2));
        look.states.insert(2, State::Waits);
        assert_eq!(answered(&mut turns, &look, &[1]), Some(1));
        assert_eq!(answered(&mut turns, &look, &[2]), None);
    }

    #[test]
    fn a_thread_waits_for_its_child_whatever_others_do_beside_it() {
        let (mut turns, mut look) = (Turns::default(), Made::default());
        let [one, other] = [1, 9].map(|thread| Waiting { thread, process: 1 });
        turns.answered(one, Birth::Waited);
        look.states.insert(1, State::Still);
        look.children.insert(1, vec![2]);
        assert!(matches!(
            turns.next([other].into_iter(), &look),
            Next::Answer { .. }
        ));
        turns.answered(other, Birth::None);
        assert_eq!(answered(&mut turns, &look, &[2]), Some(2));
        // It calls again: nobody waits for a child any more.
        turns.next([one].into_iter(), &look);
        turns.answered(one, Birth::None);
        assert_eq!(answered(&mut turns, &look, &[2]), None);
    }

    #[test]
    fn a_child_that_is_not_seen_among_its_parents_is_known_by_its_call() {
        let (mut turns, mut look) = (Turns::default(), Made::default());
        turns.next([of(1)].into_iter(), &look);
        turns.answered(of(1), Birth::Waited);
        look.states.insert(1, State::Still);
        assert_eq!(answered(&mut turns, &look, &[]), None);
        assert_eq!(answered(&mut turns, &look, &[2]), Some(2));
        // And one that there never is isn't waited for for ever.
        let (mut turns, mut look) = (Turns::default(), Made::default());
        turns.next([of(1), of(3)].into_iter(), &look);
        turns.answered(of(1), Birth::Child);
        look.states.insert(1, State::Waits);
        assert_eq!(answered(&mut turns, &look, &[3]), None);
        look.is_overdue = true;
        assert_eq!(answered(&mut turns, &look, &[3]), Some(3));
    }

    #[test]
    fn who_waits_for_its_child_to_begin_lets_it() {
        for (birth, expected) in [(Birth::Waited, Some(2)), (Birth::Child, None)] {
            let (mut turns, mut look) = (Turns::default(), Made::default());
            turns.next([of(1)].into_iter(), &look);
            turns.answered(of(1), birth);
            look.states.insert(1, State::Still);
            assert_eq!(answered(&mut turns, &look, &[]), None);
            look.children.insert(1, vec![2]);
            assert_eq!(answered(&mut turns, &look, &[2]), expected);
        }
    }
}
