//! The registry client's credentials, tokens and headers, against servers that watch who gets them.

use std::sync::{Arc, Mutex};

use cairn::registry::{Error, Paths};

use crate::support::registry::{Heard, TestStore, write};
use crate::support::rude::{Reply, Request, Rude};

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

/// A host that gives each blob of `here` by the digest that ends the path.
fn storage(here: &TestStore) -> Rude {
    let store = here.store.clone();
    Rude::new(move |request, _| {
        let name = request.path.rsplit('/').next().unwrap();
        let blob = store.blob(&name.parse().unwrap()).unwrap();
        Reply::new(200, std::fs::read(blob.path()).unwrap())
    })
}

#[test]
fn a_redirect_to_another_host_gets_no_credentials() {
    let here = TestStore::new();
    let top = here.image("amd64", &[b"layer"]);
    let storage = storage(&here);
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
    let storage = storage(&here);
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
