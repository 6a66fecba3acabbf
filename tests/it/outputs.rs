//! Outputs as buildx has them, and what the command line takes from it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::registry::DockerRegistry;
use crate::support::{cairn, http, require, run, temp};

/// A store, and a context with a Dockerfile.
struct Case(tempfile::TempDir);

impl Case {
    fn new(recipe: &str) -> Case {
        let case = Case(temp());
        std::fs::create_dir(case.at("context")).unwrap();
        std::fs::write(case.at("context/Dockerfile"), recipe).unwrap();
        std::fs::write(case.at("context/file"), "content").unwrap();
        case
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = cairn(&self.at("store"));
        command.arg("build").args(arguments).arg(self.at("context"));
        command
    }

    /// The digest that is printed.
    #[track_caller]
    fn digest(&self, arguments: &[&str]) -> String {
        let mut all = vec!["-q"];
        all.extend(arguments);
        run(&mut self.command(&all)).trim().to_owned()
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str], code: i32, says: &str) {
        let (code_was, said) = self.said(arguments, &[]);
        assert_eq!(code_was, Some(code), "{arguments:?}: {said}");
        assert!(
            said.contains(says) && said.contains("hint"),
            "{arguments:?}: {said}"
        );
    }

    fn said(&self, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
        let output = self.output(arguments, variables);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    }

    fn output(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied()).output().unwrap()
    }

    /// A document of the store.
    fn blob(&self, digest: &str) -> Value {
        let hex = digest.trim_start_matches("sha256:");
        read_json(&self.at("store/blobs/sha256").join(hex))
    }

    /// The config of the image with that manifest.
    fn config(&self, manifest: &str) -> Value {
        let manifest = self.blob(manifest);
        self.blob(manifest["config"]["digest"].as_str().unwrap())
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

const PLAIN: &str = "FROM scratch\nCOPY file /\n";

#[test]
fn runners_push_by_digest_and_one_makes_the_index() {
    if !require("docker-registry") {
        return;
    }
    let (registry, case) = (DockerRegistry::new("", ""), Case::new(PLAIN));
    let name = format!("{}/team/app", registry.host);
    let output =
        format!("type=image,\"name={name}\",push-by-digest=true,name-canonical=true,push=true");
    let mut members = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let platform = format!("linux/{architecture}");
        let metadata = case.at("metadata.json");
        let store = case.at(architecture);
        let mut command = cairn(&store);
        command.args(["build", "-q", "--platform", &platform, "-o", &output]);
        command
            .arg("--metadata-file")
            .arg(&metadata)
            .arg(case.at("context"));
        let digest = run(&mut command).trim().to_owned();
        let metadata = read_json(&metadata);
        assert_eq!(metadata["containerimage.digest"], digest.as_str());
        let mut descriptor = metadata["containerimage.descriptor"].clone();
        descriptor["platform"] = serde_json::json!({"os": "linux", "architecture": architecture});
        members.push(descriptor);
        // In its store, too, it has no tag that it never got.
        let images = run(cairn(&store).args(["images", "--json"]));
        assert!(!images.contains("latest"), "{images}");
    }
    let (_, port) = registry.host.rsplit_once(':').unwrap();
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let tags = http::request(address, "GET", "/v2/team/app/tags/list", &[], b"");
    assert!(
        tags.status == 404 || tags.json()["tags"].is_null(),
        "{tags:?}"
    );
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": kind, "manifests": members});
    let path = "/v2/team/app/manifests/v1";
    let headers = [("Content-Type", kind)];
    let body = serde_json::to_vec(&index).unwrap();
    http::request(address, "PUT", path, &headers, &body).expect(201);
    for platform in ["linux/amd64", "linux/arm64"] {
        let mut pull = cairn(&case.at("pulled"));
        pull.args(["pull", "-q", "--platform", platform]);
        run(pull.arg(format!("{name}:v1")));
    }
    let tagged = format!("{name}:v2");
    let push = "type=image,push-by-digest=true,push=true";
    case.refused(&["-t", &tagged, "-o", push], 2, "leave the tag out");
    case.refused(
        &[
            "-t",
            &tagged,
            "--push",
            "-o",
            "type=image,push-by-digest=true",
        ],
        2,
        "has a tag",
    );
}

#[test]
fn what_is_pushed_without_more_has_its_tag() {
    if !require("docker-registry") {
        return;
    }
    let (registry, case) = (DockerRegistry::new("", ""), Case::new(PLAIN));
    let (_, port) = registry.host.rsplit_once(':').unwrap();
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    for (arguments, tag) in [
        (&["--push"][..], "a"),
        (&["--push=true", "-o", "type=image"], "b"),
        (
            &[
                "-o",
                "type=registry,oci-mediatypes=true,rewrite-timestamp=true",
            ],
            "c",
        ),
    ] {
        let name = format!("{}/app:{tag}", registry.host);
        let all = [&["-t", &*name], arguments].concat();
        let digest = case.digest(&all);
        let path = format!("/v2/app/manifests/{tag}");
        let accept = [("Accept", "application/vnd.oci.image.manifest.v1+json")];
        let answer = http::request(address, "GET", &path, &accept, b"").expect(200);
        assert_eq!(answer.header("docker-content-digest"), Some(&*digest));
    }
    // What is switched off isn't done.
    let name = format!("{}/app:none", registry.host);
    case.digest(&["-t", &name, "--push=false", "-o", "type=image,push=false"]);
    let answer = http::request(address, "GET", "/v2/app/manifests/none", &[], b"");
    assert_eq!(answer.status, 404);
}

