//! What files of single processes say of the machine. Pure.
//!
//! In: a text as the kernel has it. Out: the same of the one machine: mounts without the host's disks,
//! sizes and numbers, one kind of control groups, the processors that there are, all users; a process
//! that began when the machine did, and has spent nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{PROCESSORS, UP};

/// A file in a process's folder of `/proc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// What is particular to the processor.
    Architecture,
    /// The group that it is scheduled in.
    Autogroup,
    /// The control groups that it is in.
    Groups,
    /// What it has mapped, and from which files.
    Maps,
    /// Its mounts, in the newer form.
    MountInfo,
    /// Its mounts, in that of `/etc/mtab`.
    Mounts,
    /// Its mounts, for people.
    MountStats,
    /// Its own scheduling, in detail.
    Schedule,
    /// What it has spent of processors, and waited for them.
    ScheduleStatistics,
    /// Whether it may change its groups.
    Setgroups,
    /// What it is and has spent, in words.
    Statistics,
    /// All sorts of things.
    Status,
    /// How much its clocks are off from the machine's.
    TimeOffsets,
    /// The users, or groups, of its namespace.
    Users,
}

impl Text {
    /// By its name.
    pub fn of_name(name: &str) -> Option<Text> {
        Some(match name {
            "arch_status" => Text::Architecture,
            "autogroup" => Text::Autogroup,
            "cgroup" => Text::Groups,
            "maps" => Text::Maps,
            "mountinfo" => Text::MountInfo,
            "mounts" => Text::Mounts,
            "mountstats" => Text::MountStats,
            "sched" => Text::Schedule,
            "schedstat" => Text::ScheduleStatistics,
            "setgroups" => Text::Setgroups,
            "stat" => Text::Statistics,
            "status" => Text::Status,
            "timens_offsets" => Text::TimeOffsets,
            "uid_map" | "gid_map" => Text::Users,
            _ => return None,
        })
    }

    /// The name of the file that it is made of.
    pub fn source(self) -> &'static str {
        match self {
            Text::Architecture => "arch_status",
            Text::Autogroup => "autogroup",
            Text::Groups => "cgroup",
            Text::Maps => "maps",
            Text::MountInfo | Text::Mounts | Text::MountStats => "mountinfo",
            Text::Schedule => "sched",
            Text::ScheduleStatistics => "schedstat",
            Text::Setgroups => "setgroups",
            Text::Statistics => "stat",
            Text::Status => "status",
            Text::TimeOffsets => "timens_offsets",
            Text::Users => "uid_map",
        }
    }

    /// Whether the kernel shows it to nobody but who may look into the process.
    pub fn is_private(self) -> bool {
        matches!(self, Text::Maps)
    }

    /// What is told where the kernel says `real`.
    pub fn told(self, real: &str) -> String {
        match self {
            // A namespace of control groups begins at the step's own, of every kind.
            Text::Groups => "0::/\n".to_owned(),
            Text::Architecture | Text::Schedule => String::new(),
            Text::Autogroup => "/autogroup-1 nice 0\n".to_owned(),
            Text::Maps => real.lines().map(mapping).collect(),
            Text::ScheduleStatistics => "0 0 0\n".to_owned(),
            Text::Setgroups => "allow\n".to_owned(),
            Text::Statistics => statistics(real),
            Text::TimeOffsets => TIME_OFFSETS.to_owned(),
            // As on a machine without namespaces of users.
            Text::Users => format!("{:>10} {:>10} {:>10}\n", 0, 0, u32::MAX),
            Text::Status => status(real),
            _ => self.mounts(&mounts(real)),
        }
    }

    fn mounts(self, mounts: &[Mount<'_>]) -> String {
        let mut text = String::new();
        for Mount {
            number,
            parent,
            device,
            place,
            flags,
            kind,
            source,
            size,
        } in mounts
        {
            let _ = match self {
                Text::MountInfo => writeln!(
                    text,
                    "{number} {parent} 0:{device} / {place} {flags} - {kind} {source} rw{size}"
                ),
                Text::MountStats => {
                    writeln!(
                        text,
                        "device {source} mounted on {place} with fstype {kind}"
                    )
                }
                _ => writeln!(text, "{source} {place} {kind} {flags}{size} 0 0"),
            };
        }
        text
    }
}

/// Clocks that are the machine's.
const TIME_OFFSETS: &str = "monotonic           0         0\nboottime            0         0\n";

/// A line of what is mapped, without its file's device and number.
fn mapping(line: &str) -> String {
    let mut words = line.splitn(6, ' ');
    let mut next = || words.next().unwrap_or_default();
    let [range, rights, offset, _, _, name] = [(); 6].map(|()| next());
    let begin = format!("{range} {rights} {offset} 00:00 0 ");
    match name.trim_start() {
        "" => format!("{begin}\n"),
        name => format!("{begin:<73}{name}\n"),
    }
}

