//! What files say of the machine. Pure.
//!
//! In: a request's host name and clock. Out: texts by their paths in `/proc`, `/proc/sys` and `/sys`, in
//! the form that Linux 5.15 gives them (proc(5)).

use std::fmt::Write as _;

use super::{BEGUN, BOOT, CACHED, DOMAIN, FREE, MEMORY, PROCESSORS, RELEASE, SYSTEM, UP, VERSION};
use crate::sandbox::{Request, etc};

/// A file, by its path.
pub type File = (&'static str, String);

/// Files of `/proc`. What isn't there on this machine's kernel stays away.
pub fn proc(request: &Request) -> Vec<File> {
    let fixed = FIXED.map(|(name, text)| (name, text.to_owned()));
    let mut files = fixed.to_vec();
    files.extend([
        ("version", version()),
        ("cpuinfo", processors()),
        ("meminfo", memory()),
        ("stat", stat(request)),
        (
            "uptime",
            format!("{UP}.00 {}.00\n", UP * i64::from(PROCESSORS)),
        ),
        ("softirqs", counters(&SOFT_INTERRUPTS)),
        ("interrupts", counters(&[])),
    ]);
    files
}

/// Files of `/proc/sys`: what a C library, a language's runtime or a database looks for.
pub fn settings(request: &Request) -> Vec<File> {
    let fixed = SETTINGS.map(|(name, text)| (name, text.to_owned()));
    let mut files = fixed.to_vec();
    files.extend(names(request));
    files
}

/// Those of `/proc/sys` that tell what uname(2) tells, and which machine it is.
pub fn names(request: &Request) -> [File; 6] {
    let line = |text: &str| format!("{text}\n");
    [
        ("kernel/ostype", line(SYSTEM)),
        ("kernel/osrelease", line(RELEASE)),
        ("kernel/version", line(VERSION)),
        ("kernel/hostname", line(etc::hostname(request))),
        ("kernel/domainname", line(DOMAIN)),
        ("kernel/random/boot_id", line(BOOT)),
    ]
}

/// Files of `/sys`: those by which processors are counted. What has no text is a directory.
pub fn devices() -> Vec<(String, Option<String>)> {
    let last = PROCESSORS - 1;
    let all = format!("0-{last}\n");
    let files = [
        ("online", all.clone()),
        ("possible", all.clone()),
        ("present", all),
        ("offline", "\n".to_owned()),
        ("kernel_max", format!("{last}\n")),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), Some(text)));
    // Older C libraries count these.
    let folders = (0..PROCESSORS).map(|number| (format!("cpu{number}"), None));
    let all = files.into_iter().chain(folders);
    all.map(|(name, text)| (format!("devices/system/cpu/{name}"), text))
        .collect()
}

const FIXED: [(&str, &str); 16] = [
    ("cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"),
    ("cmdline", "quiet\n"),
    ("consoles", ""),
    (
        "devices",
        "Character devices:\n  1 mem\n  5 /dev/tty\n136 pts\n\nBlock devices:\n",
    ),
    ("diskstats", ""),
    (
        "filesystems",
        "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevpts\nnodev\tmqueue\nnodev\toverlay\n\text4\n",
    ),
    ("kpagecount", ""),
    ("loadavg", "0.00 0.00 0.00 1/1 1\n"),
    ("locks", ""),
    ("mdstat", "Personalities : \nunused devices: <none>\n"),
    ("misc", ""),
    ("modules", ""),
    ("partitions", "major minor  #blocks  name\n\n"),
    (
        "swaps",
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
    ),
    (
        "vmstat",
        "nr_free_pages 1835008\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgfault 0\npgmajfault 0\n",
    ),
    ("zoneinfo", ""),
];

const SOFT_INTERRUPTS: [&str; 10] = [
    "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU",
];

