//! What cairn writes, unpacked and run by other people's programs: paths, types, modes, owners,
//! times, xattrs, link groups and content must be those that the recipe's inputs say.
//!
//! What a program does to every image, whoever made it, is told by its [`Habits`].

use std::path::{Path, PathBuf};

use cairn::canon::Digest;
use serde_json::Value;

use crate::support::engines::{Containerd, Containers, Daemon, drivers, run_bundle};
use crate::support::programs::{program, run};
use crate::support::registry::DockerRegistry;
use crate::support::sample::{SAYS, Sample, sample};
use crate::support::tree::{self, Tree, What};
use crate::support::{cairn, require, temp};

/// What the image is called, in full.
const NAME: &str = "docker.io/library/demo:1";

const CODECS: [&str; 3] = ["gzip", "zstd", "uncompressed"];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The sample built once for each codec, in one store.
struct Built {
    sample: Sample,
    // Last, for what is mounted in it goes first.
    folder: tempfile::TempDir,
}

impl Built {
    fn new() -> Built {
        let (sample, folder) = (sample(), temp());
        Built { sample, folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An archive of that type (`oci` or `docker`).
    fn archive(&self, kind: &str, codec: &str) -> String {
        let path = self.at(&format!("{kind}-{codec}.tar"));
        let output = match kind {
            // Files have no compression.
            "tar" => format!("type=tar,dest={}", text(&path)),
            _ => format!("type={kind},compression={codec},dest={}", text(&path)),
        };
        let mut command = cairn(&self.at("home"));
        command.args(["build", "-q", "-t", "demo:1", "-o", &output]);
        run(command.arg(self.sample.folder.path()));
        text(&path).to_owned()
    }

    #[track_caller]
    fn check(&self, who: &str, root: &Path, habits: &Habits) {
        let mut got = tree::read(root);
        let mut expected = self.sample.expected.clone();

        habits.apply(&mut got, &mut expected);
        tree::assert_same(who, &got, &expected);
    }
}

/// How a program differs from what image-spec asks for.
#[derive(Clone, Copy, Default)]
struct Habits {
    /// Times before 1970 become 1970.
    begins_in_1970: bool,
    /// Empty xattrs are lost: Go's archive/tar takes the record for one that unsets.
    drops_empty_xattrs: bool,
    /// `user.*` xattrs are lost.
    drops_user_xattrs: bool,
}

const UMOCI: Habits = Habits {
    begins_in_1970: false,
    drops_empty_xattrs: true,
    drops_user_xattrs: false,
};

/// Of containers/storage, which podman and buildah share.
const STORAGE: Habits = Habits {
    begins_in_1970: true,
    drops_empty_xattrs: true,
    drops_user_xattrs: false,
};

impl Habits {
    fn apply(self, got: &mut Tree, expected: &mut Tree) {
        if self.begins_in_1970 {
            for row in expected.values_mut() {
                row.mtime.0 = row.mtime.0.max(0);
            }
        }
        for row in got.values_mut().chain(expected.values_mut()) {
            row.xattrs.retain(|name, value| {
                let is_lost_empty = self.drops_empty_xattrs && value.is_empty();
                let is_lost_user = self.drops_user_xattrs && name.starts_with("user.");
                !is_lost_empty && !is_lost_user
            });
        }
    }
}

#[test]
fn the_sample_has_one_of_everything() {
    let Sample { expected, .. } = sample();
    let count = |is: &dyn Fn(&tree::Row) -> bool| expected.values().filter(|row| is(row)).count();
    assert_eq!(
        count(&|row| matches!(row.what, What::Character(..) | What::Block(..))),
        2
    );
    assert_eq!(count(&|row| row.what == What::Fifo), 1);
    assert_eq!(
        count(&|row| row.links.as_deref() == Some("data/d1/hard-a")),
        4
    );
    assert_eq!(count(&|row| row.links.as_deref() == Some("data/kept-2")), 2);
    assert_eq!(count(&|row| row.mode & 0o7000 != 0), 4);
    assert_eq!(count(&|row| !row.xattrs.is_empty()), 3);
    assert_eq!(count(&|row| row.mtime.0 < 0), 1);
    assert!(expected.keys().any(|path| path.len() > 300));
}

#[test]
fn gnu_tar_unpacks_the_merged_files() {
    let built = Built::new();
    let archive = built.archive("tar", "gzip");
    let to = built.at("unpacked");
    std::fs::create_dir(&to).unwrap();
    let tar = [
        "--xattrs",
        "--xattrs-include=*",
        "-xpf",
        &archive,
        "-C",
        text(&to),
    ];
    run(&mut program("tar", &tar));
    built.check("tar", &to, &Habits::default());
}

#[test]
fn skopeo_copies_and_umoci_unpacks() {
    if !require("skopeo") || !require("umoci") {
        return;
    }
    let built = Built::new();
    for codec in CODECS {
        let from = format!("oci-archive:{}", built.archive("oci", codec));
        let layout = text(&built.at(codec)).to_owned();
        let to = format!("oci:{layout}:demo");
        run(&mut program("skopeo", &["copy", "-q", &from, &to]));
        // umoci 0.4.7 knows no zstd.
        if codec == "zstd" {
            continue;
        }
        let bundle = built.at(&format!("{codec}-bundle"));
        let image = format!("{layout}:demo");
        run(&mut program(
            "umoci",
            &["unpack", "--image", &image, text(&bundle)],
        ));
        built.check("umoci", &bundle.join("rootfs"), &UMOCI);
        if require("runc") {
            assert_eq!(run_bundle(&bundle), SAYS);
        }
    }
}

/// Digests of the files that `manifest.json` of a docker archive names as layers.
fn saved(archive: &str, folder: &Path) -> Vec<String> {
    std::fs::create_dir(folder).unwrap();
    run(&mut program("tar", &["-xf", archive, "-C", text(folder)]));
    let manifest = std::fs::read(folder.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layers = manifest[0]["Layers"].as_array().unwrap().iter();
    let digest = |layer: &Value| {
        let file = folder.join(layer.as_str().unwrap());
        Digest::of(&std::fs::read(file).unwrap()).to_string()
    };
    layers.map(digest).collect()
}

#[test]
fn skopeo_turns_it_into_its_other_forms() {
    if !require("skopeo") {
        return;
    }
    let built = Built::new();
    let mut said = Vec::new();
    for codec in CODECS {
        let oci = format!("oci-archive:{}", built.archive("oci", codec));
        let docker = format!("docker-archive:{}", built.archive("docker", codec));
        let config = run(&mut program(
            "skopeo",
            &["inspect", "--config", "--raw", &oci],
        ));
        let value: Value = serde_json::from_str(&config).unwrap();
        let diff_ids = value["rootfs"]["diff_ids"].as_array().unwrap().clone();
        let shown = run(&mut program(
            "skopeo",
            &["inspect", "--config", "--raw", &docker],
        ));
        assert_eq!(shown, config);
        // Docker's formats have no zstd.
        if codec != "zstd" {
            let archive = text(&built.at(&format!("skopeo-{codec}.tar"))).to_owned();
            let to = format!("docker-archive:{archive}:demo:1");
            run(&mut program("skopeo", &["copy", "-q", &oci, &to]));
            let layers = saved(&archive, &built.at(&format!("saved-{codec}")));
            assert_eq!(Value::from(layers), Value::from(diff_ids.clone()));
        }
        let folder = built.at(&format!("dir-{codec}"));
        let to = format!("dir:{}", text(&folder));
        run(&mut program(
            "skopeo",
            &["copy", "-q", "--dest-decompress", &oci, &to],
        ));
        let digests = diff_ids
            .iter()
            .map(|id| id.as_str().unwrap())
            .map(|id| &id[7..]);
        for digest in digests {
            let bytes = std::fs::read(folder.join(digest)).unwrap();
            assert_eq!(Digest::of(&bytes).hex().to_string(), digest);
        }
        said.push(config);
    }
    assert!(said.iter().all(|config| *config == said[0]));
}

#[test]
fn docker_registry_hands_on_what_is_pushed() {
    if !require("docker-registry") || !require("skopeo") || !require("umoci") {
        return;
    }
    let built = Built::new();
    let registry = DockerRegistry::new("", "");
    for codec in CODECS {
        let name = format!("{}/team/demo:{codec}", registry.host);
        let mut command = cairn(&built.at("home"));
        command.args(["build", "-q", "--push", "-t", &name, "--compression", codec]);
        let digest = run(command.arg(built.sample.folder.path()));
        let remote = format!("docker://{name}");
        let format = "--format={{.Digest}}";
        let inspect = ["inspect", "--tls-verify=false", format, &remote];
        assert_eq!(run(&mut program("skopeo", &inspect)), digest);
        let layout = text(&built.at(codec)).to_owned();
        let to = format!("oci:{layout}:demo");
        // Else it would compress what isn't.
        let plain = "--dest-oci-accept-uncompressed-layers";
        let copy = ["copy", "-q", plain, "--src-tls-verify=false", &remote, &to];
        run(&mut program("skopeo", &copy));
        let index = std::fs::read(built.at(codec).join("index.json")).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        assert_eq!(index["manifests"][0]["digest"], digest.trim_end());
        if codec == "gzip" {
            let (image, bundle) = (format!("{layout}:demo"), built.at("bundle"));
            let unpack = ["unpack", "--image", &image, text(&bundle)];
            run(&mut program("umoci", &unpack));
            built.check("registry", &bundle.join("rootfs"), &UMOCI);
        }
    }
}

#[test]
fn podman_loads_and_runs_it() {
    if !require("podman") {
        return;
    }
    let built = Built::new();
    for driver in drivers("vfs", "overlay") {
        let podman = Containers::new("podman", driver, &built.at(driver));
        let both = [("docker", "gzip")].into_iter();
        for (kind, codec) in both.chain(CODECS.map(|codec| ("oci", codec))) {
            let archive = built.archive(kind, codec);
            podman.run(&["load", "--quiet", "--input", &archive]);
            let root = podman.run(&["image", "mount", NAME]);
            built.check(driver, Path::new(&root), &STORAGE);
            if codec == "gzip" && require("runc") {
                assert_eq!(podman.run_image(NAME), SAYS.trim_end());
            }
            podman.run(&["image", "unmount", NAME]);
            podman.run(&["rmi", "--all", "--force"]);
        }
    }
}

#[test]
fn buildah_builds_from_it() {
    if !require("buildah") {
        return;
    }
    let built = Built::new();
    for driver in drivers("vfs", "overlay") {
        let buildah = Containers::new("buildah", driver, &built.at(driver));
        for codec in CODECS {
            let archive = format!("oci-archive:{}", built.archive("oci", codec));
            buildah.run(&["from", "--quiet", "--name", codec, &archive]);
            let root = buildah.run(&["mount", codec]);
            built.check(driver, Path::new(&root), &STORAGE);
            let shell = ["/bin/sh", "-c", "echo $GREETING $(busybox id -u) $(pwd)"];
            let command = [&["run", "--isolation", "chroot", codec, "--"][..], &shell];
            assert_eq!(buildah.run(&command.concat()), "grüße 1000 /home/app");
            buildah.run(&["rm", codec]);
            buildah.run(&["rmi", "--all"]);
        }
    }
}

#[test]
fn dockerd_loads_and_runs_it() {
    if !require("dockerd") || !require("docker") || !require("containerd") {
        return;
    }
    let built = Built::new();
    for driver in drivers("vfs", "overlay2") {
        let folder = built.at(driver);
        std::fs::create_dir(&folder).unwrap();
        let Some(daemon) = Daemon::with_driver(driver, &folder) else {
            return;
        };
        let habits = Habits {
            begins_in_1970: true,
            drops_empty_xattrs: true,
            // It copies no more than `security.capability` from layer to layer.
            drops_user_xattrs: driver == "vfs",
        };
        // dockerd 20.10 loads no zstd.
        for codec in ["gzip", "uncompressed"] {
            let archive = built.archive("docker", codec);
            let loaded = run(&mut daemon.docker(&["load", "--quiet", "--input", &archive]));
            assert_eq!(loaded.trim(), "Loaded image: demo:1");
            let files = daemon.files("demo:1", &folder.join(codec));
            built.check(driver, &files.path, &habits);
            drop(files);
            let ran = run(&mut daemon.docker(&["run", "--rm", "--network=none", "demo:1"]));
            assert_eq!(ran, SAYS);
            run(&mut daemon.docker(&["rmi", "--force", "demo:1"]));
        }
    }
}

#[test]
fn containerd_imports_and_runs_it() {
    if !require("containerd") || !require("ctr") {
        return;
    }
    let built = Built::new();
    let folder = built.at("containerd");
    std::fs::create_dir(&folder).unwrap();
    let Some(mut containerd) = Containerd::start(&folder) else {
        return;
    };
    let habits = Habits {
        begins_in_1970: true,
        ..Habits::default()
    };
    for driver in drivers("native", "overlayfs") {
        let with = ["--snapshotter", driver];
        let both = [("docker", "gzip")].into_iter();
        for (kind, codec) in both.chain(CODECS.map(|codec| ("oci", codec))) {
            let archive = built.archive(kind, codec);
            // In a namespace of its own each is unpacked, although diff IDs are the same.
            containerd.namespace = format!("{driver}-{kind}-{codec}");
            containerd.run(&["images", "import", with[0], with[1], &archive]);
            let at = built.at(&containerd.namespace);
            let mounted = containerd.mount(driver, NAME, &at);
            built.check(driver, &mounted.path, &habits);
            drop(mounted);
            if codec == "zstd" && require("runc") {
                let id = format!("cairn-test-{}", std::process::id());
                let run = ["run", "--rm", with[0], with[1], NAME, &id];
                assert_eq!(containerd.run(&run), SAYS.trim_end());
            }
        }
    }
}
