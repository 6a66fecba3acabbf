//! The registry client against registries that break off, lie, or never stop.

use std::time::Duration;

use cairn::canon::{Digest, Reference};
use cairn::image::Descriptor;
use cairn::registry::{Error, Paths, Settings};

use crate::support::registry::{Heard, TestStore, noise, write};
use crate::support::rude::{Reply, Request, Rude};

/// A store with an image of one layer, and an answer for each of its blobs and documents.
struct Image {
    store: TestStore,
    top: Descriptor,
    layer: Vec<u8>,
}

impl Image {
    fn new() -> Image {
        let store = TestStore::new();
        let layer = noise(7, 100_000);
        let top = store.image("amd64", &[&layer]);
        Image { store, top, layer }
    }

    fn layer_path(&self) -> String {
        Digest::of(&self.layer).to_string()
    }

    /// A polite registry's answer, with `rude` asked first.
    fn served(
        &self,
        rude: impl Fn(&Request, usize, &[u8]) -> Option<Reply> + Send + Sync + 'static,
    ) -> Rude {
        let store = self.store.store.clone();
        let top = self.top.clone();
        Rude::new(move |request, count| {
            let last = request.path.rsplit('/').next().unwrap();
            let name = if last == "1" {
                top.digest.to_string()
            } else {
                last.to_owned()
            };
            let blob = name.parse().ok().and_then(|digest| store.blob(&digest));
            let bytes = blob.map_or(Vec::new(), |blob| std::fs::read(blob.path()).unwrap());
            rude(request, count, &bytes).unwrap_or_else(|| match bytes.is_empty() {
                true => Reply::new(404, r#"{"errors":[{"code":"UNKNOWN"}]}"#),
                false => Reply::new(200, bytes),
            })
        })
    }

    /// Pulls into an empty store.
    fn pull(&self, rude: &Rude) -> (Result<Descriptor, Error>, TestStore, Heard) {
        let (store, heard) = (TestStore::new(), Heard::new());
        let pulled = heard
            .client
            .pull(&store.store, &rude.reference("a:1"), None);
        (pulled, store, heard)
    }

    /// That pulling works all the same.
    #[track_caller]
    fn must_pull(&self, rude: &Rude) -> Heard {
        let (pulled, store, heard) = self.pull(rude);
        assert_eq!(pulled.unwrap(), self.top);
        assert_eq!(
            *store.store.read(&Digest::of(&self.layer), 1 << 20).unwrap(),
            *self.layer
        );
        assert_eq!(store.unfinished(), 0);
        heard
    }

    /// That pulling fails and leaves nothing of the layer.
    #[track_caller]
    fn must_not_pull(&self, rude: &Rude) -> Error {
        let (pulled, store, _heard) = self.pull(rude);
        assert!(store.store.blob(&Digest::of(&self.layer)).is_none());
        assert!(store.store.blob(&self.top.digest).is_none());
        assert_eq!(store.unfinished(), 0);
        pulled.unwrap_err()
    }
}

fn from_byte(request: &Request) -> Option<usize> {
    let range = request.header("range")?.strip_prefix("bytes=")?;
    range.strip_suffix('-')?.parse().ok()
}

fn rest(request: &Request, bytes: &[u8]) -> Reply {
    match from_byte(request) {
        None => Reply::new(200, bytes),
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
            Reply::new(206, &bytes[start..]).with("Content-Range", range)
        }
    }
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    for has_length in [true, false] {
        let image = Image::new();
        let path = image.layer_path();
        let rude = image.served({
            let path = path.clone();
            move |request, count, bytes| {
                let reply = rest(request, bytes);
                let reply = if has_length {
                    reply
                } else {
                    reply.without_length()
                };
                // Twice it breaks off, after 40,000 and after 30,000 bytes more.
                let is_layer = request.path.ends_with(&path);
                is_layer.then(|| match count {
                    0 => reply.cut(40_000),
                    1 => reply.cut(30_000),
                    _ => reply,
                })
            }
        });
        let heard = image.must_pull(&rude);
        let starts: Vec<_> = rude.seen("GET", &path).iter().map(from_byte).collect();
        assert_eq!(starts, [None, Some(40_000), Some(70_000)]);
        assert!(heard.text().contains("goes on at byte 40000"));
    }
}

#[test]
fn a_server_that_knows_no_ranges_or_mixes_them_up_is_asked_for_all() {
    // It ignores ranges; gives another one; says 416; gives bytes of something else.
    for kind in 0..4 {
        let image = Image::new();
        let path = image.layer_path();
        let rude = image.served(move |request, count, bytes| {
            if !request.path.ends_with(&path) {
                return None;
            }
            Some(match (from_byte(request), kind) {
                (None, _) if count == 0 => Reply::new(200, bytes).cut(50_000),
                (None, _) | (Some(_), 0) => Reply::new(200, bytes),
                (Some(_), 1) => {
                    Reply::new(206, &bytes[10..]).with("Content-Range", "bytes 10-99999/100000")
                }
                (Some(_), 2) => Reply::new(416, ""),
                (Some(start), _) => {
                    let other = vec![0; bytes.len() - start];
                    Reply::new(206, other)
                        .with("Content-Range", format!("bytes {start}-99999/100000"))
                }
            })
        });
        image.must_pull(&rude);
    }
}

