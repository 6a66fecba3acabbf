//! The world's side of the proxy: TLS, HTTP/2, the caller's proxies, what stays closed.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use cairn::lock::NO_ANSWER;
use cairn::proxy::Source;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;

use super::ground::{Ground, INSTANT, World, ok};
use crate::support::require;

/// Serves `world.test` and `far.test` by TLS, in the HTTP that the client likes best: says which that is, with
/// what was sent, and a trailer. Gives its port and its certificate.
fn secure() -> (u16, String) {
    let made =
        rcgen::generate_simple_self_signed(["world.test", "far.test"].map(str::to_owned)).unwrap();
    let pem = made.cert.pem();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    let mut config = config
        .with_single_cert(vec![made.cert.into()], key.into())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who doesn't trust it hangs up.
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let stream = TokioIo::new(stream);
                let service = hyper::service::service_fn(answer);
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(stream, service).await;
            });
        }
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(serve)
    });
    (port, pem)
}

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let version = format!("{:?} ", request.version());
    let sent = request.into_body().collect().await.unwrap().to_bytes();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let frames = [
        Frame::data(version.into()),
        Frame::data(sent),
        Frame::trailers(trailers),
    ];
    let frames = frames.map(Ok::<_, Infallible>);
    let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
    Ok(Response::new(body.boxed()))
}

/// What the program trusts is read once: another process does it, whose variable says where.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the variable is what it is about"
)]
fn servers_are_spoken_to_by_tls_and_http_2_and_trusted_as_the_caller_trusts() {
    const OURS: &str = "cairn-trusts.pem";
    if !require("curl") {
        return;
    }
    let trusted = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    if let Some(trusted) = trusted.filter(|path| path.ends_with(OURS)) {
        return speak(&trusted);
    }
    let folder = crate::support::temp();
    let mut again = Command::new("/proc/self/exe");
    let name = "servers_are_spoken_to_by_tls_and_http_2_and_trusted_as_the_caller_trusts";
    let place = module_path!().split_once("::").unwrap().1;
    again.args([&format!("{place}::{name}"), "--exact"]);
    again.env("SSL_CERT_FILE", folder.path().join(OURS));
    let output = again.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let is_done = output.status.success() && said.contains("1 passed");
    assert!(is_done, "{said}");
}

fn speak(trusted: &Path) {
    let (port, pem) = secure();
    let (strange, _) = secure();
    std::fs::write(trusted, pem).unwrap();
    let ground = Ground::new();
    let url = format!("https://world.test:{port}/");
    let large = "x".repeat(3 << 20);
    std::fs::write(ground.folder.path().join("large"), &large).unwrap();
    let fetch = |inside: &super::ground::Inside| {
        for version in ["--http1.1", "--http2"] {
            assert_eq!(inside.curl(&[version, "-d", "sent", &url]), "HTTP/2.0 sent");
        }
        let got = inside.curl(&["-T", "large", &url]);
        assert!(got == format!("HTTP/2.0 {large}"));
        let head = inside.curl(&["--http2", "-d", "sent", "-D", "-", "-o", "/dev/null", &url]);
        assert!(head.contains("grpc-status: 0"), "{head}");
    };
    let record = ground.record(|inside| {
        fetch(inside);
        let strange = format!("https://world.test:{strange}/");
        assert_ne!(inside.curl_fails(&[&strange]), 0);
        let notes = inside.notes().join("\n");
        assert!(
            notes.contains(&strange) && notes.contains("certificate"),
            "{notes}"
        );
    });
    let answered = record.exchanges.iter();
    let answered = answered.filter(|exchange| exchange.response.status == 200);
    assert_eq!(answered.clone().count(), 2);
    for exchange in answered {
        assert!(exchange.request.url.starts_with(&url));
        assert_eq!(exchange.response.trailers["grpc-status"], "0");
    }
    ground.replay(&record, fetch);
    by_a_tunnel(&ground, port);
}

/// A proxy of the caller's that leads wherever is asked for to `port` of this machine. Gives its
/// own port.
fn tunnels(port: u16, seen: Arc<Mutex<Vec<String>>>) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut near in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && near.read(&mut byte).unwrap() > 0 {
                head.extend(byte);
            }
            seen.lock().unwrap().push(String::from_utf8(head).unwrap());
            near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let far = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            for (from, to) in [(&near, &far), (&far, &near)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    own
}

fn by_a_tunnel(ground: &Ground, port: u16) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let proxy = tunnels(port, Arc::clone(&seen));
    let proxy = format!("http://user:pa55@127.0.0.1:{proxy}");
    let inside = ground.inside(Source::World {
        instant: INSTANT,
        proxies: vec![("HTTPS_PROXY".to_owned(), proxy)],
    });
    assert_eq!(
        inside.curl(&["-d", "sent", "https://far.test/"]),
        "HTTP/2.0 sent"
    );
    let record = inside.finish().unwrap();
    assert_eq!(record.exchanges[0].request.url, "https://far.test/");
    let seen = seen.lock().unwrap().concat();
    assert!(
        seen.starts_with("CONNECT far.test:443 HTTP/1.1\r\n"),
        "{seen}"
    );
    assert!(seen.contains("Basic dXNlcjpwYTU1"), "{seen}");
}

#[test]
fn the_callers_proxies_are_used_and_shown_what_they_ask_for() {
    if !require("curl") {
        return;
    }
    let ground = Ground::new();
    let proxy = World::new(|_| ok("", "by proxy"));
    let world = World::new(|_| ok("", "direct"));
    let inside = ground.inside(Source::World {
        instant: INSTANT,
        proxies: [
            (
                "http_proxy",
                format!("http://user:pa55@127.0.0.1:{}", proxy.port),
            ),
            ("NO_PROXY", "near.test".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec(),
    });
    assert_eq!(inside.curl(&["http://far.test/x"]), "by proxy");
    // An address that the step gave itself is no proxy's matter.
    assert_eq!(inside.curl(&[&world.url("/y")]), "direct");
    assert_ne!(inside.curl_fails(&["http://near.test./z"]), 0);
    let got = proxy.got.lock().unwrap();
    let lines: Vec<&str> = got.iter().map(|got| &*got.line).collect();
    assert_eq!(lines, ["GET http://far.test/x"]);
    let shown = got[0].header("proxy-authorization");
    assert_eq!(shown, Some("Basic dXNlcjpwYTU1"));
    assert_eq!(
        world.got.lock().unwrap()[0].header("proxy-authorization"),
        None
    );
    let record = serde_json::to_string(&inside.finish().unwrap()).unwrap();
    assert!(
        record.contains("http://far.test/x") && !record.contains("pa55"),
        "{record}"
    );
}

#[test]
fn what_is_closed_to_steps_stays_closed_whatever_name_leads_there() {
    if !require("curl") {
        return;
    }
    let ground = Ground::new();
    let world = World::new(|_| ok("", "x"));
    let record = ground.record(|inside| {
        for host in [
            "localhost",
            "127.0.0.1",
            "[::1]",
            "169.254.169.254",
            "0.0.0.0",
        ] {
            let url = format!("http://{host}:{}/", world.port);
            assert_eq!(inside.curl_fails(&["-g", &url]), 52, "{host}");
        }
        let notes = inside.notes().join("\n");
        assert!(
            notes.contains("the host's own services are closed"),
            "{notes}"
        );
        assert!(notes.contains("clouds' metadata"), "{notes}");
    });
    let mut answers = record.exchanges.iter().map(|it| it.response.status);
    assert!(answers.all(|status| status == NO_ANSWER));
    assert_eq!(world.lines().len(), 0);
}
