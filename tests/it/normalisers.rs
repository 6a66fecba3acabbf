//! What packages and tools of Debian leave, twice, and whether their owners still work with it.
//!
//! In: Debian's packages, commands on them that have this machine's clock. Out: images with the same
//! digest each time; tools that find all in order; and what it would be without the normalisers.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::support::bases::Bases;
use crate::support::programs::program;
use crate::support::{cairn, run, temp};

/// Packages whose scripts write down when they ran.
const INSTALL: &str = "FROM openjdk:17-slim
RUN <<END
set -e
apt-get update
apt-get install -y --no-install-recommends \
    binutils dbus fontconfig fonts-dejavu-core man-db ninja-build python3-minimal sqlite3 unzip zip
find /var/lib/apt/lists -type f -delete
# Java's hook writes all certificates anew.
rm /etc/ssl/certs/java/cacerts
update-ca-certificates --fresh >/dev/null
END
";

/// Their owners say that all is as it should be, and one more can be installed.
const USE: &str = "FROM made
RUN <<END
set -ex
test -z \"$(dpkg --verify)\"
dpkg --audit
man -P cat dpkg | grep -q 'package manager'
whatis dpkg | grep -q 'package manager'
fc-list | grep -q DejaVu
test $(keytool -list -cacerts -storepass changeit 2>/dev/null | grep -c trustedCertEntry) -gt 100
dbus-uuidgen --ensure
dbus-uuidgen --get
ldconfig
apt-get update
apt-get install -y --no-install-recommends hello
hello
END
";

/// Each line is told by the name of a normaliser: what stands in a file of its kind. With a network, and
/// no lock, the first command has this machine's clock.
const MAKE: &str = "FROM made
RUN <<END
set -e
mkdir /made && cd /made
echo 'x = 1' > m.py
python3 -c 'import m'
zip -q z.zip m.py
tar -cf t.tar m.py
gzip -k m.py
ar qU l.a m.py 2>/dev/null
sqlite3 d.db 'pragma journal_mode=wal; create table t(x); insert into t values(7)' \
    '.shell mkdir w && cp d.db d.db-wal d.db-shm w/' >/dev/null
env -u SOURCE_DATE_EPOCH useradd somebody
ldconfig
update-alternatives --install /usr/bin/any any /usr/bin/env 1 >/dev/null
mkdir n && cd n && touch in header
printf '%s\\n' 'rule copy' ' command = cp in $out && echo $out: in header > $out.d' \
    ' deps = gcc' ' depfile = $out.d' 'build b: copy in' 'build a: copy in' > build.ninja
ninja >/dev/null
END
RUN --network=none <<END
set -e
mkdir /out && cd /made
zip -qT z.zip && unzip -Z -T z.zip | grep m.py > /out/zip
tar --utc --full-time -tvf t.tar > /out/tar
ar tvO l.a > /out/ar
gzip -t m.py.gz && od -An -tu4 -j4 -N4 m.py.gz > /out/gzip
python3 -v -c 'import m' 2>&1 | grep 'matches /made/m.py' > /out/pyc || true
wc -c < w/d.db-shm > /out/sqlite-index
test $(sqlite3 w/d.db 'select x from t') = 7
grep somebody /etc/shadow > /out/shadow
if test -s /var/log/alternatives.log; then echo written; fi > /out/logs
ls /var/cache/ldconfig > /out/ldconfig
cd n && cut -f 1-4 .ninja_log > /out/ninja
ninja -t deps | grep mtime > /out/ninja-deps
test \"$(ninja -n)\" = 'ninja: no work to do.'
touch -d now header
ninja -n | grep -q 'cp in b'
END
FROM scratch
COPY --from=0 /out /
";

struct Bench {
    bases: &'static Bases,
    folder: tempfile::TempDir,
}

impl Bench {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, recipe: &str, arguments: &[&str]) -> Command {
        let context = self.folder.path().join("context");
        std::fs::create_dir_all(&context).unwrap();
        std::fs::write(context.join("Dockerfile"), recipe).unwrap();
        let mut command = cairn(&self.bases.store());
        command.env("CONTAINERS_REGISTRIES_CONF", self.bases.config());
        command.args(["build", "-q"]).args(arguments).arg(context);
        command
    }

    #[track_caller]
    fn build(&self, recipe: &str, arguments: &[&str]) -> String {
        run(&mut self.command(recipe, arguments))
    }

    /// What the files of [`MAKE`] say, by their names.
    fn told(&self, arguments: &[&str]) -> BTreeMap<String, String> {
        let out = tempfile::tempdir_in(self.folder.path()).unwrap();
        let made = format!("made=oci-layout://{}", self.path("made"));
        let output = format!("type=local,dest={}", out.path().display());
        let own = ["--build-context", &made, "-o", &output];
        self.build(MAKE, &[&own, arguments].concat());
        let list = program("ls", &[]).arg(out.path()).output().unwrap().stdout;
        let names = String::from_utf8(list).unwrap();
        let read = |name: &str| std::fs::read_to_string(out.path().join(name)).unwrap();
        names
            .lines()
            .map(|name| (name.to_owned(), read(name)))
            .collect()
    }
}

