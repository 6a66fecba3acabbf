//! The recording proxy: what programs of this machine get through it, and what it keeps.

mod ground;
mod inside;
mod tools;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, mpsc};

use cairn::canon::Digest;
use cairn::proxy::Error;

use crate::support::require;
use ground::{Got, Ground, World, blob, ok, said};

#[test]
fn what_a_program_fetched_it_gets_again_without_the_server() {
    if !require("curl") {
        return;
    }
    let ground = Ground::new();
    let count = AtomicUsize::new(0);
    let world = World::new(move |got| {
        match &*got.line {
        "GET /same" => ok("ETag: \"x\"\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n", "same"),
        "GET /next" => ok("", format!("{}", count.fetch_add(1, Ordering::SeqCst))),
        "GET /moved" => said("302 Found", "Location: /same\r\n", "elsewhere"),
        "POST /echo" => ok("", &got.body),
        "GET /chunked" => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nchu\r\n3\r\nnks\r\n0\r\n\r\n"
                .to_vec()
        }
        "GET /endless" => b"HTTP/1.0 200 OK\r\n\r\nuntil it closes".to_vec(),
        "GET /nothing" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        _ => said("404 Not Found", "", "none"),
    }
    });
    let fetch = |inside: &ground::Inside| {
        let url = |path| world.url(path);
        assert_eq!(inside.curl(&[&url("/same")]), "same");
        assert_eq!(inside.curl(&[&url("/next")]), "0");
        assert_eq!(inside.curl(&[&url("/next"), &url("/next")]), "12");
        assert_eq!(inside.curl(&["-L", &url("/moved")]), "same");
        assert_eq!(inside.curl(&["-d", "one", &url("/echo")]), "one");
        assert_eq!(inside.curl(&["-d", "two", &url("/echo")]), "two");
        assert_eq!(inside.curl(&[&url("/chunked")]), "chunks");
        assert_eq!(inside.curl(&[&url("/endless")]), "until it closes");
        assert_eq!(inside.curl(&[&url("/nothing")]), "");
        assert_eq!(inside.curl(&[&url("/gone")]), "none");
        let head = inside.curl(&["-i", &url("/same")]);
        assert!(
            head.contains("Date: Fri, 02 Jan 2026 03:04:05 GMT"),
            "{head}"
        );
    };
    let record = ground.record(fetch);
    let asked = world.lines().len();
    let again = ground.record(|inside| {
        assert_eq!(inside.curl(&[&world.url("/next")]), "3");
    });
    assert_ne!(again, record);
    ground.replay(&record, fetch);
    assert_eq!(world.lines().len(), asked + 1);
    // In another order, on other connections, and more often.
    ground.replay(&record, |inside| {
        let (post, next) = (world.url("/echo"), world.url("/next"));
        let urls = [&*next, &next, &next, &next];
        assert_eq!(inside.curl(&urls), "0122");
        assert_eq!(inside.curl(&["-d", "two", &post]), "two");
    });
}

#[test]
fn a_request_that_was_not_recorded_ends_the_step_and_names_the_nearest() {
    if !require("curl") {
        return;
    }
    let ground = Ground::new();
    let world = World::new(|_| ok("", "x"));
    let record = ground.record(|inside| {
        inside.curl(&[&world.url("/x-1.0.tar"), &world.url("/other")]);
    });
    let told = |arguments: &[&str]| {
        let failed = ground.try_replay(&record, |inside| {
            let all = [&["-o", "/dev/null", "-w", "%{http_code}"], arguments].concat();
            assert_eq!(inside.curl(&all), "502");
        });
        failed.unwrap_err().to_string()
    };
    let text = told(&[&world.url("/x-1.1.tar")]);
    let port = world.port;
    assert_eq!(
        text,
        format!(
            "the lock has no answer to `GET http://world.test:{port}/x-1.1.tar`\n\
             the nearest that it has is `GET http://world.test:{port}/x-1.0.tar`: another path\n\
             hint: `cairn lock --update` records anew what is fetched"
        )
    );
    let text = told(&[&world.url("/x-1.0.tar?key-of-mine=wh1sper")]);
    assert!(text.contains("?key-of-mine=***`"), "{text}");
    let text = told(&["-d", "body", &world.url("/other")]);
    assert!(text.contains("another method"), "{text}");
    let text = told(&["-H", "Accept: a/b", &world.url("/other")]);
    assert!(text.contains("accept: `a/b` where it was none"), "{text}");
}

