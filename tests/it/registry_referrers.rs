//! Artifacts that belong to an image, in registries that list them, that don't, and that lie.

use cairn::canon::Digest;
use cairn::image::Descriptor;
use cairn::registry::Error;
use serde_json::{Value, json};

use crate::support::registry::{DockerRegistry, Heard, TestStore};
use crate::support::require;
use crate::support::rude::{Reply, Request, Rude};
use crate::support::served::Served;

const KIND: &str = "application/x.test";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A store with an image, and artifacts that belong to it.
struct World {
    store: TestStore,
    image: Descriptor,
    artifacts: Vec<Descriptor>,
}

impl World {
    fn new(count: usize) -> World {
        let store = TestStore::new();
        let image = store.image("amd64", &[b"layer"]);
        let artifact = |number: usize| {
            let config = store.store.put(b"{}").unwrap();
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "artifactType": KIND,
                "config": {
                    "mediaType": "application/vnd.oci.empty.v1+json",
                    "digest": config.digest,
                    "size": config.size,
                },
                "layers": [],
                "subject": {
                    "mediaType": image.media_type,
                    "digest": image.digest,
                    "size": image.size,
                },
                "annotations": { "number": number.to_string() },
            });
            let mut descriptor = store.document(&image.media_type, &manifest);
            let kind = ("artifactType".to_owned(), json!(KIND));
            descriptor.foreign.extend([kind]);
            descriptor
        };
        let artifacts = (0..count).map(artifact).collect();
        World {
            store,
            image,
            artifacts,
        }
    }

    fn attach(&self, rude: &Rude, number: usize) -> Result<(), Error> {
        let place = rude.reference("a:1");
        let artifact = &self.artifacts[number];
        let client = Heard::new().client;
        client.attach(&self.store.store, &place, &self.image.digest, artifact)
    }

    fn find(&self, rude: &Rude) -> Result<Vec<Digest>, Error> {
        let place = rude.reference("a:1");
        let found = Heard::new()
            .client
            .referrers(&place, &self.image.digest, KIND)?;
        Ok(found.into_iter().map(|found| found.digest).collect())
    }

    fn digests(&self) -> Vec<Digest> {
        self.artifacts.iter().map(|one| one.digest).collect()
    }

    fn tag(&self) -> String {
        format!("/manifests/sha256-{}", self.image.digest.hex())
    }

    /// A registry that has every blob, takes every document, and answers the lists as `list` does.
    fn served(&self, list: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Rude {
        Rude::new(move |request, _| match request.method.as_str() {
            "HEAD" => Reply::new(200, ""),
            "PUT" => Reply::new(201, ""),
            _ if request.path == "/v2/" => Reply::new(200, "{}"),
            _ => list(request).unwrap_or_else(|| Reply::new(404, "404 page not found")),
        })
    }
}

fn index(members: &[Descriptor]) -> Vec<u8> {
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": members });
    serde_json::to_vec(&index).unwrap()
}

fn page(members: &[Descriptor]) -> Reply {
    Reply::new(200, index(members)).with("Content-Type", INDEX)
}

#[test]
fn a_list_of_several_pages_is_read_to_its_end() {
    let world = World::new(3);
    let artifacts = world.artifacts.clone();
    let rude = world.served(move |request| {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let number: usize = query.strip_prefix("n=").unwrap_or("0").parse().unwrap();
        let link = match number {
            // As a path, and as what is put in place of the query.
            0 => format!("<{path}?n=1>; rel=\"next\""),
            1 => "<?n=2>; rel=\"next\"".to_owned(),
            _ => "<?n=0>; rel=\"first\"".to_owned(),
        };
        let is_list = path.contains("/referrers/");
        is_list.then(|| page(&artifacts[number..=number]).with("Link", link))
    });
    assert_eq!(world.find(&rude).unwrap(), world.digests());
    // What stands on the last page is listed, so that no tag is written.
    world.attach(&rude, 2).unwrap();
    assert!(rude.seen("PUT", "sha256-").is_empty());
}

#[test]
fn pages_without_end_and_of_others_are_refused() {
    for (link, told) in [
        ("<?n=0>; rel=next", "lead back"),
        ("<?n=N>; rel=next", "more than 100 pages"),
        (
            "<http://127.0.0.1:1/v2/x>; rel=next",
            "no address of its own",
        ),
    ] {
        let world = World::new(1);
        let artifacts = world.artifacts.clone();
        let rude = world.served(move |request| {
            let number: usize = match request.path.split_once("?n=") {
                Some((_, number)) => number.parse().unwrap(),
                None => 0,
            };
            let link = link.replace('N', &(number + 1).to_string());
            Some(page(&artifacts).with("Link", link))
        });
        let error = world.find(&rude).unwrap_err().to_string();
        assert!(error.contains(told), "{told} {error}");
    }
}