/// Values of the kernel itself, for a machine of this size.
const SETTINGS: [(&str, &str); 44] = [
    ("fs/aio-max-nr", "65536\n"),
    ("fs/file-max", "9223372036854775807\n"),
    ("fs/inotify/max_queued_events", "16384\n"),
    ("fs/inotify/max_user_instances", "128\n"),
    ("fs/inotify/max_user_watches", "65536\n"),
    ("fs/mqueue/msg_max", "10\n"),
    ("fs/mqueue/msgsize_max", "8192\n"),
    ("fs/mqueue/queues_max", "256\n"),
    ("fs/nr_open", "1048576\n"),
    ("fs/overflowgid", "65534\n"),
    ("fs/overflowuid", "65534\n"),
    ("fs/pipe-max-size", "1048576\n"),
    ("fs/protected_hardlinks", "1\n"),
    ("fs/protected_symlinks", "1\n"),
    ("kernel/cap_last_cap", "40\n"),
    ("kernel/core_pattern", "core\n"),
    ("kernel/core_uses_pid", "0\n"),
    ("kernel/msgmax", "8192\n"),
    ("kernel/msgmnb", "16384\n"),
    ("kernel/msgmni", "32000\n"),
    ("kernel/ngroups_max", "65536\n"),
    ("kernel/overflowgid", "65534\n"),
    ("kernel/overflowuid", "65534\n"),
    ("kernel/pid_max", "32768\n"),
    ("kernel/random/entropy_avail", "256\n"),
    ("kernel/random/poolsize", "256\n"),
    ("kernel/random/urandom_min_reseed_secs", "60\n"),
    ("kernel/random/write_wakeup_threshold", "256\n"),
    ("kernel/randomize_va_space", "0\n"),
    ("kernel/sem", "32000\t1024000000\t500\t32000\n"),
    ("kernel/shmall", "18446744073692774399\n"),
    ("kernel/shmmax", "18446744073692774399\n"),
    ("kernel/shmmni", "4096\n"),
    ("kernel/tainted", "0\n"),
    ("kernel/threads-max", "63704\n"),
    ("net/core/rmem_max", "212992\n"),
    ("net/core/somaxconn", "4096\n"),
    ("net/core/wmem_max", "212992\n"),
    ("net/ipv4/ip_forward", "0\n"),
    ("net/ipv4/ip_local_port_range", "32768\t60999\n"),
    ("vm/max_map_count", "65530\n"),
    ("vm/nr_hugepages", "0\n"),
    ("vm/overcommit_memory", "0\n"),
    ("vm/swappiness", "60\n"),
];

fn version() -> String {
    format!("{SYSTEM} version {RELEASE} (cairn@cairn) (gcc, GNU ld) {VERSION}\n")
}

/// A processor of x86-64-v2 (System V ABI, "Micro-Architecture Levels"), and what every kernel of it
/// tells besides; of ARMv8.0 on aarch64.
fn processors() -> String {
    let mut text = String::new();
    for number in 0..PROCESSORS {
        let _ = match std::env::consts::ARCH {
            "aarch64" => write!(
                text,
                "processor\t: {number}\nBogoMIPS\t: 100.00\nFeatures\t: fp asimd\n\
                 CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n\
                 CPU part\t: 0xd03\nCPU revision\t: 4\n\n",
            ),
            _ => write!(
                text,
                "processor\t: {number}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 37\n\
                 model name\t: cairn (x86-64-v2)\nstepping\t: 1\nmicrocode\t: 0x1\n\
                 cpu MHz\t\t: 2000.000\ncache size\t: 4096 KB\nphysical id\t: 0\n\
                 siblings\t: {PROCESSORS}\ncore id\t\t: {number}\ncpu cores\t: {PROCESSORS}\n\
                 apicid\t\t: {number}\ninitial apicid\t: {number}\nfpu\t\t: yes\n\
                 fpu_exception\t: yes\ncpuid level\t: 11\nwp\t\t: yes\n\
                 flags\t\t: fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat \
                 pse36 clflush mmx fxsr sse sse2 ht syscall nx lm constant_tsc nopl cpuid pni \
                 ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm\nbugs\t\t:\nbogomips\t: 4000.00\n\
                 clflush size\t: 64\ncache_alignment\t: 64\n\
                 address sizes\t: 40 bits physical, 48 bits virtual\npower management:\n\n",
            ),
        };
    }
    text
}

