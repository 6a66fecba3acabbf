//! The embedded registry, asked byte by byte: distribution-spec's blobs and uploads, and what
//! clients do that mean no good or break off.

use std::io::Write as _;
use std::time::{Duration, Instant};

use cairn::canon::Digest;
use cairn::canon::event::Events;
use cairn::registry::server::{Limits, Server};
use cairn::store::Store;

use crate::support::http::{answer, broken_off, connect, head, request};
use crate::support::served::{Served, files};

fn served() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::new(folder.path());
    (folder, served)
}

/// Waits until `is_so`; a minute at most.
fn eventually(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::yield_now();
    }
}

#[test]
fn the_version_is_told_at_every_answer() {
    let (_folder, served) = served();
    for path in ["/v2/", "/v2", "/nowhere"] {
        let answer = served.get(path);
        let version = answer.header("docker-distribution-api-version");
        assert_eq!(version, Some("registry/2.0"));
        assert_eq!(answer.status, if path == "/nowhere" { 404 } else { 200 });
    }
}

#[test]
fn a_blob_is_pushed_in_one_request_and_pulled_in_parts() {
    let (_folder, served) = served();
    let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let digest = Digest::of(&bytes);
    let push = format!("/v2/a/b/blobs/uploads/?digest={digest}");
    let pull = format!("/v2/a/b/blobs/{digest}");
    assert_eq!(served.get(&pull).error(), (404, "BLOB_UNKNOWN".to_owned()));
    let pushed = served.request("POST", &push, &[], &bytes).expect(201);
    assert_eq!(pushed.header("location"), Some(pull.as_str()));

    let head = served.request("HEAD", &pull, &[], b"").expect(200);
    assert_eq!(head.header("content-length"), Some("800000"));
    let shown = digest.to_string();
    assert_eq!(head.header("docker-content-digest"), Some(shown.as_str()));
    assert!(head.body.is_empty());
    assert!(served.get(&pull).expect(200).body == bytes);

    let range = |range: &str| served.request("GET", &pull, &[("Range", range)], b"");
    let part = range("bytes=100000-299999").expect(206);
    assert_eq!(
        part.header("content-range"),
        Some("bytes 100000-299999/800000")
    );
    assert!(part.body == bytes[100_000..300_000]);
    assert!(range("bytes=-1").expect(206).body == bytes[799_999..]);
    assert!(range("bytes=0-0,5-5").expect(200).body == bytes);
    let beyond = range("bytes=800000-");
    assert_eq!(beyond.header("content-range"), Some("bytes */800000"));
    assert_eq!(beyond.status, 416);
    let other = [("Range", "bytes=0-0"), ("If-Range", "\"sha256:other\"")];
    assert!(served.request("GET", &pull, &other, b"").expect(200).body == bytes);
    let delete = served.request("DELETE", &pull, &[], b"");
    assert_eq!(delete.error(), (405, "UNSUPPORTED".to_owned()));
}

#[test]
fn chunks_are_taken_in_order_alone() {
    let (_folder, served) = served();
    let upload = served.begin("a");
    let patch = |range: &str, bytes: &[u8]| {
        served.request("PATCH", &upload, &[("Content-Range", range)], bytes)
    };
    assert_eq!(patch("5-9", b"fghij").status, 416);
    let first = patch("0-4", b"abcde").expect(202);
    assert_eq!(first.header("range"), Some("0-4"));
    assert_eq!(first.header("location"), Some(upload.as_str()));
    let again = patch("0-4", b"abcde").expect(416);
    assert_eq!(again.header("range"), Some("0-4"));
    assert_eq!(
        patch("5-7", b"fghij").error(),
        (400, "SIZE_INVALID".to_owned())
    );
    assert_eq!(patch("5", b"fghij").error().0, 400);
    let status = served.get(&upload).expect(204);
    assert_eq!(status.header("range"), Some("0-4"));

    let digest = Digest::of(b"abcdefghij");
    let last = format!("{upload}?digest={digest}");
    let end = [("Content-Range", "4-8")];
    assert_eq!(served.request("PUT", &last, &end, b"fghij").status, 416);
    let end = [("Content-Range", "5-9")];
    served.request("PUT", &last, &end, b"fghij").expect(201);
    let blob = served.get(&format!("/v2/a/blobs/{digest}"));
    assert_eq!(blob.expect(200).body, b"abcdefghij");
    let gone = served.get(&upload).error();
    assert_eq!(gone, (404, "BLOB_UPLOAD_UNKNOWN".to_owned()));
    assert_eq!(files(&served.store, "tmp"), 0);
}

