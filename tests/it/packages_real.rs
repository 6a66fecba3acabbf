//! Debian's own packages: what installing them makes is what Debian's own programs make.
//!
//! The archive is the one that this machine's apt has. mmdebstrap makes the same system, and
//! `apt-get install` in a RUN the same layer; every file is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::programs::program;
use crate::support::users::{User, Users};
use crate::support::{require, run};

/// A file's type, mode, owner, group and content, and its time where that was its package's own.
pub type Files = BTreeMap<String, Vec<String>>;

/// What a tar holds, by path, as GNU tar and sha256sum tell it.
fn files(tar: &Path) -> Files {
    let script = r#"
import hashlib, sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    for member in tar:
        name = member.name.strip("./")
        content = member.linkname.lstrip("./") if member.islnk() else member.linkname
        if member.isreg():
            content = hashlib.sha256(tar.extractfile(member).read()).hexdigest()
        if member.name.endswith("extended_states") or member.name.endswith("triggers/File"):
            lines = tar.extractfile(member).read().decode()
            content = ",".join(sorted(lines.replace("\nA", " A").split("\n")))
        kind = "f" if member.isreg() else member.type.decode()
        time = 0 if member.isdir() else min(member.mtime, 315532800)
        if name and not name.startswith("dev"):
            print(name, kind, oct(member.mode), member.uid, member.gid, content, time, sep="\t")
"#;
    let listed = run(&mut program(
        "python3",
        &["-c", script, tar.to_str().unwrap()],
    ));
    let line = |line: &str| {
        let mut words = line.split('\t').map(str::to_owned);
        (words.next().unwrap(), words.collect())
    };
    listed.lines().map(line).collect()
}

/// The paths that differ, but for those that `named` says.
pub fn differences(ours: &Files, theirs: &Files, named: &[&str]) -> Vec<String> {
    let paths: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let is_named = |path: &str| {
        named.iter().any(|name| match name.strip_suffix('*') {
            Some(begin) => path.starts_with(begin),
            None => path == *name,
        })
    };
    let differ = paths
        .into_iter()
        .filter(|path| ours.get(*path) != theirs.get(*path));
    let differ = differ.filter(|path| !is_named(path));
    differ
        .map(|path| format!("{path}: {:?} {:?}", ours.get(path), theirs.get(path)))
        .collect()
}

/// What mmdebstrap's own run of apt leaves, and what it sets up for its host.
const OF_MMDEBSTRAP: &[&str] = &[
    "etc/apt/sources.list.d/0000debian.sources",
    "etc/apt/sources.list.d/0000sources.list",
    // The host's.
    "etc/fstab",
    "etc/hostname",
    "etc/resolv.conf",
    // apt gives them to its own user when it fetches.
    "var/cache/apt/archives/lock",
    "var/cache/apt/archives/partial",
    "var/lib/apt/lists/lock",
    "var/lib/apt/lists/partial",
    // The state before the last change.
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/status-old",
    // `dpkg --add-architecture` of what dpkg's own is.
    "var/lib/dpkg/arch",
];

/// What a run of apt-get leaves.
pub const OF_APT: &[&str] = &[
    "var/cache/apt/*",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/apt/lists*",
    // Random, so that all who begin with the image would be one machine.
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/status-old",
    "var/log/apt/*",
    "var/log/dpkg.log",
    "var/log/alternatives.log",
];

/// Packages whose scripts make users, set-user-ID programs, capabilities, caches and links.
const PACKAGES: &str = "dbus libcap2-bin man-db openssh-client sudo";

pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

