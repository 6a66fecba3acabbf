//! Packages of an archive that the test makes: what is chosen, what is checked, what is refused.

use std::path::Path;
use std::process::Output;

use cairn::canon::Digest;

use crate::support::archive::{Archive, Signer};
use crate::support::programs::program;
use crate::support::{cairn, require, run, temp};

/// A date in the style of archives, `days` from now.
pub fn date(days: i32) -> String {
    let when = format!("{days} days");
    let format = "+%a, %d %b %Y %H:%M:%S UTC";
    let mut date = program("date", &["-u", "-d", &when, format]);
    run(date.env("LC_ALL", "C")).trim().to_owned()
}

pub fn tools() -> bool {
    ["dpkg-deb", "dpkg-scanpackages", "gpg"]
        .iter()
        .all(|name| require(name))
}

/// Few packages: what `app` needs, and what nobody does.
pub fn archive() -> Archive {
    let archive = Archive::new();
    archive.add(
        "app",
        "Depends: lib (>= 2), data | other\n",
        &[
            ("postinst", "#!/bin/sh\n"),
            ("conffiles", "/etc/app.conf\n"),
        ],
        &[("usr/bin/app", "app"), ("etc/app.conf", "a = 1")],
    );
    archive.add(
        "lib",
        "Version: 2\nMulti-Arch: same\n",
        &[],
        &[("usr/lib/lib.so", "lib")],
    );
    archive.add(
        "data",
        "Replaces: lib\n",
        &[],
        &[("usr/share/data", "data")],
    );
    archive.add("other", "", &[], &[("usr/share/other", "other")]);
    archive.add("broken", "Depends: between\n", &[], &[]);
    archive.add("between", "Depends: nowhere (>= 1)\n", &[], &[]);
    archive.add("hater", "Conflicts: lib\n", &[], &[]);
    archive.add("thief", "", &[], &[("usr/share/data", "mine")]);
    archive
}

/// A recipe in a folder of its own.
pub struct Ground {
    folder: tempfile::TempDir,
    mirror: String,
}

impl Ground {
    pub fn new(archive: &Archive, signer: &Signer) -> Ground {
        let ground = Ground {
            folder: temp(),
            mirror: archive.url(),
        };
        ground.write("archive.asc", &signer.key());
        ground
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path().join(name), content).unwrap();
    }

    /// A step with these keys, besides suite and variant.
    pub fn recipe(&self, keys: &str) {
        self.write(
            "cairn.toml",
            &format!(
                "from = \"scratch\"\n[[steps]]\npackages.debian = {{ suite = \"test\", variant = \"distroless\", {keys} }}\n"
            ),
        );
    }

    pub fn build(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = cairn(&self.path().join("store"));
        command.envs(variables.iter().copied());
        command.args(["build", "--platform", "linux/amd64", "--progress", "plain"]);
        command.args(arguments).arg(self.path()).output().unwrap()
    }

    /// Installs `names` from the archive: the digest, and what was said.
    pub fn install(&self, names: &str) -> Result<(String, String), (i32, String)> {
        let mirror = &self.mirror;
        self.recipe(&format!(
            "mirror = \"{mirror}\", keys = [\"archive.asc\"], install = [{names}]"
        ));
        told(self.build(&[], &[]))
    }
}

pub fn told(output: Output) -> Result<(String, String), (i32, String)> {
    let said = String::from_utf8(output.stderr).unwrap();
    match output.status.code().unwrap() {
        0 => Ok((String::from_utf8(output.stdout).unwrap(), said)),
        code => Err((code, said)),
    }
}

