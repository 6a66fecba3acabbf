//! Which paths differ between two images, read from the blobs of their stores.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use cairn::canon::Digest;
use serde_json::Value;

use super::text;
use crate::support::programs::program;
use crate::support::{cairn, run, temp};

/// What differs, a line a path: `LAYER PATH (what)`.
#[derive(Default)]
pub struct Differences {
    pub paths: Vec<String>,
}

fn blob(store: &Path, digest: &str) -> PathBuf {
    let hex = digest.trim_start_matches("sha256:");
    store.join("blobs/sha256").join(hex)
}

fn document(store: &Path, digest: &str) -> Value {
    serde_json::from_slice(&std::fs::read(blob(store, digest)).unwrap()).unwrap()
}

/// The digests of an image's layers, from below.
fn layers(store: &Path, image: &str) -> Vec<String> {
    let manifest = document(store, image);
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers
        .map(|layer| layer["digest"].as_str().unwrap().to_owned())
        .collect()
}

/// What a layer says of a path.
#[derive(PartialEq)]
struct Told {
    kind: tar::EntryType,
    mode: u32,
    owner: (u64, u64),
    time: u64,
    target: Option<PathBuf>,
    attributes: Vec<(String, Vec<u8>)>,
    size: u64,
    content: Digest,
}

impl Told {
    /// How another one differs.
    fn against(&self, other: &Told) -> String {
        let pairs = [
            ("kind", self.kind == other.kind),
            ("mode", self.mode == other.mode),
            ("owner", self.owner == other.owner),
            ("time", self.time == other.time),
            ("target", self.target == other.target),
            ("attributes", self.attributes == other.attributes),
            ("content", self.content == other.content),
        ];
        let differ = pairs.iter().filter(|(_, same)| !same);
        let mut words: Vec<_> = differ.map(|(word, _)| (*word).to_owned()).collect();
        if self.size != other.size {
            words.push(format!("{}→{} bytes", self.size, other.size));
        }
        words.join(", ")
    }
}

fn read(path: &Path) -> BTreeMap<PathBuf, Told> {
    let file = std::fs::File::open(path).unwrap();
    let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(file));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let extensions = entry.pax_extensions().unwrap();
        let extensions = extensions.into_iter().flatten().map(|pair| pair.unwrap());
        let attributes = extensions.filter(|pair| pair.key().unwrap().starts_with("SCHILY"));
        let attributes = attributes
            .map(|pair| (pair.key().unwrap().to_owned(), pair.value_bytes().to_vec()))
            .collect();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        let told = Told {
            kind: header.entry_type(),
            mode: header.mode().unwrap(),
            owner: (entry.header().uid().unwrap(), entry.header().gid().unwrap()),
            time: header.mtime().unwrap(),
            target: entry.link_name().unwrap().map(|name| name.into_owned()),
            attributes,
            size: content.len() as u64,
            content: Digest::of(&content),
        };
        (entry.path().unwrap().into_owned(), told)
    });
    entries.collect()
}

impl Differences {
    /// Of two images, each the digest of a manifest in a store. Files that differ are left in
    /// `kept`, below `one` and `two`.
    pub fn between(images: [(&PathBuf, &String); 2], kept: &Path) -> Differences {
        let [one, two] = images.map(|(store, image)| layers(store, image));
        let mut paths = Vec::new();
        if one.len() != two.len() {
            paths.push(format!("{} layers and {}", one.len(), two.len()));
        }
        let pairs = one.iter().zip(&two).enumerate();
        for (at, (one, two)) in pairs.filter(|(_, (one, two))| one != two) {
            let blobs = [blob(images[0].0, one), blob(images[1].0, two)];
            let [first, second] = [0, 1].map(|index| read(&blobs[index]));
            let mut differ = Vec::new();
            for path in first.keys().chain(second.keys()) {
                let what = match (first.get(path), second.get(path)) {
                    (Some(first), Some(second)) if first == second => continue,
                    (Some(first), Some(second)) => first.against(second),
                    (Some(_), None) => "first only".to_owned(),
                    (None, _) => "second only".to_owned(),
                };
                differ.push((path.clone(), what));
            }
            differ.sort();
            differ.dedup();
            for (blob, name) in blobs.iter().zip(["one", "two"]) {
                keep(blob, &differ, &kept.join(name).join(at.to_string()));
            }
            let lines = differ.into_iter();
            paths.extend(lines.map(|(path, what)| format!("{at} /{} ({what})", path.display())));
        }
        if paths.is_empty() {
            paths.push("the image's config".to_owned());
        }
        std::fs::create_dir_all(kept).unwrap();
        std::fs::write(kept.join("paths"), paths.join("\n") + "\n").unwrap();
        Differences { paths }
    }
}

/// Unpacks those paths of a layer.
fn keep(blob: &Path, paths: &[(PathBuf, String)], folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let list = folder.join(".list");
    let mut file = std::fs::File::create(&list).unwrap();
    for (path, _) in paths {
        writeln!(file, "{}", path.display()).unwrap();
    }
    drop(file);
    let arguments = ["-xzf", text(blob), "-C", text(folder), "--no-recursion"];
    let names = [
        "--no-same-owner",
        "--verbatim-files-from",
        "-T",
        text(&list),
    ];
    // A path that this layer hasn't is told, and no failure.
    let _ = program("tar", &arguments).args(names).output().unwrap();
    std::fs::remove_file(&list).unwrap();
}

#[test]
fn each_way_to_differ_is_told_and_what_differs_is_kept() {
    let folder = temp();
    let images = ["one", "two"].map(|name| {
        let (context, store) = (folder.path().join(name), folder.path().join(name.to_owned() + "-store"));
        std::fs::create_dir(&context).unwrap();
        std::fs::write(context.join("same"), "same").unwrap();
        std::fs::write(context.join("other"), name).unwrap();
        std::fs::write(context.join(name), "").unwrap();
        let mode = if name == "one" { "0600" } else { "0644" };
        let recipe = format!(
            "from = \"scratch\"\n[[steps]]\ncopy = {{ paths = [\"same\", \"other\", \"{name}\"], to = \"/etc/\" }}\n\
             [[steps]]\nfile = {{ path = \"/mode\", content = \"\", mode = \"{mode}\" }}\n"
        );
        std::fs::write(context.join("cairn.toml"), recipe).unwrap();
        let digest = run(cairn(&store).args(["build", "-q", text(&context)]));
        (store, digest.trim().to_owned())
    });
    let [one, two] = &images;
    let kept = folder.path().join("kept");
    let differences = Differences::between([(&one.0, &one.1), (&two.0, &two.1)], &kept);
    let expected = [
        "0 /etc/one (first only)",
        "0 /etc/other (content)",
        "0 /etc/two (second only)",
        "1 /mode (mode)",
    ];
    assert_eq!(differences.paths, expected);
    assert_eq!(std::fs::read(kept.join("two/0/etc/other")).unwrap(), b"two");
    assert!(!kept.join("two/0/etc/same").exists());
}
