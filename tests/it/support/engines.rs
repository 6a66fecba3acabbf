//! Other people's engines, each with everything that it keeps in a folder of the test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::programs::{program, run, skipped};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Podman or buildah.
pub struct Containers {
    name: &'static str,
    driver: &'static str,
    folder: PathBuf,
}

impl Containers {
    pub fn new(name: &'static str, driver: &'static str, folder: &Path) -> Containers {
        let folder = folder.join(name);
        Containers {
            name,
            driver,
            folder,
        }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let (root, runroot) = (self.folder.join("root"), self.folder.join("run"));
        let place = ["--root", text(&root), "--runroot", text(&runroot)];
        let mut command = program(self.name, &place);
        command.args(["--storage-driver", self.driver]);
        if self.name == "podman" {
            let tmp = self.folder.join("tmp");
            command.args(["--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
            command.args(["--tmpdir", text(&tmp)]);
        }
        command.args(arguments);
        command
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments)).trim_end().to_owned()
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        if self.driver == "overlay" {
            unmount(&self.folder.join("root/overlay"));
        }
    }
}

/// Of two ways to keep layers the first, which copies, and the second too where overlays can be
/// mounted on the folder of temporary files.
pub fn drivers(copying: &'static str, overlay: &'static str) -> Vec<&'static str> {
    let folder = super::temp();
    let at = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let (lower, upper, work, merged) = (at("lower"), at("upper"), at("work"), at("merged"));
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        text(&lower),
        text(&upper),
        text(&work)
    );
    let overlay_mount = ["-t", "overlay", "overlay", "-o", &options, text(&merged)];
    let mounted = program("mount", &overlay_mount).output().unwrap();
    if mounted.status.success() {
        unmount(&merged);
        return vec![copying, overlay];
    }
    skipped("overlays can't be mounted here");
    vec![copying]
}

fn unmount(path: &Path) {
    // What isn't mounted needn't be.
    let _ = program("umount", &["--lazy", "--recursive", text(path)]).output();
}

impl Containers {
    /// Runs an image of podman's, by runc, as crun 1.8 refuses machines with hybrid cgroups; without
    /// what a machine may not let it do: networks, and limits that need more rights than root's
    /// of a container.
    #[track_caller]
    pub fn run_image(&self, image: &str) -> String {
        let limits = [
            "--ulimit",
            "nofile=1024:1024",
            "--ulimit",
            "nproc=1024:1024",
        ];
        let command = ["--runtime", "runc", "run", "--rm", "--network", "none"];
        self.run(&[&command[..], &limits, &[image]].concat())
    }
}

/// Runs a bundle that umoci made, by runc, to its end.
#[track_caller]
pub fn run_bundle(bundle: &Path) -> String {
    let path = bundle.join("config.json");
    let config = std::fs::read(&path).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    config["process"]["terminal"] = false.into();
    std::fs::write(&path, config.to_string()).unwrap();
    // Containers of one name share a cgroup, whatever the folder of their state.
    let id = format!("cairn-test-{}", std::process::id());
    let state = bundle.join("state");
    let arguments = ["--root", text(&state), "run", "--bundle", text(bundle), &id];
    run(&mut program("runc", &arguments))
}

/// A containerd of the test's own; it ends with the value.
pub struct Containerd {
    child: Child,
    pub socket: String,
    pub namespace: String,
}

impl Containerd {
    /// Starts one that keeps everything in `folder`; none where this machine lets it not run.
    pub fn start(folder: &Path) -> Option<Containerd> {
        let place = |name: &str| text(&folder.join(name)).to_owned();
        let (config, log, socket) = (place("config.toml"), place("log"), place("containerd.sock"));
        let lines = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {socket:?}\n",
            place("root"),
            place("state"),
        );
        std::fs::write(&config, lines).unwrap();
        let mut command = program("containerd", &["--config", &config]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(std::fs::File::create(&log).unwrap());
        let child = child.spawn().unwrap();
        let mut containerd = Containerd {
            child,
            socket,
            namespace: "default".to_owned(),
        };
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            let answer = containerd.command(&["version"]).output().unwrap();
            if answer.status.success() {
                return Some(containerd);
            }
            if containerd.child.try_wait().unwrap().is_some() {
                break;
            }
        }
        let log = std::fs::read_to_string(log).unwrap();
        assert!(!rustix::process::geteuid().is_root(), "containerd: {log}");
        skipped("containerd does not run here without root");
        None
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program("ctr", &["--address", &self.socket]);
        command.args(["--namespace", &self.namespace]);
        command.args(arguments);
        command
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments)).trim_end().to_owned()
    }
}

