//! Control groups: limits for all processes of a step together.
//!
//! In: [`Limits`]. Out: a [`Group`] that the step's processes are put in. It is made below cairn's
//! own group and nowhere else, so that what holds for cairn holds for the step. Of version 2 a
//! group with processes can't hand its controllers down: where all of its processes are cairn's,
//! and a limit was asked for, these move to a group below it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::process::Pid;

use super::error::{Doing as _, Error};
use super::request::Limits;

/// Where control groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";
/// What the names of steps' groups begin with.
const STEP: &str = "cairn-step-";
/// The group that cairn's own processes move to.
const OWN: &str = "cairn-self";
/// Most processes and threads of a step that nobody gave a limit: more than builds need.
const PROCESSES: u64 = 32768;
/// How often a name is tried, or a group emptied, before that is given up.
const ATTEMPTS: u32 = 5;

/// Which limits hold for a step as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub memory: bool,
    pub processes: bool,
}

/// Groups with the step's limits, gone when this is dropped (all processes in it must be).
#[derive(Debug, Default)]
pub(super) struct Group {
    folders: Vec<Folder>,
    held: Held,
}

/// A limit, as a controller wants it.
struct Wanted {
    controller: &'static str,
    /// The file of version 2 that it is written to.
    file: &'static str,
    limit: u64,
    /// Whether cairn's processes may be moved for it.
    is_asked: bool,
}

impl Group {
    /// With those of the limits that can be held, and one of processes in any case, where this
    /// user may make groups. `cairn` is the process of cairn's that began all others of its.
    pub(super) fn make(limits: &Limits, cairn: Pid) -> Group {
        let mut wanted = Vec::new();
        if let Some(limit) = limits.memory {
            wanted.push(Wanted {
                controller: "memory",
                file: "memory.max",
                limit,
                is_asked: true,
            });
        }
        wanted.push(Wanted {
            controller: "pids",
            file: "pids.max",
            limit: limits.processes.unwrap_or_else(default_processes),
            is_asked: limits.processes.is_some(),
        });
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut group = Group::default();
        let root = Path::new(ROOT);
        let mut held = Vec::new();
        for root in [root.to_owned(), root.join("unified")] {
            let path = own.lines().find_map(|line| line.strip_prefix("0::/"));
            if let Some(path) = path.filter(|_| root.join("cgroup.controllers").exists())
                && let Some((folder, controllers)) = second(&root.join(path), &wanted, cairn)
            {
                group.folders.push(folder);
                held.extend(controllers);
            }
        }
        for wanted in &wanted {
            if !held.contains(&wanted.controller)
                && let Some(folder) = first(root, &own, wanted)
            {
                group.folders.push(folder);
                held.push(wanted.controller);
            }
        }
        group.held = Held {
            memory: held.contains(&"memory"),
            processes: held.contains(&"pids"),
        };
        group
    }

    /// Which limits it holds.
    pub(super) fn held(&self) -> Held {
        self.held
    }

    /// Puts a process there.
    pub(super) fn add(&self, process: Pid) -> Result<(), Error> {
        let pid = process.as_raw_pid().to_string();
        for Folder { path, .. } in &self.folders {
            let added = std::fs::write(path.join("cgroup.procs"), &pid);
            added.doing(|| format!("put the step into `{}`", path.display()))?;
        }
        Ok(())
    }

    /// Whether the kernel killed one of its processes for memory.
    pub(super) fn is_out_of_memory(&self) -> bool {
        self.folders.iter().any(|Folder { path, .. }| {
            let files = ["memory.events", "memory.oom_control"].map(|name| path.join(name));
            let text = files
                .iter()
                .find_map(|file| std::fs::read_to_string(file).ok());
            let text = text.unwrap_or_default();
            let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
            count.is_some_and(|count| count.trim() != "0")
        })
    }
}

