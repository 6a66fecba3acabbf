//! Plans with commands, built through the library.
//!
//! In: commands. Out: layers as text, logs, errors.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cairn::build::{Built, Error, Settings, build};
use cairn::canon::event::{Event, Events};
use cairn::canon::{EntryPath, Epoch, Platform};
use cairn::inputs::Pins;
use cairn::inputs::base::Registries;
use cairn::layer::Codec;
use cairn::layer::codec::Expansion;
use cairn::plan::command::{Mount, MountKind};
use cairn::plan::step::{Destination, Ownership, Selection};
use cairn::plan::{Command, Operation, Plan, PlannedImage, Step, StepId};
use cairn::sandbox::{SessionSettings, Wanted};
use cairn::step::run::CommandSettings;
use cairn::store::Store;

use crate::support::{require, temp};

/// A plan under way, and the folders that it is built in.
pub struct Ground {
    pub folder: tempfile::TempDir,
    pub plan: Plan,
    pub settings: Settings,
    heard: Arc<Mutex<Vec<Event>>>,
}

pub fn path(text: &str) -> EntryPath {
    EntryPath::new(text.as_bytes()).unwrap()
}

/// `sh -c script`.
pub fn script(script: &str) -> Command {
    Command {
        arguments: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        env: vec![("PATH".to_owned(), "/bin".to_owned())],
        workdir: EntryPath::root(),
        user: None,
        mounts: Vec::new(),
        network: cairn::plan::command::Network::None,
        security: Default::default(),
        devices: Vec::new(),
        hostname: None,
        hosts: Vec::new(),
        ulimits: Vec::new(),
        shm_size: None,
    }
}

pub fn mounted(target: &str, kind: MountKind, script: &str) -> Command {
    let target = path(target);
    Command {
        mounts: vec![Mount { target, kind }],
        ..self::script(script)
    }
}

impl Ground {
    /// None where there is no busybox to run.
    pub fn new() -> Option<Ground> {
        require("busybox").then(|| Ground::at(temp(), Wanted::Best))
    }

    pub fn at(folder: tempfile::TempDir, identity: Wanted) -> Ground {
        let context = folder.path().join("context");
        std::fs::create_dir(&context).unwrap();
        std::fs::copy("/bin/busybox", context.join("busybox")).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = heard.clone();
        let settings = Settings {
            store: Store::open(&folder.path().join("store")).unwrap(),
            registries: Registries::new(|| unreachable!()),
            recipe: String::new(),
            folder: folder.path().to_owned(),
            context,
            context_times: None,
            index_annotations: Default::default(),
            ignore_file: Default::default(),
            epoch: Epoch::default(),
            codec: Codec::default(),
            threads: 2,
            expansion: Expansion::UNLIMITED,
            known: Default::default(),
            pull: false,
            no_cache: false,
            no_cache_filter: Vec::new(),
            commands: CommandSettings {
                session: SessionSettings {
                    program: PathBuf::from(env!("CARGO_BIN_EXE_cairn")),
                    identity,
                },
                ..CommandSettings::default()
            },
            packages: Default::default(),
            on_failure: None,
            pins: Pins::default(),
            policy: Default::default(),
            search_path: Default::default(),
            events: Events::new(move |event| ears.lock().unwrap().push(event)),
        };
        Ground {
            folder,
            plan: Plan::default(),
            settings,
            heard,
        }
    }

    pub fn step(&mut self, operation: Operation, inputs: &[StepId]) -> StepId {
        let name = match &operation {
            Operation::Run(command) => command.arguments.join(" "),
            _ => "place".to_owned(),
        };
        self.plan.add(Step {
            operation,
            inputs: inputs.to_vec(),
            name,
            stage: None,
            span: 0..0,
        })
    }

    /// Files of the context.
    pub fn files(&mut self, source: &str) -> StepId {
        let selection = Selection {
            sources: vec![source.to_owned()],
            ..Selection::default()
        };
        let name = "context".to_owned();
        self.step(Operation::Context { name, selection }, &[])
    }

