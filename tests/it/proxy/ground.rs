//! A step's network without a step: programs of this machine talk to the recording proxy, as the
//! sandbox would have them, and servers of the test's own are the world.
//!
//! In: what servers say. Out: records, and what programs got.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use cairn::lock::Record;
use cairn::proxy::{Error, Mask, Proxy, Source};
use cairn::sandbox::network::Interceptor;
use cairn::sandbox::network::address::GATE_V4;
use cairn::step::run::Authority;
use cairn::store::Store;

use crate::support::temp;

/// 2026-01-02T03:04:05Z.
pub const INSTANT: i64 = 1_767_323_045;

/// Hides the one secret that a caller has: `wh1sper`.
fn mask() -> Mask {
    Arc::new(|text| text.replace("wh1sper", "***"))
}

/// A request as a server of the test got it.
#[derive(Debug, Clone, Default)]
pub struct Got {
    /// `GET /path`.
    pub line: String,
    /// By lower-case name.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(other, _)| other == name);
        named.next().map(|(_, value)| value.as_str())
    }
}

/// An HTTP/1.1 server on the loopback: one request a connection. What it says, byte by byte, is the
/// test's matter.
pub struct World {
    pub port: u16,
    pub got: Arc<Mutex<Vec<Got>>>,
}

/// `HTTP/1.1 200 OK` with these header lines and that body.
pub fn ok(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    said("200 OK", headers, body)
}

/// An answer whose body has a length.
pub fn said(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

impl World {
    pub fn new(answer: impl Fn(&Got) -> Vec<u8> + Send + Sync + 'static) -> World {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answer, got) = (Arc::new(answer), Arc::new(Mutex::new(Vec::new())));
        let seen = got.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, seen) = (answer.clone(), Arc::clone(&seen));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    let Some(got) = read(&mut stream) else { return };
                    seen.lock().unwrap().push(got.clone());
                    // A client that is gone is what some tests are about.
                    let _ = stream.write_all(&answer(&got));
                });
            }
        });
        World { port, got }
    }

    /// What it was asked: `GET /path`.
    pub fn lines(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        got.iter().map(|got| got.line.clone()).collect()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://world.test:{}{path}", self.port)
    }
}

fn read(stream: &mut TcpStream) -> Option<Got> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut got = Got {
        line: line.rsplit_once(' ')?.0.to_owned(),
        ..Got::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        got.headers.push((name, value));
    }
    let length = got
        .header("content-length")
        .and_then(|text| text.parse().ok());
    got.body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut got.body).ok()?;
    Some(got)
}

/// A store, and a folder that programs run in.
pub struct Ground {
    pub folder: tempfile::TempDir,
    pub store: Store,
}

/// A proxy at work, and where this machine's programs find it.
pub struct Inside<'a> {
    ground: &'a Ground,
    proxy: Proxy,
    pub port: u16,
    pub authority: PathBuf,
}

impl Ground {
    pub fn new() -> Ground {
        let folder = temp();
        let store = Store::open(&folder.path().join("store")).unwrap();
        Ground { folder, store }
    }

    pub fn inside(&self, source: Source) -> Inside<'_> {
        let hosts = [("world.test".to_owned(), "host-gateway".to_owned())];
        let proxy = Proxy::start(source, &hosts, mask(), Default::default(), &self.store).unwrap();
        let authority = self.folder.path().join("authority.pem");
        let certificate = Authority::new(proxy.certificate().to_vec()).unwrap();
        std::fs::write(&authority, certificate.pem()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let interceptor = proxy.interceptor();
        std::thread::spawn(move || hand_over(&listener, &*interceptor));
        Inside {
            ground: self,
            proxy,
            port,
            authority,
        }
    }

    /// Records what `commands` fetch.
    pub fn record(&self, commands: impl FnOnce(&Inside)) -> Record {
        let record = self.try_record(commands);
        record.unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn try_record(&self, commands: impl FnOnce(&Inside)) -> Result<Record, Error> {
        let inside = self.inside(Source::World {
            instant: INSTANT,
            proxies: Vec::new(),
        });
        commands(&inside);
        inside.finish()
    }

    /// Replays `record`, whole.
    pub fn replay(&self, record: &Record, commands: impl FnOnce(&Inside)) {
        let failed = self.try_replay(record, commands);
        failed.unwrap_or_else(|error| panic!("{error}"));
    }

    pub fn try_replay(&self, record: &Record, commands: impl FnOnce(&Inside)) -> Result<(), Error> {
        let inside = self.inside(Source::Record(record.clone()));
        commands(&inside);
        inside.proxy.finish().map(drop)
    }
}

/// A program connects to a proxy, and in its first bytes says where it means to go. As the sandbox
/// knows that from the address, what is handed over goes to the gate, at the port 3128.
fn hand_over(listener: &TcpListener, interceptor: &dyn Interceptor) {
    for stream in listener.incoming().flatten() {
        stream.set_nonblocking(true).unwrap();
        interceptor.connection(stream, SocketAddr::from((GATE_V4, 3128)));
    }
}

impl Inside<'_> {
    /// A program that uses the proxy and trusts its authority.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        let proxy = format!("http://127.0.0.1:{}", self.port);
        command
            .args(arguments)
            .current_dir(self.ground.folder.path());
        for name in ["http_proxy", "https_proxy"] {
            command.env(name, &proxy);
        }
        for name in ["CURL_CA_BUNDLE", "SSL_CERT_FILE", "GIT_SSL_CAINFO"] {
            command.env(name, &self.authority);
        }
        for name in [
            "no_proxy",
            "NO_PROXY",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
        ] {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program, arguments).output().unwrap()
    }

    /// What curl gives for these arguments.
    #[track_caller]
    pub fn curl(&self, arguments: &[&str]) -> String {
        let all = [&["-sS", "--max-time", "60"], arguments].concat();
        let output = self.run("curl", &all);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Its exit code where it fails.
    pub fn curl_fails(&self, arguments: &[&str]) -> i32 {
        let all = [&["-sS", "--max-time", "60"], arguments].concat();
        self.run("curl", &all).status.code().unwrap()
    }

    /// What was recorded.
    pub fn finish(self) -> Result<Record, Error> {
        Ok(self.proxy.finish()?.record.unwrap())
    }

    pub fn notes(&self) -> Vec<String> {
        self.proxy.notes()
    }
}

/// Where the store has a blob.
pub fn blob(store: &Store, digest: &cairn::canon::Digest) -> PathBuf {
    Path::new(store.root())
        .join("blobs/sha256")
        .join(digest.hex())
}