/// The way to groups of cairn's own, or to limits without.
pub fn remedy() -> &'static str {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let is_root = rustix::process::geteuid().is_root();
    let has_systemd = Path::new("/run/systemd/system").exists();
    match (are_groups_read_only(&mounts), has_systemd, is_root) {
        (true, ..) => "limit the container itself (`--memory` and `--pids-limit` of its engine)",
        (false, true, true) => "begin with `systemd-run --scope -p Delegate=yes cairn build …`",
        (false, true, false) => {
            "begin with `systemd-run --user --scope -p Delegate=yes cairn build …`"
        }
        (false, false, _) => {
            "begin cairn in a control group with `memory` and `pids` that its user may make others in"
        }
    }
}

/// Whether all control groups are mounted for reading only, as in a container.
fn are_groups_read_only(mountinfo: &str) -> bool {
    // proc(5): before the dash the place is followed by the mount's own options.
    let mut mounts = mountinfo.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let is_group = file_system.starts_with("cgroup");
        let options = mount.split(' ').nth(5).filter(|_| is_group)?;
        Some(options.split(',').any(|option| option == "ro"))
    });
    mounts.next().is_some_and(|first| first) && mounts.all(|is_read_only| is_read_only)
}

/// The parent of a process.
pub(super) fn parent(process: Pid) -> Option<Pid> {
    let status = format!("/proc/{}/status", process.as_raw_pid());
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    Pid::from_raw(line.trim().parse().ok()?)
}

/// Half of what the machine has at most, so that something is left for who ends the step.
fn default_processes() -> u64 {
    let most = ["pid_max", "threads-max"].map(|name| {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}"));
        text.ok().and_then(|text| text.trim().parse::<u64>().ok())
    });
    let most = most.into_iter().flatten().map(|most| most / 2);
    most.fold(PROCESSES, u64::min)
}

/// A group of version 2 below `own`, with those of `wanted` that it can have: with their
/// controllers.
fn second(own: &Path, wanted: &[Wanted], cairn: Pid) -> Option<(Folder, Vec<&'static str>)> {
    // Cairn's processes may have moved before.
    let own = match own.file_name() {
        Some(name) if name == OWN => own.parent()?,
        _ => own,
    };
    let there = std::fs::read_to_string(own.join("cgroup.controllers")).ok()?;
    let is_there = |wanted: &&Wanted| {
        let mut there = there.split_whitespace();
        there.any(|controller| controller == wanted.controller)
    };
    let wanted: Vec<_> = wanted.iter().filter(is_there).collect();
    let may_move = wanted.iter().any(|wanted| wanted.is_asked);
    if wanted.is_empty() || !(hand_down(own, &wanted) || may_move && move_down(own, &wanted, cairn))
    {
        return None;
    }
    let folder = Folder::make(own).ok()?;
    for Wanted { file, limit, .. } in &wanted {
        std::fs::write(folder.path.join(file), limit.to_string()).ok()?;
    }
    let controllers: Vec<_> = wanted.iter().map(|wanted| wanted.controller).collect();
    if controllers.contains(&"memory") {
        // Without this, a step that may not take memory takes swap.
        let _ = std::fs::write(folder.path.join("memory.swap.max"), "0");
    }
    Some((folder, controllers))
}

/// Has the groups below `own` have these controllers.
fn hand_down(own: &Path, wanted: &[&Wanted]) -> bool {
    let file = own.join("cgroup.subtree_control");
    let given = std::fs::read_to_string(&file).unwrap_or_default();
    wanted.iter().all(|Wanted { controller, .. }| {
        let is_given = given.split_whitespace().any(|given| given == *controller);
        is_given || std::fs::write(&file, format!("+{controller}")).is_ok()
    })
}

/// Moves all processes of `own` to a group of their own below it, if they are cairn's, so that it
/// can hand its controllers down.
fn move_down(own: &Path, wanted: &[&Wanted], cairn: Pid) -> bool {
    let below = own.join(OWN);
    for _ in 0..ATTEMPTS {
        let processes = processes(own);
        let Some(processes) =
            processes.filter(|all| all.iter().all(|&process| began(cairn, process)))
        else {
            break;
        };
        // Another step of cairn's may be at it, too.
        match std::fs::create_dir(&below) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return false,
            _ => {}
        }
        put(&below, &processes);
        // A process that one of them began meanwhile is still there.
        if hand_down(own, wanted) {
            return true;
        }
    }
    put(own, &processes(&below).unwrap_or_default());
    let _ = std::fs::remove_dir(&below);
    false
}