#[test]
fn packages_without_scripts_are_what_the_archive_has() {
    if !tools() {
        return;
    }
    let (archive, signer) = (archive(), Signer::new("never"));
    archive.publish(
        &signer,
        &format!("Date: {}\nAcquire-By-Hash: yes\n", date(0)),
    );
    let ground = Ground::new(&archive, &signer);
    let (digest, said) = ground.install("\"app\"").unwrap();
    assert!(said.contains("the scripts of app didn't run"), "{said}");
    assert_eq!(archive.server.seen("GET", ".deb").len(), 3);
    // What is the same again is neither fetched nor made again, wherever it is.
    let other = Archive::new();
    *other.files.lock().unwrap() = archive.files.lock().unwrap().clone();
    let ground = Ground {
        mirror: other.url(),
        ..ground
    };
    assert_eq!(ground.install("\"app\"").unwrap().0, digest);
    assert_eq!(other.server.seen("GET", ".deb").len(), 0);

    let root = ground.path().join("root");
    let output = format!("type=local,dest={}", root.display());
    assert!(ground.build(&[], &["-o", &output]).status.success());
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    assert_eq!(text("usr/bin/app") + &text("etc/app.conf"), "appa = 1");
    assert_eq!(text("usr/share/data") + &text("usr/lib/lib.so"), "datalib");
    assert!(!root.join("usr/share/other").exists());
    let database = format!("--admindir={}", root.join("var/lib/dpkg").display());
    let format = "-f=${binary:Package} ${Version} ${db:Status-Status}\n";
    let listed = run(&mut program("dpkg-query", &[&database, "-W", format]));
    assert_eq!(
        listed,
        "app 1 unpacked\ndata 1 unpacked\nlib:amd64 2 unpacked\n"
    );
    let files = run(&mut program("dpkg-query", &[&database, "-L", "lib"]));
    assert_eq!(files, "/.\n/usr\n/usr/lib\n/usr/lib/lib.so\n");
    let verified = run(&mut program(
        "dpkg",
        &[&database, "--root", root.to_str().unwrap(), "-V", "lib"],
    ));
    assert_eq!(verified, "");
}

#[test]
fn names_versions_and_alternatives_are_chosen_as_asked() {
    if !tools() {
        return;
    }
    let (archive, signer) = (archive(), Signer::new("never"));
    archive.publish(&signer, "");
    let ground = Ground::new(&archive, &signer);
    ground.install("\"app\", \"other\"").unwrap();
    assert_eq!(archive.server.seen("GET", "pool/data.deb").len(), 0);
    assert_eq!(archive.server.seen("GET", "pool/other.deb").len(), 1);
    for (names, code, expected) in [
        (
            "\"nothing\"",
            3,
            &["no archive has a package `nothing`", "test main"][..],
        ),
        ("\"lib (>= 3)\"", 3, &["`lib (>= 3)`", "there is 2"]),
        (
            "\"broken\"",
            1,
            &["broken 1", "between 1", "nowhere (>= 1)"],
        ),
        ("\"app\", \"hater\"", 1, &["hater", "lib"]),
        (
            "\"data\", \"thief\"",
            1,
            &["`thief` would overwrite `/usr/share/data` of `data`"],
        ),
        (
            "\"a|b\"",
            1,
            &["one package stands in each text", "name (>= version)"],
        ),
    ] {
        let (found, said) = ground.install(names).unwrap_err();
        assert_eq!(found, code, "{said}");
        for part in expected {
            assert!(said.contains(part), "{names}: {part}\n{said}");
        }
    }
}