#[test]
fn a_download_that_breaks_again_and_again_fails_after_five_tries() {
    let image = Image::new();
    let path = image.layer_path();
    let rude = image.served({
        let path = path.clone();
        move |request, _, bytes| {
            request
                .path
                .ends_with(&path)
                .then(|| rest(request, bytes).cut(1000))
        }
    });
    let error = image.must_not_pull(&rude);
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(rude.seen("GET", &path).len(), 5);
}

#[test]
fn retry_after_is_followed() {
    let image = Image::new();
    let rude = image.served(|_, count, _| {
        (count < 2).then(|| Reply::new(429, "slow down").with("Retry-After", 0))
    });
    // Without it the wait would be an hour.
    let heard = Heard::settings(Settings {
        first_delay: Duration::from_secs(3600),
        ..Settings::default()
    });
    let store = TestStore::new();
    let pulled = heard
        .client
        .pull(&store.store, &rude.reference("a:1"), None);
    assert_eq!(pulled.unwrap(), image.top);
}

#[test]
fn failures_of_the_server_are_tried_five_times_and_refusals_once() {
    for (status, passes_after, asked) in [
        (503, 4, 5),
        (503, 5, 5),
        (500, 1, 2),
        (429, 9, 5),
        (404, 9, 1),
        (400, 9, 1),
        (403, 9, 1),
    ] {
        let image = Image::new();
        let rude = image.served(move |request, count, _| {
            let is_early = request.path.contains("/manifests/") && count < passes_after;
            is_early.then(|| Reply::new(status, r#"{"errors":[{"message":"said so"}]}"#))
        });
        let (pulled, _store, heard) = image.pull(&rude);
        assert_eq!(rude.seen("GET", "/manifests/").len(), asked, "{status}");
        let notes = heard.notes();
        assert_eq!(notes.len(), asked - 1, "{status}");
        for (note, attempt) in notes.iter().zip(2..) {
            assert!(note.contains("said so; retrying in 0.0 s"), "{note}");
            let attempt = format!("attempt {attempt} of 5");
            assert!(note.ends_with(&attempt), "{note}");
        }
        let Err(error) = pulled else {
            assert!(passes_after < asked);
            continue;
        };
        match status {
            404 => assert!(matches!(error, Error::NotFound { .. }), "{error}"),
            403 => assert!(matches!(error, Error::Unauthorised { .. }), "{error}"),
            _ => {
                let is_it = matches!(error, Error::Status { status: other, .. } if other == status);
                assert!(is_it, "{error}");
            }
        }
        assert!(
            status == 404 || error.to_string().contains("said so"),
            "{error}"
        );
        assert!(error.is_unavailable());
    }
}

#[test]
fn bytes_that_are_not_the_digests_are_never_stored() {
    // One bit; one byte less; one byte more; endless.
    for kind in 0..4 {
        let image = Image::new();
        let path = image.layer_path();
        let rude = image.served(move |request, _, bytes| {
            let mut bytes = bytes.to_vec();
            if !request.path.ends_with(&path) {
                return None;
            }
            Some(match kind {
                0 => {
                    bytes[50_000] ^= 1;
                    Reply::new(200, bytes)
                }
                1 => Reply::new(200, &bytes[1..]),
                2 => {
                    bytes.push(0);
                    Reply::new(200, bytes)
                }
                _ => Reply::new(200, bytes).endless(),
            })
        });
        let error = image.must_not_pull(&rude);
        match kind {
            0 => assert!(
                matches!(error, Error::DigestMismatch { expected, .. } if expected == Digest::of(&image.layer))
            ),
            1 => assert!(matches!(error, Error::Unreachable { .. }), "{error}"),
            _ => assert!(
                matches!(
                    error,
                    Error::SizeMismatch {
                        expected: 100_000,
                        ..
                    }
                ),
                "{error}"
            ),
        }
        assert_eq!(error.is_mismatch(), kind != 1);
    }
}

#[test]
fn documents_that_make_no_sense_are_refused() {
    type Rudeness = fn(&[u8]) -> Reply;
    let cases: [(&str, Rudeness, bool); 8] = [
        (
            "makes no sense",
            |_| Reply::new(200, "{\"schemaVersion\":"),
            false,
        ),
        (
            "makes no sense",
            |_| Reply::new(200, "<html>login</html>"),
            false,
        ),
        ("makes no sense", |_| Reply::new(200, "[]"), false),
        (
            "larger than 4194304 bytes",
            |_| Reply::new(200, vec![b' '; 1 << 16]).endless(),
            false,
        ),
        (
            "schema 1",
            |_| Reply::new(200, r#"{"schemaVersion":1}"#),
            false,
        ),
        (
            "schema 1",
            |_| {
                Reply::new(200, "{}").with(
                    "Content-Type",
                    "application/vnd.docker.distribution.manifest.v1+prettyjws",
                )
            },
            false,
        ),
        (
            "not what its digest says",
            |bytes| Reply::new(200, bytes).with("Docker-Content-Digest", Digest::of(b"other")),
            true,
        ),
        (
            "is no digest",
            |bytes| Reply::new(200, bytes).with("Docker-Content-Digest", "sha256:12"),
            false,
        ),
    ];
    for (words, rudeness, is_mismatch) in cases {
        let image = Image::new();
        let rude = image.served(move |request, _, bytes| {
            request
                .path
                .contains("/manifests/")
                .then(|| rudeness(bytes))
        });
        let error = image.must_not_pull(&rude);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.is_mismatch(), is_mismatch, "{error}");
    }
}

#[test]
fn another_document_than_was_asked_for_is_refused() {
    let (image, other) = (Image::new(), Image::new());
    let rude = other.served(|_, _, _| None);
    let asked = rude.reference("a:1").at(Digest::of(b"asked"));
    let top = image.top.digest.to_string();
    let rude = image.served(move |request, _, bytes| {
        let is_document = request.path.contains("/manifests/") && !request.path.contains(&top);
        is_document.then(|| Reply::new(200, if bytes.is_empty() { b"{}" } else { bytes }))
    });
    let asked: Reference = rude.reference("a:1").at(asked.digest.unwrap());
    let error = Heard::new().client.resolve(&asked).unwrap_err();
    assert!(
        matches!(error, Error::DigestMismatch { expected, got, .. } if expected == Digest::of(b"asked") && got == Digest::of(b"{}")),
        "{error}"
    );
}

#[test]
fn a_lying_mirror_is_said_and_the_origin_asked() {
    let image = Image::new();
    let path = image.layer_path();
    let liar = image.served(move |request, _, bytes| {
        request
            .path
            .ends_with(&path)
            .then(|| Reply::new(200, vec![0; bytes.len()]))
    });
    let origin = image.served(|_, _, _| None);
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("registries.conf");
    write(
        &conf,
        &format!(
            "[[registry]]\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{}\"",
            origin.address, liar.address
        ),
    );
    let heard = Heard::with(Paths {
        registries_conf: vec![conf],
        ..Paths::default()
    });
    let store = TestStore::new();
    let pulled = heard
        .client
        .pull(&store.store, &origin.reference("a:1"), None);
    assert_eq!(pulled.unwrap(), image.top);
    assert!(
        heard.text().contains("not what its digest says"),
        "{}",
        heard.text()
    );
    assert_eq!(origin.seen("GET", "/manifests/").len(), 0);
    assert_eq!(origin.seen("GET", "/blobs/").len(), 1);
}

#[test]
fn indexes_in_indexes_end_somewhere() {
    let store = TestStore::new();
    let mut top = store.image("amd64", &[b"layer"]);
    for _ in 0..6 {
        top = store.index(&[("amd64", &top)]);
    }
    let layer = Vec::new();
    let image = Image { store, top, layer };
    let rude = image.served(|_, _, _| None);
    for platform in [None, Some("linux/amd64".parse().unwrap())] {
        let heard = Heard::new();
        let store = TestStore::new();
        let reference = rude.reference("a:1");
        let pulled = heard
            .client
            .pull(&store.store, &reference, platform.as_ref());
        assert!(matches!(pulled, Err(Error::TooMany { .. })), "{pulled:?}");
    }
}

#[test]
fn documents_that_fill_the_memory_are_not_fetched() {
    // Each is as long as one may be, and there are more than anybody wants to hold.
    const LONGEST: usize = 4 << 20;
    let member = |number: u64| {
        let mut bytes = format!("{{\"number\":{number}}}").into_bytes();
        bytes.resize(LONGEST, b' ');
        bytes
    };
    let store = TestStore::new();
    let numbers: std::collections::BTreeMap<_, _> = (0..24)
        .map(|number| (Digest::of(&member(number)).to_string(), number))
        .collect();
    let descriptors = numbers.keys().map(|digest| {
        let media_type = "application/octet-stream";
        Descriptor::new(media_type, digest.parse().unwrap(), LONGEST as u64)
    });
    let members: Vec<_> = descriptors.collect();
    let members: Vec<_> = members.iter().map(|member| ("amd64", member)).collect();
    let top = store.index(&members);
    let layer = Vec::new();
    let image = Image { store, top, layer };
    let rude = image.served(move |request, _, _| {
        let (_, name) = request.path.rsplit_once('/').unwrap();
        let number = numbers.get(name)?;
        Some(Reply::new(200, member(*number)))
    });
    let error = image.must_not_pull(&rude);
    assert!(matches!(error, Error::TooMany { .. }), "{error}");
    assert!(rude.seen("GET", "/manifests/sha256").len() < members.len());
}