/// What is not to be put is gone, or stays.
fn put(group: &Path, processes: &[Pid]) {
    for process in processes {
        let pid = process.as_raw_pid().to_string();
        let _ = std::fs::write(group.join("cgroup.procs"), pid);
    }
}

/// The processes of a group; none if not all can be seen from here, for which it says 0.
fn processes(group: &Path) -> Option<Vec<Pid>> {
    let text = std::fs::read_to_string(group.join("cgroup.procs")).ok()?;
    let pid = |line: &str| Pid::from_raw(line.trim().parse().ok()?);
    text.lines().map(pid).collect()
}

/// Whether `ancestor` is a process, or began it, or one that did.
fn began(ancestor: Pid, process: Pid) -> bool {
    std::iter::successors(Some(process), |&process| parent(process)).any(|one| one == ancestor)
}

/// A group of version 1 below cairn's own, with that limit.
fn first(root: &Path, own: &str, wanted: &Wanted) -> Option<Folder> {
    let path = own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(":/")?;
        let mut controllers = controllers.split(',');
        controllers
            .any(|one| one == wanted.controller)
            .then_some(path)
    })?;
    let folder = Folder::make(&root.join(wanted.controller).join(path)).ok()?;
    let file = match wanted.controller {
        "memory" => "memory.limit_in_bytes",
        _ => "pids.max",
    };
    let limit = wanted.limit.to_string();
    std::fs::write(folder.path.join(file), &limit).ok()?;
    let _ = std::fs::write(folder.path.join("memory.memsw.limit_in_bytes"), limit);
    Some(folder)
}

/// A group that is gone when this is dropped.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Locked, so that nobody takes it for left.
    _lock: File,
}

