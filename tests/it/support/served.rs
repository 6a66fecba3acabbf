//! A store that is served, and small images for it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;

use cairn::canon::event::Events;
use cairn::canon::{DiffId, Digest, json};
use cairn::image::config::RootFs;
use cairn::image::manifest::{PlatformObject, media_type};
use cairn::image::{Descriptor, ImageConfig, Index, Manifest};
use cairn::registry::server::{Limits, Server, Stop};
use cairn::store::Store;

use super::http::{self, Answer};

/// A server on a thread of its own, stopped when dropped.
pub struct Served {
    pub store: Store,
    pub address: SocketAddr,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Serves the store in `folder` on a free port.
    pub fn new(folder: &Path) -> Served {
        Served::with_limits(folder, Limits::default())
    }

    pub fn with_limits(folder: &Path, limits: Limits) -> Served {
        let store = Store::open(folder).unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(store.clone(), address, Events::none()).unwrap();
        let server = server.with_limits(limits);
        let (address, stop) = (server.address(), server.stop_handle());
        let thread = std::thread::spawn(move || server.run().unwrap());
        Served {
            store,
            address,
            stop,
            thread: Some(thread),
        }
    }

    /// `localhost:PORT/NAME`
    pub fn name(&self, name: &str) -> String {
        format!("localhost:{}/{name}", self.address.port())
    }

    pub fn stop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        http::request(self.address, method, path, headers, body)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    /// Begins an upload and gives its path.
    pub fn begin(&self, name: &str) -> String {
        let answer = self.request("POST", &format!("/v2/{name}/blobs/uploads/"), &[], b"");
        answer.expect(202).header("location").unwrap().to_owned()
    }

    /// Pushes a manifest as `reference`, a tag or a digest.
    pub fn put_manifest(&self, name: &str, reference: &str, kind: &str, bytes: &[u8]) -> Answer {
        let path = format!("/v2/{name}/manifests/{reference}");
        self.request("PUT", &path, &[("Content-Type", kind)], bytes)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            // A test that fails already says so.
            let _ = thread.join();
        }
    }
}

/// Puts blobs of an image with one small file into the store and gives its manifest, which is not
/// in the store.
pub fn image(store: &Store, text: &str) -> Manifest {
    image_for("amd64", store, text)
}

/// The same, for machines of that architecture.
fn image_for(architecture: &str, store: &Store, text: &str) -> Manifest {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(text.len() as u64);
    tar.append_data(&mut header, "hello", text.as_bytes())
        .unwrap();
    let tar = tar.into_inner().unwrap();
    let config = ImageConfig {
        architecture: architecture.to_owned(),
        os: "linux".to_owned(),
        rootfs: RootFs {
            diff_ids: vec![DiffId(Digest::of(&tar))],
            ..RootFs::default()
        },
        ..ImageConfig::default()
    };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let layer = store.put(&gzip.finish().unwrap()).unwrap();
    let config = store.put(&json::to_vec(&config).unwrap()).unwrap();
    Manifest {
        schema_version: 2,
        media_type: Some(media_type::MANIFEST.to_owned()),
        config: Descriptor::new(media_type::CONFIG, config.digest, config.size),
        layers: vec![Descriptor::new(
            media_type::LAYER_GZIP,
            layer.digest,
            layer.size,
        )],
        annotations: None,
        foreign: BTreeMap::new(),
    }
}

/// Puts an image with one small file into the store under `name`.
pub fn named_image(store: &Store, name: &str, text: &str) -> Digest {
    let bytes = json::to_vec(&image(store, text)).unwrap();
    let blob = store.put(&bytes).unwrap();
    let descriptor = Descriptor::new(media_type::MANIFEST, blob.digest, blob.size);
    store
        .name_image(Some(&name.parse().unwrap()), &descriptor)
        .unwrap();
    blob.digest
}

/// An index of two images as bytes, and the bytes of the images' manifests.
pub fn index(store: &Store) -> (Vec<u8>, [Vec<u8>; 2]) {
    let images = ["amd64", "arm64"].map(|architecture| {
        let bytes = json::to_vec(&image_for(architecture, store, architecture)).unwrap();
        let size = bytes.len() as u64;
        let mut descriptor = Descriptor::new(media_type::MANIFEST, Digest::of(&bytes), size);
        descriptor.platform = Some(PlatformObject {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            variant: None,
            foreign: BTreeMap::new(),
        });
        (descriptor, bytes)
    });
    let [(first, first_bytes), (second, second_bytes)] = images;
    let index = Index {
        schema_version: 2,
        media_type: Some(media_type::INDEX.to_owned()),
        manifests: vec![first, second],
        annotations: None,
        foreign: BTreeMap::new(),
    };
    (json::to_vec(&index).unwrap(), [first_bytes, second_bytes])
}

/// The files in a folder of the store.
#[expect(clippy::disallowed_methods, reason = "only counts")]
pub fn files(store: &Store, folder: &str) -> usize {
    std::fs::read_dir(store.root().join(folder))
        .unwrap()
        .count()
}

/// The names in the store's index, in their order.
pub fn names(store: &Store) -> Vec<String> {
    let images = store.images().unwrap();
    let names = images.into_iter().map(|image| match image.reference {
        Some(reference) => reference.to_string(),
        None => "(none)".to_owned(),
    });
    names.collect()
}
