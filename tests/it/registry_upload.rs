//! The registry client's uploads and credentials, against servers that watch what is sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn::canon::Digest;
use cairn::registry::{Error, Paths, Settings};

use crate::support::registry::{Heard, TestStore, noise, write};
use crate::support::rude::{Reply, Request, Rude};

/// A registry that takes one upload at a time and remembers what it has.
#[derive(Default)]
struct Taking {
    part: Vec<u8>,
    blobs: Vec<Vec<u8>>,
}

/// How it is rude.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Not at all.
    Polite,
    /// It keeps 300,000 bytes of the second chunk, then fails.
    KeepsHalf,
    /// It takes no chunks.
    NoChunks,
    /// It forgets the session once.
    Forgets,
    /// It takes the blob, but the answer is lost.
    LosesAnswer,
}

fn taking(kind: Kind, taking: Arc<Mutex<Taking>>) -> Rude {
    Rude::new(move |request, count| {
        let mut state = taking.lock().unwrap();
        let at = |state: &Taking| match state.part.len() {
            0 => "0-0".to_owned(),
            length => format!("0-{}", length - 1),
        };
        let is_upload = request.path.contains("/blobs/uploads/");
        match request.method.as_str() {
            "HEAD" => {
                let has = |blob: &Vec<u8>| request.path.ends_with(&Digest::of(blob).to_string());
                match state.blobs.iter().any(has) {
                    true => Reply::new(200, ""),
                    false => Reply::new(404, ""),
                }
            }
            "POST" => {
                state.part.clear();
                Reply::new(202, "").with("Location", "/v2/a/blobs/uploads/1?state=x%2Fy")
            }
            "PATCH" => {
                let range = format!("{}-", state.part.len());
                let second = !state.part.is_empty() && count == 1;
                if kind == Kind::NoChunks {
                    return Reply::new(405, "");
                }
                if !request.header("content-range").unwrap().starts_with(&range) {
                    return Reply::new(416, "").with("Range", at(&state));
                }
                match kind {
                    Kind::KeepsHalf if second => {
                        state.part.extend_from_slice(&request.body[..300_000]);
                        return Reply::new(503, "");
                    }
                    Kind::Forgets if second => {
                        state.part.clear();
                        return Reply::new(500, "");
                    }
                    _ => state.part.extend_from_slice(&request.body),
                }
                Reply::new(202, "")
                    .with("Location", "/v2/a/blobs/uploads/1?state=x%2Fy")
                    .with("Range", at(&state))
            }
            "GET" if is_upload && kind == Kind::Forgets => Reply::new(404, ""),
            "GET" if is_upload => Reply::new(204, "").with("Range", at(&state)),
            "PUT" if is_upload => {
                assert!(
                    request.path.contains("state=x%2Fy&digest=sha256"),
                    "{}",
                    request.path
                );
                let mut blob = std::mem::take(&mut state.part);
                blob.extend_from_slice(&request.body);
                let digest = Digest::of(&blob).hex();
                if !request.path.ends_with(&digest) {
                    return Reply::new(400, "the digest is another");
                }
                state.blobs.push(blob);
                match kind {
                    Kind::LosesAnswer => Reply::new(502, ""),
                    _ => Reply::new(201, ""),
                }
            }
            "PUT" => Reply::new(201, ""),
            _ => Reply::new(404, ""),
        }
    })
}

