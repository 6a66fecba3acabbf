//! A case as its files have it.
//!
//! In: a folder of testdata/ with `Dockerfile` and `case.toml`. Out: [`Case`]: what is built, how,
//! and what must come out. testdata/dockerfile/README.md describes the form.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

/// One Dockerfile and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The folder's name.
    #[serde(skip)]
    pub name: String,
    /// The text of the Dockerfile, which need not be UTF-8.
    #[serde(skip)]
    pub dockerfile: Vec<u8>,
    /// The folder.
    #[serde(skip)]
    pub folder: PathBuf,
    /// What it shows.
    #[serde(default)]
    pub about: String,
    /// What it needs of the machine besides: `run`, `debian`.
    #[serde(default)]
    #[expect(dead_code, reason = "for who reads the case: every machine has it")]
    pub needs: Vec<Need>,
    /// Further arguments; `{folders}` in them is where `folders` are.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// The environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The name that the Dockerfile has in the context; else it stands beside it.
    pub inside: Option<String>,
    /// The context.
    #[serde(default)]
    pub context: BTreeMap<String, Made>,
    /// A folder of testdata that is the context, where there are more files than a table is for.
    pub context_folder: Option<String>,
    /// Other folders, by name.
    #[serde(default)]
    pub folders: BTreeMap<String, BTreeMap<String, Made>>,
    /// The image that `files`, `removed` and `config` are told as changes of.
    #[serde(default)]
    pub base: Base,
    /// Members of the config that are not as in the base.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Paths that are not as in the base.
    #[serde(default)]
    pub files: BTreeMap<String, Expected>,
    /// Paths of the base that are gone.
    #[serde(default)]
    pub removed: Vec<String>,
    /// Names of one file, each group in order.
    #[serde(default)]
    pub links: Vec<Vec<String>>,
    /// Instead of an image: what the failure says, each somewhere.
    pub fails: Option<Vec<String>>,
    /// What is said on standard error, each somewhere.
    #[serde(default)]
    pub says: Vec<String>,
    /// What is not said on standard error.
    #[serde(default)]
    pub silent_on: Vec<String>,
}

/// What a case needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// That commands can be run.
    Run,
    /// An image of Debian.
    Debian,
}

/// What the expectation is told as changes of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    #[default]
    Scratch,
    Busybox,
    Debian,
}

/// Something in a context.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Made {
    Text(String),
    Link {
        link: String,
    },
    /// An archive of what is in it: `tar`, with `gz`, `bz2`, `xz` or `zst` around it.
    Archive {
        members: BTreeMap<String, Made>,
        #[serde(default)]
        packed: Option<String>,
    },
    /// Of the path's own kind: a folder where that ends with a slash, else a file.
    Plain {
        #[serde(default)]
        text: String,
        mode: Option<String>,
        owner: Option<String>,
    },
}

/// Something in an image. Of what isn't named, `mode` is 0644 or 0755 and `owner` 0:0.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Expected {
    /// A file with this content.
    Text(String),
    Table(Row),
}

/// What is known of something in an image: a folder where its path ends with a slash, a symbolic
/// link where `link` is given, else a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub text: Option<String>,
    /// Part of its content.
    pub has: Option<String>,
    pub sha256: Option<String>,
    pub link: Option<String>,
    pub mode: Option<String>,
    pub owner: Option<String>,
    /// Seconds since 1970, UTC.
    pub mtime: Option<u64>,
    /// By name, values as text.
    #[serde(default)]
    pub xattrs: BTreeMap<String, String>,
    /// Whatever it holds.
    #[serde(default)]
    pub any: bool,
}

impl Case {
    /// The case in `folder`.
    pub fn read(folder: &Path) -> Case {
        let file = folder.join("case.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let case: Case =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Case {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            dockerfile: std::fs::read(folder.join("Dockerfile")).unwrap(),
            folder: folder.to_owned(),
            ..case
        }
    }

    /// Writes the Dockerfile, the context and the other folders below `place`.
    pub fn lay_out(&self, place: &Path) {
        let context = place.join("context");
        std::fs::create_dir(&context).unwrap();
        if let Some(other) = &self.context_folder {
            copy(&self.folder.join(other), &context);
        }
        lay(&context, &self.context);
        for (name, members) in &self.folders {
            let folder = place.join("folders").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            lay(&folder, members);
        }
        std::fs::write(self.file(place), &self.dockerfile).unwrap();
    }