#[test]
fn an_image_is_in_the_store_unless_only_the_cache_is_wanted() {
    let case = Case::new(PLAIN);
    let images = || run(cairn(&case.at("store")).args(["images", "-q"]));
    let cached = case.digest(&["-t", "app", "-o", "type=cacheonly"]);
    assert_eq!(images(), "");
    assert_eq!(case.digest(&["-t", "app", "-o", "type=image"]), cached);
    assert_eq!(images().trim(), cached);
    case.refused(&["-o", "type=image,dest=x"], 2, "goes to no file");
    case.refused(
        &["-o", "type=image,compression-level=9"],
        2,
        "format 1 fixes it",
    );
    case.refused(
        &["-o", "type=image,rewrite-timestamp=false"],
        2,
        "SOURCE_DATE_EPOCH",
    );
    case.refused(
        &["-o", "type=image,registry.insecure=true"],
        2,
        "registries.conf",
    );
    case.refused(&["-o", "type=image,what=1"], 2, "keys are");
}

#[test]
fn files_are_a_tar_of_any_compression() {
    if !["gzip", "zstd"].into_iter().all(require) {
        return;
    }
    let case = Case::new(PLAIN);
    let write = |name: &str, more: &str| {
        let path = case.at(name);
        let output = format!("type=tar,dest={}{more}", path.display());
        let digest = case.digest(&["-o", &output]);
        (path, digest)
    };
    let (plain, digest) = write("a.tar", "");
    let plain = std::fs::read(plain).unwrap();
    for codec in ["gzip", "zstd"] {
        let (path, other) = write("b", &format!(",compression={codec}"));
        // The image is another matter.
        assert_eq!(other, digest);
        let expanded = Command::new(codec)
            .arg("-dc")
            .stdin(std::fs::File::open(path).unwrap())
            .output();
        assert_eq!(expanded.unwrap().stdout, plain, "{codec}");
    }
}

#[test]
fn annotations_are_of_manifests_and_of_the_index() {
    let case = Case::new(PLAIN);
    let both = ["--platform", "linux/amd64,linux/arm64"];
    let output = "type=image,annotation.a=1,annotation-manifest.b=2,annotation-index.c=3";
    let all = [
        &both[..],
        &["-o", output, "--annotation", "manifest,index:d=4"],
    ]
    .concat();
    let index = case.blob(&case.digest(&all));
    assert_eq!(
        index["annotations"],
        serde_json::json!({"c": "3", "d": "4"})
    );
    for member in index["manifests"].as_array().unwrap() {
        let manifest = case.blob(member["digest"].as_str().unwrap());
        let expected = serde_json::json!({"a": "1", "b": "2", "d": "4"});
        assert_eq!(manifest["annotations"], expected);
    }
    case.refused(
        &["-o", "type=image,annotation-index.c=3"],
        2,
        "name several platforms",
    );
    case.refused(
        &["-o", "type=image,annotation-index-descriptor.c=3"],
        2,
        "`index-descriptor`",
    );
}

#[test]
fn platforms_have_folders_of_their_own_or_share_one() {
    let case =
        Case::new("FROM scratch\nARG TARGETARCH\nCOPY file /for-$TARGETARCH\nCOPY file /file\n");
    let out = case.at("out");
    let write = |more: &str, platforms: &str| {
        let output = format!("type=local,dest={}{more}", out.display());
        case.digest(&["--platform", platforms, "-o", &output]);
        let mut found = crate::support::recipes::below(&out);
        found.retain(|path| out.join(path).is_file());
        std::fs::remove_dir_all(&out).unwrap();
        let found = found.iter().map(|path| path.display().to_string());
        found.collect::<Vec<_>>().join(" ")
    };
    let both = "linux/amd64,linux/arm64";
    assert_eq!(write("", "linux/amd64"), "file for-amd64");
    assert_eq!(
        write(",platform-split=true", "linux/amd64"),
        "linux_amd64/file linux_amd64/for-amd64"
    );
    assert_eq!(
        write(",platform-split=false", both),
        "file for-amd64 for-arm64"
    );
    let case = Case::new("FROM scratch\nARG TARGETARCH\nCOPY <<file /\n$TARGETARCH\nfile\n");
    let output = format!("type=local,dest={},platform-split=false", out.display());
    case.refused(
        &["--platform", both, "-o", &output],
        1,
        "not the same for all platforms",
    );
}

/// A layout of images for both platforms, whose layers are uncompressed.
fn layout(case: &Case) -> String {
    let out = case.at("layout");
    let output = format!(
        "type=oci-dir,dest={},compression=uncompressed",
        out.display()
    );
    case.digest(&["--platform", "linux/amd64,linux/arm64", "-o", &output]);
    format!("--build-context=base=oci-layout://{}", out.display())
}