#[test]
fn an_upload_goes_on_where_the_registry_says_or_finds_another_way() {
    for (kind, patches, in_one) in [
        (Kind::KeepsHalf, 4, 0),
        (Kind::NoChunks, 1, 1),
        (Kind::Forgets, 5, 0),
        (Kind::LosesAnswer, 3, 0),
    ] {
        let here = TestStore::new();
        let large = noise(3, 3_000_000 - 1);
        // The config alone is small; with the large blob as config there is but one blob.
        let blob = here.store.put(&large).unwrap();
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "config": {"mediaType": "application/octet-stream", "digest": blob.digest, "size": blob.size},
            "layers": [],
        });
        let top = here.document("application/vnd.oci.image.manifest.v1+json", &manifest);
        let state = Arc::new(Mutex::new(Taking::default()));
        let rude = taking(kind, state.clone());
        let heard = Heard::settings(Settings {
            first_delay: Duration::from_millis(1),
            chunk: 1_000_000,
            ..Settings::default()
        });
        let pushed = heard
            .client
            .push(&here.store, &top, &rude.reference("a:1"), &[]);
        assert_eq!(pushed.unwrap(), top.digest, "{}", heard.text());
        assert_eq!(state.lock().unwrap().blobs, [large]);
        let sent = rude.seen("PATCH", "");
        assert_eq!(sent.len(), patches, "{}", heard.text());
        let whole = rude.seen("PUT", "/uploads/");
        let whole = whole.iter().filter(|request| !request.body.is_empty());
        assert_eq!(whole.count(), in_one);
        if kind == Kind::KeepsHalf {
            let third = sent[2].header("content-range").unwrap();
            assert_eq!(third, "1300000-2299999");
        }
        let document = &rude.seen("PUT", "/manifests/1")[0];
        assert_eq!(Digest::of(&document.body), top.digest);
        assert_eq!(
            document.header("content-type"),
            Some(top.media_type.as_str())
        );
    }
}

#[test]
fn an_upload_that_gets_nowhere_ends() {
    let here = TestStore::new();
    let blob = here.store.put(&noise(3, 3_000_000)).unwrap();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "config": {"mediaType": "application/octet-stream", "digest": blob.digest, "size": blob.size},
        "layers": [],
    });
    let top = here.document("application/vnd.oci.image.manifest.v1+json", &manifest);
    // It takes the first chunk, loses it with the second, and would do so for ever.
    let rude = Rude::new(|request, count| match request.method.as_str() {
        "POST" => Reply::new(202, "").with("Location", "/v2/a/blobs/uploads/1"),
        "PATCH" if count > 100 => Reply::new(403, "it was sent for ever"),
        "PATCH" if request.header("content-range") == Some("0-999999") => {
            Reply::new(202, "").with("Range", "0-999999")
        }
        "PATCH" => Reply::new(202, "").with("Range", "0-0"),
        "GET" => Reply::new(204, "").with("Range", "0-0"),
        _ => Reply::new(404, ""),
    });
    let heard = Heard::settings(Settings {
        first_delay: Duration::from_millis(1),
        chunk: 1_000_000,
        ..Settings::default()
    });
    let pushed = heard
        .client
        .push(&here.store, &top, &rude.reference("a:1"), &[]);
    assert!(matches!(pushed, Err(Error::Nonsense { .. })), "{pushed:?}");
}

#[test]
fn a_registry_that_takes_another_document_is_caught() {
    let here = TestStore::new();
    let top = here.image("amd64", &[]);
    let rude = Rude::new(|request, _| match request.method.as_str() {
        "HEAD" => Reply::new(200, ""),
        _ => Reply::new(201, "").with("Docker-Content-Digest", Digest::of(b"other")),
    });
    let pushed = Heard::new()
        .client
        .push(&here.store, &top, &rude.reference("a:1"), &[]);
    assert!(pushed.unwrap_err().is_mismatch());
    let named = rude.reference("a:1").at(Digest::of(b"x"));
    let pushed = Heard::new().client.push(&here.store, &top, &named, &[]);
    assert!(matches!(pushed, Err(Error::OtherDigest { .. })));
}

