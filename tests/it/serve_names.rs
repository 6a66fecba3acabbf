//! The embedded registry's names: which image a URL means, how pushed ones are kept, lists.

use cairn::canon::{Digest, json};
use cairn::image::Descriptor;
use cairn::image::manifest::{LARGEST_DOCUMENT, media_type};
use serde_json::json;

use crate::support::http::{answer, connect, head};
use crate::support::served::{Served, files, image, index, named_image, names};

fn served() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::new(folder.path());
    (folder, served)
}

#[test]
fn an_image_of_the_store_is_pulled_by_every_name_that_means_it() {
    let (_folder, served) = served();
    let here = served.name("addressed:1");
    for (stored, path) in [
        ("app", "app/manifests/latest"),
        ("app", "library/app/manifests/latest"),
        ("team/app:2", "team/app/manifests/2"),
        ("ghcr.io/team/app:3", "ghcr.io/team/app/manifests/3"),
        ("localhost/pushed:4", "pushed/manifests/4"),
        (here.as_str(), "addressed/manifests/1"),
    ] {
        let digest = named_image(&served.store, stored, stored).to_string();
        for path in [format!("/v2/{path}"), {
            let (name, _) = path.split_once("/manifests").unwrap();
            format!("/v2/{name}/manifests/{digest}")
        }] {
            let head = served.request("HEAD", &path, &[], b"").expect(200);
            assert_eq!(head.header("docker-content-digest"), Some(digest.as_str()));
            assert_eq!(head.header("content-type"), Some(media_type::MANIFEST));
            let got = served.get(&path).expect(200);
            assert_eq!(Digest::of(&got.body).to_string(), digest);
            assert_eq!(
                head.header("content-length"),
                Some(got.body.len().to_string().as_str())
            );
        }
    }
    named_image(&served.store, "localhost:1/other:1", "other");
    for path in ["other/manifests/1", "app/manifests/2", "none/manifests/1"] {
        let error = served.get(&format!("/v2/{path}")).error();
        assert_eq!(error, (404, "MANIFEST_UNKNOWN".to_owned()));
    }
    let catalog = served.get("/v2/_catalog").expect(200).json();
    let repositories = ["addressed", "app", "ghcr.io/team/app", "pushed", "team/app"];
    assert_eq!(catalog, json!({"repositories": repositories}));
}

#[test]
fn a_pushed_image_is_found_on_another_port_and_wins_over_a_built_one() {
    let (folder, mut served) = served();
    let built = named_image(&served.store, "app:1", "built");
    let pushed = json::to_vec(&image(&served.store, "pushed")).unwrap();
    let answer = served.put_manifest("app", "1", media_type::MANIFEST, &pushed);
    let digest = Digest::of(&pushed).to_string();
    let location = format!("/v2/app/manifests/{digest}");
    assert_eq!(
        answer.expect(201).header("location"),
        Some(location.as_str())
    );
    let port = served.address.port();
    served.stop();

    let again = Served::new(folder.path());
    assert_ne!(again.address.port(), port);
    assert_eq!(again.get("/v2/app/manifests/1").expect(200).body, pushed);
    again.get(&format!("/v2/app/manifests/{built}")).expect(200);
    let stored = ["docker.io/library/app:1", "localhost/app:1"];
    assert_eq!(names(&again.store), stored);
}

#[test]
fn members_of_an_index_do_not_stay_among_the_images() {
    let (_folder, served) = served();
    let (index, members) = index(&served.store);
    let put = |reference: &str, kind: &str, bytes: &[u8]| {
        served.put_manifest("team/app", reference, kind, bytes)
    };
    let refused = put("1", media_type::INDEX, &index).error();
    assert_eq!(refused, (404, "MANIFEST_BLOB_UNKNOWN".to_owned()));
    let digests = members
        .each_ref()
        .map(|member| Digest::of(member).to_string());
    for (member, digest) in members.iter().zip(&digests) {
        put(digest, media_type::MANIFEST, member).expect(201);
    }
    let tags = served.get("/v2/team/app/tags/list").expect(200).json();
    assert_eq!(tags, json!({"name": "team/app", "tags": []}));
    let mut kept = digests
        .each_ref()
        .map(|digest| format!("localhost/team/app@{digest}"));
    kept.sort();
    assert_eq!(names(&served.store), kept);

    put("1", media_type::INDEX, &index).expect(201);
    assert_eq!(names(&served.store), ["localhost/team/app:1"]);
    put(&digests[0], media_type::MANIFEST, &members[0]).expect(201);
    assert_eq!(names(&served.store), ["localhost/team/app:1"]);
    for digest in &digests {
        let path = format!("/v2/team/app/manifests/{digest}");
        served.get(&path).expect(200);
        let delete = served.request("DELETE", &path, &[], b"").error();
        assert_eq!(delete, (405, "UNSUPPORTED".to_owned()));
        let elsewhere = served.get(&format!("/v2/other/manifests/{digest}"));
        assert_eq!(elsewhere.status, 404);
    }
}

