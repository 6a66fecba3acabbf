//! Debian's docker-registry on a port of its own, images to push, and clients that listen.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn::canon::event::{Event, Events, Outcome};
use cairn::canon::{Digest, Reference, json};
use cairn::image::manifest::{PlatformObject, media_type};
use cairn::image::{Descriptor, Index, Manifest};
use cairn::registry::{Client, Paths, Settings};
use cairn::store::Store;

use super::programs::program;

/// A running docker-registry, ended when dropped.
pub struct DockerRegistry {
    process: Child,
    pub host: String,
    pub folder: tempfile::TempDir,
}

impl DockerRegistry {
    /// Starts one with these lines in its configuration, beside those about storage.
    pub fn new(http: &str, more: &str) -> DockerRegistry {
        let folder = tempfile::tempdir().unwrap();
        DockerRegistry::in_folder(folder, http, more)
    }

    pub fn in_folder(folder: tempfile::TempDir, http: &str, more: &str) -> DockerRegistry {
        let root = folder.path().join("storage");
        let config = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: 127.0.0.1:0\n{http}\n{more}\n",
            root.display()
        );
        let path = folder.path().join("config.yml");
        std::fs::write(&path, config).unwrap();
        let mut process = program("docker-registry", &["serve", path.to_str().unwrap()])
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}"));
            let line = line.unwrap();
            if let Some((_, rest)) = line.split_once("listening on ") {
                let end = rest.find(['"', ',']).unwrap_or(rest.len());
                break rest[..end].to_owned();
            }
            said += &line;
        };
        // It must not block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let (_, port) = address.trim().rsplit_once(':').unwrap();
        DockerRegistry {
            process,
            host: format!("localhost:{port}"),
            folder,
        }
    }

    pub fn reference(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.host).parse().unwrap()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A store in a folder that goes with it.
pub struct TestStore {
    pub store: Store,
    pub folder: tempfile::TempDir,
}

impl TestStore {
    pub fn new() -> TestStore {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        TestStore { store, folder }
    }

    /// Files in `tmp`, which nothing should leave behind.
    #[expect(clippy::disallowed_methods, reason = "only counts")]
    pub fn unfinished(&self) -> usize {
        let tmp = self.folder.path().join("tmp");
        std::fs::read_dir(tmp).unwrap().count()
    }

    /// An image of these layers for a platform; its descriptor.
    pub fn image(&self, architecture: &str, layers: &[&[u8]]) -> Descriptor {
        let blobs: Vec<_> = layers
            .iter()
            .map(|bytes| self.store.put(bytes).unwrap())
            .collect();
        let diff_ids: Vec<_> = blobs.iter().map(|blob| blob.digest).collect();
        let config = serde_json::json!({
            "architecture": architecture, "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = self.store.put(&json::to_vec(&config).unwrap()).unwrap();
        let layer =
            |blob: &cairn::store::Blob| Descriptor::new(media_type::LAYER, blob.digest, blob.size);
        self.document(
            media_type::MANIFEST,
            &Manifest {
                schema_version: 2,
                media_type: Some(media_type::MANIFEST.to_owned()),
                config: Descriptor::new(media_type::CONFIG, config.digest, config.size),
                layers: blobs.iter().map(layer).collect(),
                annotations: None,
                foreign: BTreeMap::new(),
            },
        )
    }

    /// An index of images for these architectures.
    pub fn index(&self, images: &[(&str, &Descriptor)]) -> Descriptor {
        let member = |(architecture, descriptor): &(&str, &Descriptor)| Descriptor {
            platform: Some(PlatformObject {
                architecture: (*architecture).to_owned(),
                os: "linux".to_owned(),
                variant: None,
                foreign: BTreeMap::new(),
            }),
            ..(*descriptor).clone()
        };
        self.document(
            media_type::INDEX,
            &Index {
                schema_version: 2,
                media_type: Some(media_type::INDEX.to_owned()),
                manifests: images.iter().map(member).collect(),
                annotations: None,
                foreign: BTreeMap::new(),
            },
        )
    }

    pub fn document<T: serde::Serialize>(&self, media_type: &str, value: &T) -> Descriptor {
        let blob = self.store.put(&json::to_vec(value).unwrap()).unwrap();
        Descriptor::new(media_type, blob.digest, blob.size)
    }
}

/// Bytes that no compression or block deduplication makes smaller, the same each time.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // xorshift64 (G. Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A client and what it said.
pub struct Heard {
    pub client: Client,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Heard {
    /// A client that reads no file, and waits a millisecond where others wait half a second.
    pub fn new() -> Heard {
        Heard::with(Paths::default())
    }

    pub fn with(paths: Paths) -> Heard {
        Heard::settings(Settings {
            paths,
            first_delay: Duration::from_millis(1),
            ..Settings::default()
        })
    }

    pub fn settings(settings: Settings) -> Heard {
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = events.clone();
        let listener = Events::new(move |event| heard.lock().unwrap().push(event));
        Heard {
            client: Client::new(settings, listener).unwrap(),
            events,
        }
    }

    /// Every message.
    pub fn text(&self) -> String {
        let events = self.events.lock().unwrap();
        let messages = events.iter().filter_map(|event| match event {
            Event::Debug { message } | Event::Note { message } | Event::Warning { message } => {
                Some(message.as_str())
            }
            _ => None,
        });
        messages.collect::<Vec<_>>().join("\n")
    }

    /// What everybody is told while it takes its time.
    pub fn notes(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let notes = events.iter().filter_map(|event| match event {
            Event::Note { message } => Some(message.clone()),
            _ => None,
        });
        notes.collect()
    }

    /// How many pieces of work ended so.
    pub fn ended(&self, wanted: Outcome) -> usize {
        let events = self.events.lock().unwrap();
        let is_wanted =
            |event: &&Event| matches!(event, Event::Finished { outcome, .. } if *outcome == wanted);
        events.iter().filter(is_wanted).count()
    }
}

/// Writes a file and the folders above it.
pub fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Whether two stores have the same bytes under `digest`.
pub fn has_all(store: &Store, digests: &[Digest]) -> bool {
    digests.iter().all(|digest| {
        let blob = store.blob(digest);
        blob.is_some_and(|blob| Digest::of(&std::fs::read(blob.path()).unwrap()) == *digest)
    })
}
