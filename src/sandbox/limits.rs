//! What a step may use up: control groups where the machine gives them, resource limits where
//! it doesn't.
//!
//! In: [`Limits`]. Out: a [`Group`] that the step's processes are put in. Of version 2 a group
//! is made beside or above cairn's own, wherever its controllers are; of version 1 below it.

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Resource, Rlimit};

use super::error::{Doing as _, Error};
use super::request::{self, Limits};

/// Where control groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// Groups with the step's limits, gone when this is dropped (all processes in it must be).
pub(super) struct Group {
    folders: Vec<PathBuf>,
}

impl Group {
    /// None where there is no limit, or where this user may make no group.
    pub(super) fn make(limits: &Limits) -> Option<Group> {
        if limits.memory.is_none() && limits.processes.is_none() {
            return None;
        }
        let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let name = format!("cairn-{}", rustix::process::getpid().as_raw_pid());
        let mut group = Group {
            folders: Vec::new(),
        };
        let mut wanted = Vec::new();
        if let Some(memory) = limits.memory {
            wanted.push(("memory", memory));
        }
        if let Some(processes) = limits.processes {
            wanted.push(("pids", processes));
        }
        let is_made = group.make_second(&own, &name, &wanted) || {
            group.remove();
            group.make_first(&own, &name, &wanted)
        };
        is_made.then_some(group)
    }

    fn make_second(&mut self, own: &str, name: &str, wanted: &[(&str, u64)]) -> bool {
        let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::/")) else {
            return false;
        };
        let root = [Path::new(ROOT).to_owned(), Path::new(ROOT).join("unified")];
        let root = root
            .into_iter()
            .find(|root| root.join("cgroup.controllers").exists());
        let Some(root) = root else {
            return false;
        };
        let own = root.join(path);
        for parent in own
            .ancestors()
            .take_while(|parent| parent.starts_with(&root))
        {
            let folder = parent.join(name);
            if std::fs::create_dir(&folder).is_err() {
                continue;
            }
            self.folders.push(folder.clone());
            let is_set = wanted.iter().all(|(controller, limit)| {
                std::fs::write(folder.join(format!("{controller}.max")), limit.to_string()).is_ok()
            });
            if is_set {
                // Without this, a step that may not take memory takes swap.
                let _ = std::fs::write(folder.join("memory.swap.max"), "0");
                return true;
            }
            self.remove();
        }
        false
    }

    fn make_first(&mut self, own: &str, name: &str, wanted: &[(&str, u64)]) -> bool {
        wanted.iter().all(|(controller, limit)| {
            let path = own.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, path) = rest.split_once(":/")?;
                let is_it = controllers.split(',').any(|one| one == *controller);
                is_it.then_some(path)
            });
            let Some(path) = path else {
                return false;
            };
            let folder = Path::new(ROOT).join(controller).join(path).join(name);
            if std::fs::create_dir(&folder).is_err() {
                return false;
            }
            self.folders.push(folder.clone());
            let file = match *controller {
                "memory" => "memory.limit_in_bytes",
                _ => "pids.max",
            };
            let is_set = std::fs::write(folder.join(file), limit.to_string()).is_ok();
            let _ = std::fs::write(
                folder.join("memory.memsw.limit_in_bytes"),
                limit.to_string(),
            );
            is_set
        })
    }

    /// Puts a process there.
    pub(super) fn add(&self, process: Pid) -> Result<(), Error> {
        let pid = process.as_raw_pid().to_string();
        for folder in &self.folders {
            let added = std::fs::write(folder.join("cgroup.procs"), &pid);
            added.doing(|| format!("put the step into `{}`", folder.display()))?;
        }
        Ok(())
    }

    /// Whether the kernel killed one of its processes for memory.
    pub(super) fn is_out_of_memory(&self) -> bool {
        self.folders.iter().any(|folder| {
            let files = ["memory.events", "memory.oom_control"].map(|name| folder.join(name));
            let text = files
                .iter()
                .find_map(|file| std::fs::read_to_string(file).ok());
            let text = text.unwrap_or_default();
            let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
            count.is_some_and(|count| count.trim() != "0")
        })
    }

    fn remove(&mut self) {
        for folder in self.folders.drain(..) {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Sets the request's resource limits on this process. Without a group the step's limits become
/// limits of each process: of the memory that it writes to, and of its user's processes.
pub(super) fn set(request: &request::Request, has_group: bool) -> Result<(), Error> {
    let mut limits = Vec::new();
    if !has_group {
        let each = |limit: Option<u64>| Rlimit {
            current: limit,
            maximum: limit,
        };
        if let Some(memory) = request.limits.memory {
            limits.push((Resource::Data, "data", each(Some(memory))));
        }
        if let Some(processes) = request.limits.processes {
            limits.push((Resource::Nproc, "nproc", each(Some(processes))));
        }
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