#[test]
fn a_manifest_is_refused_unless_it_is_whole_and_what_it_is_called() {
    let (_folder, served) = served();
    let good = image(&served.store, "good");
    let bytes = |change: &dyn Fn(&mut cairn::image::Manifest)| {
        let mut manifest = good.clone();
        change(&mut manifest);
        json::to_vec(&manifest).unwrap()
    };
    let good = bytes(&|_| ());
    let missing = Descriptor::new(media_type::LAYER, Digest::of(b"missing"), 7);
    let kind = media_type::MANIFEST;
    let other = Digest::of(b"other").to_string();
    let before = files(&served.store, "blobs/sha256");
    for (name, reference, kind, body, expected) in [
        (
            "text",
            "t",
            kind,
            b"hello".to_vec(),
            (400, "MANIFEST_INVALID"),
        ),
        ("empty", "t", kind, Vec::new(), (400, "MANIFEST_INVALID")),
        (
            "old schema",
            "t",
            kind,
            br#"{"schemaVersion":1}"#.to_vec(),
            (400, "MANIFEST_INVALID"),
        ),
        (
            "another type in the header",
            "t",
            media_type::DOCKER_MANIFEST,
            good.clone(),
            (400, "MANIFEST_INVALID"),
        ),
        (
            "another size of a layer",
            "t",
            kind,
            bytes(&|manifest| manifest.layers[0].size += 1),
            (400, "MANIFEST_INVALID"),
        ),
        (
            "a subject without a digest",
            "t",
            kind,
            bytes(&|manifest| {
                manifest.foreign.insert("subject".to_owned(), json!({}));
            }),
            (400, "MANIFEST_INVALID"),
        ),
        (
            "a missing layer",
            "t",
            kind,
            bytes(&|manifest| manifest.layers.push(missing.clone())),
            (404, "MANIFEST_BLOB_UNKNOWN"),
        ),
        (
            "another digest",
            other.as_str(),
            kind,
            good.clone(),
            (400, "DIGEST_INVALID"),
        ),
        ("no tag", ".t", kind, good.clone(), (400, "TAG_INVALID")),
    ] {
        let (status, code) = served.put_manifest("a", reference, kind, &body).error();
        assert_eq!((status, code.as_str()), expected, "{name}");
    }
    assert_eq!(files(&served.store, "blobs/sha256"), before);
    assert!(names(&served.store).is_empty());
    let charset = format!("{kind}; charset=utf-8");
    served.put_manifest("a", "t", &charset, &good).expect(201);
    let foreign = bytes(&|manifest| {
        let mut layer = missing.clone();
        layer.media_type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".to_owned();
        manifest.layers.push(layer);
    });
    served.put_manifest("a", "t", kind, &foreign).expect(201);
}

#[test]
fn a_manifest_larger_than_any_is_not_read() {
    let (_folder, served) = served();
    // Only the head: an answer shows that the body was not waited for.
    for length in [LARGEST_DOCUMENT + 1, u64::MAX >> 1] {
        let length = length.to_string();
        let head = head("PUT", "/v2/a/manifests/t", &[("Content-Length", &length)]);
        let refused = answer(connect(served.address, &head));
        assert_eq!(refused.error(), (413, "SIZE_INVALID".to_owned()));
    }
    let chunked = [("Transfer-Encoding", "chunked")];
    let mut text = head("PUT", "/v2/a/manifests/t", &chunked);
    text.extend_from_slice(format!("{:x}\r\n", LARGEST_DOCUMENT + 1).as_bytes());
    text.resize(text.len() + LARGEST_DOCUMENT as usize + 1, b' ');
    assert_eq!(answer(connect(served.address, &text)).status, 413);
    let mut largest = json::to_vec(&image(&served.store, "x")).unwrap();
    largest.resize(LARGEST_DOCUMENT as usize, b' ');
    let put = served.put_manifest("a", "t", media_type::MANIFEST, &largest);
    put.expect(201);
    assert!(served.get("/v2/a/manifests/t").expect(200).body == largest);
}

#[test]
fn a_deleted_tag_leaves_the_digest_and_a_deleted_digest_leaves_nothing() {
    let (_folder, served) = served();
    let digest = named_image(&served.store, "app:1", "app");
    let bytes = served.get("/v2/app/manifests/1").expect(200).body;
    served
        .put_manifest("app", "1", media_type::MANIFEST, &bytes)
        .expect(201);
    served
        .put_manifest("app", "2", media_type::MANIFEST, &bytes)
        .expect(201);
    let delete = |reference: &str| {
        let path = format!("/v2/app/manifests/{reference}");
        let status = served.request("DELETE", &path, &[], b"").status;
        (status, served.get(&path).status)
    };
    assert_eq!(delete("1"), (202, 404));
    assert_eq!(delete("1"), (404, 404));
    let left = ["localhost/app:2".to_owned()];
    assert_eq!(names(&served.store), left);
    assert_eq!(delete("2"), (202, 404));
    let left = [format!("localhost/app@{digest}")];
    assert_eq!(names(&served.store), left);
    let path = format!("/v2/app/manifests/{digest}");
    served.get(&path).expect(200);
    assert_eq!(delete(&digest.to_string()), (202, 404));
    assert_eq!(delete(&digest.to_string()), (404, 404));
    assert!(names(&served.store).is_empty());
    assert_eq!(served.get("/v2/app/tags/list").error().0, 404);
}

