//! The machine that every command is on: the same one, whatever machine builds.
//!
//! In: the requests' names and instants. Out: constants, as files ([`files`]) and as answers to system
//! calls ([`calls`]). They are part of the format: a command may write any of them into its layer.
//!
//! | fact | what it is | how it is told |
//! | --- | --- | --- |
//! | host | `cairn`, or as the request says; domain `(none)` | uname(2) and files of `/proc/sys/kernel` are answered and mounted; `etc` has `/etc/hostname`, `/etc/hosts` |
//! | kernel | `5.15.0-cairn`, `#1 SMP Tue Jan 1 00:00:00 UTC 1980`: older than every kernel that a clock can be set on, so that who goes by it asks for nothing that isn't there; newer than any libc asks for | the same |
//! | processors | 4, of the x86-64-v2 level (aarch64: ARMv8.0): `make -j$(nproc)` keeps four busy; fewer would waste most machines, and more take more memory than many have | sched_getaffinity(2), getcpu(2) answered, what sched_setaffinity(2) sets kept in [`affinity`]; files `/proc/cpuinfo`, `/proc/stat`, `/sys/devices/system/cpu`; rseq(2) isn't there |
//! | memory | 8 GiB, no swap, 7 GiB free: 2 GiB a processor, as for most build machines; a JVM that takes a quarter takes 2 GiB | sysinfo(2) answered; `/proc/meminfo`, `/proc/vmstat` mounted |
//! | disk | 1 TiB, half of it free, an overlay: more than any check before an installation asks for; memory that the request gives a size is as large | statfs(2) and fstatfs(2) answered |
//! | load, time up | none, a minute | sysinfo(2) answered; `/proc/loadavg`, `/proc/uptime`, `/proc/stat` mounted |
//! | boot | always the same one | `/proc/sys/kernel/random/boot_id` mounted |
//! | the machine's name | the image's `/etc/machine-id`, if it has one | nothing of the host's is there: no DMI tables in `/sys` |
//! | settings | the kernel's own, those that programs look for | a `/proc/sys` of files, and nothing else in it |
//! | the rest of `/proc` | empty | mounted over |
//! | control groups | the root of one kind | a namespace of the step's own; `/proc/PID/cgroup` answered at open(2), by [`processes`] |
//! | mounts | of an overlay, of memory; numbered from 20; without what `/proc` is masked with | `/proc/PID/mountinfo`, `mounts`, `mountstats`, the same |
//! | a process's processors, when it began, what it has spent | all 4; with the machine; nothing | `/proc/PID/status`, `stat`, `schedstat`, the same |
//! | users of its namespace | all | `/proc/PID/uid_map`, `gid_map`, `setgroups`, the same |
//! | disks | without flags, labels, UUIDs, places of files and sharing of these | refused, by [`refused`] |
//! | resource limits | as most machines give them | set, by `limits` |
//! | niceness, scheduling | counted from what the step began with; as usual | getpriority(2), setpriority(2) answered where that isn't 0; set |
//! | addresses | where the kernel puts things without chance | set by personality(2) |
//! | order of directories | by name | getdents(2) answered, by [`directories`] |
//! | variables | constants by which tools leave out chance and time | set, by `step::run::environment` |
//!
//! What is mounted costs next to nothing; what is answered costs 6 to 20 us a call, so that what every
//! program calls all the time is not.
//!
//! What a command is told is no promise: it may have fewer processors and less memory. With every
//! capability (`security=insecure`) it sees `/proc/sys` as it is, file systems as they are, and
//! directories as they are stored.
//!
//! Still real, as it belongs to one process and nobody can say it in the kernel's stead at a price that
//! would do:
//! - the files of `/proc/PID`, but for those above: what they say is of that process at that moment.
//!   Those above are real, too, for who opens them to be closed by an exec, as Python and Go do, and where a
//!   command has the world's time and chance: to answer each open(2) only for them would cost twice a
//!   compiler's time for a small header;
//! - the names in `/proc` and `/proc/net`, by the kernel's configuration, and counters of the latter;
//! - numbers of namespaces and sockets, ports that the kernel chooses;
//! - numbers of inodes and devices: to show others is to keep a table of all files of a step, while they are
//!   renamed and linked. Of what stays in layers, archives of cpio hold them, unless made with
//!   `--reproducible`, databases of Berkeley DB, and git's index;
//! - the processor that a thread is on, by the vDSO, which may be past the fourth; by system call it is
//!   the first. CPUID, and what the kernel tells of the processor beside a program's arguments
//!   (getauxval(3));
//! - clocks that count from the machine's begin (clock_gettime(2), and what times(2) gives), and what wait4(2)
//!   and waitid(2) tell of who has ended: they are durations, another each time on one machine, too;
//! - where a set-user-ID program lies, or one that sets another personality(2), as `linux32` does: the
//!   kernel has it by chance then.

mod affinity;
mod calls;
mod directories;
pub mod disk;
pub mod files;
mod given;
mod listing;
mod processes;
pub(super) mod refused;
mod texts;

pub(super) use calls::Facts;
pub(super) use directories::Directories;
pub(super) use given::Given;
pub(super) use processes::Processes;

/// `sysname` of uname(2).
pub const SYSTEM: &str = "Linux";
/// `release`.
pub const RELEASE: &str = "5.15.0-cairn";
/// `version`.
pub const VERSION: &str = "#1 SMP Tue Jan 1 00:00:00 UTC 1980";
/// `domainname`, as a kernel has it where none was set.
pub const DOMAIN: &str = "(none)";
/// What names the time since the machine was begun (random(4), "boot_id"): `cairn`, in a UUID of
/// version 4.
pub const BOOT: &str = "63616972-6e00-4000-8000-000000000001";
/// How many processors there are.
pub const PROCESSORS: u32 = 4;
/// Bytes of memory.
pub const MEMORY: u64 = 8 << 30;
/// Bytes of it that nobody uses.
pub const FREE: u64 = 7 << 30;
/// Bytes of it that tell what files hold.
pub const CACHED: u64 = 512 << 20;
/// For how many seconds the machine has been up.
pub const UP: i64 = 60;
/// When a machine without a clock of the step's own was begun: 1980-01-01.
pub const BEGUN: i64 = 315_532_800;