/// Paths and sizes of the regular files of a tar.
fn sizes(tar: &Path) -> BTreeMap<String, u64> {
    let listed = run(program("tar", &["--numeric-owner", "-tvf"]).arg(tar));
    let sizes = listed.lines().filter(|line| line.starts_with('-'));
    let sizes = sizes.filter_map(|line| {
        let mut fields = line.split_whitespace().skip(2);
        let size = fields.next()?.parse().ok()?;
        Some((fields.nth(2)?.to_owned(), size))
    });
    sizes.collect()
}

#[test]
fn debris_of_packages_goes_and_their_tools_work() {
    let Some(bases) = Bases::get() else {
        return;
    };
    bases.base("openjdk", "openjdk:17-slim").unwrap();
    let folder = temp();
    let bench = Bench { bases, folder };
    let (made, whole) = (bench.path("made.tar"), bench.path("whole.tar"));
    let layout = format!("type=oci-dir,dest={}", bench.path("made"));
    let [made_output, whole_output] = [&made, &whole].map(|tar| format!("type=tar,dest={tar}"));

    let first = bench.build(INSTALL, &["--no-cache", "-o", &made_output, "-o", &layout]);
    let second = bench.build(INSTALL, &["--no-cache"]);
    assert_eq!(first, second);
    let other = bench.build(INSTALL, &["--no-normalise", "all", "-o", &whole_output]);
    assert_ne!(first, other);
    let (made, whole) = (sizes(Path::new(&made)), sizes(Path::new(&whole)));
    let gone: Vec<_> = whole
        .keys()
        .filter(|path| !made.contains_key(*path))
        .collect();
    for path in [
        "var/cache/ldconfig/aux-cache",
        "var/lib/dbus/machine-id",
        "var/lib/dpkg/status-old",
    ] {
        assert!(gone.iter().any(|gone| *gone == path), "{path} {gone:?}");
    }
    for path in ["var/log/dpkg.log", "var/log/apt/history.log"] {
        assert!(made[path] == 0 && whole[path] > 0, "{path}");
    }
    assert_eq!(
        made["etc/ssl/certs/java/cacerts"],
        whole["etc/ssl/certs/java/cacerts"]
    );

    let context = format!("made=oci-layout://{}", bench.path("made"));
    bench.build(USE, &["--build-context", &context]);

    let all = bench.told(&[]);
    assert_eq!(all, bench.told(&["--no-cache"]));
    for (name, of_the_epoch) in [
        ("ar", "Jan  1 00:00 1980"),
        ("gzip", "315532800"),
        ("ninja-deps", "mtime 315532800000000000 (VALID)"),
        ("ninja", "0\t0\t315532800000000000\ta\n"),
        ("pyc", "matches"),
        ("shadow", ":3652:"),
        ("sqlite-index", "0\n"),
        ("tar", "1980-01-01 00:00:00"),
        ("zip", "19800101.000000"),
    ] {
        assert!(all[name].contains(of_the_epoch), "{name}: {}", all[name]);
        let without = bench.told(&["--no-normalise", name]);
        assert!(!without[name].contains(of_the_epoch), "{}", without[name]);
        let others = |told: &BTreeMap<String, String>| {
            let mut told = told.clone();
            told.remove(name);
            told
        };
        assert_eq!(others(&all), others(&without), "{name}");
    }
    assert_eq!((all["logs"].trim(), all["ldconfig"].trim()), ("", ""));
    let without = bench.told(&["--no-normalise", "logs,ldconfig"]);
    assert_eq!(without["logs"].trim(), "written");
    assert_eq!(without["ldconfig"].trim(), "aux-cache");
}