#[test]
fn a_foreign_layer_is_pushed_where_it_is_here_and_else_asked_for() {
    let layer = Digest::of(b"foreign");
    for (is_here, is_there, works) in [
        (true, false, true),
        (false, true, true),
        (false, false, false),
    ] {
        let here = TestStore::new();
        let config = here.store.put(b"{}").unwrap();
        if is_here {
            here.store.put(b"foreign").unwrap();
        }
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest, "size": 2},
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                "digest": layer, "size": 7, "urls": ["https://x.example/layer"],
            }],
        });
        let top = here.document("application/vnd.oci.image.manifest.v1+json", &manifest);
        let state = Arc::new(Mutex::new(Taking::default()));
        if is_there {
            state.lock().unwrap().blobs.push(b"foreign".to_vec());
        }
        let rude = taking(Kind::Polite, state.clone());
        let pushed = Heard::new()
            .client
            .push(&here.store, &top, &rude.reference("a:1"), &[]);
        match pushed {
            Ok(digest) => assert!(works && digest == top.digest),
            Err(error) => assert!(
                !works && error.to_string().contains("foreign layer"),
                "{error}"
            ),
        }
        assert_eq!(rude.seen("PUT", "/manifests/").len(), usize::from(works));
    }
}

/// `user:s3cret` in base64, and a file that has it.
const BASIC: &str = "dXNlcjpzM2NyZXQ=";

fn credentials(folder: &tempfile::TempDir, rude: &Rude, entry: &str) -> Paths {
    let path = folder.path().join("config.json");
    write(
        &path,
        &format!(r#"{{"auths":{{"{}":{entry}}}}}"#, rude.address),
    );
    Paths {
        docker_config: Some(path),
        ..Paths::default()
    }
}

#[test]
fn a_redirect_to_another_host_gets_no_credentials() {
    let here = TestStore::new();
    let top = here.image("amd64", &[b"layer"]);
    let store = here.store.clone();
    let storage = Rude::new(move |request, _| {
        let name = request.path.rsplit('/').next().unwrap();
        let blob = store.blob(&name.parse().unwrap()).unwrap();
        Reply::new(200, std::fs::read(blob.path()).unwrap())
    });
    let (address, store) = (storage.address, here.store.clone());
    let rude = Rude::new(move |request, _| {
        if request.header("authorization") != Some(&format!("Basic {BASIC}")) {
            return Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\"");
        }
        if request.path.contains("/blobs/") {
            let name = request.path.rsplit('/').next().unwrap();
            return Reply::new(307, "").with("Location", format!("http://{address}/s/{name}"));
        }
        Reply::new(200, store.read(&top.digest, 1 << 20).unwrap().to_vec())
    });
    let folder = tempfile::tempdir().unwrap();
    let heard = Heard::with(credentials(
        &folder,
        &rude,
        &format!(r#"{{"auth":"{BASIC}"}}"#),
    ));
    let there = TestStore::new();
    heard
        .client
        .pull(&there.store, &rude.reference("a:1"), None)
        .unwrap();
    let seen = storage.seen("GET", "/s/");
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter()
            .all(|request| request.header("authorization").is_none())
    );
    assert!(!heard.text().contains("s3cret") && !heard.text().contains(BASIC));
}

#[test]
fn headers_of_hosts_toml_go_to_their_host_and_the_registrys_name_with_them() {
    let here = TestStore::new();
    let top = here.image("amd64", &[]);
    let store = here.store.clone();
    let storage = Rude::new(move |request, _| {
        let name = request.path.rsplit('/').next().unwrap();
        let blob = store.blob(&name.parse().unwrap()).unwrap();
        Reply::new(200, std::fs::read(blob.path()).unwrap())
    });
    let (address, store) = (storage.address, here.store.clone());
    let mirror = Rude::new(move |request, _| {
        if let Some((_, name)) = request.path.split_once("/blobs/") {
            let name = name.split('?').next().unwrap();
            return Reply::new(302, "").with("Location", format!("http://{address}/{name}"));
        }
        Reply::new(200, store.read(&top.digest, 1 << 20).unwrap().to_vec())
    });
    let folder = tempfile::tempdir().unwrap();
    write(
        &folder.path().join("r.example/hosts.toml"),
        &format!(
            "[host.\"http://{}/p\"]\nheader = {{ x-key = \"s3cret\" }}",
            mirror.address
        ),
    );
    let heard = Heard::with(Paths {
        certs_dirs: vec![folder.path().to_owned()],
        ..Paths::default()
    });
    let there = TestStore::new();
    let reference = "r.example/a:1".parse().unwrap();
    heard.client.pull(&there.store, &reference, None).unwrap();
    let seen = mirror.seen("GET", "/p/v2/a/");
    assert_eq!(seen.len(), 2);
    for request in seen {
        assert_eq!(request.header("x-key"), Some("s3cret"));
        assert!(request.path.ends_with("?ns=r.example"), "{}", request.path);
    }
    assert_eq!(storage.seen("GET", "")[0].header("x-key"), None);
    assert!(!heard.text().contains("s3cret"), "{}", heard.text());
}