    /// Where the Dockerfile is.
    pub fn file(&self, place: &Path) -> PathBuf {
        match &self.inside {
            Some(name) => place.join("context").join(name),
            None => place.join("Dockerfile"),
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for path in crate::support::recipes::below(from) {
        let (source, target) = (from.join(&path), to.join(&path));
        if source.is_symlink() {
            std::os::unix::fs::symlink(source.read_link().unwrap(), target).unwrap();
        } else if source.is_dir() {
            std::fs::create_dir_all(target).unwrap();
        } else {
            std::fs::copy(source, target).unwrap();
        }
    }
}

fn lay(folder: &Path, members: &BTreeMap<String, Made>) {
    use std::os::unix::fs::PermissionsExt as _;
    for (path, made) in members {
        let target = folder.join(path.trim_end_matches('/'));
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        let bits = match made {
            Made::Link { link } => {
                std::os::unix::fs::symlink(link, &target).unwrap();
                continue;
            }
            Made::Plain { mode, .. } if path.ends_with('/') => {
                std::fs::create_dir_all(&target).unwrap();
                mode.as_deref().unwrap_or("0755")
            }
            Made::Plain { text, mode, .. } => {
                std::fs::write(&target, text).unwrap();
                mode.as_deref().unwrap_or("0644")
            }
            Made::Text(text) => {
                std::fs::write(&target, text).unwrap();
                "0644"
            }
            Made::Archive { members, packed } => {
                let tar = archive(members);
                std::fs::write(&target, pack(tar, packed.as_deref())).unwrap();
                "0644"
            }
        };
        let mode = std::fs::Permissions::from_mode(octal(bits));
        std::fs::set_permissions(&target, mode).unwrap();
    }
}

/// A mode in octal digits.
pub fn octal(digits: &str) -> u32 {
    u32::from_str_radix(digits, 8).unwrap()
}

/// A number and a number, with a colon between.
pub fn owner(text: &str) -> (u64, u64) {
    let (uid, gid) = text.split_once(':').unwrap();
    (uid.parse().unwrap(), gid.parse().unwrap())
}

/// A tar whose members are dated 2001-09-09.
fn archive(members: &BTreeMap<String, Made>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, made) in members {
        let mut header = tar::Header::new_ustar();
        header.set_mtime(1_000_000_000);
        let (text, bits, ids) = match made {
            Made::Text(text) => (text.as_str(), None, None),
            Made::Plain { text, mode, owner } => (text.as_str(), mode.as_deref(), owner.as_deref()),
            Made::Link { link } => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                tar.append_link(&mut header, path, link).unwrap();
                continue;
            }
            Made::Archive { .. } => panic!("an archive in an archive"),
        };
        let is_folder = path.ends_with('/');
        if is_folder {
            header.set_entry_type(tar::EntryType::Directory);
        }
        let default = if is_folder { "0755" } else { "0644" };
        header.set_mode(octal(bits.unwrap_or(default)));
        let (uid, gid) = owner(ids.unwrap_or("0:0"));
        header.set_uid(uid);
        header.set_gid(gid);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn pack(tar: Vec<u8>, how: Option<&str>) -> Vec<u8> {
    use std::io::Write as _;
    match how {
        None => tar,
        Some("gz") => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&tar).unwrap();
            gzip.finish().unwrap()
        }
        Some("zst") => zstd::encode_all(&tar[..], 1).unwrap(),
        Some("bz2") => through("bzip2", &tar),
        Some("xz") => through("xz", &tar),
        Some(other) => panic!("nothing packs as `{other}`"),
    }
}

/// What a program makes of its standard input.
fn through(program: &str, bytes: &[u8]) -> Vec<u8> {
    use std::io::{Seek as _, Write as _};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    let mut command = std::process::Command::new(program);
    let output = command.arg("-c").stdin(file).output().unwrap();
    assert!(output.status.success(), "{program}");
    output.stdout
}
