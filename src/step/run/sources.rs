//! Folders for a command: what it runs on, and what is mounted for it.
//!
//! In: stacks of layers, files, mounts. Out: snapshots, caches, and what the sandbox mounts.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::error::Error;
use super::{Input, Runner};
use crate::canon::{ChainId, Digest, EntryPath};
use crate::inputs::{Files, Origin, Pick, Stack, stage};
use crate::layer::chunk::{Compressed, KnownChunks};
use crate::layer::pack::{self, Packing, pack};
use crate::layer::{Codec, Entry, Kind, Meta, Tree};
use crate::plan::command::{Mount, MountKind, Sharing};
use crate::plan::{Command, Selection};
use crate::sandbox::{Session, Source};
use crate::store::snapshot::Unpacker;
use crate::store::{self, Cache};

/// What is mounted for a command, and what belongs to that.
#[derive(Default)]
pub(super) struct Mounts {
    pub(super) mounts: Vec<crate::sandbox::Mount>,
    /// Variables that say where.
    pub(super) env: Vec<(String, String)>,
    /// Whether the command has one of its own that says where its socket is.
    names_socket: bool,
    /// Whoever has these has their locks.
    pub(super) caches: BTreeMap<String, Cache>,
}

/// What becomes of caches.
#[derive(Clone, Copy)]
pub(super) enum Kept<'a> {
    /// They are new in that folder, and go with it.
    No(&'a Path),
    /// They are kept from build to build, for commands that replay the same record, if they do.
    By(Option<Digest>),
}

