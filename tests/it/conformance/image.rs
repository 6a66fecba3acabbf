//! An image of a store as one table: its config, and its layers applied one upon the other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use cairn::canon::Digest;
use serde_json::{Map, Value};

/// An image.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// The config document's `config`.
    pub config: Map<String, Value>,
    /// Digests of its layers' blobs, bottom first.
    layers: Vec<String>,
    pub files: BTreeMap<String, Object>,
    /// The names of every file that has several, in order.
    pub links: BTreeSet<Vec<String>>,
}

/// Something in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub what: What,
    pub mode: u32,
    pub owner: (u64, u64),
    pub mtime: u64,
    pub xattrs: BTreeMap<String, String>,
    /// Names of one file have one number.
    file: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// With its content as far as a message shows it.
    File {
        digest: Digest,
        text: String,
    },
    Directory,
    Link(String),
    /// Devices and pipes.
    Other(String),
}

impl Object {
    /// Whether both are the same but for their times.
    pub fn is_as(&self, other: &Object) -> bool {
        let both = (&self.what, self.mode, self.owner, &self.xattrs);
        both == (&other.what, other.mode, other.owner, &other.xattrs)
    }
}

fn blob(store: &Path, digest: &Value) -> Vec<u8> {
    let digest = digest.as_str().unwrap();
    std::fs::read(store.join("blobs").join(digest.replace(':', "/"))).unwrap()
}

fn document(store: &Path, digest: &Value) -> Value {
    serde_json::from_slice(&blob(store, digest)).unwrap()
}

impl Image {
    /// The image `digest` of the store; of an index its first. `base` saves reading layers again.
    pub fn read(store: &Path, digest: &str, base: Option<&Image>) -> Image {
        let mut manifest = document(store, &digest.into());
        while manifest["manifests"].is_array() {
            manifest = document(store, &manifest["manifests"][0]["digest"]);
        }
        let layers = manifest["layers"].as_array().unwrap().iter();
        let layers: Vec<_> = layers.map(|layer| layer["digest"].clone()).collect();
        let names: Vec<_> = layers.iter().map(ToString::to_string).collect();
        let base = base.filter(|base| names.starts_with(&base.layers));
        let mut files = base.map(|base| base.files.clone()).unwrap_or_default();
        let known = base.map_or(0, |base| base.layers.len());
        let mut count = files.len();
        for layer in &layers[known..] {
            apply(&mut files, &unpacked(blob(store, layer)), &mut count);
        }
        let mut groups: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (path, object) in &files {
            if let Some(file) = object.file {
                groups.entry(file).or_default().push(path.clone());
            }
        }
        let config = document(store, &manifest["config"]["digest"]);
        Image {
            config: config["config"].as_object().cloned().unwrap_or_default(),
            layers: names,
            files,
            links: groups
                .into_values()
                .filter(|names| names.len() > 1)
                .collect(),
        }
    }
}

fn unpacked(blob: Vec<u8>) -> Vec<u8> {
    let mut tar = Vec::new();
    if blob.starts_with(&[0x1f, 0x8b]) {
        let mut gzip = flate2::read::MultiGzDecoder::new(&blob[..]);
        gzip.read_to_end(&mut tar).unwrap();
    } else if blob.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        tar = zstd::decode_all(&blob[..]).unwrap();
    } else {
        return blob;
    }
    tar
}

fn drop_below(files: &mut BTreeMap<String, Object>, path: &str) {
    let prefix = format!("{path}/");
    files.retain(|other, _| !other.starts_with(&prefix));
}

/// Applies a layer as image-spec's layer.md says. cairn's own whiteouts stand before what is
/// added, so the order of members suffices.
fn apply(files: &mut BTreeMap<String, Object>, tar: &[u8], count: &mut usize) {
    let mut archive = tar::Archive::new(tar);
    for member in archive.entries().unwrap() {
        let mut member = member.unwrap();
        let path = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        let path = path.trim_start_matches("./").trim_matches('/').to_owned();
        if path.is_empty() || path == "." {
            continue;
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name == ".wh..wh..opq" {
            drop_below(files, parent);
            continue;
        }
        if let Some(gone) = name.strip_prefix(".wh.") {
            let gone = format!("{parent}/{gone}");
            let gone = gone.trim_start_matches('/');
            drop_below(files, gone);
            files.remove(gone);
            continue;
        }
        let object = match member.header().entry_type() {
            tar::EntryType::Link => {
                let target = member.link_name_bytes().unwrap().into_owned();
                let target = String::from_utf8_lossy(&target).into_owned();
                files[target.trim_start_matches("./").trim_matches('/')].clone()
            }
            _ => object(&mut member, count),
        };
        if object.what != What::Directory {
            drop_below(files, &path);
        }
        files.insert(path, object);
    }
}

fn object(member: &mut tar::Entry<'_, &[u8]>, count: &mut usize) -> Object {
    let mut xattrs = BTreeMap::new();
    for record in member.pax_extensions().unwrap().into_iter().flatten() {
        let record = record.unwrap();
        if let Some(name) = record.key().unwrap().strip_prefix("SCHILY.xattr.") {
            let value = String::from_utf8_lossy(record.value_bytes()).into_owned();
            xattrs.insert(name.to_owned(), value);
        }
    }
    let header = member.header().clone();
    let mut file = None;
    let what = match header.entry_type() {
        tar::EntryType::Regular | tar::EntryType::Continuous => {
            let mut content = Vec::new();
            member.read_to_end(&mut content).unwrap();
            *count += 1;
            file = Some(*count);
            let digest = Digest::of(&content);
            content.truncate(4 << 10);
            let text = String::from_utf8_lossy(&content).into_owned();
            What::File { digest, text }
        }
        tar::EntryType::Directory => What::Directory,
        tar::EntryType::Symlink => {
            let target = member.link_name_bytes().unwrap().into_owned();
            What::Link(String::from_utf8_lossy(&target).into_owned())
        }
        other => What::Other(format!(
            "{other:?} {:?}:{:?}",
            header.device_major().unwrap(),
            header.device_minor().unwrap()
        )),
    };
    Object {
        what,
        mode: header.mode().unwrap() & 0o7777,
        owner: (header.uid().unwrap(), header.gid().unwrap()),
        mtime: header.mtime().unwrap(),
        xattrs,
        file,
    }
}
