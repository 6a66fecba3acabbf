//! What these tests share: an authority, a server that it vouches for, Debian to run commands on.

use std::path::Path;
use std::process::{Child, Stdio};

use cairn::layer::codec::{Expansion, decompress};
use cairn::layer::scan::{Purpose, scan};
use cairn::plan::command::Network;
use cairn::plan::step::{Destination, Ownership};
use cairn::plan::{Operation, StepId};
use cairn::sandbox::Wanted;
use cairn::step::run::Authority;

use crate::run::ground::{Ground, path, script};
use crate::support::programs::program;
use crate::support::{free_port, require, run, temp};

/// The name of the server.
pub const HOST: &str = "secure.test";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Debian with the tools, and one without any bundle that can get one: `/debs` has the packages.
pub struct Systems {
    folder: tempfile::TempDir,
}

impl Systems {
    /// None where this machine lacks what makes and serves them.
    pub fn new() -> Option<Systems> {
        let needed = ["mmdebstrap", "openssl", "python3", "git"];
        needed
            .iter()
            .all(|program| require(program))
            .then(Systems::make)
    }

    fn make() -> Systems {
        let folder = temp();
        let mirrors = [
            "/etc/apt/sources.list.d/debian.sources",
            "/etc/apt/sources.list",
        ];
        let mirrors = mirrors.iter().find(|path| Path::new(path).exists());
        let make = |name: &str, options: &[&str]| {
            let tar = folder.path().join(name);
            let mut arguments = vec!["--variant=minbase", "--quiet"];
            arguments.extend(options);
            arguments.extend(["bookworm", text(&tar), mirrors.unwrap()]);
            run(&mut program("mmdebstrap", &arguments));
        };
        let tools = "--include=ca-certificates,curl,wget,openssl,git,python3,python3-pip-whl,\
                     nodejs,openjdk-17-jre-headless";
        let get = "--customize-hook=chroot \"$1\" apt-get -qq install --download-only \
                   --no-install-recommends ca-certificates wget >/dev/null";
        let keep = "--customize-hook=mkdir \"$1\"/debs && mv \"$1\"/var/cache/apt/archives/*.deb \"$1\"/debs";
        std::thread::scope(|scope| {
            scope.spawn(|| make("tools.tar", &[tools]));
            make("slim.tar", &[get, keep]);
        });
        Systems { folder }
    }
}

/// An authority, and a server's certificate from it.
pub struct Signer {
    pub folder: tempfile::TempDir,
    pub authority: Authority,
}

impl Signer {
    pub fn new() -> Signer {
        let folder = temp();
        let openssl = |arguments: &str| {
            let mut openssl = program("openssl", &[]);
            openssl.current_dir(folder.path()).stderr(Stdio::null());
            run(openssl.args(arguments.split_whitespace()))
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30";
        openssl(&format!(
            "req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=Authority"
        ));
        openssl("x509 -in ca.pem -outform DER -out ca.der");
        openssl(&format!(
            "req -x509 {key} -keyout key.pem -out leaf.pem -subj /CN={HOST} -CA ca.pem -CAkey ca.key \
             -addext subjectAltName=DNS:{HOST} -addext basicConstraints=critical,CA:FALSE"
        ));
        let authority = std::fs::read(folder.path().join("ca.der")).unwrap();
        let authority = Authority::new(authority).unwrap();
        Signer { folder, authority }
    }

    /// Serves `folder` over TLS.
    pub fn serve(&self, folder: &Path) -> Server {
        const SERVER: &str = "
import http.server, ssl, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Quiet)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(flush=True)
server.serve_forever()
";
        let port = free_port();
        let at = |name: &str| self.folder.path().join(name);
        let mut python = program("python3", &["-c", SERVER, &port.to_string()]);
        python.arg(at("leaf.pem")).arg(at("key.pem"));
        let mut child = python
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
        Server { child, port }
    }
}

/// Stopped when it is dropped.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A plan's first steps.
pub struct Site {
    pub ground: Ground,
    pub base: StepId,
}

