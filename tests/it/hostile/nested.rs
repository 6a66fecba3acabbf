//! Image layouts with more in them than is asked for, or with the same thing many times.

use std::process::Command;

use cairn::canon::Digest;
use serde_json::{Value, json};

use super::layout::{INDEX, LAYER, Layout, digest, tar};
use super::{Case, UNAVAILABLE};
use crate::support::recipes::entries;
use crate::support::{cairn, run};

/// A build on the archive `layout.tar` beside the recipe.
fn on_an_archive() -> Case {
    Case::recipe(
        "from = { oci = \"layout.tar\", name = \"base:1\" }\nplatforms = [\"linux/amd64\"]\n\
         [[steps]]\nfile = { path = \"/etc/new\", content = \"\" }\n",
    )
}

/// Packs the layout of a case.
fn archive(case: &Case) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all(".", case.path("layout")).unwrap();
    builder.into_inner().unwrap()
}

/// The digests of the blobs in the store of a case.
fn stored(case: &Case) -> Vec<String> {
    let blobs = entries(&case.path("store/blobs/sha256")).into_iter();
    let name = |path: std::path::PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    blobs.map(name).collect()
}

#[test]
fn of_an_archive_only_the_image_comes_into_the_store() {
    let case = on_an_archive();
    let layout = Layout(&case);
    let (other, wanted) = (tar("other"), tar("wanted"));
    layout.image(&other, LAYER, &[digest(&other)]);
    layout.image(&wanted, LAYER, &[digest(&wanted)]);
    std::fs::write(case.path("layout/large"), vec![1; 3 << 20]).unwrap();
    let plain = archive(&case);
    let zstd = zstd::encode_all(&plain[..], 3).unwrap();
    let mut images = Vec::new();
    for bytes in [plain, zstd] {
        std::fs::write(case.path("layout.tar"), bytes).unwrap();
        images.push(case.must_build());
        let stored = stored(&case);
        assert!(stored.contains(&Digest::of(&wanted).hex()));
        assert!(!stored.contains(&Digest::of(&other).hex()));
        assert!(!stored.contains(&Digest::of(&vec![1; 3 << 20]).hex()));
        // The base's manifest, config and layer, and the image's.
        assert_eq!(stored.len(), 3 + 3);
        std::fs::remove_dir_all(case.path("store")).unwrap();
        std::fs::remove_file(case.path("out/image.tar")).unwrap();
    }
    assert!(images[0] == images[1]);
}

#[test]
fn a_changed_archive_is_read_again_and_so_is_one_whose_blobs_are_gone() {
    let case = on_an_archive();
    let layout = Layout(&case);
    let (one, two) = (tar("one"), tar("two"));
    layout.image(&one, LAYER, &[digest(&one)]);
    let first = archive(&case);
    layout.image(&two, LAYER, &[digest(&two)]);
    let second = archive(&case);
    let build = |bytes: &[u8]| {
        std::fs::write(case.path("layout.tar"), bytes).unwrap();
        case.must_build()
    };
    let (a, b) = (build(&first), build(&second));
    assert!(a != b);
    assert!(build(&first) == a);
    for blob in entries(&case.path("store/blobs/sha256")) {
        std::fs::remove_file(blob).unwrap();
        assert!(case.must_build() == a);
    }
}

#[test]
fn an_archive_that_ends_early_is_refused() {
    let case = on_an_archive();
    let layer = tar("file");
    Layout(&case).image(&layer, LAYER, &[digest(&layer)]);
    let whole = archive(&case);
    for length in [513, 700, 2000] {
        std::fs::write(case.path("layout.tar"), &whole[..length]).unwrap();
        case.must_fail(UNAVAILABLE, &[]);
    }
}

/// Indexes in each other, each of which names the one below a thousand times.
fn thousandfold(layout: &Layout, mut image: Value) -> Value {
    for _ in 0..4 {
        let members = vec![image; 1000];
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": members });
        image = layout.put_json(INDEX, &index);
    }
    image
}

#[test]
fn what_is_named_many_times_is_looked_at_once() {
    let case = Case::recipe(
        "from = { oci = \"layout\", name = \"base:1\" }\nplatforms = [\"linux/amd64\"]\n\
         [[steps]]\nfile = { path = \"/etc/new\", content = \"\" }\n",
    );
    let layout = Layout(&case);
    let image = layout.manifest(&layout.config(&[]), &[]);
    let image = thousandfold(&layout, image);
    layout.name(image.clone());
    case.must_fail(UNAVAILABLE, &["nothing for linux/amd64"]);
    let look = |arguments: &[&str]| {
        let mut command: Command = cairn(&case.path("layout"));
        run(command.args(arguments))
    };
    let list: Value = serde_json::from_str(&look(&["images", "--json"])).unwrap();
    assert_eq!(list[0]["platforms"], json!(["linux/amd64"]));
    let digest = image["digest"].as_str().unwrap();
    look(&["inspect", "--json", digest]);
    look(&["rm", digest]);
    assert!(entries(&case.path("layout/blobs/sha256")).is_empty());
}

#[test]
fn an_image_that_an_index_names_twice_is_shown_once() {
    let case = Case::recipe("");
    let layout = Layout(&case);
    let image = layout.manifest(&layout.config(&[]), &[]);
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": vec![image; 3] });
    let index = layout.put_json(INDEX, &index);
    layout.name(index.clone());
    let mut inspect = cairn(&case.path("layout"));
    inspect.args(["inspect", "--json", index["digest"].as_str().unwrap()]);
    let shown: Value = serde_json::from_str(&run(&mut inspect)).unwrap();
    assert_eq!(shown["images"].as_array().unwrap().len(), 1);
}

#[test]
fn an_archive_of_too_many_members_is_refused() {
    let case = on_an_archive();
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_path("again/").unwrap();
    header.set_size(0);
    header.set_cksum();
    // One name alone takes no room in a map.
    let mut plain = header.as_bytes().repeat(100_001);
    plain.resize(plain.len() + 1024, 0);
    std::fs::create_dir_all(case.path("layout")).unwrap();
    let archive = zstd::encode_all(&plain[..], 3).unwrap();
    std::fs::write(case.path("layout.tar"), archive).unwrap();
    case.must_fail(UNAVAILABLE, &["100000 members"]);
}