/// A registry whose tokens are named after what they are for. With `is_hidden` its `/v2/` is open.
fn token_registry(is_hidden: bool) -> (Rude, TestStore) {
    let here = TestStore::new();
    let top = here.image("amd64", &[]);
    let store = here.store.clone();
    let address = Arc::new(Mutex::new(None));
    let own = address.clone();
    let rude = Rude::new(move |request: &Request, _| {
        let own: std::net::SocketAddr = own.lock().unwrap().unwrap();
        if request.path.starts_with("/token") {
            let is_user = request.header("authorization") == Some(&format!("Basic {BASIC}"));
            let body = String::from_utf8_lossy(&request.body).into_owned();
            return match (request.method.as_str(), is_user) {
                ("GET", true) => Reply::new(200, r#"{"token":"of-a-password"}"#),
                ("POST", _)
                    if body.contains("refresh_token=r%26t&")
                        || body.ends_with("refresh_token=r%26t") =>
                {
                    Reply::new(200, r#"{"access_token":"of-a-refresh-token"}"#)
                }
                ("GET", false) if request.header("authorization").is_none() => {
                    Reply::new(200, r#"{"token":"of-nobody"}"#)
                }
                _ => Reply::new(401, r#"{"details":"incorrect username or password"}"#),
            };
        }
        let token = request.header("authorization").unwrap_or_default();
        let is_known = token.starts_with("Bearer of-") && token != "Bearer of-nobody";
        if request.path == "/v2/" && is_hidden {
            return Reply::new(200, "");
        }
        if !is_known {
            let challenge = format!(
                "Bearer realm=\"http://{own}/token\",service=\"s&1\",scope=\"repository:a:pull\""
            );
            return Reply::new(401, "").with("WWW-Authenticate", challenge);
        }
        Reply::new(200, store.read(&top.digest, 1 << 20).unwrap().to_vec())
    });
    *address.lock().unwrap() = Some(rude.address);
    (rude, here)
}

#[test]
fn tokens_are_fetched_for_passwords_and_identity_tokens() {
    for is_hidden in [false, true] {
        for (entry, token) in [
            (format!(r#"{{"auth":"{BASIC}"}}"#), "Bearer of-a-password"),
            (
                r#"{"auth":"","identitytoken":"r&t"}"#.to_owned(),
                "Bearer of-a-refresh-token",
            ),
        ] {
            let (rude, _here) = token_registry(is_hidden);
            let folder = tempfile::tempdir().unwrap();
            let heard = Heard::with(credentials(&folder, &rude, &entry));
            heard.client.resolve(&rude.reference("a:1")).unwrap();
            heard.client.resolve(&rude.reference("a:2")).unwrap();
            let last = rude.seen("GET", "/manifests/").pop().unwrap();
            assert_eq!(last.header("authorization"), Some(token));
            let by_get = rude.seen("GET", "/token");
            let by_post = rude.seen("POST", "/token");
            // One token serves for both.
            assert_eq!(by_get.len() + by_post.len(), 1);
            for request in by_get {
                assert!(
                    request.path.contains("scope=repository%3Aa%3Apull"),
                    "{}",
                    request.path
                );
                assert!(request.path.contains("service=s%261"), "{}", request.path);
            }
            for request in by_post {
                let form = String::from_utf8(request.body).unwrap();
                assert!(
                    form.contains(
                        "grant_type=refresh_token&client_id=cairn&scope=repository%3Aa%3Apull"
                    ),
                    "{form}"
                );
            }
        }
    }
}

#[test]
fn a_refused_token_says_whose_credentials_they_were() {
    let (rude, _here) = token_registry(false);
    let folder = tempfile::tempdir().unwrap();
    // `printf user:wrong | base64`
    let entry = r#"{"auth":"dXNlcjp3cm9uZw=="}"#;
    let heard = Heard::with(credentials(&folder, &rude, entry));
    let error = heard.client.resolve(&rude.reference("a:1")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("incorrect username or password"), "{text}");
    assert!(
        text.contains("config.json`, user `user`") && text.contains("login"),
        "{text}"
    );
    let nobody = Heard::new()
        .client
        .resolve(&rude.reference("a:1"))
        .unwrap_err();
    assert!(nobody.to_string().contains("credentials: none"), "{nobody}");
}

#[test]
fn a_refused_password_is_sent_once() {
    let rude = Rude::new(|request, _| {
        let host = request.header("host").unwrap();
        let challenge = format!("Bearer realm=\"http://{host}/token\"");
        Reply::new(401, "").with("WWW-Authenticate", challenge)
    });
    let host = format!("localhost:{}", rude.address.port());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    // `printf user:wrong | base64`
    let entry = r#"{"auth":"dXNlcjp3cm9uZw=="}"#;
    write(&path, &format!(r#"{{"auths":{{"{host}":{entry}}}}}"#));
    let heard = Heard::with(Paths {
        docker_config: Some(path),
        ..Paths::default()
    });
    let reference = format!("{host}/a:1").parse().unwrap();
    let error = heard.client.resolve(&reference).unwrap_err();
    assert!(matches!(error, Error::Unauthorised { .. }), "{error}");
    // Each refusal counts towards the account's being locked.
    assert_eq!(rude.seen("GET", "/token").len(), 1);
}

#[test]
fn a_token_that_never_ends_is_refused() {
    let rude = Rude::new(|request, _| {
        if request.path.starts_with("/token") {
            return Reply::new(200, vec![b' '; 1 << 16]).endless();
        }
        let host = request.header("host").unwrap();
        let challenge = format!("Bearer realm=\"http://{host}/token\"");
        Reply::new(401, "").with("WWW-Authenticate", challenge)
    });
    let reference = format!("localhost:{}/a:1", rude.address.port());
    let resolved = Heard::new().client.resolve(&reference.parse().unwrap());
    let error = resolved.unwrap_err();
    assert!(matches!(error, Error::Nonsense { .. }), "{error}");
    assert_eq!(rude.seen("GET", "/token").len(), 1);
}

#[test]
fn an_expired_token_is_fetched_anew_once() {
    let here = TestStore::new();
    let top = here.image("amd64", &[]);
    let (store, digest) = (here.store.clone(), top.digest);
    let valid = Arc::new(Mutex::new(String::from("none")));
    let issued = Arc::new(Mutex::new(0));
    let kept = valid.clone();
    let rude = Rude::new(move |request, _| {
        let mut valid = kept.lock().unwrap();
        if request.header("authorization") == Some(&format!("Bearer {valid}")) {
            return Reply::new(200, store.read(&digest, 1 << 20).unwrap().to_vec());
        }
        if request.path.starts_with("/token") {
            let mut issued = issued.lock().unwrap();
            *issued += 1;
            *valid = format!("token-{issued}");
            return Reply::new(200, format!(r#"{{"token":"{valid}"}}"#));
        }
        let host = request.header("host").unwrap();
        let challenge = format!("Bearer realm=\"http://{host}/token\"");
        Reply::new(401, "").with("WWW-Authenticate", challenge)
    });
    let heard = Heard::new();
    let reference = rude.reference("a:1");
    heard.client.resolve(&reference).unwrap();
    *valid.lock().unwrap() = "expired".to_owned();
    heard.client.resolve(&reference).unwrap();
    assert_eq!(rude.seen("GET", "/token").len(), 2);
}