#[test]
fn tls_is_ended_by_an_authority_of_the_step_alone() {
    if !(require("curl") && require("openssl")) {
        return;
    }
    let ground = Ground::new();
    let world = World::new(|_| ok("", "x"));
    let record = ground.record(|inside| {
        inside.curl(&[&world.url("/")]);
    });
    // The same, as if it had been had by TLS, in whose name the proxy speaks.
    let mut by_tls = record.clone();
    by_tls.exchanges[0].request.url = "https://secure.test/".to_owned();
    ground.replay(&by_tls, |inside| {
        let url = "https://secure.test/";
        for version in ["--http1.1", "--http2"] {
            let how = ["-w", " %{http_version}", version, url];
            let expected = if version == "--http2" { "x 2" } else { "x 1.1" };
            assert_eq!(inside.curl(&how), expected);
        }
        // Who doesn't trust it, isn't spoken to.
        let fails = inside.curl_fails(&["--cacert", "/etc/ssl/certs/ca-certificates.crt", url]);
        assert!([60, 77].contains(&fails), "{fails}");
        let proxy = format!("127.0.0.1:{}", inside.port);
        let shown = inside.run(
            "sh",
            &[
                "-c",
                &format!(
                    "openssl s_client -proxy {proxy} -connect secure.test:443 -verify_return_error \
                     -CAfile authority.pem -verify_hostname secure.test </dev/null"
                ),
            ],
        );
        let text = String::from_utf8_lossy(&shown.stdout);
        assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
    });
    assert_ne!(
        ground
            .inside(cairn::proxy::Source::Record(by_tls.clone()))
            .port,
        0
    );
}

