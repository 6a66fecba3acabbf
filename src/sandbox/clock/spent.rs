//! What the processes of a step have spent of processors.
//!
//! In: one of them. Out: nanoseconds, of all that are in its namespace of processes, and of their children
//! that have ended.

use std::fs::read_link;

use super::SECOND;
use crate::sandbox::processes::{self, Stat};

/// All that was spent in the step of this process: nanoseconds.
pub fn by_step_of(process: u32) -> i64 {
    let namespace = |process: u32| read_link(format!("/proc/{process}/ns/pid")).ok();
    let Some(own) = namespace(process) else {
        return 0;
    };
    let all = processes::all().into_iter();
    let of_step = all.filter(|number| namespace(*number).as_ref() == Some(&own));
    let ticks: u64 = of_step.filter_map(Stat::of).map(|stat| stat.spent).sum();
    let a_second = rustix::param::clock_ticks_per_second().max(1);
    let seconds = u128::from(ticks) * u128::from(SECOND.unsigned_abs()) / u128::from(a_second);
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_is_spent_is_seen() {
        let process = std::process::id();
        let before = by_step_of(process);
        // Twenty times what is counted in.
        let mut last = before;
        let begin = Instant::now();
        while last - before < SECOND / 5 {
            assert!(begin.elapsed().as_secs() < 60, "{before} {last}");
            let part = Instant::now();
            while part.elapsed().as_millis() < 50 {
                std::hint::spin_loop();
            }
            last = by_step_of(process);
        }
        assert_eq!(by_step_of(u32::MAX), 0);
    }
}