    pub fn file(&mut self, below: StepId, name: &str, content: &str) -> StepId {
        let operation = Operation::File {
            name: None,
            path: path(name),
            content: content.to_owned(),
            ownership: Ownership::default(),
        };
        self.step(operation, &[below])
    }

    /// A file system with busybox in it.
    pub fn base(&mut self) -> StepId {
        let scratch = self.step(Operation::Scratch, &[]);
        let busybox = self.files("busybox");
        let to = Destination {
            path: path("bin"),
            is_directory: true,
        };
        let ownership = Ownership {
            mode: Some(cairn::plan::Mode::Bits(0o755)),
            owner: None,
        };
        let copy = Operation::Copy {
            to,
            unpack: false,
            ownership,
        };
        let mut top = self.step(copy, &[scratch, busybox]);
        for name in [
            "sh", "ls", "cat", "mkdir", "rm", "touch", "chmod", "ln", "id", "mv", "true",
        ] {
            let operation = Operation::Symlink {
                path: path(&format!("bin/{name}")),
                target: "busybox".to_owned(),
            };
            top = self.step(operation, &[top]);
        }
        let users = "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n";
        let top = self.file(top, "etc/passwd", users);
        self.file(top, "etc/group", "adm:x:4:web\n")
    }

    pub fn run(&mut self, command: Command, inputs: &[StepId]) -> StepId {
        self.step(Operation::Run(Box::new(command)), inputs)
    }

    /// Builds the image whose root `top` is.
    pub fn build(&mut self, top: StepId) -> Result<Built, Error> {
        self.heard.lock().unwrap().clear();
        self.plan.images = vec![PlannedImage {
            platform: "linux/amd64".parse::<Platform>().unwrap(),
            is_asked_for: false,
            root: top,
            config: Vec::new(),
        }];
        build(&self.plan, &self.settings)
    }

    /// What the topmost layer of the image holds, a line each, without times and digests but for
    /// what begins with `f`: then its size.
    pub fn layer(&mut self, top: StepId) -> Vec<String> {
        let built = self.build(top).unwrap_or_else(|error| panic!("{error}"));
        let store = &self.settings.store;
        let read = |digest| {
            let bytes = store.read(&digest, 1 << 20).unwrap();
            serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()
        };
        let manifest = read(built.descriptor.digest);
        let layers = manifest["layers"].as_array().unwrap();
        let digest = layers.last().unwrap()["digest"].as_str().unwrap();
        let blob = store.require_blob(&digest.parse().unwrap()).unwrap();
        let plain =
            cairn::layer::codec::decompress(blob.open().unwrap(), blob.size, Expansion::UNLIMITED);
        let scanned =
            cairn::layer::scan::scan(plain.unwrap(), cairn::layer::scan::Purpose::Layer).unwrap();
        let text = scanned.tree.to_text();
        let line = |line: &str| {
            let fields: Vec<_> = line.split(' ').collect();
            assert!(
                fields[4] == "0" || fields[4] == "315532800" || fields[0] == "d",
                "{line}"
            );
            let what = fields[6].split(':').next().unwrap();
            format!(
                "{} {} {}:{} {} {what}",
                fields[0], fields[1], fields[2], fields[3], fields[5]
            )
        };
        text.lines().map(line).collect()
    }

    /// What commands wrote in the last build.
    pub fn output(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let lines = heard.iter().filter_map(|event| match event {
            Event::Output { line, .. } => Some(line.clone()),
            _ => None,
        });
        lines.collect()
    }

    /// Whether nothing of unfinished work is left in the store.
    pub fn is_tidy(&self) -> bool {
        let tmp = self.folder.path().join("store/tmp");
        entries(&tmp) == 0
    }
}

#[expect(clippy::disallowed_methods, reason = "only counts")]
fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}