fn recipe() -> String {
    let names: Vec<_> = PACKAGES
        .split(' ')
        .map(|name| format!("{name:?}"))
        .collect();
    let names = names.join(", ");
    format!(
        r#"
from = {{ stage = "minbase" }}
[[steps]]
packages.debian = {{ suite = "bookworm", install = [{names}] }}

[stages.minbase]
from = "scratch"
[[stages.minbase.steps]]
packages.debian = {{ suite = "bookworm", variant = "minbase", keys = ["debian.gpg"] }}
[[stages.minbase.steps]]
copy = {{ paths = ["*.list", "*.sources"], to = "/etc/apt/sources.list.d/", missing-ok = true }}

[stages.apt]
from = {{ stage = "minbase" }}
[[stages.apt.steps]]
[stages.apt.steps.run]
command = "apt-get -q update && apt-get -q install -y --no-install-recommends -o APT::Default-Release=bookworm {PACKAGES}"
[stages.apt.steps.run.env]
DEBIAN_FRONTEND = "noninteractive"
DEBCONF_NONINTERACTIVE_SEEN = "true"
LANG = "C.UTF-8"
LC_ALL = "C.UTF-8"
SOURCE_DATE_EPOCH = "315532800"
"#
    )
}

/// The archive of bookworm alone that this machine's apt has, in a file of apt's.
fn sources() -> Option<String> {
    let script = r#"
for line in $(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm'); do
  echo "$line"; done | sort -u | head -n 1"#;
    let mirror = run(&mut program("sh", &["-c", script]));
    let mirror = mirror.trim();
    let line = format!("deb [signed-by={KEYRING}] {mirror} bookworm main\n");
    (!mirror.is_empty()).then_some(line)
}

/// The files of a stage of the recipe.
pub fn built(users: &Users, stage: &[&str]) -> Files {
    let name = format!("{}.tar", stage.last().unwrap_or(&"main"));
    let output = format!("type=tar,dest={}", users.text(&name));
    let mut command = users.cairn(User::Me);
    command.args(["build", "--platform", "linux/amd64", "-o", &output]);
    run(command.args(stage).arg(users.text("context")));
    files(&users.path(&name))
}

#[test]
fn debian_is_what_its_own_programs_make_whoever_builds() {
    let tools = ["mmdebstrap", "dpkg-deb", "apt-get"];
    if !tools.iter().all(|name| require(name)) {
        return;
    }
    let (Some(users), Some(sources)) = (Users::new(), sources()) else {
        return;
    };
    users.write("context/cairn.toml", &recipe());
    users.write("context/bookworm.list", &sources);
    run(&mut program(
        "cp",
        &[KEYRING, &users.text("context/debian.gpg")],
    ));
    run(&mut program(
        "chmod",
        &["-R", "a+rX", &users.text("context")],
    ));
    let tar = |stage: &[&str]| built(&users, stage);
    let minbase = tar(&["--target", "minbase"]);
    let list = users.text("context/bookworm.list");
    let theirs = users.text("mmdebstrap.tar");
    let arguments = [
        "--variant=minbase",
        "--quiet",
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        "bookworm",
        &theirs,
        &list,
    ];
    let mut mmdebstrap = program("mmdebstrap", &arguments);
    run(mmdebstrap.env("SOURCE_DATE_EPOCH", "315532800"));
    let theirs = files(Path::new(&theirs));
    assert!(theirs.len() > 5000, "{}", theirs.len());
    let mut named = OF_MMDEBSTRAP.to_vec();
    named.extend([
        "etc/apt/sources.list.d/bookworm.list",
        "etc/apt/sources.list.d/0000bookworm.list",
    ]);
    assert_eq!(differences(&minbase, &theirs, &named), [""; 0]);

    let ours = tar(&[]);
    let theirs = tar(&["--target", "apt"]);
    assert!(theirs.len() > minbase.len() + 500);
    assert_eq!(differences(&ours, &theirs, OF_APT), [""; 0]);

    let [me, ranged, single] = User::ALL.map(|user| {
        let mut command = users.cairn(user);
        command.args(["build", "--platform", "linux/amd64"]);
        run(command.arg(users.text("context"))).trim().to_owned()
    });
    assert_eq!(me, ranged, "with a range of users");
    assert_eq!(me, single, "with no other users");
}
