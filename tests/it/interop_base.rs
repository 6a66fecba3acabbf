//! What other people's programs write, as a base: their layers stay byte for byte, their files are
//! read as they read them, and what they say about the image is kept.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::based::{Bench, layout, of_layout, read_json, whole_seconds};
use crate::support::engines::{Containers, Daemon};
use crate::support::programs::{program, run};
use crate::support::registry::DockerRegistry;
use crate::support::{cairn, require};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What only Docker's formats have room for, in a Dockerfile.
const DOCKERFILE: &str = r#"FROM scratch
COPY busybox /bin/busybox
COPY tree /srv
SHELL ["/bin/busybox", "sh", "-c"]
ENV PATH=/bin GREETING=grüße
RUN b=busybox && $b rm -r /srv/dropped-2 /srv/dropped-1 /srv/stays && \
    $b ln /srv/plain.txt /srv/hard && $b ln /srv/plain.txt /hard && \
    $b chmod 4755 /srv/run.sh && $b ln /srv/run.sh /srv/again && $b mkfifo /srv/pipe && \
    $b mkdir -m 1777 /srv/stays && echo new > /srv/stays/new
RUN busybox rm /srv/hard && busybox ln -s nowhere /srv/hard && busybox chown 5:6 /srv/random.bin
HEALTHCHECK --interval=7s --retries=9 CMD ["/bin/busybox", "true"]
ONBUILD LABEL later=1
LABEL org.example.label=ü
VOLUME /var/lib/app
USER 1000
WORKDIR /srv
ENTRYPOINT ["/bin/busybox"]
CMD ["true"]
"#;

/// Room with a Dockerfile and what it needs.
fn bench() -> Bench {
    let bench = Bench::new();
    let context = bench.sample.folder.path();
    std::fs::write(context.join("Dockerfile"), DOCKERFILE).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(context.join("busybox"), mode).unwrap();
    bench
}

#[test]
fn what_buildah_podman_and_skopeo_write_is_a_base() {
    if !require("buildah") || !require("podman") || !require("skopeo") {
        return;
    }
    let bench = bench();
    let buildah = Containers::new("buildah", "vfs", bench.folder.path());
    let bud = [
        "bud",
        "--quiet",
        "--layers",
        "--isolation",
        "chroot",
        "--format",
        "docker",
    ];
    buildah.run(&[&bud[..], &["--tag", "foreign:1", bench.context()]].concat());
    buildah.run(&["from", "--quiet", "--name", "seen", "foreign:1"]);
    let files = whole_seconds(Path::new(&buildah.run(&["mount", "seen"])));
    assert!(files.contains_key(&b"srv/stays/new"[..]));
    assert_eq!(
        files[&b"srv/run.sh"[..]].links.as_deref(),
        Some("srv/again")
    );
    let at = |name: &str| text(&bench.at(name)).to_owned();
    let push = |to: &str, more: &[&str]| {
        buildah.run(&[&["push", "--quiet"][..], more, &["localhost/foreign:1", to]].concat());
    };
    let skopeo = |arguments: &[&str]| {
        let copy = [
            "copy",
            "-q",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
        ];
        run(&mut program("skopeo", &[&copy[..], arguments].concat()))
    };
    push(
        &format!("docker-archive:{}:foreign:1", at("docker.tar")),
        &[],
    );
    push(&format!("oci:{}:1", at("oci")), &["--format", "oci"]);
    push(&format!("dir:{}", at("dir")), &["--format", "v2s2"]);
    let execution = read_json(&bench.at("dir").join("manifest.json"));
    let (_, id) = execution["config"]["digest"]
        .as_str()
        .unwrap()
        .split_once(':')
        .unwrap();
    let docker = read_json(&bench.at("dir").join(id))["config"].clone();
    assert_eq!(docker["OnBuild"], json!(["LABEL later=1"]));
    assert_eq!(docker["Shell"], json!(["/bin/busybox", "sh", "-c"]));
    assert_eq!(docker["Healthcheck"]["Interval"], 7_000_000_000_u64);
    bench.check(&layout("docker.tar"), None, &docker, &files);

    let (layers, execution) = of_layout(&bench.at("oci"));
    bench.check(&layout("oci"), Some(&layers), &execution, &files);
    let named = "{ oci = \"oci\", name = \"1\" }";
    bench.check(named, Some(&layers), &execution, &files);
    let (dir, zstd) = (format!("dir:{}", at("dir")), format!("oci:{}", at("zstd")));
    skopeo(&[
        "--dest-compress",
        "--dest-compress-format",
        "zstd",
        "--format",
        "oci",
        &dir,
        &zstd,
    ]);
    let (layers, execution) = of_layout(&bench.at("zstd"));
    let kind = layers[0]["mediaType"].as_str().unwrap();
    assert!(kind.ends_with("tar+zstd"), "{kind}");
    bench.check(&layout("zstd"), Some(&layers), &execution, &files);

    // Over podman's own store.
    let podman = Containers::new("podman", "vfs", &bench.at("podman-home"));
    podman.run(&["load", "--quiet", "--input", &at("docker.tar")]);
    for (format, name) in [
        ("oci-archive", "podman.oci"),
        ("docker-archive", "podman.docker"),
    ] {
        let to = at(name);
        podman.run(&[
            "save",
            "--quiet",
            "--format",
            format,
            "--output",
            &to,
            "foreign:1",
        ]);
        bench.check(&layout(name), None, &json!({"User": "1000"}), &files);
    }

    if require("docker-registry") {
        let registry = DockerRegistry::new("", "");
        let served = Serving::start(&bench.at("served"));
        for host in [&registry.host, &served.host] {
            let name = |tag: &str| format!("{host}/team/foreign:{tag}");
            let remote = |tag: &str| format!("docker://{}", name(tag));
            let oci = format!("oci:{}:1", at("oci"));
            skopeo(&["--format", "v2s2", &dir, &remote("docker")]);
            skopeo(&[&oci, &remote("oci")]);
            skopeo(&[&zstd, &remote("zstd")]);
            for tag in ["docker", "oci", "zstd"] {
                let raw = ["inspect", "--raw", "--tls-verify=false", &remote(tag)];
                let raw: Value = serde_json::from_str(&run(&mut program("skopeo", &raw))).unwrap();
                let is_docker = raw["mediaType"].as_str().unwrap_or("").contains("docker");
                assert_eq!(is_docker, tag == "docker");
                let layers = raw["layers"].as_array().unwrap();
                let execution = if is_docker { &docker } else { &execution };
                bench.check(&format!("{:?}", name(tag)), Some(layers), execution, &files);
            }
        }
    }
}