#[test]
fn a_stream_without_a_length_is_taken() {
    let (_folder, served) = served();
    let upload = served.begin("a");
    let mut stream = connect(
        served.address,
        &head("PATCH", &upload, &[("Transfer-Encoding", "chunked")]),
    );
    stream
        .write_all(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        .unwrap();
    let patched = answer(stream).expect(202);
    assert_eq!(patched.header("range"), Some("0-4"));
    let digest = Digest::of(b"abcde");
    let path = format!("{upload}?digest={digest}");
    served.request("PUT", &path, &[], b"").expect(201);
}

#[test]
fn what_is_not_its_digest_is_refused_and_leaves_nothing() {
    let (_folder, served) = served();
    let wrong = Digest::of(b"other");
    let invalid = || (400, "DIGEST_INVALID".to_owned());
    let path = format!("/v2/a/blobs/uploads/?digest={wrong}");
    assert_eq!(served.request("POST", &path, &[], b"x").error(), invalid());
    let upload = served.begin("a");
    let path = format!("{upload}?digest={wrong}");
    assert_eq!(served.request("PUT", &path, &[], b"x").error(), invalid());
    assert_eq!(served.get(&upload).status, 404);
    let upload = served.begin("a");
    for digest in ["", "?digest=", "?digest=sha512:00", "?digest=../../etc"] {
        let path = format!("{upload}{digest}");
        assert_eq!(served.request("PUT", &path, &[], b"x").error(), invalid());
    }
    served.request("DELETE", &upload, &[], b"").expect(204);
    assert_eq!(files(&served.store, "tmp"), 0);
    assert_eq!(files(&served.store, "blobs/sha256"), 0);
}

#[test]
fn a_broken_off_chunk_can_be_gone_on_with() {
    let (_folder, served) = served();
    let upload = served.begin("a");
    served.request("PATCH", &upload, &[], b"abc").expect(202);
    let announced = head("PATCH", &upload, &[("Content-Length", "7")]);
    broken_off(served.address, &announced, b"de");
    let status = served.get(&upload).expect(204);
    let last = status.header("range").unwrap().strip_prefix("0-").unwrap();
    let next = last.parse::<usize>().unwrap() + 1;
    assert!((3..=5).contains(&next), "{next}");
    let path = format!("{upload}?digest={}", Digest::of(b"abcdefghij"));
    let range = format!("{next}-9");
    let rest = [("Content-Range", range.as_str())];
    let put = served.request("PUT", &path, &rest, &b"abcdefghij"[next..]);
    put.expect(201);
}

#[test]
fn broken_off_uploads_leave_nothing() {
    let (_folder, mut served) = served();
    let path = format!("/v2/a/blobs/uploads/?digest={}", Digest::of(b"abc"));
    for length in ["3", "18446744073709551615", "18446744073709551616", "-1"] {
        let announced = head("POST", &path, &[("Content-Length", length)]);
        if let Some(answer) = broken_off(served.address, &announced, b"ab") {
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
        // The thread that writes may hear of it after the client has.
        eventually(|| files(&served.store, "tmp") == 0);
    }
    let upload = served.begin("a");
    let announced = head(
        "PATCH",
        &upload,
        &[("Content-Length", "9223372036854775807")],
    );
    broken_off(served.address, &announced, b"ab");
    assert_eq!(files(&served.store, "tmp"), 1);
    served.stop();
    assert_eq!(files(&served.store, "tmp"), 0);
    assert_eq!(files(&served.store, "blobs/sha256"), 0);
}

#[test]
fn who_stops_sending_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        silence: Duration::from_millis(100),
        ..Limits::default()
    };
    let served = Served::with_limits(folder.path(), limits);
    let path = format!("/v2/a/blobs/uploads/?digest={}", Digest::of(b"abc"));
    for (method, path) in [("POST", path.as_str()), ("PUT", "/v2/a/manifests/t")] {
        let announced = head(method, path, &[("Content-Length", "3")]);
        let silent = connect(served.address, &announced);
        assert_eq!(answer(silent).status, 408);
    }
    eventually(|| files(&served.store, "tmp") == 0);
}

#[test]
fn more_uploads_than_allowed_are_refused_until_one_is_idle_for_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        uploads: 2,
        idle: Duration::from_millis(200),
        ..Limits::default()
    };
    let served = Served::with_limits(folder.path(), limits);
    let post = || served.request("POST", "/v2/a/blobs/uploads/", &[], b"");
    let start = Instant::now();
    post().expect(202);
    post().expect(202);
    let refused = post();
    assert!(refused.status == 429 || start.elapsed() > limits.idle);
    while post().status == 429 {
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}

#[test]
fn a_blob_that_the_store_has_is_mounted_from_anywhere() {
    let (_folder, served) = served();
    let digest = served.store.put(b"abc").unwrap().digest;
    let mount = |digest: Digest, from: &str| {
        let path = format!("/v2/b/blobs/uploads/?mount={digest}{from}");
        served.request("POST", &path, &[], b"")
    };
    let there = format!("/v2/b/blobs/{digest}");
    for from in ["&from=a/b", ""] {
        let mounted = mount(digest, from).expect(201);
        assert_eq!(mounted.header("location"), Some(there.as_str()));
    }
    let unknown = mount(Digest::of(b"abd"), "&from=a").expect(202);
    let upload = unknown.header("location").unwrap();
    assert!(upload.starts_with("/v2/b/blobs/uploads/"), "{upload}");
}