#[test]
fn what_was_done_is_told() {
    let Some(bases) = Bases::get() else {
        return;
    };
    let folder = temp();
    let bench = Bench { bases, folder };
    let recipe =
        "FROM debian:bookworm\nRUN --network=none echo now > /var/log/dpkg.log && ldconfig\n";
    // The last build of a store of its own.
    let store = bench.folder.path().join("store");
    run(bench.command(recipe, &[]).env("CAIRN_HOME", &store));
    let cairn = |arguments: &[&str]| {
        let mut command = cairn(&store);
        run(command.args(arguments))
    };
    let log = cairn(&["log"]);
    let line = log.lines().find(|line| line.contains("dpkg.log")).unwrap();
    let key = line.split_whitespace().next().unwrap();
    let done = cairn(&["explain", "--normalised", key]);
    let rows: Vec<Vec<_>> = done
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows,
        [
            ["/var/cache/ldconfig/aux-cache", "removed", "ldconfig"],
            ["/var/log/dpkg.log", "emptied", "logs"],
        ]
    );
    let all = cairn(&["explain", "--normalisers"]);
    for line in [
        "ldconfig (remove)\n",
        "logs (empty)\n",
        "    var/log/dpkg.log\n",
        "zip (rewrite)\n",
    ] {
        assert!(all.contains(line), "{all}");
    }
    let output = bench
        .command(recipe, &["--no-normalise", "log"])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(told.contains("there is no normaliser `log`"), "{told}");
}

#[test]
fn keys_that_packages_make_are_refused_until_they_are_allowed() {
    let Some(bases) = Bases::get() else {
        return;
    };
    let folder = temp();
    let bench = Bench { bases, folder };
    let recipe = "FROM debian:bookworm\nRUN apt-get update && apt-get install -y \
        --no-install-recommends ca-certificates openssh-server ssl-cert && rm -rf /var/lib/apt/lists/*\n";
    let keys = [
        "`/etc/ssh/ssh_host_ecdsa_key` (OpenSSH)",
        "`/etc/ssh/ssh_host_ed25519_key` (OpenSSH)",
        "`/etc/ssh/ssh_host_rsa_key` (OpenSSH)",
        "`/etc/ssl/private/ssl-cert-snakeoil.key` (PEM)",
    ];
    let refused = || {
        let output = bench.command(recipe, &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let told = refused();
    assert!(told.contains(&keys.join(", ")), "{told}");
    assert!(told.contains("--allow-keys"), "{told}");
    let allowed = bench.command(recipe, &["--allow-keys"]).output().unwrap();
    assert!(allowed.status.success());
    // What is there already isn't had without leave, nor without a word.
    assert!(refused().contains(keys[0]));
    let mut again = bench.command(recipe, &["--allow-keys", "--progress=plain"]);
    let again = again.output().unwrap();
    assert_eq!(again.stdout, allowed.stdout);
    let said = String::from_utf8(again.stderr).unwrap();
    for key in keys {
        assert!(
            said.contains(&format!("made the private key {key}")),
            "{said}"
        );
    }
}

#[test]
fn keys_that_came_from_elsewhere_are_not_meant() {
    let Some(bases) = Bases::get() else {
        return;
    };
    let folder = temp();
    let bench = Bench { bases, folder };
    folder_of_keys(&bench);
    let recipe = "FROM debian:bookworm
COPY key.pem /below.pem
RUN --network=none --mount=target=/mounted <<END
set -e
cp /below.pem /etc/copied.pem
mv /below.pem /etc/moved.pem
cp /mounted/other.pem /etc/other.pem
tar -xf /mounted/keys.tar -C /srv
mkdir -p /srv/tests && tr a-z b-za < /etc/copied.pem > /srv/tests/key.pem
grep -v END /etc/copied.pem > /etc/talk
END
";
    bench.build(recipe, &[]);
    let made = "RUN --network=none tr a-z c-zab < /etc/copied.pem > /etc/made.pem\n";
    let output = bench
        .command(&format!("{recipe}{made}"), &[])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("private keys") && told.contains(": `/etc/made.pem` (PEM)\n"),
        "{told}"
    );
}

/// A context with two keys, and a tar of a third.
fn folder_of_keys(bench: &Bench) {
    let context = bench.folder.path().join("context");
    std::fs::create_dir_all(&context).unwrap();
    for name in ["key.pem", "other.pem", "third.pem"] {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(context.join(name), key).unwrap();
    }
    let arguments = ["--mtime=@1000000000", "-cf", "keys.tar", "third.pem"];
    run(program("tar", &arguments).current_dir(&context));
    std::fs::remove_file(context.join("third.pem")).unwrap();
}
