//! What dpkg does beyond unpacking: files put elsewhere or left out, upgrades, triggers.
//!
//! Packages that the test makes are installed over Debian's smallest system, by a step and by
//! `apt-get install` in a RUN; every file is compared.

use crate::packages_real::{KEYRING, OF_APT, built, differences};
use crate::support::archive::{Archive, Signer};
use crate::support::programs::program;
use crate::support::users::Users;
use crate::support::{require, run};

/// Tells of each script that runs, in a file of its package's own.
const TELLING: &str =
    "#!/bin/sh\nset -e\necho \"$DPKG_MAINTSCRIPT_NAME $*\" >>/srv/$DPKG_MAINTSCRIPT_PACKAGE\n";

#[test]
fn what_dpkg_does_as_it_unpacks_is_done() {
    let tools = ["apt-get", "dpkg-deb", "dpkg-scanpackages", "gpg"];
    if !tools.iter().all(|name| require(name)) {
        return;
    }
    let Some(users) = Users::new() else {
        return;
    };
    let users = &users;
    run(&mut program(
        "mkdir",
        &["-p", &users.text("context/served/pool")],
    ));
    run(&mut program(
        "cp",
        &[KEYRING, &users.text("context/debian.gpg")],
    ));

    let (archive, signer) = (Archive::new(), Signer::new("never"));
    let all = ["preinst", "postinst", "prerm", "postrm"].map(|name| (name, TELLING));
    archive.add(
        "greet",
        "",
        &[("postinst", TELLING)],
        &[("usr/bin/greet", "greet"), ("usr/share/greet", "greet")],
    );
    let divert = "#!/bin/sh\nset -e\ndpkg-divert --package divert --add --rename --divert /usr/bin/greet.real /usr/bin/greet\n";
    let files = [
        ("usr/bin/greet", "divert"),
        ("usr/share/doc/divert/a", "left out"),
    ];
    archive.add("divert", "Depends: greet\n", &[("preinst", divert)], &files);
    let triggers = [
        ("postinst", TELLING),
        ("triggers", "interest-noawait /usr/share/things\n"),
    ];
    archive.add("told", "", &triggers, &[]);
    archive.add("thing", "", &[], &[("usr/share/things/thing", "thing")]);
    let conffiles = [&all[..], &[("conffiles", "/etc/up\n/etc/old\n")]].concat();
    users.write("context/test.asc", &signer.key());
    let packages = |names: &str| {
        let mirror = archive.url();
        format!(
            "packages.debian = {{ suite = \"test\", mirror = \"{mirror}\", keys = [\"test.asc\"], install = [{names}] }}"
        )
    };
    let recipe = |with: &str| {
        let (first, second) = (
            packages("\"up=1\", \"told\""),
            packages("\"up\", \"divert\", \"thing\""),
        );
        let stages = format!(
            r#"
from = {{ stage = "more" }}
[stages.minbase]
from = "scratch"
[[stages.minbase.steps]]
packages.debian = {{ suite = "bookworm", variant = "minbase", keys = ["debian.gpg"] }}
[stages.up]
from = {{ stage = "minbase" }}
[[stages.up.steps]]
{first}
[[stages.up.steps]]
file = {{ path = "/etc/dpkg/dpkg.cfg.d/{with}", content = "path-exclude /usr/share/doc/*\n" }}
[stages.more]
from = {{ stage = "up" }}
[[stages.more.steps]]
{second}
[stages.apt-more]
from = {{ stage = "up" }}
[[stages.apt-more.steps]]
[stages.apt-more.steps.run]
command = "mv /etc/apt/sources.list.d /tmp/kept && mkdir /etc/apt/sources.list.d && echo 'deb [trusted=yes] file:/served ./' >/etc/apt/sources.list.d/served.list && apt-get -q update && apt-get -q install -y up divert thing && rm -r /etc/apt/sources.list.d && mv /tmp/kept /etc/apt/sources.list.d"
network = "none"
mounts = [{{ type = "bind", source = "served", target = "/served" }}]
[stages.apt-more.steps.run.env]
DEBIAN_FRONTEND = "noninteractive"
LC_ALL = "C.UTF-8"
SOURCE_DATE_EPOCH = "315532800"
"#
        );
        users.write("context/cairn.toml", &stages);
    };
    // Whether files are left out, and whether dpkg's configuration is what makes dpkg unpack.
    for with in ["x", "x.ignored"] {
        archive.add(
            "up",
            "",
            &conffiles,
            &[("etc/up", "1"), ("etc/old", "1"), ("usr/share/up", "1")],
        );
        archive.publish(&signer, "");
        recipe(with);
        let before = built(users, &["--target", "up"]);
        archive.add(
            "up",
            "Version: 2\n",
            &all,
            &[("etc/up", "2"), ("usr/share/up", "2")],
        );
        archive.publish(&signer, "");
        for (path, content) in archive.files.lock().unwrap().iter() {
            if let Some(rest) = path.strip_prefix("debian/pool/") {
                let to = users.path("context/served/pool").join(rest);
                std::fs::write(to, content).unwrap();
            } else if path.ends_with("Packages") {
                std::fs::write(users.path("context/served/Packages"), content).unwrap();
            }
        }
        let ours = built(users, &["--target", "more"]);
        let theirs = built(users, &["--target", "apt-more"]);
        assert_ne!(before.get("etc/up"), ours.get("etc/up"));
        assert!(ours.contains_key("usr/bin/greet.real") && ours.contains_key("srv/up"));
        assert_eq!(ours.contains_key("usr/share/doc/divert/a"), with != "x");
        assert_eq!(differences(&ours, &theirs, OF_APT), [""; 0], "{with}");
    }
}
