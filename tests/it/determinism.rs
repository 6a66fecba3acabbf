//! The same digest for every recipe, whatever varies around it.
//!
//! Each test builds all recipes of testdata/ in other circumstances, and compares their digests
//! with those of a plain build. With `CAIRN_OTHER` set to paths of other builds of cairn (release,
//! from another folder, by another compiler; `:` between them), these have to agree, too.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::programs::skipped;
use crate::support::recipes::{Checkout, Manner, checkout, digests, names};
use crate::support::{cairn, copy_program, require, run, temp};

/// The program under test.
const CAIRN: &str = env!("CARGO_BIN_EXE_cairn");

/// `program` run by another one: `prefix` with its arguments, where it has any.
fn wrapped(prefix: &[&str], program: &Path, store: &Path) -> Command {
    let mut words = prefix.iter().map(OsStr::new).chain([program.as_os_str()]);
    let plain = cairn(store);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).stdin(Stdio::null()).env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap());
    }
    command
}

/// That each recipe has the digest that it has everywhere.
#[track_caller]
fn must_agree(where_it_differs: &str, got: &BTreeMap<String, String>) {
    assert!(!got.is_empty());
    for (name, digest) in got {
        let expected = &digests()[name];
        assert_eq!(digest, expected, "`{name}` with {where_it_differs}");
    }
}

