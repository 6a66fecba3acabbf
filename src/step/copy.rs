//! `copy`: files to a place in the image.
//!
//! In: [`Files`], a destination. Out: entries of a draft, by the rules of `COPY` (Dockerfile
//! reference, "COPY", "Destination"):
//! - of a directory its content is copied, not itself, into the destination directory;
//! - a file goes into the destination where that ends with a slash, is a directory, or has to
//!   hold several sources; else it gets the destination's name;
//! - directories that are missing are made; those above a source, where they are kept
//!   (`--parents`), as they are there;
//! - a directory that is there keeps its metadata when it is the destination, and takes the
//!   source's when it is below it;
//! - a symbolic link at the destination is followed, also to where nothing is; below it none is.

use super::unpack::Unpacker;
use super::{Draft, Error};
use crate::canon::EntryPath;
use crate::inputs::{Files, Kept, Origin};
use crate::layer::{Entry, Kind, Meta, Tree};
use crate::plan::Mode;
use crate::plan::step::Destination;

/// Metadata in place of the files' own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Permission bits of all but links.
    pub mode: Option<Mode>,
    /// Owner and group of everything.
    pub owner: Option<(u32, u32)>,
}

impl Metadata {
    /// `meta` of something that is `kind`, changed as asked.
    pub fn apply(&self, meta: &Meta, kind: &Kind) -> Meta {
        let mut meta = meta.clone();
        if let Some((uid, gid)) = self.owner {
            (meta.uid, meta.gid) = (uid, gid);
        }
        if let Some(mode) = &self.mode
            && !matches!(kind, Kind::Symlink(_))
        {
            meta.mode = mode.apply(meta.mode, *kind == Kind::Directory);
        }
        meta
    }
}

/// Copies `files` to `to`; with an `unpacker`, what is an archive is unpacked there instead.
/// Where there are no files at all, not even the destination is made.
pub fn copy(
    draft: &mut Draft,
    files: &[&Files],
    to: &Destination,
    metadata: &Metadata,
    unpacker: Option<&Unpacker<'_>>,
) -> Result<(), Error> {
    let picks = || files.iter().flat_map(|files| &files.picks);
    let place = draft.target(&to.path)?;
    let is_kept = picks().any(|pick| pick.kept.is_some());
    let holds_many = to.is_directory || picks().nth(1).is_some() || is_kept;
    if holds_many && picks().next().is_some() {
        let meta = draft.plain_directory();
        draft.make_directory(&place, meta)?;
    }
    for pick in picks() {
        let Some(root) = pick.tree.entries().first() else {
            continue;
        };
        if let Some(unpacker) = unpacker
            && unpacker.unpack(draft, pick, &place, metadata)?
        {
            continue;
        }
        let target = if let Some(Kept { path, above }) = &pick.kept {
            // The mode asked for is the files', as those above them hold nothing else.
            let owned = Metadata {
                mode: None,
                owner: metadata.owner,
            };
            for directory in above.entries() {
                let at = draft.place(&join(&place, &directory.path)?)?;
                draft.make_directory(&at, owned.apply(&directory.meta, &directory.kind))?;
            }
            draft.place(&join(&place, path)?)?
        } else if root.is_directory() || !draft.is_directory(&place) {
            place.clone()
        } else {
            let name = pick
                .name
                .name()
                .and_then(|name| EntryPath::new(name).ok())
                .unwrap_or_default();
            join(&place, &name)?
        };
        let origin = |number: u32, _: &Entry| pick.origins[number as usize].clone();
        put_all(draft, &pick.tree, origin, &target, metadata)?;
    }
    Ok(())
}

/// Puts the entry of `tree` that is its root at `target` and the others below; `origin` says
/// where the content of each is, by its number.
pub(super) fn put_all(
    draft: &mut Draft,
    tree: &Tree,
    origin: impl Fn(u32, &Entry) -> Origin,
    target: &EntryPath,
    metadata: &Metadata,
) -> Result<(), Error> {
    for (number, entry) in (0..).zip(tree.entries()) {
        let Entry { path, kind, meta } = entry;
        let at = draft.followed(join(target, path)?)?;
        let meta = metadata.apply(meta, kind);
        match kind {
            Kind::Directory if path.is_root() => draft.make_directory(&at, meta)?,
            Kind::Directory => draft.put_directory(&at, meta)?,
            Kind::Hardlink(first) => draft.put_link(&at, &join(target, first)?)?,
            kind => draft.put(&at, kind.clone(), meta, origin(number, entry))?,
        }
    }
    Ok(())
}