#[test]
fn paths_lead_nowhere_but_to_names() {
    let (folder, served) = served();
    let secret = Digest::of(b"secret");
    std::fs::write(folder.path().join("blobs").join(secret.hex()), b"secret").unwrap();
    for path in [
        "/v2/../manifests/latest",
        "/v2/a/../../index.json",
        "/v2/%2e%2e/manifests/latest",
        "/v2/a%2fb/tags/list",
        "/v2/A/tags/list",
        "/v2/a/manifests/..%2f..%2findex.json",
        "/v2/a/blobs/sha256:..%2f..%2f..%2findex.json",
        &format!("/v2/a/blobs/sha256:..%2f{}", secret.hex()),
        "/v2/a/blobs/uploads/..%2f..%2flock",
        "/v2/a/blobs/uploads/..",
        "/v2/a%00/tags/list",
        &format!("/v2/{}/tags/list", "a/".repeat(200) + "a"),
    ] {
        let (status, code) = served.get(path).error();
        assert!([400, 404].contains(&status), "{path}: {status} {code}");
    }
    assert_eq!(
        served
            .request("POST", "/v2/../blobs/uploads/", &[], b"")
            .status,
        400
    );
    assert_eq!(files(&served.store, "tmp"), 0);
}

#[test]
fn pages_in_a_browser_have_no_access() {
    let (_folder, served) = served();
    let port = served.address.port();
    for (header, value, status) in [
        ("Origin", "http://localhost".to_owned(), 403),
        ("Host", format!("rebound.example.org:{port}"), 403),
        ("Host", format!("localhost:{port}"), 200),
        ("Host", format!("127.0.0.1:{port}"), 200),
    ] {
        let answer = served.request("GET", "/v2/", &[(header, &value)], b"");
        assert_eq!(answer.status, status, "{header}: {value}");
    }
}

#[test]
fn a_server_stops_at_once_though_connections_are_open() {
    let (_folder, mut served) = served();
    let silent = connect(served.address, b"");
    let mut idle = connect(
        served.address,
        b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    let mut first = [0; 12];
    std::io::Read::read_exact(&mut idle, &mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let start = Instant::now();
    served.stop();
    let took = start.elapsed();
    assert!(took < Limits::default().grace, "{took:?}");
    drop((silent, idle));
}

#[test]
fn who_never_ends_a_request_is_given_the_grace_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        grace: Duration::from_millis(100),
        ..Limits::default()
    };
    let mut served = Served::with_limits(folder.path(), limits);
    let half = connect(served.address, b"GET /v2/ HTTP/1.1\r\nHost: lo");
    let upload = served.begin("a");
    let body = head("PATCH", &upload, &[("Content-Length", "3")]);
    let stuck = connect(served.address, &body);
    let start = Instant::now();
    served.stop();
    let took = start.elapsed();
    assert!(took < limits.silence, "{took:?}");
    drop((half, stuck));
    assert_eq!(files(&served.store, "tmp"), 0);
}

#[test]
fn a_request_under_way_is_finished_before_the_end() {
    let (_folder, mut served) = served();
    let digest = Digest::of(b"abc");
    let upload = served.begin("a");
    let path = format!("{upload}?digest={digest}");
    let mut stream = connect(
        served.address,
        &head(
            "PUT",
            &path,
            &[("Content-Length", "3"), ("Expect", "100-continue")],
        ),
    );
    // The server asks for the body: it is at work on the request.
    let mut asked = [0; 25];
    std::io::Read::read_exact(&mut stream, &mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    let finish = std::thread::spawn(move || {
        stream.write_all(b"abc").unwrap();
        answer(stream).status
    });
    served.stop();
    assert_eq!(finish.join().unwrap(), 201);
    assert!(served.store.blob(&digest).is_some());
}

#[test]
fn a_server_keeps_the_store_from_being_tidied_only_while_it_is_at_work() {
    let folder = tempfile::tempdir().unwrap();
    let store = || Store::open(folder.path()).unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(store(), address, Events::none()).unwrap();
    let (address, stop) = (server.address(), server.stop_handle());
    let running = std::thread::spawn(move || server.run().unwrap());
    let ask = |method, path: &str| request(address, method, path, &[], b"");
    let tidied = || store().remove_unreached(&[]).unwrap();
    ask("GET", "/v2/_catalog").expect(200);
    assert_eq!(tidied(), Some(0));
    let begun = ask("POST", "/v2/a/blobs/uploads/").expect(202);
    assert_eq!(tidied(), None);
    ask("DELETE", begun.header("location").unwrap()).expect(204);
    assert_eq!(tidied(), Some(0));
    stop.stop();
    running.join().unwrap();
}