/// Builds every recipe with an empty store, run by `prefix`, in an environment.
#[track_caller]
fn must_agree_under(what: &str, prefix: &[&str], environment: &[(&str, &str)]) {
    let (checkout, store) = (checkout(), temp());
    let got = checkout.build_all(|| {
        let mut command = wrapped(prefix, Path::new(CAIRN), store.path());
        command.envs(environment.iter().copied());
        command
    });
    must_agree(what, &got);
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether `unshare` may do this here. Where it may not, the test is skipped.
fn may_unshare(arguments: &[&str]) -> bool {
    let mut command = Command::new("unshare");
    let may = command.args(arguments).arg("true").output();
    let may = may.is_ok_and(|output| output.status.success());
    if !may {
        skipped(&format!("`unshare {}` is not allowed", arguments.join(" ")));
    }
    may
}

/// A library that shifts the clock by `seconds`, as C compilers make it.
fn wrong_clock(folder: &Path, seconds: i64) -> PathBuf {
    let library = folder.join(format!("clock{seconds}.so"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/clock.c");
    run(Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(format!("-DSHIFT={seconds}"))
        .arg(source));
    library
}

#[test]
fn the_time_changes_no_digest() {
    if !require("cc") {
        return;
    }
    let folder = temp();
    // 1985 and the 2060s, give or take.
    for seconds in [-41 * 31_557_600_i64, 40 * 31_557_600] {
        let library = wrong_clock(folder.path(), seconds);
        let library = library.to_str().unwrap();
        // That the clock is wrong at all.
        let mut date = Command::new("date");
        let year = run(date.arg("+%s").env("LD_PRELOAD", library));
        let right = run(Command::new("date").arg("+%s"));
        let number = |text: &str| text.trim().parse::<i64>().unwrap();
        assert!((number(&year) - number(&right) - seconds).abs() < 60);
        must_agree_under("another time", &[], &[("LD_PRELOAD", library)]);
    }
    if require("unshare") && may_unshare(&["--time", "--boottime=86400000"]) {
        let prefix = [
            "unshare",
            "--time",
            "--boottime=86400000",
            "--monotonic=86400000",
        ];
        must_agree_under("another time since boot", &prefix, &[]);
    }
}

#[test]
fn the_user_changes_no_digest() {
    if !is_root() {
        return skipped("only root can be several users");
    }
    if !require("setpriv") {
        return;
    }
    for uid in [65534, 1234] {
        let folder = temp();
        let all = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), all).unwrap();
        let program = folder.path().join("cairn");
        copy_program(&program);
        let manner = Manner {
            umask: 0o077,
            owner: Some(uid),
            seed: u64::from(uid),
        };
        let checkout = Checkout::new(&folder.path().join("checkout"), manner);
        let store = folder.path().join("store");
        std::fs::create_dir(&store).unwrap();
        std::os::unix::fs::chown(&store, Some(uid), Some(uid)).unwrap();
        let (user, group) = (format!("--reuid={uid}"), format!("--regid={uid}"));
        let prefix = ["setpriv", &user, &group, "--clear-groups"];
        let got = checkout.build_all(|| wrapped(&prefix, &program, &store));
        must_agree(&format!("user {uid}"), &got);
    }
}

#[test]
fn umasks_change_no_digest() {
    for (seed, umask) in [(1, 0o000), (2, 0o022), (3, 0o077)] {
        let (folder, store) = (temp(), temp());
        let manner = Manner {
            umask,
            owner: None,
            seed,
        };
        let checkout = Checkout::new(&folder.path().join("checkout"), manner);
        // The checkout's, and another one for cairn itself.
        let script = format!("umask {:03o}; exec \"$@\"", 0o077 ^ umask);
        let prefix = ["sh", "-c", &script, "sh"];
        let got = checkout.build_all(|| wrapped(&prefix, Path::new(CAIRN), store.path()));
        must_agree(&format!("a checkout under umask {umask:03o}"), &got);
    }
}

/// A Dockerfile whose commands say what they see of modes that the caller's umask, or lists of who
/// may do what in the store, could give.
const MODES: &str = r#"
FROM scratch AS made
COPY --chmod=755 busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ENV PATH=/bin
FROM made
RUN mkdir /d && touch /f && stat -c '%n %a' / /d /f >/seen
RUN --mount=type=cache,target=/c --mount=type=bind,from=made,source=/,target=/m,rw \
  mkdir /c/d /m/new && stat -c '%n %a' /c /c/d /m /m/new >>/seen && rmdir /c/d
USER 1000
RUN cat /seen
"#;

#[test]
fn commands_see_neither_umasks_nor_lists_of_the_store() {
    if !["busybox", "setfacl"].into_iter().all(require) {
        return;
    }
    let context = temp();
    std::fs::write(context.path().join("Dockerfile"), MODES).unwrap();
    std::fs::copy("/bin/busybox", context.path().join("busybox")).unwrap();
    let mut digests = Vec::new();
    for (umask, list) in [
        ("022", None),
        ("077", None),
        ("002", Some("d:g:44:rwx,d:o::rwx")),
    ] {
        let store = temp();
        if let Some(list) = list {
            run(Command::new("setfacl").args(["-m", list]).arg(store.path()));
        }
        let script = format!("umask {umask}; exec \"$@\"");
        let mut build = wrapped(&["sh", "-c", &script, "sh"], Path::new(CAIRN), store.path());
        build.args(["build", "-q", "--network=none", "--platform=linux/amd64"]);
        digests.push(run(build.arg(context.path())));
    }
    assert_eq!(digests[0], digests[1], "under another umask");
    assert_eq!(digests[0], digests[2], "in a store with lists");
}

#[test]
fn the_environment_changes_no_digest() {
    let home = temp();
    let home = home.path().to_str().unwrap();
    for environment in [
        &[("LC_ALL", "tr_TR.UTF-8"), ("TZ", "Pacific/Kiritimati")][..],
        &[
            ("LC_ALL", "C"),
            ("LANG", "de_DE.UTF-8"),
            ("TZ", "America/St_Johns"),
        ],
        &[
            ("LC_ALL", "de_DE.UTF-8"),
            ("TZ", ":/nowhere"),
            ("HOME", home),
            ("USER", "somebody"),
            ("HOSTNAME", "elsewhere"),
            ("TMPDIR", home),
            ("DEBUG", "1"),
            ("SOURCE_DATE_EPOCH", ""),
        ],
    ] {
        must_agree_under(&format!("{environment:?}"), &["env"], environment);
    }
}

#[test]
fn the_checkouts_place_and_order_change_no_digest() {
    let (folder, store) = (temp(), temp());
    let long = ["a long name"; 16].map(|name| name.repeat(8)).join("/");
    for (seed, place) in ["s", "with spaces and ünïcödé 石", &long]
        .into_iter()
        .enumerate()
    {
        let place = folder.path().join(place);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        let manner = Manner {
            seed: 10 + seed as u64,
            ..Manner::default()
        };
        let checkout = Checkout::new(&place, manner);
        // One store for all: what it knows of one checkout must not mislead it about the next.
        let got = checkout.build_all(|| cairn(store.path()));
        must_agree(&format!("a checkout at {}", place.display()), &got);
        // And once more from within, by a relative path.
        let mut command = cairn(store.path());
        command.current_dir(checkout.recipe("quickstart"));
        let digest = run(command.args(["build", "--quiet"]));
        assert_eq!(digest.trim_end(), digests()["quickstart"]);
    }
}

/// Builds everything in a mount namespace of its own, after `mount` has mounted something at
/// `$place`; the digests, by recipe.
fn built_on(mount: &str, folder: &Path) -> BTreeMap<String, String> {
    let checkout = checkout();
    let mut script = format!(
        "set -e; cd \"$folder\"; mkdir place; place=$folder/place; {mount}\n\
         cp -r \"$checkout\" \"$place/checkout\"; cd \"$place/checkout\"\n"
    );
    for name in names() {
        // The same arguments, but for where they begin.
        let recipe = checkout.recipe(&name);
        let root = recipe
            .ancestors()
            .find(|path| path.ends_with("plain"))
            .unwrap();
        let words = checkout.arguments(&name).into_iter().map(|word| {
            let word = word.strip_prefix(root).unwrap_or(&word);
            format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''"))
        });
        let words = words.collect::<Vec<_>>().join(" ");
        script += &format!("echo {name} $(\"$cairn\" --store \"$place/store\" {words})\n");
    }
    let mut command = Command::new("unshare");
    let recipe = checkout.recipe("quickstart");
    command
        .args(["--mount", "sh", "-c", &script])
        .env("checkout", recipe.parent().unwrap())
        .env("folder", folder)
        .env("cairn", CAIRN);
    let said = run(&mut command);
    let line = |line: &str| {
        line.split_once(' ')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
    };
    said.lines().filter_map(line).collect()
}

#[test]
fn file_systems_change_no_digest() {
    if !is_root() {
        return skipped("only root can mount file systems");
    }
    if !require("unshare") || !may_unshare(&["--mount"]) || !require("mkfs.ext4") {
        return;
    }
    let ext4 = "truncate -s 96M disk; mkfs.ext4 -q disk; mount -o loop disk place";
    let overlay = "mount -t tmpfs tmpfs place; cd place; mkdir lower upper work over; \
                   mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay over; \
                   place=$place/over";
    for (name, mount) in [
        ("tmpfs", "mount -t tmpfs tmpfs place"),
        ("ext4", ext4),
        ("overlay", overlay),
    ] {
        let folder = temp();
        let folder = folder.path().join("it's a folder");
        std::fs::create_dir(&folder).unwrap();
        let got = built_on(mount, &folder);
        assert_eq!(got.len(), names().len());
        must_agree(name, &got);
    }
}

#[test]
fn cores_and_threads_change_no_digest() {
    if require("taskset") {
        must_agree_under("one core", &["taskset", "-c", "0"], &[]);
        let cores = Command::new("nproc").output().unwrap().stdout;
        if cores.trim_ascii() == b"1" {
            skipped("this machine has one core");
        } else {
            must_agree_under("two cores", &["taskset", "-c", "0,1"], &[]);
        }
    }
    for threads in ["1", "7"] {
        must_agree_under("other threads", &["env"], &[("RAYON_NUM_THREADS", threads)]);
    }
}

#[test]
fn what_the_store_has_changes_no_digest() {
    let (checkout, store) = (checkout(), temp());
    must_agree(
        "an empty store",
        &checkout.build_all(|| cairn(store.path())),
    );
    // Now it has everything, also in another compression.
    for name in names() {
        let mut command = cairn(store.path());
        command.args(["build", "--compression=zstd"]);
        run(command.args(&checkout.arguments(&name)[1..]));
    }
    must_agree("a full store", &checkout.build_all(|| cairn(store.path())));
    for name in names() {
        let mut command = cairn(store.path());
        command.args(["build", "--no-cache"]);
        let digest = run(command.args(&checkout.arguments(&name)[1..]));
        assert_eq!(
            digest.trim_end(),
            digests()[&name],
            "`{name}` without its cache"
        );
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "this is how CI names other builds"
)]
fn other_builds_of_cairn_give_the_same_digests() {
    let folder = temp();
    let moved = folder.path().join("another name");
    copy_program(&moved);
    let other = std::env::var_os("CAIRN_OTHER").unwrap_or_default();
    let other = std::env::split_paths(&other).filter(|path| !path.as_os_str().is_empty());
    for program in [moved].into_iter().chain(other) {
        let (checkout, store) = (checkout(), temp());
        let got = checkout.build_all(|| wrapped(&[], &program, store.path()));
        must_agree(&program.display().to_string(), &got);
        // Another one's store is as good as its own.
        must_agree("its store", &checkout.build_all(|| cairn(store.path())));
    }
}
