//! A step's own clock: what its programs take for the time of day.
//!
//! In: the instant at which the clock begins. Out: handlers for the step's supervisor, by which
//! `CLOCK_REALTIME` and its kin begin there for every program, whatever it is linked with. Programs
//! mostly read the clock without a system call, in the page that the kernel puts into each of them
//! (vdso(7)): so each is stopped when it has been executed, and that page made to read this clock
//! ([`exec`]); where that page can't be written to, it is hidden. Whoever makes the call all the same
//! is answered ([`calls`]). At the same moment a program's first randomness is set ([`super::random`]).
//! How the clock runs is in [`pace`] alone, and when real time passes instead in [`patience`]. The monotonic clocks are real. Of a step that has the
//! machine's time and is traced the page is hidden, too ([`hidden`]), so that who reads it is seen.
//!
//! It fails closed: a process whose clock can't be set ends the step. What still tells real time:
//! a processor's own counters together with the page behind the vDSO, the kernel's own functions in a vDSO
//! to who looks for them past its symbols, and times of System V's queues, semaphores and shared memory. What
//! others have spent is told by the clocks of clock_getcpuclockid(3), and to who waits for their end by
//! wait4(2) and waitid(2). times(2) gives how long the machine has been up.

mod calls;
mod exec;
mod files;
mod hidden;
mod linked;
mod numbers;
mod own;
pub mod pace;
pub mod patience;
mod processor;
mod spent;
mod stack;
mod stamps;
mod told;
mod trial;
mod vdso;
mod waits;

pub(super) use calls::Clock;
pub(super) use files::{Difference, FileTimes, Files};
pub(super) use hidden::Hidden;
pub(super) use linked::Links;
pub(super) use trial::attempt;

use numbers::Numbers;

use serde::{Deserialize, Serialize};

use super::error::Doing as _;
use super::random::{Random, Shared};
use super::request::Constants;
use super::{Error, Request};

/// Nanoseconds.
pub const SECOND: i64 = 1_000_000_000;

/// How programs are made to read the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ClockWay {
    /// In their own memory.
    #[default]
    Rewritten,
    /// By system calls alone, which is slower: the kernel lets nobody write to their vDSO, or it is
    /// not as known.
    Hidden,
}

/// The clock of a request that has one, what sets the randomness of the programs that begin by it, and how
/// it shows file times: those since the whole second in which its folders were made are the step's.
pub(super) fn of(request: &Request) -> Result<Option<(Clock, Random, FileTimes)>, Error> {
    let Some(Constants { instant, seed }) = request.constants else {
        return Ok(None);
    };
    let began = began(request).doing(|| "read when the step's folders were made".to_owned())?;
    let (shared, numbers) = (Shared::new(seed), Numbers::default());
    let times = FileTimes::new(began, instant, numbers.clone());
    let clock = Clock::new(instant, request.ways.clock, shared.clone(), numbers)?;
    Ok(Some((clock, Random::new(seed, shared), times)))
}

/// The second in which what is the step's began to be made: its own root, which is the folder that what it
/// changes is in.
fn began(request: &Request) -> Result<i64, rustix::io::Errno> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
    let asked = StatxFlags::BTIME | StatxFlags::CTIME;
    let upper = statx(CWD, &request.upper, AtFlags::empty(), asked)?;
    let knows = StatxFlags::from_bits_retain(upper.stx_mask).contains(StatxFlags::BTIME);
    Ok(match knows {
        true => upper.stx_btime.tv_sec,
        // It may have changed since; the other was made after it, and has, too.
        false => upper
            .stx_ctime
            .tv_sec
            .min(rustix::fs::stat(&request.work)?.st_ctime),
    })
}
