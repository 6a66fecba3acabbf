//! An archive of Debian packages on the loopback, made for one test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cairn::canon::Digest;

use super::programs::program;
use super::rude::{Reply, Rude};
use super::{run, temp};

/// Whoever signs archives: a keyring of gpg's.
pub struct Signer {
    home: tempfile::TempDir,
}

impl Signer {
    /// With a key of its own, which never expires unless it `expires` (as gpg has it).
    pub fn new(expires: &str) -> Signer {
        let signer = Signer { home: temp() };
        run(&mut program("chmod", &["700", signer.home()]));
        let arguments = [
            "--quick-gen-key",
            "archive@test",
            "ed25519",
            "sign",
            expires,
        ];
        run(signer.gpg(&[]).args(["--passphrase", ""]).args(arguments));
        signer
    }

    /// With a key that signs by a subkey alone, and that another key has signed.
    pub fn by_subkey() -> Signer {
        let signer = Signer { home: temp() };
        run(&mut program("chmod", &["700", signer.home()]));
        let gpg =
            |arguments: &[&str]| run(signer.gpg(&["--passphrase", "", "--yes"]).args(arguments));
        gpg(&[
            "--quick-gen-key",
            "archive@test",
            "rsa2048",
            "cert",
            "never",
        ]);
        gpg(&["--quick-gen-key", "other@test", "ed25519", "cert", "never"]);
        let listed = gpg(&["--with-colons", "--list-keys", "archive@test"]);
        let mut fingerprints = listed.lines().filter_map(|line| line.strip_prefix("fpr:"));
        let fingerprint = fingerprints.next().unwrap().trim_matches(':').to_owned();
        gpg(&["--quick-add-key", &fingerprint, "rsa2048", "sign", "never"]);
        gpg(&[
            "--default-key",
            "other@test",
            "--quick-sign-key",
            &fingerprint,
        ]);
        signer
    }

    fn home(&self) -> &str {
        self.home.path().to_str().unwrap()
    }

    fn gpg(&self, arguments: &[&str]) -> std::process::Command {
        let mut gpg = program("gpg", &["--batch", "--quiet", "--homedir", self.home()]);
        gpg.args(arguments);
        gpg
    }

    /// Its public key.
    pub fn key(&self) -> String {
        run(&mut self.gpg(&["--armor", "--export", "archive@test"]))
    }

    /// `text` with its signature.
    pub fn sign(&self, text: &str) -> String {
        let file = self.home.path().join("text");
        std::fs::write(&file, text).unwrap();
        run(&mut self.gpg(&[
            "--local-user",
            "archive@test",
            "--clear-sign",
            "--output",
            "-",
            file.to_str().unwrap(),
        ]))
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        // The agent that gpg started.
        let _ = program("gpgconf", &["--homedir", self.home(), "--kill", "all"]).status();
    }
}

/// What the server has, by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// An archive and its server.
pub struct Archive {
    folder: tempfile::TempDir,
    /// How packages are compressed, as dpkg-deb calls it.
    pub compressor: &'static str,
    /// What `Authorization` has to be, if anything.
    pub guard: Arc<Mutex<Option<String>>>,
    pub files: Arc<Mutex<Files>>,
    pub server: Rude,
}

impl Archive {
    /// One without packages.
    pub fn new() -> Archive {
        let files: Arc<Mutex<Files>> = Arc::default();
        let served = files.clone();
        let guard = Arc::new(Mutex::new(None::<String>));
        let guarded = guard.clone();
        let server = Rude::new(move |request, _| {
            let wanted = guarded.lock().unwrap();
            if wanted.is_some() && request.header("authorization") != wanted.as_deref() {
                return Reply::new(401, "");
            }
            let served = served.lock().unwrap();
            match served.get(request.path.trim_start_matches('/')) {
                Some(content) => Reply::new(200, content.clone()),
                None => Reply::new(404, ""),
            }
        });
        Archive {
            folder: temp(),
            compressor: "xz",
            guard,
            files,
            server,
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}/debian", self.server.address)
    }

