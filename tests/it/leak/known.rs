//! What is known to differ from build to build, and why it is left so.

/// Something that programs can learn.
pub struct Leak {
    /// The ways by which they do; `*` stands for anything.
    pub ways: &'static [&'static str],
    /// Whether every two builds differ in one of them; else some do.
    pub is_certain: bool,
    /// What it tells.
    pub tells: &'static str,
    /// What it would cost to close it.
    pub cost: &'static str,
}

impl Leak {
    pub fn is_of(&self, way: &str) -> bool {
        self.ways.iter().any(|pattern| is_like(way, pattern))
    }
}

/// Whether a pattern has a text, its stars standing for anything.
pub fn is_like(text: &str, pattern: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else {
        return text == pattern;
    };
    text.strip_prefix(begin).is_some_and(|text| {
        let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        ends.into_iter().any(|at| is_like(&text[at..], rest))
    })
}

/// The first that has a way.
pub fn of(way: &str) -> Option<&'static Leak> {
    KNOWN.iter().find(|leak| leak.is_of(way))
}

/// By what they tell.
pub static KNOWN: &[Leak] = &[
    Leak {
        ways: &["rdtsc", "rdtscp"],
        is_certain: true,
        tells: "cycles since the machine was begun",
        cost: "PR_SET_TSC ends programs that count cycles, unless each count is answered by a signal's handler in them",
    },
    Leak {
        ways: &["rdrand", "rdseed"],
        is_certain: true,
        tells: "the processor's chance",
        cost: "no kernel can refuse them outside a virtual machine; OpenSSL and others mix them with what the step has seeded, or can be told not to",
    },
    Leak {
        ways: &["vvar page *"],
        is_certain: true,
        tells: "real time, to who reads the kernel's numbers behind the vDSO",
        cost: "without that page each reading of a monotonic clock is a system call, ten times as slow",
    },
    Leak {
        ways: &["vDSO, its bytes"],
        is_certain: true,
        tells: "when a program began, as the step's clock is kept there",
        cost: "that clock has to know it",
    },
    Leak {
        ways: &["clock MONOTONIC*", "clock BOOTTIME*", "times, since boot"],
        is_certain: true,
        tells: "how long the machine has been up, and durations",
        cost: "waits are by these clocks: one that doesn't run hangs programs; a time namespace could have them begin at 0, and they would tell durations all the same",
    },
    Leak {
        ways: &[
            "/proc/self/schedstat, closed by exec, *",
            "turns of a thread while another sleeps",
            "alarms within so many turns",
            "*what is left",
            "*what is left in seconds",
            "fdinfo of timerfd*",
            "timer_create, /proc/self/timers",
            "TCP_INFO, durations",
            "TCP_TIMESTAMP",
            "order in which processes end",
            "order of two threads",
        ],
        is_certain: true,
        tells: "durations, and who came first",
        cost: "two threads that count tell as much: only running one at a time would do, several times as slow",
    },
    Leak {
        ways: &["the clock after a sleep*"],
        is_certain: false,
        tells: "whether a signal came while a sleep began, or later",
        cost: "the kernel says only afterwards for how long it slept",
    },
    Leak {
        ways: &["mkstemp", "mkdtemp"],
        is_certain: true,
        tells: "the monotonic clock, of which glibc up to 2.36 makes names",
        cost: "to look at every name that is made; those of mktemp and the compilers are, which end up in files",
    },
    Leak {
        ways: &[
            "msgctl, times",
            "shmctl, times",
            "semctl, times",
            "with queues, /proc/sysvipc/*",
        ],
        is_certain: true,
        tells: "real time, of what is done to System V's queues, shared memory and semaphores",
        cost: "the kernel tells it to processes of the step's namespace alone, so that one of cairn's would have to be there for each call",
    },
    Leak {
        ways: &[
            "UDP, port *",
            "TCP, port *",
            "Unix, name that the kernel chose",
            "a packet's number",
        ],
        is_certain: true,
        tells: "the kernel's chance, where it chooses a port or a name for a socket",
        cost: "to choose ports in its stead at each bind and connect, and so to keep a list of those in use",
    },
    Leak {
        ways: &["*, COOKIE", "*NETNS_COOKIE", "*INCOMING_CPU", "*, port"],
        is_certain: true,
        tells: "how many sockets the machine has had; the processor that took a message",
        cost: "getsockopt(2) answered in all its forms, for what hardly anything asks for",
    },
    Leak {
        ways: &["inotify, cookie"],
        is_certain: true,
        tells: "how many renamings the machine has had that somebody watched",
        cost: "reads of such files answered, as it is in the bytes that they give",
    },
    Leak {
        ways: &[
            "ctime, /input",
            "birth, /input",
            "statx times, /input",
            "* an input that was read",
            "ctime, /dev/*",
            "birth, /dev/*",
            "statx times, /dev/*",
        ],
        is_certain: false,
        tells: "to users who aren't let to every file, when a layer was unpacked",
        cost: "50 us in the place of 8 for each stat(2) of theirs of a file from below, to find out what they may",
    },
    Leak {
        ways: &[
            "inode*",
            "device, *",
            "statx number and device, *",
            "statx mount, *",
            "statx unique mount, *",
            "statx attributes, *",
            "statx more, *",
            "/proc/self/fdinfo/*",
            "/proc/self/maps, closed by exec, devices and inodes",
            "/proc/self/mount*, closed by exec",
            "/proc/self/smaps*",
            "link /proc/self/fd/*",
            "hole of new folder",
            "links, /proc",
            "netlink sockets *, head",
            "/proc/net/unix*",
        ],
        is_certain: true,
        tells: "numbers of files, devices and mounts; a little of the file system's kind",
        cost: "a table of all files for each step, kept while they are renamed and linked; those that cpio writes down are answered",
    },
    Leak {
        ways: &[
            "namespace *",
            "link /proc/self/ns/*",
            "PIDFD_GET_INFO, control group",
        ],
        is_certain: true,
        tells: "how many namespaces and control groups the machine has had",
        cost: "readlink(2) answered for every symlink in the world, for these ten",
    },
    Leak {
        ways: &[
            "rdtscp, processor",
            "rdpid",
            "segment limit, processor",
            "getcpu, libc",
            "getcpu, vDSO, processor",
            "cpuid 1.0",
            "cpuid b.*",
            "cpuid 1f.*",
        ],
        is_certain: false,
        tells: "the processor that a thread is on",
        cost: "the kernel has it in a register that programs may read; to pin each step to one processor would take it the others",
    },
    Leak {
        ways: &[
            "cpuid *",
            "getauxval 16",
            "getauxval 26",
            "xgetbv",
            "ARCH_GET_XCOMP_SUPP",
        ],
        is_certain: false,
        tells: "what the processor is able to do, and what it is called",
        cost: "ARCH_SET_CPUID is there on some machines alone (Intel's; AMD's since Linux 6.17), and each use would be answered by a signal",
    },
    Leak {
        ways: &["/proc/net/*", "netlink *"],
        is_certain: true,
        tells: "counters and times of the kernel's network, some of all the machine's",
        cost: "to answer netlink; the files could be masked, if anything wrote them down",
    },
    Leak {
        ways: &["/proc/1/*"],
        is_certain: true,
        tells: "addresses, memory and scheduling of cairn's own process, which is the step's first",
        cost: "to exec another program for that",
    },
    Leak {
        ways: &[
            "/proc/self/status, Vm*",
            "/proc/self/status, Rss*",
            "/proc/self/status, *voluntary_ctxt_switches",
            "/proc/self/status, closed by exec, *",
            "/proc/self/statm*",
            "/proc/self/stat, word 24",
            "/proc/self/io, *",
            "/proc/self/numa_maps*",
            "mincore of the program",
        ],
        is_certain: true,
        tells: "how much of a process is in memory, and what it had to wait for",
        cost: "it is what programs ask these files for",
    },
    Leak {
        ways: &["*, closed by exec*"],
        is_certain: true,
        tells: "what the same file without O_CLOEXEC doesn't",
        cost: "to answer every open(2) of a library, too: twice a compiler's time for a small header",
    },
    Leak {
        ways: &["sched_getattr"],
        is_certain: false,
        tells: "how nice the build is",
        cost: "one more call answered; getpriority(2), which all use, is",
    },
    Leak {
        ways: &["nice"],
        is_certain: false,
        tells: "how much somebody reniced the build as it ran",
        cost: "to ask for that at each call",
    },
    Leak {
        ways: &[
            "limit 2",
            "/proc/self/limits",
            "memory that is promised, MiB",
        ],
        is_certain: false,
        tells: "what `--memory` says, where no control group can be made; what memory the machine has",
        cost: "a limit for each process is what there is to keep to `--memory` with, and the build says so",
    },
    Leak {
        ways: &[
            "*int 0x80*",
            "capabilities",
            "sockets of family *",
            "a socket of *",
            "PIDFD_GET_INFO, the rest",
            "Unix pair, PEERCRED",
            "/proc/self/status, Groups",
            "/proc/self/status, *id",
            "/proc/self/status, Cap*",
            "/proc/self/auxv",
            "getauxval 11",
            "getauxval 12",
            "getauxval 13",
            "getauxval 14",
            "inotify, events",
            "mode and owner, *",
            "open files",
        ],
        is_certain: true,
        tells: "that there is one user only, who plays all others: what isn't asked for by the calls that cairn answers is that user's",
        cost: "more of the kernel emulated; ids in /etc/subuid are the way out",
    },
];

#[test]
fn stars_stand_for_anything() {
    for (text, pattern, expected) in [
        ("a", "a", true),
        ("ab", "a", false),
        ("ab", "a*", true),
        ("a", "a*", true),
        ("xab", "*a*b", true),
        ("xb", "*a*b", false),
        ("größe, c", "*ö*, c", true),
    ] {
        assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
    }
}
