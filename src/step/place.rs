//! The steps that need no files: `file`, `directory`, `symlink`, `remove`.
//!
//! In: a draft and what the recipe says. Out: entries of the draft.

use std::sync::Arc;

use super::copy::Metadata;
use super::{Draft, Error};
use crate::canon::pattern::Wildcard;
use crate::canon::{Digest, EntryPath, Epoch};
use crate::inputs::Origin;
use crate::layer::view::resolve;
use crate::layer::{Kind, Meta};

/// A file with that content: 0644 unless `metadata` says otherwise.
pub fn file(
    draft: &mut Draft,
    path: &EntryPath,
    content: &str,
    metadata: &Metadata,
    epoch: Epoch,
) -> Result<(), Error> {
    let at = draft.itself(path)?;
    let kind = Kind::File {
        size: content.len() as u64,
        digest: Digest::of(content.as_bytes()),
    };
    let meta = metadata.apply(&Meta::plain(0o644, epoch.seconds()), &kind);
    draft.put(
        &at,
        kind,
        meta,
        Origin::Bytes(Arc::from(content.as_bytes())),
    )
}

/// Where a file of that name goes that is copied to `path`: links there are followed, and a
/// directory takes it in.
pub fn copied(draft: &Draft, path: &EntryPath, name: &str) -> Result<EntryPath, Error> {
    let target = draft.target(path)?;
    if !draft.is_directory(&target) {
        return Ok(target);
    }
    let refuse = |error| Error::Path(path.clone(), error);
    let name = EntryPath::new(name.as_bytes()).map_err(refuse)?;
    target.join(&name).map_err(refuse)
}

/// A directory: 0755 unless `metadata` says otherwise; one that is there gets that metadata, or
/// stays as it is with `keep`.
pub fn directory(
    draft: &mut Draft,
    path: &EntryPath,
    keep: bool,
    metadata: &Metadata,
    epoch: Epoch,
) -> Result<(), Error> {
    let at = match keep {
        true => draft.target(path)?,
        false => draft.place(path)?,
    };
    let meta = metadata.apply(&Meta::plain(0o755, epoch.seconds()), &Kind::Directory);
    match keep {
        true => draft.make_directory(&at, meta),
        false => draft.put_directory(&at, meta),
    }
}

/// A symbolic link.
pub fn symlink(
    draft: &mut Draft,
    path: &EntryPath,
    target: &str,
    epoch: Epoch,
) -> Result<(), Error> {
    // Not `place`: a link that is there is replaced, wherever it leads.
    let at = resolve(draft.base(), path, false)?;
    let meta = Meta::plain(0o777, epoch.seconds());
    draft.put(
        &at,
        Kind::Symlink(target.as_bytes().into()),
        meta,
        Origin::None,
    )
}

/// Removes what `patterns` match; a link itself, not what it names.
pub fn remove(draft: &mut Draft, patterns: &[String], missing_ok: bool) -> Result<(), Error> {
    let mut removed: Vec<EntryPath> = Vec::new();
    for pattern in patterns {
        let matched = matches(draft, pattern)?;
        if matched.is_empty() && !missing_ok {
            return Err(Error::NothingToRemove(pattern.clone()));
        }
        removed.extend(matched);
    }
    removed.sort();
    let mut last: Option<EntryPath> = None;
    for path in removed {
        // What is below something removed is gone with it.
        if last.as_ref().is_none_or(|last| path.below(last).is_none()) {
            draft.remove(&path)?;
            last = Some(path);
        }
    }
    Ok(())
}

fn matches(draft: &Draft, pattern: &str) -> Result<Vec<EntryPath>, Error> {
    let refuse = |reason: String| Error::Pattern {
        pattern: pattern.to_owned(),
        reason,
    };
    let (prefix, rest) = Wildcard::part(pattern);
    let prefix = EntryPath::new(prefix.as_bytes()).map_err(|error| refuse(error.to_string()))?;
    let base = draft.base();
    if rest.is_empty() {
        let at = resolve(base, &prefix, false)?;
        return Ok(base.get(&at).map(|_| at).into_iter().collect());
    }
    let folder = resolve(base, &prefix, true)?;
    let wildcard = Wildcard::new(rest.as_bytes()).map_err(|error| refuse(error.to_string()))?;
    let below = base.below(&folder).map(|(path, _)| path);
    let matched = below.filter(|path| {
        path.below(&folder)
            .is_some_and(|rest| wildcard.matches(rest.as_bytes()))
    });
    Ok(matched.cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Entry, Rootfs, Tree};

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text.as_bytes()).unwrap()
    }

    fn base() -> Rootfs {
        let entry = |text: &str| Entry {
            path: path(text),
            kind: if text.ends_with('/') {
                Kind::Directory
            } else {
                Kind::File {
                    size: 0,
                    digest: Digest::of(b""),
                }
            },
            meta: Meta::plain(0o755, 0),
        };
        let link = |text: &str, target: &str| Entry {
            kind: Kind::Symlink(target.as_bytes().into()),
            ..entry(text)
        };
        let entries = vec![
            entry("tmp/"),
            entry("tmp/a"),
            entry("tmp/b/"),
            entry("tmp/b/c"),
            link("link", "tmp/b"),
            entry("keep"),
        ];
        let mut rootfs = Rootfs::default();
        rootfs.push(&Tree::new(entries).unwrap(), &[]);
        rootfs
    }

    fn removed(patterns: &[&str], missing_ok: bool) -> Result<Vec<String>, Error> {
        let base = base();
        let mut draft = Draft::new(&base, Epoch::default(), (0, 0));
        let patterns: Vec<_> = patterns.iter().map(|text| text.to_string()).collect();
        remove(&mut draft, &patterns, missing_ok)?;
        let change = draft.finish()?;
        // Beside the whiteouts there are only the directories above them.
        let entries = change.tree.entries().iter();
        assert!(
            entries
                .clone()
                .all(|entry| entry.is_whiteout() || entry.is_directory())
        );
        Ok(entries
            .filter(|entry| entry.is_whiteout())
            .map(|entry| entry.path.to_string())
            .collect())
    }

    #[test]
    fn removed_directory_is_one_whiteout() {
        assert_eq!(removed(&["/tmp/b", "/tmp/b/c"], false).unwrap(), ["/tmp/b"]);
        assert_eq!(removed(&["/tmp/*"], false).unwrap(), ["/tmp/a", "/tmp/b"]);
        assert_eq!(removed(&["/link/c"], false).unwrap(), ["/tmp/b/c"]);
        assert_eq!(removed(&["/link"], false).unwrap(), ["/link"]);
    }

    #[test]
    fn what_is_missing_is_an_error_unless_that_is_fine() {
        assert!(matches!(
            removed(&["/nope*"], false),
            Err(Error::NothingToRemove(_))
        ));
        assert_eq!(removed(&["/nope*"], true).unwrap(), Vec::<String>::new());
        assert!(matches!(removed(&["/"], false), Err(Error::Root)));
        assert!(matches!(
            removed(&["/a[", "/keep"], true),
            Err(Error::Pattern { .. })
        ));
    }
}
