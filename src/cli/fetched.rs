//! Contexts that are no folder yet: commits, tars, what comes on standard input.
//!
//! In: a [`ContextValue`]. Out: [`Fetched`]: a folder that goes when the build ends, or the text
//! of a Dockerfile that has no context. Docker's rules: what a URL or standard input gives is a
//! context if it is a tar, however compressed, else a Dockerfile.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::exit::{Code, Failure};
use super::flags::ContextValue;
use super::policies;
use crate::build::{self, error::Cause};
use crate::canon::event::Events;
use crate::canon::login::redacted;
use crate::canon::{EntryPath, Epoch, Problem};
use crate::export::files::write_folder;
use crate::frontend::address::{Git, Http};
use crate::inputs::layers::{Unpacked, spool};
use crate::inputs::{Access, Files, Origin, Pick, git, http};
use crate::layer::codec::{Expansion, decompress};
use crate::layer::scan::{Purpose, scan};
use crate::layer::{Entry, Kind, Meta, Tree, read};
use crate::plan::step::Revision;
use crate::policy::{File, Policy, Repository};
use crate::step::run::CommandSettings;
use crate::store::Store;

/// What was fetched.
pub enum Fetched {
    /// A context.
    Folder(Kept),
    /// A recipe, and nothing to copy from but an empty folder.
    Recipe(Vec<u8>, Kept),
}

/// A folder in the store that goes with the value.
pub struct Kept {
    /// The context, which may be a part of what is kept.
    pub folder: PathBuf,
    /// What time its files have, where it isn't the epoch.
    pub times: Option<Epoch>,
    _kept: (tempfile::TempDir, std::fs::File),
}

/// Largest recipe, in bytes.
const LARGEST_RECIPE: u64 = 16 << 20;

/// What BuildKit calls the file that a context is fetched as.
const CONTEXT_FILE: &str = "context";

/// What is to be fetched.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// What it is.
    pub value: &'a ContextValue,
    /// As the arguments have it.
    pub text: &'a str,
}

/// What `policy` puts in place of a context that is fetched.
pub fn policed(value: ContextValue, policy: &Policy) -> Result<ContextValue, Failure> {
    Ok(match value {
        ContextValue::Git(mut git) => {
            let (asked, keeps) = (repository(&git), git.keep_git_dir.unwrap_or(false));
            let given = policy.repository(&asked, git.folder.as_deref(), keeps);
            let given = given.map_err(policies::refused)?;
            git.login = git.login.filter(|_| given.url == asked.url);
            (git.url, git.name, git.checksum) = (given.url, given.name, given.checksum);
            ContextValue::Git(git)
        }
        ContextValue::Http(Http { url, login }) => {
            let asked = File { url, sha256: None };
            let given = policy
                .file(&asked, CONTEXT_FILE)
                .map_err(policies::refused)?;
            if given.sha256.is_some() {
                let message = format!("`{}` is the context, and no policy can pin that", asked.url);
                let problem = Problem::new(message).hint("fetch and check it before the build");
                return Err(Failure::message(Code::Unavailable, problem));
            }
            let login = login.filter(|_| given.url == asked.url);
            let url = given.url;
            ContextValue::Http(Http { url, login })
        }
        other => other,
    })
}

fn repository(git: &Git) -> Repository {
    Repository {
        url: git.url.clone(),
        name: git.name.clone(),
        checksum: git.checksum.clone(),
    }
}

/// Fetches what is asked for; nothing for a folder. `commands` has what servers are shown.
pub fn fetch(
    asked: Asked<'_>,
    environment: &Environment,
    commands: &CommandSettings,
    policy: &Policy,
    events: &Events,
) -> Result<Option<Fetched>, Failure> {
    let text = redacted(asked.text);
    let fetcher = Fetcher {
        store: environment.store()?,
        text: &text,
        access: commands.access(),
        policy,
        events,
    };
    match asked.value {
        ContextValue::Folder(_) => Ok(None),
        ContextValue::Git(git) => {
            let kept = fetcher.git(git, environment)?;
            Ok(Some(Fetched::Folder(kept)))
        }
        ContextValue::Http(Http { url, login }) => {
            let authorization = fetcher.access.to_file(url, login.as_ref());
            let fetched = authorization.map_err(http::Error::from).and_then(|given| {
                let wanted = http::Wanted {
                    url,
                    authorization: given.as_ref(),
                    digest: None,
                    offline: false,
                };
                http::fetch(wanted, &fetcher.store, events)
            });
            let fetched = fetched.map_err(|error| Failure::new(Code::Unavailable, error))?;
            let content = fetched.blob.open()?;
            fetcher.stream(content, fetched.blob.size).map(Some)
        }
        // How long it is only its end tells: an archive may expand as far as any may.
        ContextValue::Stdin => fetcher.stream(io::stdin().lock(), 0).map(Some),
    }
}

struct Fetcher<'a> {
    store: Store,
    text: &'a str,
    access: Access<'a>,
    policy: &'a Policy,
    events: &'a Events,
}

