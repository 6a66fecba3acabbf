//! What commands are told of the machine and of who builds: the same, however the host differs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::programs::{make, make_narrow_facts, program, skipped};
use crate::support::users::{User, Users};
use crate::support::{cairn, require, run, temp};

/// Ways to begin a program, each of which another one sees: processors, limits (where memory is laid out
/// goes by that of the stack), niceness, umask, place, environment, host name.
const HOSTS: [&str; 3] = [
    "exec \"$@\"",
    "umask 077; ulimit -Sn 256; ulimit -Ss 16384; cd /; LC_ALL=C.UTF-8 LANG=x TZ=Asia/Tokyo TMPDIR=/tmp \
     PYTHONHASHSEED=7 exec taskset -c 0 nice -n 5 \"$@\"",
    "umask 002; ulimit -c 0; ulimit -Su 3000; ulimit -Sl 32; exec chrt --batch 0 nice -n 2 \"$@\"",
];

/// What begins a fact in the probe's text that is another outside, on whatever machine.
const OTHERWISE: [&str; 15] = [
    "uname: ",
    "host: ",
    "sysinfo: ",
    "\n/: type",
    "== /proc/version\n",
    "== /proc/cpuinfo\n",
    "== /proc/meminfo\n",
    "== /proc/uptime\n",
    "== /proc/stat\n",
    "== /proc/vmstat\n",
    "== /proc/sys/kernel/osrelease\n",
    "== /proc/sys/kernel/random/boot_id\n",
    "== /proc/self/mountinfo\n",
    "== /proc/self/mountstats\n",
    "== /proc/mounts\n",
];

/// What only root may change.
const ROOTS: &str =
    "exec unshare --uts --ipc --cgroup sh -c 'hostname other; exec \"$@\"' sh \"$@\"";

/// Each of the probe's programs, alone and begun by another, as root and as somebody.
const RECIPE: &str = r#"
FROM scratch
COPY root /
COPY --chown=1000:1001 mine /mine
WORKDIR /w
RUN ["/probe-static", "/w/static"]
RUN ["/probe", "/w/dynamic"]
USER 1000:1001
RUN ["/probe", "/mine/user"]
"#;

/// A context with the probe, linked in both ways, and what one of them is linked with.
fn context(folder: &Path) -> bool {
    if !(require("cc") && require("ldd") && require("taskset")) {
        return false;
    }
    let root = folder.join("root");
    for path in [&root, &folder.join("mine")] {
        std::fs::create_dir_all(path).unwrap();
    }
    make("facts.c", &root.join("probe-static"), &["-static", "-O1"]);
    make("facts.c", &root.join("probe"), &["-O1"]);
    let linked = run(program("ldd", &[]).arg(root.join("probe")));
    for library in linked
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let place = root.join(library.strip_prefix('/').unwrap());
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::copy(library, place).unwrap();
    }
    std::fs::write(folder.join("Dockerfile"), RECIPE).unwrap();
    run(program("chmod", &["-R", "a+rX"]).arg(folder));
    true
}