fn join(path: &EntryPath, below: &EntryPath) -> Result<EntryPath, Error> {
    path.join(below)
        .map_err(|error| Error::Path(path.clone(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::{Digest, Epoch};
    use crate::inputs::{Pick, select};
    use crate::layer::Rootfs;

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text.as_bytes()).unwrap()
    }

    /// `name: member member/ …`, a directory unless there is no member.
    fn pick(text: &str, parents: bool) -> Pick {
        let (name, members) = text.split_once(':').unwrap();
        let file = || Kind::File {
            size: 0,
            digest: Digest::of(b""),
        };
        let entry = |member: &str| Entry {
            path: path(member),
            kind: if member.ends_with('/') {
                Kind::Directory
            } else {
                file()
            },
            meta: Meta::plain(0o640, 7),
        };
        let mut entries: Vec<_> = members.split_whitespace().map(entry).collect();
        let root = if members.is_empty() {
            file()
        } else {
            Kind::Directory
        };
        entries.push(Entry {
            path: EntryPath::root(),
            kind: root,
            meta: Meta::plain(0o750, 7),
        });
        let tree = Tree::new(entries).unwrap();
        let origins = vec![Origin::None; tree.entries().len()];
        let above = path(name).ancestors().skip(1).collect();
        let kept = select::Kept {
            path: path(name),
            above,
        };
        let private = |_: &EntryPath| Meta::plain(0o700, 9);
        Pick {
            name: path(name),
            kept: parents.then(|| Kept::new(&kept, private).unwrap()),
            tree,
            origins,
        }
    }

    fn copied(
        picks: &[&str],
        to: &str,
        parents: bool,
        metadata: Metadata,
    ) -> Result<Vec<String>, Error> {
        let mut base = Rootfs::default();
        let there = Entry {
            path: path("there"),
            kind: Kind::Directory,
            meta: Meta::plain(0o700, 1),
        };
        base.push(&Tree::new(vec![there]).unwrap(), &[]);
        let mut draft = Draft::new(&base, Epoch::default(), metadata.owner.unwrap_or_default());
        let files = Files {
            picks: picks.iter().map(|text| pick(text, parents)).collect(),
        };
        let to = Destination {
            path: path(to),
            is_directory: to.ends_with('/'),
        };
        copy(&mut draft, &[&files], &to, &metadata, None)?;
        let change = draft.finish()?;
        let shown = change
            .tree
            .entries()
            .iter()
            .map(|entry| format!("{:o} {}", entry.meta.mode, entry.path));
        Ok(shown.collect())
    }

    fn plain(picks: &[&str], to: &str) -> Vec<String> {
        copied(picks, to, false, Metadata::default()).unwrap()
    }

    #[test]
    fn a_file_takes_the_name_or_goes_into_the_directory() {
        assert_eq!(plain(&["a/f:"], "/x"), ["750 /x"]);
        assert_eq!(plain(&["a/f:"], "/x/"), ["755 /x", "750 /x/f"]);
        assert_eq!(plain(&["a/f:"], "/there"), ["700 /there", "750 /there/f"]);
        assert_eq!(
            plain(&["f:", "g:"], "/x"),
            ["755 /x", "750 /x/f", "750 /x/g"]
        );
    }

    #[test]
    fn of_a_directory_the_content_is_copied() {
        assert_eq!(
            plain(&["d: f e/ e/g"], "/x"),
            ["750 /x", "640 /x/e", "640 /x/e/g", "640 /x/f"]
        );
        assert_eq!(plain(&["d: f"], "/x/"), ["755 /x", "640 /x/f"]);
        assert_eq!(plain(&["d: f"], "/there"), ["700 /there", "640 /there/f"]);
        assert_eq!(plain(&[": f"], "/"), ["640 /f"]);
    }

    #[test]
    fn with_parents_a_source_keeps_its_path() {
        let copied = copied(&["a/b/f:", "c: g"], "/x", true, Metadata::default()).unwrap();
        assert_eq!(
            copied,
            [
                "755 /x",
                "700 /x/a",
                "700 /x/a/b",
                "750 /x/a/b/f",
                "750 /x/c",
                "640 /x/c/g"
            ]
        );
    }

    #[test]
    fn asked_metadata_replaces_the_files_own() {
        let metadata = Metadata {
            mode: Some(Mode::Bits(0o4711)),
            owner: Some((3, 4)),
        };
        assert_eq!(
            copied(&["f:"], "/x/", false, metadata).unwrap(),
            ["755 /x", "4711 /x/f"]
        );
    }

    #[test]
    fn a_directory_does_not_replace_a_file() {
        let error = copied(&["f:", "d: f/ f/g"], "/x", false, Metadata::default()).unwrap_err();
        assert!(matches!(error, Error::DirectoryOver(at) if at == path("x/f")));
    }
}
