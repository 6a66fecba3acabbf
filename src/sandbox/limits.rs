//! What a step may use up: as a whole where the machine gives control groups, else each process
//! of it by resource limits.
//!
//! In: a request, and which limits are [`Held`] for the step as a whole. Out: this process has the
//! others; or why they can't be held at all.

use std::io;

use rustix::process::{Resource, Rlimit};

use super::error::{Doing as _, Error};
use super::groups::{self, Held};
use super::identity;
use super::outcome::Limit;
use super::request::Request;
use super::session::Identity;

/// Those of the request's limits that hold for each process or user alone; an error if one can't
/// be held even so.
pub(super) fn loose(
    request: &Request,
    identity: Identity,
    held: Held,
) -> Result<Vec<Limit>, Error> {
    let is_loose = |is_wanted: bool, is_held: bool| is_wanted && !is_held;
    let memory = is_loose(request.limits.memory.is_some(), held.memory);
    let processes = is_loose(request.limits.processes.is_some(), held.processes);
    // Who is alone is that one, whoever the command takes itself for.
    let is_root = request.uid == 0 || identity == Identity::Single;
    if processes && is_root && identity::is_machines_root() {
        return Err(Error::Unsupported {
            what: "limit the processes of a command".to_owned(),
            cause: "it may make no control group here, and root's processes are counted by nothing else".to_owned(),
            hint: format!("{}, or leave out `--processes`", groups::remedy()),
        });
    }
    let memory = memory.then_some(Limit::Memory);
    let processes = processes.then_some(Limit::Processes);
    Ok(memory.into_iter().chain(processes).collect())
}

/// What every command has: soft and hard; none is without a limit. As most machines give them, but for
/// those that go by a machine's memory; what is given to nobody is given to no command.
const COMMON: [(Resource, &str, Option<u64>, Option<u64>); 16] = [
    (Resource::As, "as", None, None),
    (Resource::Core, "core", Some(0), Some(0)),
    (Resource::Cpu, "cpu", None, None),
    (Resource::Data, "data", None, None),
    (Resource::Fsize, "fsize", None, None),
    (Resource::Locks, "locks", None, None),
    (Resource::Memlock, "memlock", Some(64 << 10), Some(64 << 10)),
    (Resource::Msgqueue, "msgqueue", Some(819_200), Some(819_200)),
    (Resource::Nice, "nice", Some(0), Some(0)),
    (Resource::Nofile, "nofile", Some(1024), Some(16_384)),
    (Resource::Nproc, "nproc", Some(8192), Some(8192)),
    (Resource::Rss, "rss", None, None),
    (Resource::Rtprio, "rtprio", Some(0), Some(0)),
    (Resource::Rttime, "rttime", None, None),
    (Resource::Sigpending, "sigpending", Some(8192), Some(8192)),
    // Where the kernel puts everything else goes by it.
    (Resource::Stack, "stack", Some(8 << 20), None),
];
/// The way to limits that are not lower than those.
pub(super) const REMEDY: &str = "raise what `ulimit -H` shows, for a container by `--ulimit`: to nofile=16384, nproc=8192, sigpending=8192, and unlimited what commands have so";

/// Whether this process can't give commands their limits.
pub(super) fn are_lower() -> bool {
    COMMON.iter().any(|(resource, _, _, hard)| {
        let own = rustix::process::getrlimit(*resource).maximum;
        own.is_some_and(|own| hard.is_none_or(|hard| own < hard))
    })
}

/// Raises what keeps commands from their limits, where the machine's root may.
pub(super) fn raise() {
    for (resource, _, _, hard) in COMMON {
        let own = rustix::process::getrlimit(resource);
        if own
            .maximum
            .is_some_and(|own| hard.is_none_or(|hard| own < hard))
        {
            let raised = Rlimit {
                maximum: hard,
                ..own
            };
            // What can't be raised is a guarantee that is missing.
            let _ = rustix::process::setrlimit(resource, raised);
        }
    }
}

/// The common limit, or as much of it as this process may give.
fn possible(resource: Resource, soft: Option<u64>, hard: Option<u64>) -> Rlimit {
    let own = rustix::process::getrlimit(resource).maximum;
    let least = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let maximum = least(hard, own);
    Rlimit {
        current: least(soft, maximum),
        maximum,
    }
}

/// Sets the request's resource limits on this process. What no group holds for the step becomes
/// limits of each process: of the memory that it writes to, and of its user's processes.
pub(super) fn set(request: &Request, held: Held) -> Result<(), Error> {
    let mut limits = Vec::new();
    let is_asked = |name: &str| request.rlimits.iter().any(|limit| limit.name == name);
    for (resource, name, soft, hard) in COMMON {
        // Whoever asks for more may have it, if this process has it.
        let (soft, hard) = match resource {
            Resource::Nproc => [soft, hard]
                .map(|limit| limit.max(request.limits.processes))
                .into(),
            _ => (soft, hard),
        };
        if !is_asked(name) {
            limits.push((resource, name, possible(resource, soft, hard)));
        }
    }
    let each = |limit: u64| Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    if let Some(memory) = request.limits.memory.filter(|_| !held.memory) {
        limits.push((Resource::Data, "data", each(memory)));
    }
    if let Some(processes) = request.limits.processes.filter(|_| !held.processes) {
        limits.push((Resource::Nproc, "nproc", each(processes)));
    }
    for limit in &request.rlimits {
        let resource = resource(&limit.name).ok_or_else(|| {
            Error::Refused(format!("there is no resource limit `{}`", limit.name))
        })?;
        let rlimit = Rlimit {
            current: limit.soft,
            maximum: limit.hard,
        };
        limits.push((resource, limit.name.as_str(), rlimit));
    }
    for (resource, name, limit) in limits {
        let set = rustix::process::setrlimit(resource, limit).map_err(io::Error::from);
        set.doing(|| format!("set the resource limit `{name}`, which may not be raised"))?;
    }
    Ok(())
}

fn resource(name: &str) -> Option<Resource> {
    let mut all = COMMON.iter();
    let (resource, ..) = all.find(|(_, other, ..)| *other == name)?;
    Some(*resource)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Limits;

    #[test]
    fn root_s_processes_are_counted_by_groups_or_not_at_all() {
        let limits = Limits {
            memory: Some(1 << 30),
            processes: Some(100),
            time: None,
        };
        let loose = |uid, identity, memory, processes| {
            let request = Request {
                uid,
                limits,
                ..Request::default()
            };
            let told = loose(&request, identity, Held { memory, processes });
            told.map_err(|error| error.to_string())
        };
        let whole = Identity::Whole;
        assert_eq!(loose(0, whole, true, true), Ok(Vec::new()));
        assert_eq!(loose(0, whole, false, true), Ok(vec![Limit::Memory]));
        let both = Ok(vec![Limit::Memory, Limit::Processes]);
        assert_eq!(loose(7, whole, false, false), both);
        if rustix::process::geteuid().is_root() {
            for (uid, identity) in [(0, whole), (0, Identity::Single), (7, Identity::Single)] {
                let error = loose(uid, identity, true, false).unwrap_err();
                assert!(error.contains(groups::remedy()), "{error}");
            }
        }
    }
}