#[test]
fn offline_nothing_of_a_locked_set_is_fetched() {
    if !tools() {
        return;
    }
    let (archive, signer) = (archive(), Signer::new("never"));
    archive.publish(&signer, "");
    let ground = Ground::new(&archive, &signer);
    let mirror = &ground.mirror;
    ground.recipe(&format!(
        "mirror = \"{mirror}\", keys = [\"archive.asc\"], install = [\"app\"]"
    ));
    let mut lock = cairn(&ground.path().join("store"));
    run(lock
        .args(["lock", "--platform", "linux/amd64"])
        .arg(ground.path()));
    let build = || told(ground.build(&[], &["--locked", "--offline", "--no-cache"]));
    build().unwrap();
    let asked = archive.server.seen("GET", "").len();
    let deb = archive.files.lock().unwrap()["debian/pool/lib_2.deb"].clone();
    let digest = Digest::of(&deb);
    let blob = ground
        .path()
        .join(format!("store/blobs/sha256/{}", digest.hex()));
    let refused = |how: String| {
        let (code, said) = build().unwrap_err();
        assert_eq!(code, 3, "{said}");
        let named = format!("`{mirror}/pool/lib_2.deb`");
        for part in [&named, &how, "`--offline`", "`cairn pull --inputs`"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(archive.server.seen("GET", "").len(), asked);
    };
    std::fs::write(&blob, &deb[1..]).unwrap();
    refused(format!("its blob {digest} has other bytes"));
    std::fs::remove_file(&blob).unwrap();
    refused(format!("({digest}) is not in the store"));
    told(ground.build(&[], &["--locked", "--no-cache"])).unwrap();
    assert_eq!(archive.server.seen("GET", "").len(), asked + 1);
    build().unwrap();
}

/// Serves the archive as it was at `instant`, too: where.
fn snapshot(archive: &Archive, instant: &str) -> String {
    let mut files = archive.files.lock().unwrap();
    let begin = format!("debian/{instant}/");
    let moved = files
        .iter()
        .map(|(path, content)| (path.replacen("debian/", &begin, 1), content.clone()));
    let moved: Vec<_> = moved.collect();
    files.extend(moved);
    format!("{}/{instant}", archive.url())
}

#[test]
fn a_snapshot_holds_for_its_own_instant() {
    if !tools() {
        return;
    }
    let (archive, signer) = (archive(), Signer::new("never"));
    archive.publish(&signer, "Valid-Until: Mon, 02 Nov 2020 00:00:00 UTC\n");
    let ground = Ground::new(&archive, &signer);
    for (instant, expected) in [("20201101T000000Z", Ok(())), ("20201103T000000Z", Err(4))] {
        let mirror = snapshot(&archive, instant);
        ground.recipe(&format!(
            "snapshot = \"{mirror}\", keys = [\"archive.asc\"], install = [\"lib\"]"
        ));
        let found = told(ground.build(&[], &[]));
        assert_eq!(
            found.map(drop).map_err(|(code, _)| code),
            expected,
            "{instant}"
        );
    }
}

#[test]
fn packages_stand_on_what_images_without_dpkg_say_of_theirs() {
    if !tools() {
        return;
    }
    let (archive, signer) = (archive(), Signer::new("never"));
    archive.publish(&signer, "");
    let ground = Ground::new(&archive, &signer);
    let recipe = |variant: &str| {
        let control = "Package: lib\\nVersion: 2\\nArchitecture: amd64\\n";
        let mirror = &ground.mirror;
        ground.write("cairn.toml", &format!(
            "from = \"scratch\"\n[[steps]]\nfile = {{ path = \"/var/lib/dpkg/status.d/lib\", content = \"{control}\" }}\n\
             [[steps]]\npackages.debian = {{ suite = \"test\", mirror = \"{mirror}\", keys = [\"archive.asc\"], install = [\"app\"] {variant} }}\n"
        ));
        told(ground.build(&[], &[]))
    };
    recipe(", variant = \"distroless\"").unwrap();
    assert_eq!(archive.server.seen("GET", "pool/lib_2.deb").len(), 0);
    assert_eq!(archive.server.seen("GET", "pool/app.deb").len(), 1);
    let (code, said) = recipe("").unwrap_err();
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("no dpkg that could configure others"),
        "{said}"
    );
}

#[test]
fn keys_that_expired_sign_nothing() {
    if !(tools() && require("faketime")) {
        return;
    }
    let archive = archive();
    let signer = Signer::new("1d");
    archive.publish(&signer, "");
    let ground = Ground::new(&archive, &signer);
    ground.install("\"lib\"").unwrap();
    let mirror = snapshot(&archive, "20990101T000000Z");
    ground.recipe(&format!(
        "snapshot = \"{mirror}\", keys = [\"archive.asc\"], install = [\"lib\"]"
    ));
    let (code, said) = told(ground.build(&[], &[])).unwrap_err();
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("has expired"), "{said}");
}

