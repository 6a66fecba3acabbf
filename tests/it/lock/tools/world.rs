//! The server that the tools fetch from: files or a repository, by HTTP and by TLS on one port, which
//! changes, fails and goes as the test says.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::repository::git_answer;
use crate::support::rude::{Reply, Request, serve};

/// The name that the server has in commands.
pub const HOST: &str = "world.test";

/// What is at a path.
#[derive(Clone)]
pub enum Page {
    Bytes(Vec<u8>),
    /// Elsewhere: a path.
    Moved(String),
}

impl<T: Into<Vec<u8>>> From<T> for Page {
    fn from(bytes: T) -> Page {
        Page::Bytes(bytes.into())
    }
}

/// Pages by their paths.
pub type Pages = BTreeMap<String, Page>;

/// What answers.
pub enum Answers {
    Pages(Pages),
    /// The repositories below a folder.
    Repositories(PathBuf),
    /// This status, whatever is asked.
    Failure(u16),
    /// What the test says.
    Custom(fn(&Request) -> Reply),
    /// Nobody: connections are refused.
    Nobody,
}

/// The server.
pub struct World {
    pub port: u16,
    answers: Arc<Mutex<Answers>>,
    requests: Arc<Mutex<Vec<Request>>>,
    thread: Option<JoinHandle<()>>,
}

impl World {
    /// One that has nothing yet. The authority that speaks for it is written to `authority`.
    pub fn new(authority: &Path) -> World {
        let tls = Arc::new(tls(authority));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = Arc::new(Mutex::new(Answers::Pages(Pages::new())));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (ours, kept) = (Arc::clone(&answers), Arc::clone(&requests));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if matches!(*ours.lock().unwrap(), Answers::Nobody) {
                    break;
                }
                let (ours, kept, tls) = (Arc::clone(&ours), Arc::clone(&kept), Arc::clone(&tls));
                std::thread::spawn(move || converse(stream, &tls, &kept, &ours));
            }
        });
        World {
            port,
            answers,
            requests,
            thread: Some(thread),
        }
    }

    pub fn set(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }

    /// Other bytes at every path that has some.
    pub fn spoil(&self) {
        if let Answers::Pages(pages) = &mut *self.answers.lock().unwrap() {
            for page in pages.values_mut() {
                if let Page::Bytes(bytes) = page {
                    bytes.splice(..0, *b"other\n");
                }
            }
        }
    }

    /// Nobody listens any more.
    pub fn end(&mut self) {
        self.set(Answers::Nobody);
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        // Wakes it.
        drop(TcpStream::connect(address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        assert!(TcpStream::connect(address).is_err());
    }

    /// How many requests there were.
    pub fn asked(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// The server's part in TLS; its authority is written down.
fn tls(authority: &Path) -> ServerConfig {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(authority, issuer.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([HOST.to_owned()]).unwrap();
    let chain = vec![params.signed_by(&key, &issuer).unwrap().into()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config.with_no_client_auth();
    config.with_single_cert(chain, key).unwrap()
}

fn converse(
    stream: TcpStream,
    tls: &Arc<ServerConfig>,
    kept: &Mutex<Vec<Request>>,
    answers: &Mutex<Answers>,
) {
    let answer = |request: &Request, _: usize| answer(request, answers);
    let mut first = [0];
    if !stream.peek(&mut first).is_ok_and(|length| length == 1) {
        return;
    }
    match first {
        // A handshake (RFC 8446, 5.1).
        [22] => {
            let connection = ServerConnection::new(Arc::clone(tls)).unwrap();
            let mut secure = Secure(StreamOwned::new(connection, stream));
            serve(&mut secure, kept, &answer);
            // Without a word of good-bye the end of a body isn't to be believed.
            secure.0.conn.send_close_notify();
            let _ = secure.0.flush();
        }
        _ => drop(serve(stream, kept, &answer)),
    }
}

struct Secure(StreamOwned<ServerConnection, TcpStream>);

impl Read for &mut Secure {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for &mut Secure {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

fn answer(request: &Request, answers: &Mutex<Answers>) -> Reply {
    let path = request.path.split('?').next().unwrap_or_default();
    let (root, request) = match &*answers.lock().unwrap() {
        // `.` is where it is (RFC 3986, 5.2.4).
        Answers::Pages(pages) => return page(path, pages.get(&path.replace("/./", "/"))),
        Answers::Failure(status) => return Reply::new(*status, "no"),
        Answers::Custom(answer) => return answer(request),
        Answers::Nobody => return Reply::new(503, ""),
        Answers::Repositories(root) => (root.clone(), request),
    };
    git_answer(&root, request)
}

fn page(path: &str, page: Option<&Page>) -> Reply {
    let kind = match path.rsplit('/').next().unwrap_or_default() {
        "" => "text/html",
        _ if path.ends_with(".json") => "application/json",
        _ if path.ends_with(".txt") => "text/plain",
        _ => "application/octet-stream",
    };
    match page {
        Some(Page::Bytes(bytes)) => {
            let tag = cairn::canon::Digest::of(bytes).hex();
            let reply = Reply::new(200, bytes.clone());
            let reply = reply.with("ETag", format!("\"{tag}\""));
            // What differs each time, and what tracks who asks.
            let reply = reply.with("Set-Cookie", "visitor=1").with("Age", "7");
            reply.with("Content-Type", kind)
        }
        Some(Page::Moved(to)) => Reply::new(302, "").with("Location", to),
        None => Reply::new(404, "none"),
    }
}