impl Folder {
    fn make(parent: &Path) -> io::Result<Folder> {
        remove_left(parent);
        for _ in 0..ATTEMPTS {
            let path = parent.join(format!("{STEP}{}", random()?));
            match std::fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other?,
            }
            // Who removes what is left may have been faster.
            if let Some(_lock) = locked(&path).filter(|_| path.exists()) {
                return Ok(Folder { path, _lock });
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Removes groups that a killed cairn left.
#[expect(clippy::disallowed_methods, reason = "each is removed, in any order")]
fn remove_left(parent: &Path) {
    let Ok(groups) = std::fs::read_dir(parent) else {
        return;
    };
    for group in groups.flatten() {
        let is_step = group.file_name().to_string_lossy().starts_with(STEP);
        if is_step && let Some(_lock) = locked(&group.path()) {
            // One with processes stays, as the kernel has it.
            let _ = std::fs::remove_dir(group.path());
        }
    }
}

fn locked(group: &Path) -> Option<File> {
    let file = File::open(group).ok()?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(file)
}

fn random() -> io::Result<String> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(format!("{:016x}", u64::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    #[test]
    fn control_groups_of_a_container_are_told_by_their_mounts() {
        let group =
            |options| format!("83 75 0:29 /x /sys/fs/cgroup/cpu {options} - cgroup c rw,cpu\n");
        let other = "71 25 254:0 / / ro,relatime - ext4 /dev/vda rw\n";
        let ro = group("ro,nosuid,relatime master:1");
        assert!(are_groups_read_only(&format!("{other}{ro}{ro}")));
        assert!(!are_groups_read_only(&format!(
            "{ro}{}",
            group("rw,nosuid")
        )));
        assert!(!are_groups_read_only(other));
    }

    /// A group of version 2, with a process in it that sleeps.
    struct Ground {
        group: PathBuf,
        wanted: Wanted,
        sleeper: Child,
    }

    impl Ground {
        /// None where this machine has no controller of version 2 to give, or gives none to us.
        fn new(is_asked: bool) -> Option<Ground> {
            let root = [ROOT, "/sys/fs/cgroup/unified"].map(Path::new);
            let given = |root: &&Path| std::fs::read_to_string(root.join("cgroup.subtree_control"));
            let (root, given) = root
                .iter()
                .find_map(|root| Some((root, given(root).ok()?)))?;
            let (controller, file) = [("pids", "pids.max"), ("hugetlb", "hugetlb.2MB.max")]
                .into_iter()
                .find(|(name, _)| given.split_whitespace().any(|given| given == *name))?;
            let group = root.join(format!("cairn-test-{}", random().unwrap()));
            std::fs::create_dir(&group).ok()?;
            let sleeper = Command::new("sleep").arg("1000").spawn().unwrap();
            let ground = Ground {
                group,
                wanted: Wanted {
                    controller,
                    file,
                    limit: 4 << 20,
                    is_asked,
                },
                sleeper,
            };
            put(&ground.group, &[ground.sleeper()]);
            assert_eq!(processes(&ground.group), Some(vec![ground.sleeper()]));
            Some(ground)
        }

        fn sleeper(&self) -> Pid {
            Pid::from_child(&self.sleeper)
        }

        fn second(&self, own: &Path, cairn: Pid) -> Option<Folder> {
            let made = second(own, std::slice::from_ref(&self.wanted), cairn);
            made.map(|(folder, _)| folder)
        }
    }

    impl Drop for Ground {
        fn drop(&mut self) {
            let _ = self.sleeper.kill();
            let _ = self.sleeper.wait();
            for group in [self.group.join(OWN), self.group.clone()] {
                let _ = std::fs::remove_dir(group);
            }
        }
    }

    #[test]
    fn cairn_moves_down_so_that_steps_are_below_its_own_group() {
        let Some(ground) = Ground::new(true) else {
            return;
        };
        let (own, below) = (&ground.group, ground.group.join(OWN));
        let group = ground.second(own, ground.sleeper()).unwrap();
        assert_eq!(group.path.parent(), Some(own.as_path()));
        let limit = std::fs::read_to_string(group.path.join(ground.wanted.file)).unwrap();
        assert_eq!(limit.trim(), (4 << 20).to_string());
        assert_eq!(processes(own), Some(Vec::new()));
        assert_eq!(processes(&below), Some(vec![ground.sleeper()]));
        // The next step is told of the group that cairn is in now.
        let next = ground.second(&below, ground.sleeper()).unwrap();
        assert_eq!(next.path.parent(), Some(own.as_path()));
        let paths = [group.path.clone(), next.path.clone()];
        drop((group, next));
        assert!(paths.iter().all(|path| !path.exists()));
    }

    #[test]
    fn what_is_not_cairn_s_is_not_moved_nor_cairn_without_need() {
        for is_asked in [true, false] {
            let Some(ground) = Ground::new(is_asked) else {
                return;
            };
            let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
            let cairn = match is_asked {
                true => Pid::from_child(&other),
                false => ground.sleeper(),
            };
            let made = ground.second(&ground.group, cairn);
            other.kill().unwrap();
            other.wait().unwrap();
            assert!(made.is_none() && !ground.group.join(OWN).exists());
            assert_eq!(processes(&ground.group), Some(vec![ground.sleeper()]));
        }
    }

    #[test]
    fn groups_that_were_left_are_removed_and_those_in_use_are_not() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join(format!("{STEP}left"));
        let other = parent.path().join("other");
        for folder in [&left, &other] {
            std::fs::create_dir(folder).unwrap();
        }
        let first = Folder::make(parent.path()).unwrap();
        let second = Folder::make(parent.path()).unwrap();
        assert!(!left.exists() && other.exists() && first.path.exists());
        let path = first.path.clone();
        drop(first);
        assert!(!path.exists() && second.path.exists());
    }

    #[test]
    fn processes_have_those_that_began_them() {
        let me = rustix::process::getpid();
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let found = (began(me, pid), began(pid, me), began(me, me), parent(pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, (true, false, true, Some(me)));
    }
}