#[test]
fn subkeys_sign_for_keys_that_others_signed() {
    if !tools() {
        return;
    }
    let (archive, signer) = (archive(), Signer::by_subkey());
    archive.publish(&signer, "");
    let ground = Ground::new(&archive, &signer);
    ground.install("\"lib\"").unwrap();
}

#[test]
fn mirrors_and_keys_have_to_be_said() {
    if !tools() {
        return;
    }
    let (archive, signer) = (archive(), Signer::new("never"));
    archive.publish(&signer, "");
    let ground = Ground::new(&archive, &signer);
    ground.recipe("install = [\"lib\"], keys = [\"archive.asc\"]");
    let (code, said) = told(ground.build(&[], &[])).unwrap_err();
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("nothing says where the packages of `test` are"),
        "{said}"
    );
    assert!(said.contains("CAIRN_DEBIAN_MIRROR"), "{said}");
    let named = [("CAIRN_DEBIAN_MIRROR", ground.mirror.as_str())];
    told(ground.build(&named, &[])).unwrap();
    ground.recipe("install = [\"lib\"], keys = [\"archive.asc\", \"large\"]");
    let large = ground.path().join("large");
    std::fs::File::create(&large)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let refused = |reason: &str| {
        let (code, said) = told(ground.build(&named, &[])).unwrap_err();
        assert_eq!(code, 3, "{said}");
        let step = "packages debian test lib: ";
        assert!(said.contains(&format!("{step}{reason}")), "{said}");
    };
    refused("`large` can't be used as keys: it is larger than 4194304 bytes");
    std::fs::remove_file(&large).unwrap();
    run(&mut program("mkfifo", &[large.to_str().unwrap()]));
    refused("`large` can't be used as keys: it is no file");
    std::fs::remove_file(&large).unwrap();
    refused("`large` can't be used as keys: ");
    ground.recipe("install = [\"lib\"]");
    let (code, said) = told(ground.build(&named, &[])).unwrap_err();
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("nothing says whose packages to trust"),
        "{said}"
    );
    ground.write("archive.asc", "no key");
    ground.recipe("install = [\"lib\"], keys = [\"archive.asc\"]");
    let (code, said) = told(ground.build(&named, &[])).unwrap_err();
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("`archive.asc` can't be used as keys"),
        "{said}"
    );
}

#[test]
fn recipes_that_make_no_sense_are_told() {
    let folder = temp();
    let check = |keys: &str| {
        let text = format!("from = \"scratch\"\n[[steps]]\npackages.debian = {{ {keys} }}\n");
        std::fs::write(folder.path().join("cairn.toml"), text).unwrap();
        let mut command = cairn(&folder.path().join("store"));
        let output = command.arg("plan").arg(folder.path()).output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for (keys, expected) in [
        ("install = [\"a\"]", "`packages.debian` lacks `suite`"),
        ("suite = \"x\"", "`packages.debian` installs nothing"),
        (
            "suite = \"../x\", install = [\"a\"]",
            "is no name of a suite",
        ),
        ("suite = \"x\", install = [\"a b\"]", "can't be installed"),
        (
            "suite = \"x\", install = [\"a\"], mirror = \"x\"",
            "is no HTTP address",
        ),
        (
            "suite = \"x\", install = [\"a\"], snapshot = \"http://x/y\"",
            "says no instant",
        ),
        (
            "suite = \"x\", install = [\"a\"], variant = \"big\"",
            "there is no variant `big`",
        ),
        (
            "suite = \"x\", install = [\"a\"], keys = []",
            "`keys` is empty",
        ),
        (
            "suite = \"x\", install = [\"a\"], mirror = \"http://x\", snapshot = \"http://x/20250520T000000Z\"",
            "both `mirror` and `snapshot`",
        ),
    ] {
        let (success, said) = check(keys);
        assert!(!success && said.contains(expected), "{keys}: {said}");
    }
    assert_eq!(
        check("suite = \"x\", variant = \"minbase\""),
        (true, String::new())
    );
}