/// `cairn serve`, ended when dropped.
struct Serving {
    process: std::process::Child,
    host: String,
}

impl Serving {
    fn start(home: &Path) -> Serving {
        use std::io::BufRead as _;
        let mut command = cairn(home);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.stderr(std::process::Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = std::io::BufReader::new(process.stderr.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let (_, port) = line.rsplit_once(':').unwrap();
        let host = format!("localhost:{port}");
        // It must not block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Serving { process, host }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn what_docker_builds_and_saves_is_a_base() {
    if !require("docker") || !require("dockerd") || !require("containerd") {
        return;
    }
    let bench = bench();
    let folder = bench.at("daemon");
    std::fs::create_dir(&folder).unwrap();
    let Some(daemon) = Daemon::start(&folder) else {
        return;
    };
    let mut build = daemon.docker(&["build", "--quiet", "--network=none", "--tag=foreign:1"]);
    run(build.arg(bench.context()));
    let archive = bench.at("saved.tar");
    run(&mut daemon.docker(&["save", "--output", text(&archive), "foreign:1"]));
    let inspect = [
        "image",
        "inspect",
        "--format",
        "{{json .Config}}",
        "foreign:1",
    ];
    let execution: Value = serde_json::from_str(&run(&mut daemon.docker(&inspect))).unwrap();
    assert_eq!(execution["OnBuild"], json!(["LABEL later=1"]));
    let mut parts = execution.clone();
    // Of the container that made the image, not of the image.
    for key in ["Image", "Hostname", "Domainname"] {
        parts.as_object_mut().unwrap().remove(key);
    }
    let mut files = daemon.files("foreign:1", &bench.at("files"));
    let seen = whole_seconds(&files.path);
    bench.check(&layout("saved.tar"), None, &parts, &seen);
    files.path = bench.at("nothing");
    let named = "{ oci = \"saved.tar\", name = \"foreign:1\" }";
    bench.check(named, None, &parts, &seen);
}