    fn packed(&self) -> PathBuf {
        self.folder.path().join("debian/pool")
    }

    /// Adds a package: fields of its control file, scripts by name, files by path.
    pub fn add(&self, name: &str, fields: &str, scripts: &[(&str, &str)], files: &[(&str, &str)]) {
        let tree = self.folder.path().join("tree").join(name);
        let write = |path: PathBuf, content: &str, mode: &str| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
            run(&mut program("chmod", &[mode, path.to_str().unwrap()]));
        };
        let version = match fields.contains("Version:") {
            true => "",
            false => "Version: 1\n",
        };
        let control = format!(
            "Package: {name}\n{version}Architecture: amd64\nMaintainer: a test <a@test>\n{fields}Description: a test\n"
        );
        write(tree.join("DEBIAN/control"), &control, "644");
        for (script, content) in scripts {
            let mode = if *script == "conffiles" { "644" } else { "755" };
            write(tree.join("DEBIAN").join(script), content, mode);
        }
        for (path, content) in files {
            write(tree.join(path), content, "644");
        }
        std::fs::create_dir_all(self.packed()).unwrap();
        let version = fields
            .lines()
            .find_map(|line| line.strip_prefix("Version: "));
        let file = match version {
            Some(version) => format!("{name}_{version}.deb"),
            None => format!("{name}.deb"),
        };
        let to = self.packed().join(file);
        let compressor = format!("-Z{}", self.compressor);
        let arguments = ["--root-owner-group", &compressor, "--build"];
        run(program("dpkg-deb", &arguments).arg(&tree).arg(to));
        run(&mut program("rm", &["-r", tree.to_str().unwrap()]));
    }

    /// Serves the packages, listed and signed; `fields` stand in the signed list.
    pub fn publish(&self, signer: &Signer, fields: &str) {
        let parent = self.folder.path().join("debian");
        let mut scan = program("dpkg-scanpackages", &["--multiversion", "pool"]);
        scan.current_dir(&parent)
            .stderr(std::process::Stdio::null());
        let packages = run(&mut scan).into_bytes();
        let mut files = self.files.lock().unwrap();
        files.clear();
        for (name, path) in sorted(&self.packed()) {
            files.insert(format!("debian/pool/{name}"), std::fs::read(path).unwrap());
        }
        let suite = "debian/dists/test";
        let path = "main/binary-amd64/Packages";
        let digest = Digest::of(&packages).hex();
        let release = format!(
            "Suite: test\nCodename: tester\nComponents: main\nArchitectures: amd64\n{fields}SHA256:\n {digest} {} {path}\n",
            packages.len()
        );
        if fields.contains("Acquire-By-Hash: yes") {
            let by_hash = format!("{suite}/main/binary-amd64/by-hash/SHA256/{digest}");
            files.insert(by_hash, packages);
        } else {
            files.insert(format!("{suite}/{path}"), packages);
        }
        files.insert(
            format!("{suite}/InRelease"),
            signer.sign(&release).into_bytes(),
        );
    }

    /// Changes what the server has at the only path that ends so.
    pub fn change(&self, end: &str, change: impl Fn(&mut Vec<u8>)) {
        let mut files = self.files.lock().unwrap();
        let mut found: Vec<_> = files
            .iter_mut()
            .filter(|(path, _)| path.ends_with(end))
            .collect();
        assert_eq!(found.len(), 1, "{end}");
        change(found[0].1);
    }
}

#[expect(clippy::disallowed_methods, reason = "sorted by the map")]
fn sorted(folder: &Path) -> BTreeMap<String, PathBuf> {
    let items = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let named = |item: std::fs::DirEntry| (item.file_name().into_string().unwrap(), item.path());
    items.map(named).collect()
}
