//! Jobs that need each other, side by side.
//!
//! In: for each job those that it needs, all of lower number. Out: all done, or the failure that
//! stands first. Which one that is, and which jobs are done before it, does not depend on time: a
//! job behind a failed one is not begun any more, and one before it still is, as it may fail, too.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

struct State<E> {
    /// How many of those that it needs each job waits for.
    waits_for: Vec<usize>,
    ready: BTreeSet<usize>,
    running: usize,
    failed: Option<(usize, E)>,
}

/// Runs every job, at most `threads` at a time, the lowest numbers first.
pub(super) fn run<E: Send>(
    needs: &[BTreeSet<usize>],
    threads: usize,
    job: &(dyn Fn(usize) -> Result<(), E> + Sync),
) -> Result<(), E> {
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
    for (number, needs) in needs.iter().enumerate() {
        for &need in needs {
            needed_by[need].push(number);
        }
    }
    let state = Mutex::new(State {
        waits_for: needs.iter().map(BTreeSet::len).collect(),
        ready: (0..needs.len())
            .filter(|&job| needs[job].is_empty())
            .collect(),
        running: 0,
        failed: None,
    });
    let changed = Condvar::new();
    let worker = || {
        let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = lock();
        loop {
            if let Some(number) = state.ready.pop_first() {
                state.running += 1;
                drop(state);
                let done = job(number);
                state = lock();
                state.running -= 1;
                match done {
                    Ok(()) => {
                        for &next in &needed_by[number] {
                            state.waits_for[next] -= 1;
                            if state.waits_for[next] == 0 {
                                state.ready.insert(next);
                            }
                        }
                    }
                    Err(error) => {
                        if state
                            .failed
                            .as_ref()
                            .is_none_or(|(first, _)| number < *first)
                        {
                            state.failed = Some((number, error));
                        }
                    }
                }
                if let Some((failed, _)) = state.failed {
                    state.ready.split_off(&failed);
                }
                changed.notify_all();
            } else if state.running == 0 {
                return;
            } else {
                state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(needs.len()) {
            scope.spawn(worker);
        }
        worker();
    });
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    state.failed.map_or(Ok(()), |(_, error)| Err(error))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn needs(texts: &[&str]) -> Vec<BTreeSet<usize>> {
        let numbers = |text: &&str| {
            text.split_whitespace()
                .map(|n| n.parse().unwrap())
                .collect()
        };
        texts.iter().map(numbers).collect()
    }

    #[test]
    fn each_job_runs_once_after_those_that_it_needs() {
        let needs = needs(&["", "0", "", "1 2", "0", "3 4"]);
        for threads in 1..4 {
            let done = Mutex::new(Vec::new());
            let job = |number: usize| {
                let so_far = done.lock().unwrap().clone();
                assert!(needs[number].iter().all(|need| so_far.contains(need)));
                done.lock().unwrap().push(number);
                Ok::<_, ()>(())
            };
            run(&needs, threads, &job).unwrap();
            let mut done = done.into_inner().unwrap();
            if threads == 1 {
                assert!(done.is_sorted());
            }
            done.sort();
            assert_eq!(done, [0, 1, 2, 3, 4, 5]);
        }
    }

    #[test]
    fn jobs_that_do_not_need_each_other_run_at_one_time() {
        let barrier = Barrier::new(2);
        let job = |number| {
            if number > 0 {
                // Each waits until the other is there.
                barrier.wait();
            }
            Ok::<_, ()>(())
        };
        run(&needs(&["", "0", "0"]), 2, &job).unwrap();
    }

    #[test]
    fn the_failure_that_stands_first_is_told_whenever_it_comes() {
        // The later one fails first, and then the earlier one is begun or goes on.
        for (second_fails, expected) in [(true, 1), (false, 2)] {
            let has_failed = Barrier::new(2);
            let begun = Mutex::new(Vec::new());
            let job = |number: usize| {
                begun.lock().unwrap().push(number);
                match number {
                    1 => {
                        has_failed.wait();
                        if second_fails { Err(1) } else { Ok(()) }
                    }
                    2 => {
                        has_failed.wait();
                        Err(2)
                    }
                    _ => Ok(()),
                }
            };
            let result = run(&needs(&["", "", "", "2", "1 2"]), 2, &job);
            assert_eq!(result, Err(expected));
            let begun = begun.into_inner().unwrap();
            assert!(!begun.contains(&3) && !begun.contains(&4));
        }
    }

    #[test]
    fn no_jobs_are_done_at_once() {
        run(&[], 2, &|_| Err(())).unwrap();
    }
}
