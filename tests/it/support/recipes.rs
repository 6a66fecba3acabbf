//! The recipes of testdata/, a large one besides, and checkouts of them as different people at
//! different places have them.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use super::random::Random;
use super::{cairn, temp};

/// A copy of every recipe and its context.
pub struct Checkout {
    folder: PathBuf,
    /// Where `folder` is, if that goes with it.
    #[expect(dead_code, reason = "only its end matters")]
    made: Option<tempfile::TempDir>,
}

/// How a copy is made. The default is as git does it under umask 022.
#[derive(Clone, Copy)]
pub struct Manner {
    pub umask: u32,
    /// The owner of everything; whoever runs the test where there is none.
    pub owner: Option<u32>,
    /// Seeds the order in which files are made, and with it their inodes, and their times.
    pub seed: u64,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner {
            umask: 0o022,
            owner: None,
            seed: 0,
        }
    }
}

/// The repository's testdata/.
pub fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// The names of all recipes, in order.
pub fn names() -> Vec<String> {
    let mut names = vec!["large".to_owned(), "quickstart".to_owned()];
    for path in entries(&testdata().join("recipes")) {
        if path.join("cairn.toml").is_file() {
            names.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    names.sort();
    names
}

/// The paths in a folder, sorted.
#[expect(clippy::disallowed_methods, reason = "sorted")]
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Everything below a folder, parents first, as paths from it.
pub fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(next) = todo.pop() {
        for path in entries(&next) {
            found.push(path.strip_prefix(folder).unwrap().to_owned());
            if path.is_dir() && !path.is_symlink() {
                todo.push(path);
            }
        }
    }
    found.sort();
    found
}

impl Checkout {
    /// Copies all recipes into `folder`, which is made, in the manner that is asked for.
    pub fn new(folder: &Path, manner: Manner) -> Checkout {
        let (mut random, source) = (Random::new(manner.seed), testdata());
        make_folder(folder, manner);
        for top in ["quickstart", "recipes"] {
            make_folder(&folder.join(top), manner);
            let (directories, mut files): (Vec<_>, Vec<_>) = below(&source.join(top))
                .into_iter()
                .map(|path| Path::new(top).join(path))
                .partition(|path| source.join(path).is_dir() && !source.join(path).is_symlink());
            for directory in directories {
                make_folder(&folder.join(directory), manner);
            }
            if manner.seed > 0 {
                random.shuffle(&mut files);
            }
            for file in files {
                copy(
                    &source.join(&file),
                    &folder.join(&file),
                    manner,
                    &mut random,
                );
            }
        }
        large(&folder.join("recipes/large"), manner, &mut random);
        Checkout {
            folder: folder.to_owned(),
            made: None,
        }
    }

    /// The folder of a recipe.
    pub fn recipe(&self, name: &str) -> PathBuf {
        match name {
            "quickstart" => self.folder.join(name),
            _ => self.folder.join("recipes").join(name),
        }
    }

    /// What to say to build a recipe: `build`, its file and its context.
    pub fn arguments(&self, name: &str) -> Vec<PathBuf> {
        let recipe = self.recipe(name);
        let context = recipe.join("context");
        let context = if context.is_dir() {
            context
        } else {
            recipe.clone()
        };
        let words = ["build", "--quiet", "-f"].map(PathBuf::from);
        words
            .into_iter()
            .chain([recipe.join("cairn.toml"), context])
            .collect()
    }

    /// The digest of a recipe's image as `command` builds it, which is a cairn without arguments.
    #[track_caller]
    pub fn build(&self, mut command: Command, name: &str) -> String {
        command.args(self.arguments(name));
        super::run(&mut command).trim_end().to_owned()
    }

    /// The digests of all recipes, each built by a command of its own.
    #[track_caller]
    pub fn build_all(&self, command: impl Fn() -> Command) -> BTreeMap<String, String> {
        let digest = |name: String| (name.clone(), self.build(command(), &name));
        names().into_iter().map(digest).collect()
    }
}

/// A plain checkout that tests share and don't change; it goes with the last of them.
pub fn checkout() -> Arc<Checkout> {
    static SHARED: Mutex<Weak<Checkout>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(checkout) = shared.upgrade() {
        return checkout;
    }
    let made = temp();
    let plain = Checkout::new(&made.path().join("plain"), Manner::default());
    let checkout = Arc::new(Checkout {
        made: Some(made),
        ..plain
    });
    *shared = Arc::downgrade(&checkout);
    checkout
}

/// The digests of all recipes as this machine, this user and an empty store give them.
pub fn digests() -> &'static BTreeMap<String, String> {
    static DIGESTS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    DIGESTS.get_or_init(|| {
        let (checkout, store) = (checkout(), temp());
        checkout.build_all(|| cairn(store.path()))
    })
}

fn make_folder(path: &Path, manner: Manner) {
    std::fs::create_dir(path).unwrap();
    set(path, 0o777, manner);
}

fn copy(source: &Path, target: &Path, manner: Manner, random: &mut Random) {
    if source.is_symlink() {
        return std::os::unix::fs::symlink(source.read_link().unwrap(), target).unwrap();
    }
    let is_executable = source.metadata().unwrap().mode() & 0o100 != 0;
    let mode = if is_executable { 0o777 } else { 0o666 };
    put(
        target,
        &std::fs::read(source).unwrap(),
        mode,
        manner,
        random,
    );
}

fn put(path: &Path, content: &[u8], mode: u32, manner: Manner, random: &mut Random) {
    std::fs::write(path, content).unwrap();
    set(path, mode, manner);
    if manner.seed > 0 {
        // Before 1970, and up to 2106.
        let seconds = random.below(0x1_1000_0000) as i64 - 0x1000_0000;
        let from = Duration::from_nanos(seconds.unsigned_abs() * 1_000_000_000 + 123_456_789);
        let time = match seconds < 0 {
            true => SystemTime::UNIX_EPOCH - from,
            false => SystemTime::UNIX_EPOCH + from,
        };
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(time).unwrap();
    }
}

fn set(path: &Path, mode: u32, manner: Manner) {
    let mode = std::fs::Permissions::from_mode(mode & !manner.umask);
    std::fs::set_permissions(path, mode).unwrap();
    if manner.owner.is_some() {
        std::os::unix::fs::chown(path, manner.owner, manner.owner).unwrap();
    }
}

/// A recipe of many chunks, so that cores have something to race for.
fn large(folder: &Path, manner: Manner, order: &mut Random) {
    make_folder(folder, manner);
    make_folder(&folder.join("context"), manner);
    let recipe = "from = \"scratch\"\nplatforms = [\"linux/amd64\"]\n\
        [[steps]]\ncopy = { paths = [\".\"], to = \"/app\" }\n\
        [[steps]]\ncopy = { paths = [\"noise\"], to = \"/again\" }\n";
    put(
        &folder.join("cairn.toml"),
        recipe.as_bytes(),
        0o666,
        manner,
        order,
    );
    let mut random = Random::new(42);
    let mut files = vec![
        ("noise".to_owned(), random.bytes(3 << 20)),
        ("text".to_owned(), random.text(6 << 20)),
        ("zeros".to_owned(), vec![0; 2 << 20]),
    ];
    for number in 0..200 {
        let length = random.below(8 << 10) as usize;
        files.push((format!("file-{number}"), random.text(length)));
    }
    if manner.seed > 0 {
        order.shuffle(&mut files);
    }
    for (name, content) in files {
        put(
            &folder.join("context").join(name),
            &content,
            0o666,
            manner,
            order,
        );
    }
}

#[test]
fn there_are_enough_recipes() {
    assert!(names().len() >= 12);
}