impl Containerd {
    /// Mounts an image on the folder `at`, which is made.
    #[track_caller]
    pub fn mount(&self, snapshotter: &str, image: &str, at: &Path) -> Mounted {
        std::fs::create_dir(at).unwrap();
        let mount = ["images", "mount", "--snapshotter", snapshotter];
        self.run(&[&mount[..], &[image, text(at)]].concat());
        Mounted::new(at)
    }
}

/// An image's files; what is mounted for them is unmounted when dropped.
pub struct Mounted {
    pub path: PathBuf,
}

impl Mounted {
    fn new(path: &Path) -> Mounted {
        let path = path.to_owned();
        Mounted { path }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount(&self.path);
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Asks a daemon politely, as it ends its own children only then.
fn end(child: &mut Child) {
    let id = i32::try_from(child.id()).unwrap();
    let id = rustix::process::Pid::from_raw(id).unwrap();
    let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    let _ = child.wait();
}

/// A docker daemon of the test's own; it ends with the value.
pub struct Daemon {
    child: Child,
    pub socket: String,
    config: String,
    driver: &'static str,
    data: PathBuf,
}

impl Daemon {
    /// Starts one that keeps everything in `folder`; none where this machine lets it not run.
    pub fn start(folder: &Path) -> Option<Daemon> {
        Daemon::with_driver("vfs", folder)
    }

    pub fn with_driver(driver: &'static str, folder: &Path) -> Option<Daemon> {
        let place = |name: &str| text(&folder.join(name)).to_owned();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let socket = format!("unix://{}", place("docker.sock"));
        let arguments = [
            "--iptables=false",
            "--ip6tables=false",
            "--bridge=none",
            "--storage-driver",
            driver,
            "--data-root",
            &place("data"),
            "--exec-root",
            &place("exec"),
            "--pidfile",
            &place("pid"),
            "--host",
            &socket,
        ];
        let mut command = program("dockerd", &arguments);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut daemon = Daemon {
            child,
            socket,
            config: place("config"),
            driver,
            data: folder.join("data"),
        };
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            if daemon
                .docker(&["version"])
                .output()
                .unwrap()
                .status
                .success()
            {
                return Some(daemon);
            }
            if daemon.child.try_wait().unwrap().is_some() {
                break;
            }
        }
        let log = std::fs::read_to_string(folder.join("log")).unwrap();
        assert!(!rustix::process::geteuid().is_root(), "dockerd: {log}");
        skipped("dockerd does not run here without root");
        None
    }

    pub fn docker(&self, arguments: &[&str]) -> Command {
        let place = ["--config", &self.config, "--host", &self.socket];
        let mut command = program("docker", &place);
        command.args(arguments);
        command
    }
}

impl Daemon {
    /// The image's files as its layers were unpacked, if need be mounted on the folder `at`.
    /// `docker export` shows others: it adds some of its own and leaves xattrs out.
    #[track_caller]
    pub fn files(&self, image: &str, at: &Path) -> Mounted {
        let inspect = |what: &str| {
            let arguments = ["image", "inspect", "--format", what, image];
            run(&mut self.docker(&arguments)).trim_end().to_owned()
        };
        if self.driver == "overlay2" {
            std::fs::create_dir(at).unwrap();
            let upper = inspect("{{.GraphDriver.Data.UpperDir}}");
            let lower = inspect("{{.GraphDriver.Data.LowerDir}}");
            let options = format!("ro,lowerdir={upper}:{lower}");
            let mount = ["-t", "overlay", "overlay", "-o", &options, text(at)];
            run(&mut program("mount", &mount));
            return Mounted::new(at);
        }
        let layers: Vec<String> =
            serde_json::from_str(&inspect("{{json .RootFS.Layers}}")).unwrap();
        // image-spec, config.md, "Layer ChainID".
        let chain = |below: String, id: &String| {
            cairn::canon::Digest::of(format!("{below} {id}").as_bytes()).to_string()
        };
        let chain = layers[1..].iter().fold(layers[0].clone(), chain);
        let (_, hex) = chain.split_once(':').unwrap();
        let record = self.data.join("image/vfs/layerdb/sha256").join(hex);
        let id = std::fs::read_to_string(record.join("cache-id")).unwrap();
        Mounted::new(&self.data.join("vfs/dir").join(id))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