#[test]
fn an_image_whose_tag_moved_can_still_be_pulled_by_its_digest() {
    let (_folder, served) = served();
    let old = named_image(&served.store, "localhost/app:1", "old");
    let new = json::to_vec(&image(&served.store, "new")).unwrap();
    served
        .put_manifest("app", "1", media_type::MANIFEST, &new)
        .expect(201);
    served.get(&format!("/v2/app/manifests/{old}")).expect(200);
    assert_eq!(names(&served.store), ["localhost/app:1", "(none)"]);
}

#[test]
fn tags_come_in_pages_that_link_to_each_other() {
    let (_folder, served) = served();
    for tag in ["b", "A", "c"] {
        named_image(&served.store, &format!("localhost/app:{tag}"), tag);
    }
    named_image(&served.store, "app:d", "d");
    let mut path = "/v2/app/tags/list?n=3".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = served.get(&path).expect(200);
        let tags = page.json()["tags"].as_array().unwrap().clone();
        seen.push(tags);
        let Some(link) = page.header("link") else {
            break;
        };
        let next = link
            .strip_prefix('<')
            .unwrap()
            .strip_suffix(">; rel=\"next\"");
        path = next.unwrap().to_owned();
    }
    assert_eq!(json!(seen), json!([["A", "b", "c"], ["d"]]));
    let invalid = served.get("/v2/app/tags/list?n=x").error();
    assert_eq!(invalid, (400, "PAGINATION_NUMBER_INVALID".to_owned()));
    let unknown = served.get("/v2/none/tags/list").error();
    assert_eq!(unknown, (404, "NAME_UNKNOWN".to_owned()));
}

#[test]
fn referrers_are_found_by_their_subject_and_filtered_by_their_type() {
    let (_folder, served) = served();
    let subject = json::to_vec(&image(&served.store, "subject")).unwrap();
    let about = Descriptor::new(
        media_type::MANIFEST,
        Digest::of(&subject),
        subject.len() as u64,
    );
    let mut expected = Vec::new();
    // The subject comes last, as the spec allows.
    for (text, own) in [("sbom", Some("application/x.sbom+json")), ("plain", None)] {
        let mut manifest = image(&served.store, text);
        let value = serde_json::to_value(&about).unwrap();
        manifest.foreign.insert("subject".to_owned(), value);
        if let Some(own) = own {
            manifest
                .foreign
                .insert("artifactType".to_owned(), json!(own));
        }
        manifest.annotations = Some([("note".to_owned(), text.to_owned())].into());
        let bytes = json::to_vec(&manifest).unwrap();
        let digest = Digest::of(&bytes).to_string();
        let put = served.put_manifest("app", &digest, media_type::MANIFEST, &bytes);
        let shown = about.digest.to_string();
        assert_eq!(put.expect(201).header("oci-subject"), Some(shown.as_str()));
        expected.push(json!({
            "mediaType": media_type::MANIFEST,
            "digest": digest,
            "size": bytes.len(),
            "artifactType": own.unwrap_or(media_type::CONFIG),
            "annotations": {"note": text},
        }));
    }
    served
        .put_manifest("app", "1", media_type::MANIFEST, &subject)
        .expect(201);
    let path = format!("/v2/app/referrers/{}", about.digest);
    let filtered = served.get(&format!("{path}?artifactType=application/x.sbom%2Bjson"));
    assert_eq!(filtered.header("oci-filters-applied"), Some("artifactType"));
    assert_eq!(filtered.json()["manifests"], json!([expected[0]]));
    let all = served.get(&path).expect(200);
    assert_eq!(all.header("content-type"), Some(media_type::INDEX));
    expected.sort_by_key(|descriptor| descriptor["digest"].to_string());
    assert_eq!(all.json()["manifests"], json!(expected));
    for path in [
        format!("/v2/app/referrers/{}", Digest::of(b"unknown")),
        format!("/v2/other/referrers/{}", about.digest),
    ] {
        assert_eq!(served.get(&path).expect(200).json()["manifests"], json!([]));
    }
    assert_eq!(served.get("/v2/app/referrers/sha256:0").error().0, 400);
}

#[test]
fn a_store_that_can_not_be_written_still_serves() {
    let (_folder, served) = served();
    let digest = named_image(&served.store, "app", "app");
    std::fs::remove_dir_all(served.store.root().join("tmp")).unwrap();
    let refused = served.request("POST", "/v2/app/blobs/uploads/", &[], b"");
    assert_eq!(refused.error().0, 500);
    let text = String::from_utf8(refused.body.clone()).unwrap();
    assert!(
        !text.contains("tmp"),
        "the answer tells of the server's disk: {text}"
    );
    served
        .get(&format!("/v2/app/manifests/{digest}"))
        .expect(200);
}
