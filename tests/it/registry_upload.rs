//! The registry client's uploads, against servers that watch what is sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn::canon::Digest;
use cairn::registry::{Error, Settings};

use crate::support::registry::{Heard, TestStore, noise};
use crate::support::rude::{Reply, Rude};

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