#[test]
fn what_proves_who_asked_gets_to_the_server_and_nowhere_else() {
    if !require("curl") {
        return;
    }
    let ground = Ground::new();
    let world = World::new(|got| match got.line.split('?').next().unwrap() {
        "GET /login" => said(
            "302 Found",
            "Set-Cookie: session=c0ffee; Path=/\r\nLocation: /private?token=5ec7e7&page=2\r\n",
            "",
        ),
        "GET /token" => ok(
            "Content-Type: application/json\r\n",
            r#"{"token":"70ken-00"}"#,
        ),
        _ => ok("", "what it gave"),
    });
    let (login, direct) = (
        world.url("/login"),
        world.url("/private?X-Amz-Signature=5167ed"),
    );
    let record = ground.record(|inside| {
        let user = ["-u", "user:pa55", "-H", "X-Api-Key: ap1key"];
        let cookies = ["-b", "", "-L", &login];
        assert_eq!(inside.curl(&[&user[..], &cookies].concat()), "what it gave");
        assert_eq!(inside.curl(&["-b", "mine=c00k1e", &direct]), "what it gave");
        let own = world.url("/of/wh1sper/x?mine=wh1sper&y=1");
        assert_eq!(inside.curl(&[&own]), "what it gave");
        let token = inside.curl(&[&world.url("/token")]);
        assert_eq!(token, r#"{"token":"70ken-00"}"#);
    });
    let asked = world.got.lock().unwrap().clone();
    let header = |got: &Got, name: &str| got.header(name).map(str::to_owned);
    assert_eq!(
        asked[0].header("authorization").unwrap(),
        "Basic dXNlcjpwYTU1"
    );
    assert_eq!(asked[1].line, "GET /private?token=5ec7e7&page=2");
    assert_eq!(header(&asked[1], "cookie").unwrap(), "session=c0ffee");
    assert_eq!(header(&asked[1], "x-api-key").unwrap(), "ap1key");
    let text = serde_json::to_string(&record).unwrap();
    let secrets = [
        "pa55",
        "dXNlcjpwYTU1",
        "ap1key",
        "c0ffee",
        "5ec7e7",
        "5167ed",
        "c00k1e",
        "wh1sper",
    ];
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.contains("/private?page=2"), "{text}");
    // Who has another, or none, gets what they gave.
    ground.replay(&record, |inside| {
        let own = world.url("/of/another/x?mine=one&y=1");
        assert_eq!(inside.curl(&[&own]), "what it gave");
        let token = inside.curl(&[&world.url("/token")]);
        assert_eq!(token, r#"{"token":"removed-by-cairn"}"#);
        assert_eq!(inside.curl(&["-L", &login]), "what it gave");
        let other = world.url("/private?X-Amz-Signature=0");
        assert_eq!(inside.curl(&[&other]), "what it gave");
    });
}

#[test]
fn a_body_that_is_not_what_it_was_is_refused_before_its_end() {
    if !require("curl") {
        return;
    }
    let ground = Ground::new();
    let large = vec![b'x'; 3 << 20];
    let world = World::new(move |got| match &*got.line {
        "GET /large" => ok("", vec![b'x'; 3 << 20]),
        _ => ok("", "small"),
    });
    let digests = [Digest::of(b"small"), Digest::of(&large)];
    for (path, digest) in ["/small", "/large"].iter().zip(digests) {
        let url = world.url(path);
        let record = ground.record(|inside| {
            inside.curl(&["-o", "got", &url]);
        });
        let place = blob(&ground.store, &digest);
        let good = std::fs::read(&place).unwrap();
        let fails = |record: &cairn::lock::Record| {
            let failed = ground.try_replay(record, |inside| {
                assert_ne!(inside.curl_fails(&["-o", "got", &url]), 0);
            });
            failed.unwrap_err()
        };
        let mut poisoned = good.clone();
        *poisoned.last_mut().unwrap() ^= 1;
        std::fs::write(&place, &poisoned).unwrap();
        let error = fails(&record);
        assert!(matches!(error, Error::Blob { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&url) && text.contains(&digest.hex()),
            "{text}"
        );
        std::fs::remove_file(&place).unwrap();
        let text = fails(&record).to_string();
        assert!(text.contains("the store has no blob"), "{text}");
        std::fs::write(&place, &good).unwrap();
        let mut edited = record.clone();
        edited.exchanges[0].response.body.as_mut().unwrap().size += 1;
        assert!(fails(&edited).to_string().contains("were announced"));
        ground.replay(&record, |inside| {
            inside.curl(&["-o", "got", &url]);
        });
        assert_eq!(
            std::fs::read(ground.folder.path().join("got")).unwrap(),
            good
        );
    }
}

#[test]
fn parts_heads_and_what_a_program_has_already_come_from_the_whole() {
    if !require("curl") {
        return;
    }
    let ground = Ground::new();
    let world = World::new(|got| {
        assert_eq!(got.header("if-none-match"), None);
        assert_eq!(got.header("accept-encoding"), Some("identity"));
        ok("ETag: \"v1\"\r\n", "0123456789")
    });
    let url = world.url("/f");
    let has = ["-H", "If-None-Match: \"v1\"", "-w", "%{http_code}", &url];
    // A warm cache must not keep the body from the record.
    let record = ground.record(|inside| assert_eq!(inside.curl(&has), "304"));
    ground.replay(&record, |inside| {
        assert_eq!(inside.curl(&has), "304");
        assert_eq!(inside.curl(&[&url]), "0123456789");
        assert_eq!(inside.curl(&["-r", "2-4", &url]), "234");
        assert_eq!(
            inside.curl(&["-r", "-2", "-w", "%{http_code}", &url]),
            "89206"
        );
        let beyond = ["-r", "10-", "-o", "/dev/null", "-w", "%{http_code}", &url];
        assert_eq!(inside.curl(&beyond), "416");
        let head = inside.curl(&["-I", &url]);
        assert!(head.contains("Content-Length: 10\r\n"), "{head}");
        let resumed = ["-H", "If-Range: \"v0\"", "-r", "5-", &url];
        assert_eq!(inside.curl(&resumed), "0123456789");
    });
}

#[test]
fn what_a_server_breaks_off_is_broken_for_the_program_each_time() {
    if !require("curl") {
        return;
    }
    let ground = Ground::new();
    let world = World::new(|got| match &*got.line {
        "GET /short" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec(),
        "GET /cut" => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_vec()
        }
        _ => Vec::new(),
    });
    let free = crate::support::free_port();
    let nobody = format!("http://world.test:{free}/");
    let fetch = |inside: &ground::Inside| {
        for (path, codes) in [
            ("/short", &[18, 52][..]),
            ("/cut", &[18, 52, 56]),
            ("/silent", &[52]),
        ] {
            let code = inside.curl_fails(&[&world.url(path)]);
            assert!(codes.contains(&code), "{path}: {code}");
        }
        assert_eq!(inside.curl_fails(&[&nobody]), 52);
    };
    let record = ground.record(|inside| {
        fetch(inside);
        let notes = inside.notes().join("\n");
        let is_told = notes.contains(&nobody) && notes.contains("refused");
        assert!(is_told, "{notes}");
    });
    let status = record.exchanges.iter().map(|it| it.response.status);
    assert_eq!(status.collect::<Vec<_>>(), [cairn::lock::NO_ANSWER; 4]);
    ground.replay(&record, |inside| {
        for url in ["/short", "/cut", "/silent"].map(|path| world.url(path)) {
            assert_eq!(inside.curl_fails(&[&url]), 52);
        }
        assert_eq!(inside.curl_fails(&[&nobody]), 52);
    });
}

#[test]
fn what_a_program_does_not_read_to_its_end_is_recorded_whole() {
    if !require("curl") {
        return;
    }
    let ground = Ground::new();
    let world = World::new(|_| ok("", vec![b'x'; 20 << 20]));
    let url = world.url("/large");
    let fetch = |inside: &ground::Inside| {
        let text = format!("curl -sS {url} 2>curl.err | head -c 3");
        assert_eq!(inside.run("sh", &["-c", &text]).stdout, b"xxx");
    };
    let record = ground.record(fetch);
    let body = record.exchanges[0].response.body.unwrap();
    assert_eq!((body.size, record.exchanges.len()), (20 << 20, 1));
    ground.replay(&record, fetch);
}

#[test]
fn what_a_program_no_longer_waits_for_is_no_answer_each_time() {
    if !require("curl") {
        return;
    }
    let ground = Ground::new();
    let (come, asked) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let (asked, ended) = (Mutex::new(asked), Mutex::new(ended));
    let world = World::new(move |got| match &*got.line {
        "GET /slow" => {
            come.send(()).unwrap();
            // Until the test is over.
            let _ = ended.lock().unwrap().recv();
            Vec::new()
        }
        _ => {
            asked.lock().unwrap().recv().unwrap();
            ok("", "it was asked")
        }
    });
    let urls = ["/slow", "/wait"].map(|path| world.url(path));
    let record = ground.record(|inside| {
        let text = "curl -sS \"$0\" 2>/dev/null & curl -sS \"$1\"; kill $!";
        let output = inside.run("sh", &["-c", text, &urls[0], &urls[1]]);
        assert_eq!(output.stdout, b"it was asked");
    });
    drop(end);
    let told: Vec<_> = record
        .exchanges
        .iter()
        .map(|it| {
            (
                it.request.url.rsplit('/').next().unwrap(),
                it.response.status,
            )
        })
        .collect();
    assert_eq!(told, [("slow", cairn::lock::NO_ANSWER), ("wait", 200)]);
    ground.replay(&record, |inside| {
        assert_eq!(inside.curl_fails(&[&urls[0]]), 52);
        assert_eq!(inside.curl(&[&urls[1]]), "it was asked");
    });
}

#[test]
fn answers_at_once_that_only_credentials_tell_apart_are_refused() {
    if !require("curl") {
        return;
    }
    let ground = Ground::new();
    let both = Barrier::new(2);
    let world = World::new(move |got| {
        if got.line == "GET /at-once" {
            both.wait();
        }
        ok("", got.header("x-api-key").unwrap_or("nobody"))
    });
    let url = world.url("/at-once");
    let error = ground.try_record(|inside| {
        let text = "curl -sS -H 'X-Api-Key: ap1key' \"$0\" & curl -sS \"$0\"; wait";
        let output = inside.run("sh", &["-c", text, &url]);
        assert_eq!(output.stdout.len(), "ap1keynobody".len());
    });
    let text = error.unwrap_err().to_string();
    assert!(text.contains(&format!("`GET {url}`")), "{text}");
    assert!(!text.contains("ap1key"), "{text}");
    let url = world.url("/who");
    let fetch = |inside: &ground::Inside| {
        assert_eq!(inside.curl(&[&url]), "nobody");
        for who in ["one", "other"] {
            let key = format!("X-Api-Key: {who}");
            assert_eq!(inside.curl(&["-H", &key, &url]), who);
        }
    };
    let record = ground.record(fetch);
    ground.replay(&record, fetch);
}

#[test]
fn other_protocols_are_refused_by_name() {
    if !require("curl") {
        return;
    }
    let ground = Ground::new();
    let record = cairn::lock::Record::default();
    let told = |arguments: &[&str]| {
        let failed = ground.try_replay(&record, |inside| {
            let mut all = arguments.to_vec();
            all.extend(["--max-time", "10"]);
            inside.curl_fails(&all);
        });
        failed.unwrap_err().to_string()
    };
    let text = told(&[
        "-H",
        "Connection: Upgrade",
        "-H",
        "Upgrade: websocket",
        "http://world.test:81/chat",
    ]);
    assert!(
        text.contains("`http://world.test:81/chat`") && text.contains("websocket"),
        "{text}"
    );
    // By a tunnel, what is spoken is known when it is said.
    let tunnelled = "exec 3<>/dev/tcp/127.0.0.1/$PORT; printf 'CONNECT other.test:4444 HTTP/1.1\\r\\n\\r\\n' >&3; \
         read -r line <&3; printf '\\x00\\x01binary' >&3; cat <&3";
    let failed = ground.try_replay(&record, |inside| {
        let mut command = inside.command("bash", &["-c", tunnelled]);
        command
            .env("PORT", inside.port.to_string())
            .output()
            .unwrap();
    });
    let text = failed.unwrap_err().to_string();
    assert!(
        text.contains("`other.test:4444`") && text.contains("--network=host"),
        "{text}"
    );
}