impl Site {
    /// On one of the systems.
    pub fn new(systems: &Systems, name: &str, identity: Wanted) -> Site {
        let mut ground = Ground::at(temp(), identity);
        ground.settings.context = systems.folder.path().to_owned();
        let scratch = ground.step(Operation::Scratch, &[]);
        let files = ground.files(name);
        let unpack = Operation::Copy {
            to: Destination {
                path: path(""),
                is_directory: true,
            },
            unpack: true,
            ownership: Ownership::default(),
        };
        let base = ground.step(unpack, &[scratch, files]);
        Site { ground, base }
    }

    /// On busybox with a few files: a bundle, a keystore that is none, a folder of anchors.
    pub fn small(folder: tempfile::TempDir, identity: Wanted) -> Site {
        let mut ground = Ground::at(folder, identity);
        let mut base = ground.base();
        let other = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        for (name, content) in [
            ("etc/ssl/certs/ca-certificates.crt", other),
            ("etc/ssl/certs/other.pem", other),
            // The end of its last line is missing.
            (
                "usr/lib/python3/site-packages/certifi/cacert.pem",
                other.trim_end(),
            ),
            ("usr/local/share/ca-certificates/own.crt", other),
            ("usr/lib/jvm/lib/security/cacerts", "none"),
            ("srv/empty", ""),
        ] {
            base = ground.file(base, name, content);
        }
        for (name, target) in [
            (
                "etc/pki/tls/certs/ca-bundle.crt",
                "../../../ssl/certs/ca-certificates.crt",
            ),
            ("etc/ssl/cert.pem", "certs/ca-certificates.crt"),
        ] {
            let operation = Operation::Symlink {
                path: path(name),
                target: target.to_owned(),
            };
            base = ground.step(operation, &[base]);
        }
        Site { ground, base }
    }

    /// The step that runs `text` in a shell.
    pub fn step(&mut self, text: &str) -> StepId {
        let mut command = script(text);
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        command.env = [("PATH", path), ("DEBIAN_FRONTEND", "noninteractive")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        command.network = Network::Default;
        command.hosts = vec![(HOST.to_owned(), "host-gateway".to_owned())];
        self.ground.run(command, &[self.base])
    }

    /// What it prints.
    pub fn says(&mut self, text: &str) -> Vec<String> {
        let top = self.step(text);
        self.ground
            .build(top)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.ground.output().join("\n")));
        self.ground.output()
    }

    /// What the layer holds that it makes: a line each, with times and digests.
    pub fn layer(&mut self, text: &str) -> Vec<String> {
        let top = self.step(text);
        let built = self.ground.build(top);
        let built = built.unwrap_or_else(|error| panic!("{error}"));
        let store = &self.ground.settings.store;
        let bytes = store.read(&built.descriptor.digest, 1 << 20).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let layers = manifest["layers"].as_array().unwrap();
        let [_, .., top] = &layers[..] else {
            return Vec::new();
        };
        let digest = top["digest"].as_str().unwrap().parse().unwrap();
        let blob = store.require_blob(&digest).unwrap();
        let plain = decompress(blob.open().unwrap(), blob.size, Expansion::UNLIMITED).unwrap();
        let scanned = scan(plain, Purpose::Layer).unwrap();
        let text = scanned.tree.to_text();
        text.lines().map(str::to_owned).collect()
    }

    /// That the layer of a command is the same with an authority and without.
    #[track_caller]
    pub fn check(&mut self, authority: &Authority, text: &str) {
        // Logs have the time in them.
        let text = &format!("{text}\n[ ! -e /var/log ] || rm -rf /var/log/*");
        let plain = self.layer(text);
        // Another step, that does the same.
        let command = format!("{text}\n# with an authority");
        self.ground.settings.commands.authority = Some(authority.clone());
        let with = self.layer(&command);
        self.ground.settings.commands.authority = None;
        let only = |one: &[String], other: &[String]| -> Vec<String> {
            let rows = one.iter().filter(|row| !other.contains(row));
            rows.cloned().collect()
        };
        assert!(
            plain == with,
            "{text}\nwithout an authority {:#?}\nwith one {:#?}",
            only(&plain, &with),
            only(&with, &plain)
        );
    }
}