impl Runner<'_> {
    /// The layers of `stack` unpacked, the lowest first.
    pub(super) fn lowers(&self, stack: &Stack) -> Result<Vec<PathBuf>, Error> {
        let (session, layout) = (self.session()?, self.layout()?);
        let mut lowers: Vec<PathBuf> = Vec::new();
        let mut chain = Vec::new();
        for layer in stack.layers() {
            // What it doesn't say of its directories those below do, so that the same layer on
            // others is another snapshot.
            chain.push(layer.diff_id);
            let chain = ChainId::of(&chain).map_or(layer.diff_id.0, |chain| chain.0);
            let name = format!("{}-{layout}", chain.hex());
            let unpacker = Unpack {
                session: &session,
                unpack: |folder: &Path| {
                    let folder = absolute(folder)?;
                    let unpack =
                        |tar: &mut dyn io::Read| Ok(session.unpack(tar, &folder, &lowers)?);
                    layer.give(self.store, self.expansion, unpack)
                },
            };
            let lower = self.store.snapshot(&name, &unpacker)?;
            lowers.push(absolute(&lower)?);
        }
        Ok(lowers)
    }

    /// What `mounts` of a command mean. `inputs` are the sources of those that have one.
    /// Where `kept` says that caches aren't kept, they are made in there.
    pub(super) fn mounts(
        &self,
        command: &Command,
        inputs: &[Input],
        kept: Kept<'_>,
    ) -> Result<Mounts, Error> {
        let mut all = Mounts {
            caches: match kept {
                Kept::No(_) => BTreeMap::new(),
                Kept::By(record) => self.caches(command, record)?,
            },
            names_socket: command.env.iter().any(|(name, _)| name == SSH),
            ..Mounts::default()
        };
        let mut inputs = inputs.iter();
        for Mount { target, kind } in &command.mounts {
            let input = match kind.has_input() {
                true => Some(
                    inputs
                        .next()
                        .ok_or(Error::Bug("a mount lacks its source"))?,
                ),
                false => None,
            };
            let source = self.source(target, kind, input, kept, &mut all)?;
            let target = target.clone();
            all.mounts
                .extend(source.map(|source| crate::sandbox::Mount { target, source }));
        }
        // Secrets and sockets, too, are behind what they lie in, and before what lies in them.
        all.mounts
            .sort_by(|a, b| a.target.as_bytes().cmp(b.target.as_bytes()));
        Ok(all)
    }

    fn source(
        &self,
        target: &EntryPath,
        kind: &MountKind,
        input: Option<&Input>,
        kept: Kept<'_>,
        all: &mut Mounts,
    ) -> Result<Option<Source>, Error> {
        let no_input = Error::Bug("a mount lacks its source");
        Ok(match kind {
            MountKind::Bind { source, writable } => {
                Some(self.bind(source, *writable, input.ok_or(no_input)?)?)
            }
            MountKind::Cache { read_only, .. } => {
                let folder = match kept {
                    Kept::No(folder) => self.new_cache(folder, kind, input)?,
                    Kept::By(record) => {
                        let cache = cache_name(kind, record).and_then(|name| all.caches.get(&name));
                        let cache = cache.ok_or(Error::Bug("a cache was not opened"))?;
                        let session = self.session()?;
                        cache.fill(&Unpack {
                            session: &session,
                            unpack: |folder: &Path| self.fill(folder, kind, input),
                        })?;
                        absolute(&cache.folder())?
                    }
                };
                Some(Source::Bind {
                    folder,
                    path: EntryPath::root(),
                    read_only: *read_only,
                })
            }
            MountKind::Tmpfs { size, read_only } => Some(Source::Tmpfs {
                size: *size,
                read_only: *read_only,
            }),
            MountKind::Secret {
                id,
                file,
                variable,
                required,
                mode,
                uid,
                gid,
            } => {
                let Some(secret) = self.settings.secrets.get(id) else {
                    return match required {
                        true => Err(Error::NoSecret(id.clone())),
                        false => Ok(None),
                    };
                };
                if let Some(variable) = variable {
                    let text = std::str::from_utf8(secret).ok();
                    let text = text.filter(|text| !text.contains('\0'));
                    let text = text.ok_or_else(|| Error::SecretVariable(id.clone()))?;
                    all.env.push((variable.clone(), text.to_owned()));
                }
                file.then(|| Source::File {
                    content: secret.clone(),
                    mode: *mode,
                    uid: *uid,
                    gid: *gid,
                })
            }
            MountKind::Ssh {
                id,
                required,
                mode,
                uid,
                gid,
            } => {
                let Some(host) = self.settings.ssh.get(id) else {
                    return match required {
                        true => Err(Error::NoSsh(id.clone())),
                        false => Ok(None),
                    };
                };
                if !std::mem::replace(&mut all.names_socket, true) {
                    all.env.push((SSH.to_owned(), target.to_string()));
                }
                Some(Source::Socket {
                    host: host.clone(),
                    mode: *mode,
                    uid: *uid,
                    gid: *gid,
                })
            }
            MountKind::Inline { content, mode } => Some(Source::File {
                content: content.clone().into_bytes(),
                mode: *mode,
                uid: 0,
                gid: 0,
            }),
        })
    }

    fn bind(&self, source: &EntryPath, writable: bool, input: &Input) -> Result<Source, Error> {
        let (lowers, path) = match input {
            Input::Layers(stack) => (self.lowers(stack)?, source.clone()),
            Input::Files(files) => {
                let held = held_name();
                let path = held.join(source).map_err(|_| LONG)?;
                (vec![self.files(files)?], path)
            }
        };
        Ok(match <[PathBuf; 1]>::try_from(lowers) {
            Ok([folder]) if !writable && matches!(input, Input::Files(_)) => Source::Bind {
                folder,
                path,
                read_only: true,
            },
            lowers => Source::Overlay {
                lowers: lowers.map_or_else(|lowers| lowers, Vec::from),
                path,
                read_only: !writable,
            },
        })
    }

    /// Files as a snapshot: the only source is `held` in it.
    fn files(&self, files: &Files) -> Result<PathBuf, Error> {
        let (session, layout) = (self.session()?, self.layout()?);
        let [pick] = &files.picks[..] else {
            return Err(Error::Bug("a mount has several sources"));
        };
        let name = format!("files-{}-{layout}", files.digest().hex());
        let unpacker = Unpack {
            session: &session,
            unpack: |folder: &Path| unpack_pick(&session, pick, &held_name(), None, folder),
        };
        absolute(&self.store.snapshot(&name, &unpacker)?)
    }

    /// The caches of a command. Two commands must not wait for each other: each takes its caches
    /// in the order of their names.
    fn caches(
        &self,
        command: &Command,
        record: Option<Digest>,
    ) -> Result<BTreeMap<String, Cache>, Error> {
        let caches = command.mounts.iter().filter_map(|mount| match &mount.kind {
            kind @ MountKind::Cache { sharing, .. } => Some((cache_name(kind, record)?, *sharing)),
            _ => None,
        });
        // Of one that stands there twice the strictest counts.
        let mut wanted: BTreeMap<String, Sharing> = BTreeMap::new();
        for (id, sharing) in caches {
            let there = wanted.entry(id).or_insert(sharing);
            *there = sharing.max(*there);
        }
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let users = self.users()?;
        let open = |(name, sharing): (String, Sharing)| {
            let sharing = match sharing {
                Sharing::Shared => store::Sharing::Shared,
                Sharing::Private => store::Sharing::Private,
                Sharing::Locked => store::Sharing::Locked,
            };
            let cache = self.store.cache(&name, &users, sharing)?;
            Ok((name, cache))
        };
        wanted.into_iter().map(open).collect()
    }

    /// A cache in `folder`, for one command alone.
    fn new_cache(
        &self,
        folder: &Path,
        kind: &MountKind,
        input: Option<&Input>,
    ) -> Result<PathBuf, Error> {
        let name = cache_name(kind, None).unwrap_or_default();
        let place = folder.join(format!("cache-{}", Digest::of(name.as_bytes()).hex()));
        if !place.exists() {
            store::make_root(&place)?;
            self.fill(&place, kind, input)?;
        }
        Ok(place)
    }

    /// Fills a new cache.
    fn fill(&self, folder: &Path, kind: &MountKind, input: Option<&Input>) -> Result<(), Error> {
        let MountKind::Cache {
            from,
            mode,
            uid,
            gid,
            ..
        } = kind
        else {
            return Err(Error::Bug("what is no cache was to be filled"));
        };
        let empty = || Pick {
            name: EntryPath::root(),
            kept: None,
            tree: Tree::default(),
            origins: Vec::new(),
        };
        let picks = match (from, input) {
            (Some(from), Some(Input::Layers(stack))) => {
                let selection = Selection {
                    sources: vec![pattern(from)],
                    ..Selection::default()
                };
                stage::files(stack, &selection, self.store, self.expansion)?.picks
            }
            (Some(_), Some(Input::Files(files))) => files.picks.clone(),
            _ => Vec::new(),
        };
        let pick = picks.into_iter().next().unwrap_or_else(empty);
        let root = Meta {
            uid: *uid,
            gid: *gid,
            ..Meta::plain(*mode, self.epoch.seconds())
        };
        unpack_pick(
            &*self.session()?,
            &pick,
            &EntryPath::root(),
            Some(root),
            folder,
        )
    }
}