/// `command` as a host of [`HOSTS`] has it.
fn on(host: &str, command: &Command) -> Command {
    let mut wrapped = Command::new("sh");
    wrapped.args(["-c", host, "sh"]).arg(command.get_program());
    wrapped.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

/// What the probes wrote, one after another.
fn told(mut build: Command, context: &Path) -> String {
    let out = temp();
    let place = out.path().join("out");
    run(program("chmod", &["1777"]).arg(out.path()));
    let output = format!("type=local,dest={}", place.display());
    build.args(["build", "--network=none", "--no-cache", "-o", &output]);
    run(build.arg(context));
    let read = |name| std::fs::read_to_string(place.join(name)).unwrap();
    ["w/static", "w/dynamic", "mine/user"].map(read).concat()
}

/// Lines that aren't the same, both of them.
fn differences(one: &str, other: &str) -> Vec<String> {
    let (mut one, mut other) = (one.lines(), other.lines());
    let pairs = std::iter::from_fn(|| match (one.next(), other.next()) {
        (None, None) => None,
        pair => Some(pair),
    });
    pairs
        .filter(|(one, other)| one != other)
        .map(|pair| format!("{pair:?}"))
        .collect()
}

#[test]
fn hosts_that_differ_are_told_apart_outside() {
    let folder = temp();
    if !context(folder.path()) {
        return;
    }
    let probe = Command::new(folder.path().join("root/probe"));
    let [plain, other, third] = HOSTS.map(|host| run(&mut on(host, &probe)));
    let line = |text: &str, begin: &str| {
        let mut lines = text.lines().filter(|line| line.starts_with(begin));
        lines.next().unwrap().to_owned()
    };
    for begin in ["limit 3:", "limit 7:", "nice:", "mask:", "began:"] {
        assert_ne!(line(&plain, begin), line(&other, begin));
    }
    assert_ne!(line(&plain, "scheduled:"), line(&third, "scheduled:"));
    // A machine of one processor is as any other then.
    if line(&plain, "processors:").split(' ').nth(3) != Some("1") {
        assert_ne!(line(&plain, "processors:"), line(&other, "processors:"));
    }
}

#[test]
fn commands_are_told_the_same_on_every_host() {
    let Some(users) = Users::new() else {
        return;
    };
    if !context(&users.path("context")) {
        return;
    }
    let context = users.path("context");
    let build = |host: &str, user| told(on(host, &users.cairn(user)), &context);
    let expected = build(HOSTS[0], User::Me);
    for known in [
        "uname: Linux cairn 5.15.0-cairn #1 SMP Tue Jan 1 00:00:00 UTC 1980 ",
        "processors: affinity 8 4 online 4 4 there 4 4\non: 0 0 0\n",
        "limit 7: 1024 16384\n",
        "nice: 0 20\nnicer: 0 3\nscheduled: 0 50000\n",
        "personality: 40000\n",
        "== /proc/sys/kernel/random/boot_id\n63616972-6e00-4000-8000-000000000001\n",
        "== /proc/self/cgroup\n0::/\n== /proc/1/cgroup\n0::/\n== /proc/self/mountinfo\n20 1 0:20 / / rw,relatime - overlay cairn rw\n",
        "== /proc/self/status\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\nMems_allowed:\t1\nMems_allowed_list:\t0\n",
        "user: 1000 1000 1001 1001 groups: 0\n",
    ] {
        assert!(expected.contains(known), "{known}: {expected}");
    }
    // This machine is another one.
    let outside = run(&mut Command::new(context.join("root/probe")));
    for begin in OTHERWISE {
        let [inside, outside] = [&expected, &outside].map(|text| {
            let (_, rest) = text.split_once(begin).unwrap();
            rest.split("\n==").next().unwrap().to_owned()
        });
        assert_ne!(inside, outside, "{begin}");
    }
    let hosts = HOSTS.iter().chain([&ROOTS]);
    for (host, user) in hosts.flat_map(|host| User::ALL.map(|user| (*host, user))) {
        // Who may not is told so, and no test of this.
        if host == ROOTS && user != User::Me {
            continue;
        }
        let got = build(host, user);
        let differ = differences(&expected, &got);
        assert!(differ.is_empty(), "{user:?}, {host}: {differ:#?}");
    }
}

#[test]
fn programs_lie_at_the_same_addresses() {
    let folder = temp();
    if !context(folder.path()) {
        return;
    }
    let store = temp();
    let told = told(cairn(store.path()), folder.path());
    let lines: Vec<_> = told
        .lines()
        .filter(|line| line.contains(": stack 0x"))
        .collect();
    // Three commands, each of which begins three others.
    assert_eq!(lines.len(), 12, "{told}");
    for of_one in lines.chunks(4) {
        let [began, executed, forked, spawned] = of_one else {
            panic!("{told}");
        };
        assert_eq!(executed, spawned);
        assert_eq!(began.split(" code ").nth(1), forked.split(" code ").nth(1));
    }
    // And outside nothing does.
    let probe = folder.path().join("root/probe");
    let outside = || run(Command::new(&probe).arg("addresses"));
    assert_ne!(outside(), outside());
}

/// What the probe says where names have an order, however a program reads them.
const IN_ORDER: &str = "sorted: 1 1 1 1
same: 1
all: 3002 and no more: 0 and the new one: 3003 and as before: 1
places: 1 1
shared: 1
in a thread: 1
no room: 22 no memory: 14 then: 1 closed: 9 only named: 9 file: 20 at: 77
removed: 3000 3000
gone: 0 0
of a removed one: -1
";

#[test]
fn directories_are_read_by_name() {
    let Some(users) = Users::new() else {
        return;
    };
    // Layers, memory, and the store's own file system.
    users.write(
        "context/Dockerfile",
        "FROM scratch\nCOPY probe /probe\nWORKDIR /layer\nRUN [\"/probe\", \"/layer\"]\n\
         RUN --mount=type=tmpfs,target=/memory [\"/probe\", \"/memory\"]\n\
         RUN --mount=type=cache,target=/cache,mode=1777 [\"/probe\", \"/cache\"]\n\
         USER 1000:1000\nRUN [\"/probe\", \"/dev/shm\"]\n",
    );
    let probe = users.path("context/probe");
    make("directories.c", &probe, &["-static", "-O1", "-pthread"]);
    run(program("chmod", &["-R", "a+rX"]).arg(users.path("context")));
    // Outside, the order is of making, turned round: the answers to all else are the same.
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let outside = run(Command::new(&probe).arg(memory.path()));
    let unsorted = IN_ORDER.replacen("sorted: 1 1 1 1\nsame: 1", "sorted: 0 0 0 1\nsame: 0", 1);
    assert_eq!(outside, unsorted);
    for user in User::ALL {
        let mut build = users.cairn(user);
        build.args(["build", "--network=none", "--no-cache", "--progress=plain"]);
        let output = build.arg(users.path("context")).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{user:?}: {told}");
        for step in ["#3 ", "#4 ", "#5 ", "#6 "] {
            let lines = told.lines().filter_map(|line| line.strip_prefix(step));
            let lines =
                lines.filter(|line| !(line.starts_with("run ") || line.starts_with("done ")));
            let lines: String = lines.map(|line| format!("{line}\n")).collect();
            assert_eq!(lines, IN_ORDER, "{user:?}, {step}: {told}");
        }
    }
}

#[test]
fn what_a_command_sets_it_is_told() {
    if !(require("busybox") && require("cc")) {
        return;
    }
    let (context, store) = (temp(), temp());
    std::fs::copy("/bin/busybox", context.path().join("busybox")).unwrap();
    let recipe = "FROM scratch\nCOPY --chmod=755 busybox /bin/busybox\n\
        RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n\
        RUN nproc; taskset 1 nproc; taskset 6 sh -c 'nproc; (nproc)'; nproc; taskset 1f nproc; \
        taskset 30 true || echo none; taskset -p 99999 || echo nobody; sh -c 'taskset -p 5 $$ >/dev/null; nproc; sleep 0 & wait; taskset -p $$'\n";
    std::fs::write(context.path().join("Dockerfile"), recipe).unwrap();
    let mut build = cairn(store.path());
    build.args(["build", "--network=none", "--progress=plain"]);
    let output = build.arg(context.path()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let lines = told.lines().filter_map(|line| line.strip_prefix("#3 "));
    let lines = lines.take_while(|line| !line.starts_with("done"));
    let is_told = |line: &&str| !(line.starts_with("run ") || line.starts_with("taskset: "));
    let lines: Vec<_> = lines.filter(is_told).collect();
    assert!(output.status.success(), "{told}");
    // Of processors which aren't there none can be set, and of others beside them the others are.
    let set = "pid 2's current affinity mask: 5";
    let expected = ["4", "1", "2", "2", "4", "4", "none", "nobody", "2", set];
    assert_eq!(lines, expected, "{told}");
}

#[test]
fn programs_of_32_bits_are_told_the_same() {
    let (context, store) = (temp(), temp());
    if !make_narrow_facts(&context.path().join("narrow")) {
        return;
    }
    let recipe = "FROM scratch\nCOPY --chmod=755 narrow /narrow\nRUN [\"/narrow\"]\n";
    std::fs::write(context.path().join("Dockerfile"), recipe).unwrap();
    let mut build = cairn(store.path());
    build.args(["build", "--network=none", "--progress=plain"]);
    let output = build.arg(context.path()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    if told.contains("Exec format error") {
        return skipped("this kernel runs no programs of 32 bits");
    }
    // 8 GiB in pages; 1 TiB in blocks; old calls aren't there (38), nor another length of the answer.
    let expected = "0 Linux cairn 5.15.0-cairn #1 SMP Tue Jan 1 00:00:00 UTC 1980 x86_64 (none) 38 \
                    0 60 2097152 4096 8 15 0 268435456 0 268435456 0 22";
    assert!(told.contains(expected), "{told}");
}

/// Commands have variables that neither the recipe nor the image says.
#[test]
fn what_commands_are_told_is_not_in_the_image() {
    let (context, store) = (temp(), temp());
    std::fs::copy("/bin/busybox", context.path().join("busybox")).unwrap();
    let recipe = "FROM scratch\nENV PERL_HASH_SEED=7\nARG ZERO_AR_DATE=\nCOPY --chmod=755 busybox /busybox\n\
        RUN [\"/busybox\", \"env\"]\n";
    std::fs::write(context.path().join("Dockerfile"), recipe).unwrap();
    let mut build = cairn(store.path());
    build.args(["build", "--network=none", "--progress=plain", "-t", "told"]);
    let output = build.arg(context.path()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    let lines = told.lines().filter_map(|line| line.strip_prefix("#2 "));
    let mut variables: Vec<_> = lines.filter(|line| line.contains('=')).collect();
    variables.sort_unstable();
    // What the recipe sets, if to nothing, it sets.
    let expected = [
        "HOME=/",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PERL_HASH_SEED=7",
        "PERL_PERTURB_KEYS=0",
        "PYTHONHASHSEED=0",
        "SOURCE_DATE_EPOCH=315532800",
        "ZERO_AR_DATE=",
    ];
    assert_eq!(variables, expected, "{told}");
    let image = run(cairn(store.path()).args(["inspect", "told"]));
    let of_image: Vec<_> = image
        .lines()
        .filter(|line| line.contains("Env: "))
        .collect();
    let expected = [expected[1], expected[2]].map(|variable| format!("  Env: {variable}"));
    assert_eq!(of_image, expected, "{image}");
}

/// Where the machine gives less than everywhere: what is missing is told once, or refused.
#[test]
fn a_guarantee_that_is_missing_is_told_or_refused() {
    let Some(users) = Users::new() else {
        return;
    };
    let place = |name: &str| -> PathBuf { users.path(name) };
    users.write(
        "context/Dockerfile",
        "FROM scratch\nCOPY a /\nRUN [\"/a\"]\nRUN [\"/a\", \"b\"]\n",
    );
    make("facts.c", &place("context/a"), &["-static"]);
    let build = |host: &str, user, more: &[&str]| {
        let mut build = on(host, &users.cairn(user));
        build.args(["build", "--network=none"]).args(more);
        build.arg(place("context")).output().unwrap()
    };
    let few = "ulimit -n 999; ulimit -s 4096; exec \"$@\"";
    let what = "the guarantee `limits` the result may depend on this machine: resource limits";
    let output = build(few, User::Ranged, &[]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && told.matches(what).count() == 1,
        "{told}"
    );
    // What is there already was made without.
    let output = build(few, User::Ranged, &["--require-hermetic"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("limits: resource limits are") && told.contains("nofile=16384"),
        "{told}"
    );
    // The machine's root has them all the same, if it is one that may.
    let own = rustix::thread::capabilities(None).unwrap().effective;
    if own.contains(rustix::thread::CapabilitySet::SYS_RESOURCE) {
        let output = build(few, User::Me, &["--require-hermetic"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        assert!(!told.contains(what), "{told}");
    }
}

#[test]
fn what_the_recipe_asks_for_may_be_refused() {
    let (context, store) = (temp(), temp());
    let refused = |recipe: &str, what: &str| {
        std::fs::write(context.path().join("Dockerfile"), recipe).unwrap();
        let mut build = cairn(store.path());
        build.args(["build", "--allow=network.host", "--require-hermetic"]);
        let output = build.arg(context.path()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(what), "{told}");
    };
    let what = "has the host's network, and `--require-hermetic`";
    refused("FROM scratch\nRUN --network=host [\"/a\"]\n", what);
    // No lock holds what it would fetch.
    let what = "has the network as it is today";
    refused("FROM scratch\nRUN [\"/a\"]\n", what);
}
