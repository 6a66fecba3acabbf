//! The machine that every command is on: the same one, whatever machine builds.
//!
//! In: the requests' names and instants. Out: constants, as files ([`files`]) and as answers to system
//! calls ([`calls`]). They are part of the format: a command may write any of them into its layer.
//!
//! | fact | what it is | why so |
//! | --- | --- | --- |
//! | kernel | `5.15.0-cairn`, `#1 SMP Tue Jan 1 00:00:00 UTC 1980` | older than every kernel that a clock can be set on: who goes by it asks for nothing that isn't there; newer than any libc asks for |
//! | processors | 4, of the x86-64-v2 level (aarch64: ARMv8.0) | `make -j$(nproc)` keeps four busy: fewer would waste most machines, and more take more memory than many have; who looks for instructions asks the processor itself |
//! | memory | 8 GiB, no swap, 7 GiB free | 2 GiB a processor, as for most build machines; a JVM that takes a quarter takes 2 GiB |
//! | disk | 1 TiB, half of it free, an overlay | more than any check before an installation asks for |
//! | up | for a minute, with no load | |
//! | limits | as `limits` has them | |
//! | niceness | counted from what the step began with | |
//!
//! What a command is told is no promise: it may have fewer processors and less memory. What is left
//! real, as it belongs to one process and nobody can say it in the kernel's stead at a price that
//! would do: the files of `/proc/PID` (`status` says real processors; `mountinfo`, `mounts` and
//! `mountstats` say the numbers of mounts and devices, and the store's file system where
//! something is bound; to answer each open(2) by a supervisor costs some 15 us, twice a compiler's
//! time for a small header), the names in `/proc`, which depend on the kernel's configuration,
//! the processor a thread is on (from the vDSO; by system call it is the first), CPUID, and
//! what getrusage(2) and times(2) tell, which are durations. A set-user-ID program has its
//! addresses randomised by the kernel, whatever its caller has.

mod affinity;
mod calls;
mod directories;
pub mod disk;
pub mod files;
mod listing;

pub(super) use calls::Facts;
pub(super) use directories::Directories;

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
