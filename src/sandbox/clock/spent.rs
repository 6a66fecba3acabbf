//! What the processes of a step have spent of processors.
//!
//! In: one of them. Out: nanoseconds, of it and of all that are in its namespace of processes, with
//! what those that have ended are told for (proc(5), `/proc/PID/stat`).

use std::fs::{read_dir, read_link, read_to_string};

use super::SECOND;

/// The first number of `/proc/PID/stat` behind the name is the third of all; of these four the first is
/// the 14th: `utime`, `stime`, `cutime`, `cstime`.
const TIMES: std::ops::Range<usize> = 11..15;

/// All that was spent in the step of this process: nanoseconds.
pub fn by_step_of(process: u32) -> i64 {
    let namespace = |process: &str| read_link(format!("/proc/{process}/ns/pid")).ok();
    let Some(own) = namespace(&process.to_string()) else {
        return 0;
    };
    let processes = read_dir("/proc").into_iter().flatten().flatten();
    let names = processes.filter_map(|entry| entry.file_name().into_string().ok());
    let numbers = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let of_step = numbers.filter(|number| namespace(number).as_ref() == Some(&own));
    let stats = of_step.filter_map(|number| read_to_string(format!("/proc/{number}/stat")).ok());
    let ticks: i64 = stats.filter_map(|stat| ticks(&stat)).sum();
    let a_second = rustix::param::clock_ticks_per_second().max(1);
    let a_second = i64::try_from(a_second).unwrap_or(SECOND);
    ticks.saturating_mul(SECOND / a_second)
}

/// What a process and the children that it has waited for have spent, in ticks.
fn ticks(stat: &str) -> Option<i64> {
    // The name may be anything, but nothing behind it has a bracket.
    let (_, numbers) = stat.rsplit_once(')')?;
    let numbers: Vec<&str> = numbers.split_ascii_whitespace().collect();
    let times = numbers.get(TIMES)?.iter();
    times.map(|time| time.parse::<i64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn times_are_behind_whatever_the_name_is() {
        let stat = "7 (a) b) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16";
        assert_eq!(ticks(stat), Some(11 + 12 + 13 + 14));
        assert_eq!(ticks("7 (a) R 1"), None);
        assert_eq!(ticks(""), None);
    }

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