/// Words of proc(5)'s `stat`, from 1, that the machine has its part in, and what they are: faults and times
/// of the process and of its children; priority and niceness; when it began, in hundredths of a second
/// since the machine did; processor, priority and policy by which it is scheduled; its waits for disks.
const STATISTICS: [(usize, i64); 15] = [
    (10, 0),
    (11, 0),
    (12, 0),
    (13, 0),
    (14, 0),
    (15, 0),
    (16, 0),
    (17, 0),
    (18, 20),
    (19, 0),
    (22, UP * 100),
    (39, 0),
    (40, 0),
    (41, 0),
    (42, 0),
];

fn statistics(real: &str) -> String {
    // The name may hold anything, brackets too.
    let Some((name, rest)) = real.trim_end().rsplit_once(") ") else {
        return real.to_owned();
    };
    let words = rest.split(' ').enumerate().map(|(at, word)| {
        let told = STATISTICS.iter().find(|(number, _)| *number == at + 3);
        told.map_or_else(|| word.to_owned(), |(_, value)| value.to_string())
    });
    format!("{name}) {}\n", words.collect::<Vec<_>>().join(" "))
}

/// The number of the first mount, and of the first device.
const FIRST: usize = 20;
/// The mount above the root, which nobody sees.
const ABOVE: usize = 1;

/// A mount as it is told.
#[derive(Debug)]
struct Mount<'a> {
    number: usize,
    parent: usize,
    device: usize,
    place: &'a str,
    flags: String,
    kind: &'a str,
    source: &'a str,
    /// With a comma before it, if there is one.
    size: String,
}

/// Those that a text of mounts has (proc(5)), but for what `/proc` is masked with.
fn mounts(real: &str) -> Vec<Mount<'_>> {
    let mut numbers = BTreeMap::new();
    let mut devices = BTreeMap::new();
    let mut mounts = Vec::new();
    for line in real.lines() {
        let Some((of_mount, of_disk)) = line.split_once(" - ") else {
            continue;
        };
        let mut of_mount = of_mount.split(' ');
        let mut next = || of_mount.next().unwrap_or_default();
        let [number, parent, device, _, place, flags] = [(); 6].map(|()| next());
        if place.starts_with("/proc/") {
            continue;
        }
        let mut of_disk = of_disk.split(' ');
        let mut next = || of_disk.next().unwrap_or_default();
        let [kind, source, options] = [(); 3].map(|()| next());
        // What cairn mounts has no source.
        let size = match (kind, source) {
            ("tmpfs", "none") => options.split(',').find(|it| it.starts_with("size=")),
            _ => None,
        };
        let (kind, source) = match kind {
            "devpts" | "mqueue" | "proc" | "tmpfs" => (kind, "none"),
            "devtmpfs" => ("tmpfs", "none"),
            // What a step is given of the host's disks looks like its root.
            _ => ("overlay", "cairn"),
        };
        let count = devices.len();
        let device = *devices.entry(device).or_insert(FIRST + count);
        let own = FIRST + mounts.len();
        numbers.insert(number, own);
        let is_kept = |flag: &&str| matches!(*flag, "ro" | "rw" | "nosuid" | "nodev" | "noexec");
        let flags: Vec<_> = flags.split(',').filter(is_kept).collect();
        mounts.push(Mount {
            number: own,
            parent: numbers.get(parent).copied().unwrap_or(ABOVE),
            device,
            place,
            flags: format!("{},relatime", flags.join(",")),
            kind,
            source,
            size: size.map(|size| format!(",{size}")).unwrap_or_default(),
        });
    }
    mounts
}

