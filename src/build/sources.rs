//! Files from elsewhere: downloads and commits.
//!
//! In: a step that names them, the lock. Out: files. Where a lock holds a name, it means what the
//! lock says; the files of a commit are then kept as a layer, which has the commit's time and is
//! known by its table.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::Settings;
use super::error::Cause;
use super::evaluate::{Evaluation, locked, single};
use super::missing::explained;
use super::outputs::Output;
use super::policed;
use super::questions::git_question;
use crate::canon::event::{Outcome, Work};
use crate::canon::{Digest, EntryPath, Epoch, TreeDigest, json};
use crate::image::Descriptor;
use crate::inputs::git::{Remote, Resolved};
use crate::inputs::http::{self, By, Fetched, Wanted};
use crate::inputs::pins::Unheld;
use crate::inputs::{Context, Files, Layer, Origin, Stack, git, stage};
use crate::layer::{Codec, Meta, Tree};
use crate::lock;
use crate::plan::step::{GitExtras, KeptRef, MovingRef, Revision};
use crate::plan::{Operation, OutputDigest, Selection, Step, step_key};
use crate::policy::File;
use crate::step::Change;
use crate::step::pack::{self, Packer};
use crate::store::RecordKind;

/// Of the record of what a commit's files came out as.
const GIT_FILES: &str = ".files";