#[test]
fn a_list_under_a_tag_keeps_what_others_put_there() {
    let world = World::new(2);
    let first = world.artifacts[0].clone();
    let tag = world.tag();
    let rude = world.served(move |request| {
        let mut bytes: Value =
            serde_json::from_slice(&index(std::slice::from_ref(&first))).unwrap();
        bytes["annotations"] = json!({ "kept": "so" });
        let bytes = serde_json::to_vec(&bytes).unwrap();
        let is_tag = request.path.ends_with(&tag);
        is_tag.then(|| Reply::new(200, bytes).with("Content-Type", INDEX))
    });
    assert_eq!(world.find(&rude).unwrap(), world.digests()[..1]);
    world.attach(&rude, 0).unwrap();
    assert!(rude.seen("PUT", "sha256-").is_empty());
    world.attach(&rude, 1).unwrap();
    let put = rude.seen("PUT", &world.tag()).pop().unwrap();
    let put: Value = serde_json::from_slice(&put.body).unwrap();
    assert_eq!(put["annotations"]["kept"], "so");
    let members = put["manifests"].as_array().unwrap();
    let digests: Vec<_> = members.iter().map(|one| one["digest"].clone()).collect();
    assert_eq!(json!(digests), json!(world.digests()));
}

#[test]
fn a_list_that_can_not_be_read_is_not_written_over() {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "x/y", "digest": Digest::of(b""), "size": 0 },
        "layers": [],
    });
    let manifest = serde_json::to_vec(&manifest).unwrap();
    for (status, body) in [
        (500, b"{}".to_vec()),
        (403, b"{}".to_vec()),
        (418, b"{}".to_vec()),
        (200, b"<html>log in first</html>".to_vec()),
        (200, manifest),
        (200, vec![b' '; (4 << 20) + 1]),
    ] {
        let world = World::new(1);
        let (tag, given) = (world.tag(), body.clone());
        let rude = world.served(move |request| {
            let is_tag = request.path.ends_with(&tag);
            is_tag.then(|| Reply::new(status, given.clone()))
        });
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        assert!(world.attach(&rude, 0).is_err(), "{status} {shown}");
        assert!(rude.seen("PUT", "sha256-").is_empty(), "{status} {shown}");
        assert!(world.find(&rude).is_err(), "{status} {shown}");
    }
}

#[test]
fn a_registry_that_knows_no_lists_is_told_by_what_it_answers() {
    for (status, body) in [
        (400, "{}"),
        (404, "{}"),
        (405, ""),
        (501, ""),
        (200, "<html>"),
    ] {
        let world = World::new(1);
        let rude = world.served(move |request| {
            let is_list = request.path.contains("/referrers/");
            is_list.then(|| Reply::new(status, body))
        });
        assert_eq!(world.find(&rude).unwrap(), [], "{status}");
        world.attach(&rude, 0).unwrap();
        assert_eq!(rude.seen("PUT", "sha256-").len(), 1, "{status}");
    }
    // One that fails may well have a list.
    let world = World::new(1);
    let rude = world.served(|request| {
        let is_list = request.path.contains("/referrers/");
        is_list.then(|| Reply::new(500, ""))
    });
    assert!(world.find(&rude).is_err());
}

#[test]
fn artifacts_are_found_where_they_were_attached() {
    let folder = crate::support::temp();
    let served = Served::new(folder.path());
    let docker = require("docker-registry").then(|| DockerRegistry::new("", ""));
    let hosts = docker.iter().map(|docker| docker.host.clone());
    let ours = served.name("").trim_end_matches('/').to_owned();
    for host in hosts.chain([ours]) {
        let world = World::new(2);
        let client = Heard::new().client;
        let place = format!("{host}/app:1").parse().unwrap();
        let store = &world.store.store;
        client.push(store, &world.image, &place, &[]).unwrap();
        for number in [0, 1, 0] {
            let artifact = &world.artifacts[number];
            let subject = &world.image.digest;
            client.attach(store, &place, subject, artifact).unwrap();
        }
        let find = |kind| client.referrers(&place, &world.image.digest, kind).unwrap();
        let mut found: Vec<_> = find(KIND).iter().map(|one| one.digest).collect();
        let mut expected = world.digests();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{host}");
        assert_eq!(find("application/x.other"), [], "{host}");
    }
}