fn memory() -> String {
    let lines = [
        ("MemTotal", MEMORY),
        ("MemFree", FREE),
        ("MemAvailable", FREE + CACHED),
        ("Buffers", 0),
        ("Cached", CACHED),
        ("SwapCached", 0),
        ("Active", CACHED),
        ("Inactive", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("AnonPages", 0),
        ("Mapped", 0),
        ("Shmem", 0),
        ("Slab", 0),
        ("SReclaimable", 0),
        ("SUnreclaim", 0),
        ("PageTables", 0),
        ("CommitLimit", MEMORY / 2),
        ("Committed_AS", 0),
        ("VmallocTotal", 34_359_738_367 << 10),
        ("VmallocUsed", 0),
        ("VmallocChunk", 0),
    ];
    let mut text = String::new();
    for (name, bytes) in lines {
        let _ = writeln!(text, "{:<15} {:>8} kB", format!("{name}:"), bytes >> 10);
    }
    for name in ["HugePages_Total", "HugePages_Free"] {
        let _ = writeln!(text, "{:<15} {:>8}", format!("{name}:"), 0);
    }
    text + "Hugepagesize:       2048 kB\n"
}

/// Processors that were idle since the machine was begun.
fn stat(request: &Request) -> String {
    // In hundredths of a second (`USER_HZ`).
    let idle = UP * 100;
    let mut text = format!("cpu  0 0 0 {} 0 0 0 0 0 0\n", idle * i64::from(PROCESSORS));
    for number in 0..PROCESSORS {
        let _ = writeln!(text, "cpu{number} 0 0 0 {idle} 0 0 0 0 0 0");
    }
    let clock = request.constants.map(|constants| constants.instant);
    let begun = clock.unwrap_or(BEGUN) - UP;
    let _ = writeln!(
        text,
        "intr 0\nctxt 0\nbtime {begun}\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n\
         softirq 0 0 0 0 0 0 0 0 0 0 0"
    );
    text
}

/// A table with a column for each processor.
fn counters(rows: &[&str]) -> String {
    let columns = 0..PROCESSORS;
    let head = columns
        .clone()
        .map(|number| format!("{:<11}", format!("CPU{number}")));
    let mut text = format!("{:>16}{}\n", "", head.collect::<String>().trim_end());
    for row in rows {
        let zeros = columns.clone().map(|_| format!(" {:>10}", 0));
        let _ = writeln!(
            text,
            "{:>12}{}",
            format!("{row}:"),
            zeros.collect::<String>()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{Constants, Seed};

    fn text(name: &str, request: &Request) -> String {
        let files = proc(request).into_iter().chain(settings(request));
        let mut found = files.filter(|(other, _)| *other == name);
        let (_, text) = found.next().unwrap();
        assert!(found.next().is_none(), "{name}");
        text
    }

    #[test]
    fn processors_are_counted_the_same_everywhere() {
        let request = Request::default();
        let lines = |name: &str, begin: &str| {
            let text = text(name, &request);
            text.lines().filter(|line| line.starts_with(begin)).count()
        };
        assert_eq!(lines("cpuinfo", "processor\t:"), 4);
        // And one for all of them.
        assert_eq!(lines("stat", "cpu"), 5);
        let devices = devices();
        let folders = devices.iter().filter(|(_, text)| text.is_none());
        assert_eq!(folders.count(), 4);
        let online = |(path, text): &(String, Option<String>)| {
            path.ends_with("/online") && text.as_deref() == Some("0-3\n")
        };
        assert!(devices.iter().any(online));
    }

    #[test]
    fn a_machine_was_begun_before_its_clock() {
        let request = Request {
            constants: Some(Constants {
                instant: 1_700_000_000,
                seed: Seed::default(),
            }),
            ..Request::default()
        };
        assert!(text("stat", &request).contains("\nbtime 1699999940\n"));
        let request = Request::default();
        assert!(text("stat", &request).contains("\nbtime 315532740\n"));
        assert!(text("uptime", &request).starts_with("60.00 "));
    }

    #[test]
    fn the_host_is_named_as_asked() {
        let request = Request {
            hostname: Some("other".to_owned()),
            ..Request::default()
        };
        assert_eq!(text("kernel/hostname", &request), "other\n");
        assert_eq!(text("kernel/domainname", &request), "(none)\n");
        assert!(text("version", &request).contains(&text("kernel/osrelease", &request)[..7]));
    }
}
