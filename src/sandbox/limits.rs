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

/// Sets the request's resource limits on this process. What no group holds for the step becomes
/// limits of each process: of the memory that it writes to, and of its user's processes.
pub(super) fn set(request: &Request, held: Held) -> Result<(), Error> {
    let mut limits = Vec::new();
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
        limits.push((resource, &limit.name, rlimit));
    }
    for (resource, name, limit) in limits {
        let set = rustix::process::setrlimit(resource, limit).map_err(io::Error::from);
        set.doing(|| format!("set the resource limit `{name}`, which may not be raised"))?;
    }
    Ok(())
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "as" => Resource::As,
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "locks" => Resource::Locks,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        _ => return None,
    })
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