impl Evaluation<'_> {
    pub(super) fn http(
        &self,
        step: &Step,
        url: &str,
        sha256: Option<&Digest>,
        file_name: &str,
    ) -> Result<Files, Cause> {
        let Settings {
            store,
            events,
            epoch,
            pins,
            policy,
            ..
        } = self.settings;
        let work = events.start(&step.name);
        let login = self.plan.logins.get(url);
        let authorization = self.settings.commands.access().to_file(url, login);
        let authorization = authorization.map_err(http::Error::from)?;
        let held = pins.file(url, sha256)?;
        let by = match policy.is_empty() {
            true => By::Recipe,
            false => By::Policy,
        };
        let digest = sha256.map(|digest| (digest, by));
        let digest = digest.or(held.as_ref().map(|file| (&file.sha256, By::Lock)));
        let proposed = pins.proposed().file(url);
        let digest = digest.or(proposed.as_ref().map(|digest| (digest, By::Provenance)));
        let is_cached = digest.is_some_and(|(digest, _)| store.blob(digest).is_some());
        let wanted = Wanted {
            url,
            authorization: authorization.as_ref(),
            digest,
            offline: pins.is_offline(),
        };
        let Fetched { blob, modified } = http::fetch(wanted, store, events)?;
        if let Some(held) = held.filter(|held| held.size != blob.size) {
            return Err(Cause::Other {
                name: url.to_owned(),
                expected: format!("{} bytes", held.size),
                got: format!("{} bytes", blob.size),
            });
        }
        let asked = File {
            url: url.to_owned(),
            sha256: sha256.copied(),
        };
        policy.resolved_file(&asked, file_name, blob.digest)?;
        let modified = held.map_or(modified, |file| file.modified);
        let file = lock::File {
            sha256: blob.digest,
            size: blob.size,
            modified,
        };
        pins.put_file(url, file);
        work.finish(if is_cached {
            Outcome::Cached
        } else {
            Outcome::Done
        });
        // As `ADD` has it (Dockerfile reference, "Adding files from a URL").
        let meta = Meta::plain(0o600, modified.unwrap_or(epoch.seconds()));
        let (size, digest) = (blob.size, blob.digest);
        single(
            file_name,
            (size, digest),
            meta,
            Origin::Blob(Box::new(blob)),
        )
    }

    /// Files of a commit, or what they came out as when they were last had: a commit never changes.
    pub(super) fn git(&self, step: &Step) -> Result<Output, Cause> {
        let pinned = self.pinned(step)?;
        let step = &pinned.step;
        let Settings {
            store,
            epoch,
            events,
            no_cache,
            pins,
            ..
        } = self.settings;
        let key = pinned.key(*epoch)?;
        let is_recorded = matches!(pins.unheld(), Unheld::Recorded { .. });
        let is_recorded = is_recorded && pinned.held.is_none();
        if !no_cache
            && !is_recorded
            && let Some(digest) = store.record(RecordKind::Source, &key, GIT_FILES)
        {
            events.start(&step.name).finish(Outcome::Cached);
            return Ok(Output::Commit(OutputDigest(digest)));
        }
        self.files_of_commit(&pinned).map(Output::from)
    }

    /// The files of a commit, whatever is remembered of them.
    pub(super) fn check_out(&self, step: &Step) -> Result<Files, Cause> {
        self.files_of_commit(&self.pinned(step)?)
    }

    fn files_of_commit(&self, pinned: &Pinned) -> Result<Files, Cause> {
        let Operation::Git {
            selection, extras, ..
        } = &pinned.step.operation
        else {
            return Err(Cause::Bug("a step that names no commit was asked for one"));
        };
        let Settings {
            store,
            epoch,
            events,
            pins,
            ..
        } = self.settings;
        let work = events.start(&pinned.step.name);
        let key = pinned.key(*epoch)?;
        let files = match (&pinned.held, pins.unheld()) {
            (None, Unheld::Looked | Unheld::Refused) => {
                let (context, time) = self.had(&pinned.step)?;
                let times = match extras.commit_times {
                    true => time,
                    false => *epoch,
                };
                context
                    .files(selection, times, &work)
                    .map_err(|error| explained(git::Error::from(error), &*context, None))?
            }
            _ => {
                let layer = self.commit_layer(pinned, &work)?;
                let times = (!extras.commit_times).then_some(*epoch);
                self.files_of(layer, selection, times)?
            }
        };
        store.put_record(RecordKind::Source, &key, GIT_FILES, &files.digest())?;
        work.finish(Outcome::Done);
        Ok(files)
    }

    /// A commit that was checked out, and its time.
    fn had(&self, step: &Step) -> Result<(Arc<Context>, Epoch), Cause> {
        let Operation::Git {
            url,
            revision: Revision::Commit(commit),
            extras,
            ..
        } = &step.operation
        else {
            return Err(Cause::Bug("a step that names no commit was asked for one"));
        };
        let Settings { store, pins, .. } = self.settings;
        if pins.is_offline() {
            return Err(Cause::Offline(format!("{url}#{commit}")));
        }
        let mut checkouts = locked(&self.checkouts);
        let checkout = match checkouts.entry((url.clone(), commit.clone(), extras.clone())) {
            Entry::Occupied(had) => had.into_mut(),
            Entry::Vacant(place) => {
                let checkout = git::check_out(&self.remote(url)?, commit, extras, store)?;
                place.insert(checkout)
            }
        };
        Ok((checkout.context.clone(), checkout.time))
    }

    /// All files of a commit as a layer: the store's, where it has the one that the lock says.
    fn commit_layer(&self, pinned: &Pinned, work: &Work) -> Result<Layer, Cause> {
        let Settings { store, pins, .. } = self.settings;
        // It is copied from and no layer of the image: one codec does for all, and is what inputs
        // that were kept come back in.
        let codec = Codec::default();
        let tree = pinned.held.as_ref().map(|held| TreeDigest(held.tree));
        let layer = tree.and_then(|tree| pack::find(store, &tree, codec));
        let layer = match layer {
            Some(layer) => {
                let Descriptor { digest, size, .. } = &layer.descriptor;
                // What is small is read again whenever it is there, as all other inputs are.
                if store.whole_blob(digest, *size).is_none() {
                    store.require_blob(digest)?.check()?;
                }
                layer
            }
            None => {
                let (context, time) = self.had(&pinned.step)?;
                let all = Selection {
                    sources: vec![".".to_owned()],
                    may_be_empty: true,
                    ..Selection::default()
                };
                let files = context.files(&all, time, work).map_err(git::Error::from)?;
                let slot = Digest::of(pinned.name.as_bytes());
                let packer = Packer {
                    codec,
                    ..self.packer(work)
                };
                packer.pack(&as_change(files)?, &slot)?
            }
        };
        let got = layer
            .tree
            .ok_or(Cause::Bug("a commit's layer has no table"))?;
        if let Some(expected) = tree.filter(|expected| *expected != got) {
            return Err(Cause::Other {
                name: pinned.name.clone(),
                expected: expected.0.to_string(),
                got: got.0.to_string(),
            });
        }
        let commit = lock::Commit {
            commit: pinned.commit.clone(),
            named: pinned.named.clone().map(|kept| [kept.name, kept.object]),
            tree: got.0,
        };
        pins.put_commit(&pinned.name, commit);
        Ok(layer)
    }

    /// Files of a commit's layer, all with the same time where one is given.
    fn files_of(
        &self,
        layer: Layer,
        selection: &Selection,
        time: Option<Epoch>,
    ) -> Result<Files, Cause> {
        let Settings {
            store, expansion, ..
        } = self.settings;
        let stack = Stack::default().with(layer);
        let mut files = match stage::files(&stack, selection, store, *expansion) {
            Ok(files) => files,
            Err(error) => {
                let rootfs = stack.rootfs(store, *expansion)?;
                return Err(explained(error, &*rootfs, None));
            }
        };
        if let Some(time) = time {
            for pick in &mut files.picks {
                pick.set_times(time).map_err(stage::Error::from)?;
            }
        }
        Ok(files)
    }

    /// What a name of a commit means today; once in a build.
    fn resolved(&self, url: &str, wanted: &MovingRef) -> Result<Resolved, Cause> {
        let mut commits = locked(&self.commits);
        Ok(match commits.entry((url.to_owned(), wanted.clone())) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => {
                let remote = self.remote(url)?;
                let resolved = git::resolve(&remote, wanted, &self.settings.store)?;
                place.insert(resolved).clone()
            }
        })
    }

    /// What a provenance says that a name of a commit meant. It doesn't say what the ref itself
    /// was, which `.git` is to have.
    fn proposed(&self, url: &str, wanted: &MovingRef, extras: &GitExtras) -> Option<Resolved> {
        let proposed = self.settings.pins.proposed();
        let commit = proposed.commit(url, wanted.name.as_deref())?;
        let mut checksum = wanted.checksum.iter();
        let is_meant = checksum.all(|checksum| commit.starts_with(checksum.as_str()));
        (is_meant && !extras.keep_git_dir).then(|| Resolved {
            commit: commit.to_owned(),
            named: None,
        })
    }

    /// A repository, and what the caller gives for it.
    fn remote<'r>(&'r self, url: &'r str) -> Result<Remote<'r>, git::Error> {
        let login = self.plan.logins.get(url);
        let access = self.settings.commands.access();
        Ok(Remote::new(
            url,
            login,
            &access,
            &self.settings.search_path,
        )?)
    }

    /// A step with its commit, as which a name is resolved once in a build.
    fn pinned(&self, step: &Step) -> Result<Pinned, Cause> {
        let mut step = step.clone();
        let Operation::Git {
            url,
            revision,
            extras,
            selection,
        } = &mut step.operation
        else {
            return Err(Cause::Bug("a step that is no commit was asked for one"));
        };
        let name = git_question(url, revision, extras);
        let pins = &self.settings.pins;
        let (held, resolved) = match revision {
            Revision::Commit(commit) => {
                let (commit, named) = (commit.clone(), None);
                let held = pins.commit(&name, Some(&commit))?;
                (held, Resolved { commit, named })
            }
            Revision::Ref(wanted) => match pins.commit(&name, None)? {
                Some(held) => {
                    let named = held
                        .named
                        .clone()
                        .map(|[name, object]| KeptRef { name, object });
                    let commit = held.commit.clone();
                    (Some(held), Resolved { commit, named })
                }
                None if pins.is_offline() => return Err(Cause::Offline(name)),
                None => match self.proposed(url, wanted, extras) {
                    Some(resolved) => (None, resolved),
                    None => (None, self.resolved(url, wanted)?),
                },
            },
        };
        let Resolved { commit, named } = resolved;
        let meaning = policed::Meaning {
            url,
            revision,
            selection,
        };
        self.settings.policy.resolved_commit(
            &meaning.repository(),
            meaning.folder(),
            extras.keep_git_dir,
            &commit,
        )?;
        *revision = Revision::Commit(commit.clone());
        extras.kept_ref = named.clone().filter(|_| extras.keep_git_dir);
        Ok(Pinned {
            step,
            name,
            commit,
            named,
            held,
        })
    }
}

/// A step that names its commit.
struct Pinned {
    step: Step,
    /// As a lock calls it.
    name: String,
    commit: String,
    named: Option<KeptRef>,
    held: Option<lock::Commit>,
}

impl Pinned {
    /// What the files follow from: the commit, what is taken of it, and what the lock says that it
    /// has, so that what was had before can't hide that it is something else.
    fn key(&self, epoch: Epoch) -> Result<Digest, Cause> {
        let key = step_key(&self.step, &[], epoch)?.0;
        Ok(match &self.held {
            Some(held) => Digest::of(&json::to_vec(&(key, held.tree))?),
            None => key,
        })
    }
}

/// Files of one folder as what they change in an empty file system.
fn as_change(files: Files) -> Result<Change, Cause> {
    let Some(pick) = files.picks.into_iter().next() else {
        return Ok(Change {
            tree: Tree::default(),
            origins: Vec::new(),
        });
    };
    let entries = pick.tree.entries().iter().cloned().zip(pick.origins);
    let inside = entries.filter(|(entry, _)| entry.path != EntryPath::root());
    let (entries, origins) = inside.unzip();
    let tree = Tree::new(entries).map_err(stage::Error::from)?;
    Ok(Change { tree, origins })
}