fn status(real: &str) -> String {
    let mut text = String::new();
    for line in real.lines() {
        let (key, _) = line.split_once(':').unwrap_or((line, ""));
        let _ = match key {
            "Cpus_allowed" => writeln!(text, "{key}:\t{:x}", (1u64 << PROCESSORS) - 1),
            "Cpus_allowed_list" => writeln!(text, "{key}:\t0-{}", PROCESSORS - 1),
            "Mems_allowed" => writeln!(text, "{key}:\t1"),
            "Mems_allowed_list" => writeln!(text, "{key}:\t0"),
            _ => writeln!(text, "{line}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of one step, on two hosts.
    const ONE: &str = "\
89 64 0:40 / / rw,relatime - overlay cairn rw,lowerdir=3:6,upperdir=7,workdir=9,userxattr
91 89 0:43 / /proc rw,nosuid,nodev,noexec,relatime - proc none rw
92 91 0:42 /1 /proc/cgroups ro,nodev,relatime - tmpfs none rw,mode=755
141 89 0:44 / /dev rw,nosuid,noexec,relatime - tmpfs none rw,size=65536k,mode=755
142 141 0:6 /null /dev/null ro,nosuid,noexec,noatime - devtmpfs devtmpfs rw,size=12334460k
151 89 0:42 /24 /etc/hosts rw,nodev,relatime - tmpfs none rw,mode=755
152 89 254:1 /home/me/a\\040b /src ro,relatime shared:7 - ext4 /dev/vda1 rw,errors=remount-ro
";
    const OTHER: &str = "\
1089 1064 0:140 / / rw,relatime - overlay cairn rw,lowerdir=8:6:9,upperdir=7,workdir=9
1091 1089 0:143 / /proc rw,nosuid,nodev,noexec,relatime - proc none rw
1141 1089 0:144 / /dev rw,nosuid,noexec,relatime - tmpfs none rw,size=65536k,mode=755
1142 1141 0:5 /null /dev/null ro,nosuid,noexec,relatime - devtmpfs udev rw,size=66k
1151 1089 0:142 /21 /etc/hosts rw,nodev,relatime - tmpfs none rw,mode=755
1152 1089 0:77 /sub/vol /src ro,noatime - btrfs /dev/sdb rw,ssd
";

    #[test]
    fn mounts_are_the_same_on_every_host() {
        let told = Text::MountInfo.told(ONE);
        assert_eq!(told, Text::MountInfo.told(OTHER));
        assert_eq!(
            told,
            "20 1 0:20 / / rw,relatime - overlay cairn rw\n\
             21 20 0:21 / /proc rw,nosuid,nodev,noexec,relatime - proc none rw\n\
             22 20 0:22 / /dev rw,nosuid,noexec,relatime - tmpfs none rw,size=65536k\n\
             23 22 0:23 / /dev/null ro,nosuid,noexec,relatime - tmpfs none rw\n\
             24 20 0:24 / /etc/hosts rw,nodev,relatime - tmpfs none rw\n\
             25 20 0:25 / /src ro,relatime - overlay cairn rw\n"
        );
        let of_old = Text::Mounts.told(ONE);
        let lines: Vec<_> = of_old.lines().collect();
        assert_eq!(
            lines[2],
            "none /dev tmpfs rw,nosuid,noexec,relatime,size=65536k 0 0"
        );
        let stats = Text::MountStats.told(OTHER);
        assert!(stats.ends_with("device cairn mounted on /src with fstype overlay\n"));
    }

    #[test]
    fn a_process_may_use_the_processors_that_there_are() {
        let real = "Name:\ta: b\nCpus_allowed:\tff,ffffffff\nCpus_allowed_list:\t0-39\n\
                    Mems_allowed:\t3\nMems_allowed_list:\t0-1\nnonvoluntary_ctxt_switches:\t0\n";
        let told = "Name:\ta: b\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\n\
                    Mems_allowed:\t1\nMems_allowed_list:\t0\nnonvoluntary_ctxt_switches:\t0\n";
        assert_eq!(Text::Status.told(real), told);
        assert_eq!(Text::Groups.told("9:name=systemd:/\n0::/\n"), "0::/\n");
        assert_eq!(Text::of_name("mem"), None);
    }

    #[test]
    fn a_process_began_with_the_machine_and_has_spent_nothing() {
        let mut real: Vec<_> = (1..=52).map(|number| (number * 7).to_string()).collect();
        real[1] = "(a) b)".to_owned();
        let told = Text::Statistics.told(&format!("{}\n", real.join(" ")));
        let told: Vec<_> = told.trim_end().splitn(3, ' ').collect();
        assert_eq!(told[..2], ["7", "(a)"]);
        let words: Vec<_> = told[2].split(' ').skip(1).collect();
        // What is its own stays.
        for number in [3, 4, 23, 52] {
            assert_eq!(words[number - 3], real[number - 1], "{number}");
        }
        assert_eq!([words[14 - 3], words[19 - 3], words[39 - 3]], ["0"; 3]);
        assert_eq!([words[18 - 3], words[22 - 3]], ["20", "6000"]);
    }

    #[test]
    fn what_is_mapped_has_its_place_and_its_name() {
        let begin = "7ffff7d88000-7ffff7dae000 r--p 00000000 fe:00 1050161";
        let file = format!("{begin}                    /usr/lib/a b.so\n");
        let told = Text::Maps.told(&file);
        assert_eq!(told.len(), 73 + "/usr/lib/a b.so\n".len());
        let (before, name) = told.split_at(73);
        let kept = "7ffff7d88000-7ffff7dae000 r--p 00000000 00:00 0";
        assert_eq!((before.trim_end(), name), (kept, "/usr/lib/a b.so\n"));
        let nameless = format!("{begin} \n");
        assert_eq!(Text::Maps.told(&nameless), format!("{kept} \n"));
        let users = Text::Users.told("         0       1000          1\n");
        assert_eq!(users, "         0          0 4294967295\n");
    }
}