const SSH: &str = "SSH_AUTH_SOCK";
const LONG: Error = Error::Bug("a mount's source has too long a path");

/// What a cache goes by: as BuildKit has it, one `id` with another owner or mode is another cache.
/// So is one for a command that replays another `record`.
fn cache_name(kind: &MountKind, record: Option<Digest>) -> Option<String> {
    let name = match kind {
        MountKind::Cache {
            id,
            mode: 0o755,
            uid: 0,
            gid: 0,
            ..
        } => id.clone(),
        MountKind::Cache {
            id, mode, uid, gid, ..
        } => format!("{id} {mode:04o} {uid}:{gid}"),
        _ => return None,
    };
    Some(match record {
        None => name,
        Some(record) => format!("{name} of record {}", record.hex()),
    })
}

/// What the source of files is called in its snapshot.
fn held_name() -> EntryPath {
    EntryPath::new(b"held").unwrap_or_default()
}

/// The pattern that means one path.
fn pattern(path: &EntryPath) -> String {
    let mut pattern = String::new();
    for character in path.lossy().chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    match path.is_root() {
        true => ".".to_owned(),
        false => pattern,
    }
}

/// Unpacks a source to `at` in `folder`; `root` is what its own directory is like, where that is
/// not its own matter.
pub(super) fn unpack_pick(
    session: &Session,
    pick: &Pick,
    at: &EntryPath,
    root: Option<Meta>,
    folder: &Path,
) -> Result<(), Error> {
    let is_empty = pick.tree.entries().is_empty();
    let mut rows = Vec::new();
    for (entry, origin) in pick.tree.entries().iter().zip(&pick.origins) {
        let path = at.join(&entry.path).map_err(|_| LONG)?;
        let mut entry = Entry {
            path,
            ..entry.clone()
        };
        if let Kind::Hardlink(target) = &mut entry.kind {
            *target = at.join(target).map_err(|_| LONG)?;
        }
        rows.push((entry, origin.clone()));
    }
    if let Some(meta) = root.filter(|_| is_empty) {
        let (path, kind) = (at.clone(), Kind::Directory);
        rows.push((Entry { path, kind, meta }, Origin::None));
    }
    let (entries, origins): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let tree = Tree::new(entries).map_err(crate::step::Error::from)?;
    unpack_tree(session, &tree, &origins, &absolute(folder)?, &[])
}

/// Unpacks a table into `folder`, which is over `lowers`.
pub(super) fn unpack_tree(
    session: &Session,
    tree: &Tree,
    contents: &dyn pack::Contents,
    folder: &Path,
    lowers: &[PathBuf],
) -> Result<(), Error> {
    let piped = |source| Error::Sandbox(crate::sandbox::Error::Start(source));
    let (mut reader, writer) = io::pipe().map_err(piped)?;
    std::thread::scope(|scope| {
        let packed = scope.spawn(move || {
            let packing = Packing {
                codec: Codec::None,
                known: &NoChunks,
                previous: None,
                threads: 1,
                moved: &|_| {},
            };
            let mut writer = io::BufWriter::with_capacity(256 << 10, writer);
            pack(tree, contents, &packing, &mut writer)?;
            writer.flush().map_err(pack::Error::Write)
        });
        let unpacked = session.unpack(&mut reader, folder, lowers);
        drop(reader);
        let packed = packed.join().unwrap_or(Err(pack::Error::Lost));
        // Where unpacking failed, that nobody read the tar is no news.
        unpacked?;
        Ok(packed?)
    })
}

/// A path for the sandbox, whose process has another working directory.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    match path.is_absolute() {
        true => Ok(path.to_owned()),
        false => {
            let absolute = std::fs::canonicalize(path);
            Ok(absolute.map_err(store::io_error("read", path))?)
        }
    }
}

struct NoChunks;

impl KnownChunks for NoChunks {
    fn get(&self, _: &Digest) -> Option<Compressed> {
        None
    }
}

/// A folder of the sandbox to be filled.
struct Unpack<'a, F> {
    session: &'a Session,
    unpack: F,
}

impl<F: Fn(&Path) -> Result<(), Error>> Unpacker<Error> for Unpack<'_, F> {
    fn unpack(&self, folder: &Path) -> Result<(), Error> {
        (self.unpack)(folder)
    }

    fn remove(&self, folder: &Path) -> Result<(), Error> {
        Ok(self.session.remove(&absolute(folder)?)?)
    }
}