#[test]
fn a_base_of_another_platform_is_exported_as_it_is_asked_for() {
    let case = Case::new(PLAIN);
    let base = layout(&case);
    let (other, own) = match std::env::consts::ARCH {
        "aarch64" => ("amd64", "arm64"),
        _ => ("arm64", "amd64"),
    };
    let recipe = format!("FROM --platform=linux/{other} base\nCOPY file /more\n");
    std::fs::write(case.at("context/Dockerfile"), recipe).unwrap();
    let (folder, tar) = (case.at("out"), case.at("out.tar"));
    let outputs = [
        format!("type=local,dest={}", folder.display()),
        format!("type=tar,dest={}", tar.display()),
    ];
    let asked = format!("--platform=linux/{own}");
    for (arguments, architecture) in [(&[][..], other), (&[&*asked], own)] {
        let all = [&[&*base, "-o", &outputs[0], "-o", &outputs[1]], arguments].concat();
        let digest = case.digest(&all);
        // As BuildKit has it: what is asked for goes before what the base is of.
        assert_eq!(case.config(&digest)["architecture"], architecture);
        for name in ["file", "more"] {
            assert!(folder.join(name).is_file(), "{name}");
        }
        let mut members = tar::Archive::new(std::fs::File::open(&tar).unwrap());
        assert!(members.entries().unwrap().count() >= 2);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn what_a_base_brings_is_not_compressed_anew() {
    let case = Case::new(PLAIN);
    let base = layout(&case);
    std::fs::write(
        case.at("context/Dockerfile"),
        "FROM base\nCOPY file /more\n",
    )
    .unwrap();
    let forced = "type=image,force-compression=true";
    case.refused(
        &[&base, "--platform=linux/amd64", "-o", forced],
        1,
        "a layer of the base",
    );
    std::fs::write(case.at("context/Dockerfile"), PLAIN).unwrap();
    case.digest(&["-o", forced]);
}

#[test]
fn switches_take_values_and_the_environment_has_defaults() {
    let case = Case::new(PLAIN);
    let plain = case.digest(&["--platform", "local"]);
    let local = [
        "--pull=false",
        "--no-cache=true",
        "--load=false",
        "--check=false",
        "--push=0",
    ];
    let flags = [&["--platform", "local"], &local[..]].concat();
    assert_eq!(case.digest(&flags), plain);
    // Short flags go together as they did.
    let name = "app:together";
    assert_eq!(run(&mut case.command(&["-qt", name])).trim(), plain);
    let (code, said) = case.said(&["-q=false", "--progress=plain"], &[]);
    assert!(code == Some(0) && said.contains("copy"), "{said}");
    let (code, said) = case.said(&["--pull=maybe"], &[]);
    assert!(code == Some(2) && said.contains("true or false"), "{said}");
    let (code, said) = case.said(&["--check=true"], &[]);
    assert!(code == Some(0) && !said.contains("copy file"), "{said}");

    let labelled = case.digest(&["--label", "empty", "--label", "a=b"]);
    let labels = &case.config(&labelled)["config"]["Labels"];
    assert_eq!(*labels, serde_json::json!({"a": "b", "empty": ""}));

    let platform = [("DOCKER_DEFAULT_PLATFORM", "linux/s390x")];
    let output = case.output(&["-q"], &platform);
    let digest = String::from_utf8(output.stdout).unwrap();
    assert_eq!(case.config(digest.trim())["architecture"], "s390x");
    let output = case.output(&["-q", "--platform=linux/arm64"], &platform);
    let digest = String::from_utf8(output.stdout).unwrap();
    assert_eq!(case.config(digest.trim())["architecture"], "arm64");
    let (code, said) = case.said(&[], &[("DOCKER_DEFAULT_PLATFORM", "linux/none")]);
    assert!(
        code == Some(2) && said.contains("DOCKER_DEFAULT_PLATFORM"),
        "{said}"
    );

    let (_, said) = case.said(&["--no-cache"], &[("BUILDKIT_PROGRESS", "rawjson")]);
    assert!(said.lines().all(|line| line.starts_with('{')), "{said}");
    let (_, said) = case.said(&["--progress=plain"], &[("BUILDKIT_PROGRESS", "rawjson")]);
    assert!(!said.starts_with('{'), "{said}");
    let (code, said) = case.said(&[], &[("BUILDKIT_PROGRESS", "pretty")]);
    assert!(
        code == Some(2) && said.contains("BUILDKIT_PROGRESS"),
        "{said}"
    );
}

#[test]
fn a_docker_archive_without_a_place_is_for_the_engine() {
    let case = Case::new(PLAIN);
    let mut command = case.command(&["-q", "-o", "type=docker"]);
    let output = command.env("PATH", "/nowhere").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    let mut load = case.command(&["-q", "--load"]);
    let load = load.env("PATH", "/nowhere").output().unwrap();
    assert_eq!(output.stderr, load.stderr);
}