impl Fetcher<'_> {
    fn failed(&self, code: Code, reason: impl std::fmt::Display) -> Failure {
        let message = format!("can't use the context `{}`: {reason}", self.text);
        Failure::message(code, Problem::new(message))
    }

    fn keep(&self) -> Result<Kept, Failure> {
        let kept = self.store.temporary_folder()?;
        let folder = kept.0.path().to_owned();
        Ok(Kept {
            folder,
            times: None,
            _kept: kept,
        })
    }

    fn git(&self, git: &Git, environment: &Environment) -> Result<Kept, Failure> {
        let failed = |error: git::Error| {
            let error = build::Error::from(Cause::from(error));
            Failure::new(error.kind().into(), error)
        };
        let (login, path) = (git.login.as_ref(), &environment.search_path);
        let remote = git::Remote::new(&git.url, login, &self.access, path);
        let remote = remote.map_err(|error| failed(error.into()))?;
        let mut extras = git.extras();
        let commit = match git.revision() {
            Revision::Commit(commit) => commit,
            Revision::Ref(wanted) => {
                let resolved = git::resolve(&remote, &wanted, &self.store).map_err(failed)?;
                extras.kept_ref = resolved.named.filter(|_| extras.keep_git_dir);
                resolved.commit
            }
        };
        let (asked, keeps) = (repository(git), extras.keep_git_dir);
        let folder = git.folder.as_deref();
        let judged = self.policy.resolved_commit(&asked, folder, keeps, &commit);
        judged.map_err(policies::refused)?;
        self.events.note(format!("`{}` is {commit}", self.text));
        let checkout = git::check_out(&remote, &commit, &extras, &self.store).map_err(failed)?;
        let times = extras.commit_times.then_some(checkout.time);
        let (root, kept) = checkout.into_folder();
        let folder = self.beneath(&root, git.folder.as_deref().unwrap_or("."))?;
        Ok(Kept {
            folder,
            times,
            _kept: kept,
        })
    }

    /// A folder of `root`; a link may not lead out of it.
    fn beneath(&self, root: &Path, folder: &str) -> Result<PathBuf, Failure> {
        let real = root.join(folder).canonicalize();
        let root = root.canonicalize();
        match (real, root) {
            (Ok(real), Ok(root)) if real.starts_with(&root) && real.is_dir() => Ok(real),
            _ => Err(self.failed(
                Code::Unavailable,
                format!("there is no folder `{folder}` in it"),
            )),
        }
    }

    /// A tar, or else a recipe. `size` bytes are known to come, if any are.
    fn stream(&self, content: impl Read, size: u64) -> Result<Fetched, Failure> {
        let unreadable = |error: io::Error| self.failed(Code::Unavailable, error);
        let mut plain = decompress(content, size, Expansion::default()).map_err(unreadable)?;
        let mut first = Vec::new();
        let head = plain.by_ref().take(512).read_to_end(&mut first);
        head.map_err(unreadable)?;
        let is_tar = matches!(read::Reader::new(&first[..]).next_member(), Ok(Some(_)));
        let mut whole = io::Cursor::new(first).chain(plain);
        if !is_tar {
            let mut text = Vec::new();
            let read = whole.take(LARGEST_RECIPE + 1).read_to_end(&mut text);
            read.map_err(unreadable)?;
            if text.is_empty() {
                return Err(self.failed(Code::Unavailable, "it is empty"));
            }
            return Ok(Fetched::Recipe(text, self.keep()?));
        }
        let refused = |error: crate::layer::scan::Error| self.failed(Code::Failed, error);
        let (temporary, scanned) = spool(&mut whole, &self.store, |tar| {
            scan(tar, Purpose::Archive { strip: 0 }).map_err(refused)
        })?;
        let archive = Unpacked::new(temporary.reopen().map_err(unreadable)?, scanned);
        let kept = self.keep()?;
        let files = self.files(archive)?;
        write_folder(&files, &kept.folder, self.events)?;
        Ok(Fetched::Folder(kept))
    }

    /// What an archive holds, as files to write: with the folders that no member is for.
    fn files(&self, archive: Unpacked) -> Result<Files, Failure> {
        let archive = std::sync::Arc::new(archive);
        let tree = archive.tree();
        let mut all = Vec::with_capacity(tree.entries().len());
        let mut above = std::collections::BTreeSet::new();
        for (number, entry) in (0..).zip(tree.entries()) {
            for folder in entry.path.ancestors().filter(|above| !above.is_root()) {
                match tree.get(&folder) {
                    Some(there) if there.is_directory() => {}
                    // Nothing is written through a link.
                    Some(_) => {
                        let reason = format!("`{}` is below `{folder}`, no folder", entry.path);
                        return Err(self.failed(Code::Failed, reason));
                    }
                    None => {
                        above.insert(folder);
                    }
                }
            }
            let origin = match entry.kind {
                Kind::File { .. } => Origin::Archive(archive.clone(), number),
                _ => Origin::None,
            };
            all.push((entry.clone(), origin));
        }
        let folder = |path| Entry {
            path,
            kind: Kind::Directory,
            meta: Meta::plain(0o755, 0),
        };
        all.extend(above.into_iter().map(|path| (folder(path), Origin::None)));
        all.sort_by(|(one, _), (other, _)| one.order(other));
        let (entries, origins): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let tree = Tree::new(entries).map_err(|error| self.failed(Code::Failed, error))?;
        let pick = Pick {
            name: EntryPath::root(),
            kept: None,
            tree,
            origins,
        };
        Ok(Files { picks: vec![pick] })
    }
}
