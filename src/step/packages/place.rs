//! The files of packages at their places, as dpkg unpacks them.
//!
//! In: packages in their order, the file system below. Out: entries of a draft: links to
//! directories are followed, directories that are there stay as they are, configuration files wait
//! under the name that dpkg gives them.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};

use super::Error;
use super::deb::Deb;
use crate::canon::{EntryPath, Epoch};
use crate::inputs::Origin;
use crate::layer::view::{Seen, View, resolve};
use crate::layer::{Kind, Meta, Rootfs};
use crate::packages::Relation;
use crate::packages::Version;
use crate::packages::relation::clauses;
use crate::step::Draft;

/// Files on their way to a layer.
pub struct Placing<'a> {
    base: &'a Rootfs,
    epoch: Epoch,
    placed: BTreeMap<EntryPath, Placed>,
    /// Paths of each package, as it has them, whose file another package took over.
    pub taken: Vec<BTreeSet<EntryPath>>,
    /// What nobody below may have, or else dpkg itself has to unpack.
    contested: &'a BTreeSet<EntryPath>,
    /// Whether dpkg knows whose the files below are.
    has_owners: bool,
    /// Whether something is in the way that dpkg knows of.
    pub needs_dpkg: bool,
}

struct Placed {
    kind: Kind,
    meta: Meta,
    origin: Origin,
    /// The package that it is of, by number; none where it is nobody's.
    owner: Option<usize>,
    /// Its path in that package.
    as_packed: EntryPath,
}

impl View for Placing<'_> {
    fn seen(&self, path: &EntryPath) -> Option<Seen<'_>> {
        let Some(placed) = self.placed.get(path) else {
            return self.base.seen(path);
        };
        Some(match &placed.kind {
            Kind::Directory => Seen::Directory,
            Kind::File { .. } | Kind::Hardlink(_) => Seen::File,
            Kind::Symlink(target) => Seen::Symlink(target),
            _ => Seen::Other,
        })
    }

    fn seen_below<'b>(
        &'b self,
        path: &'b EntryPath,
    ) -> Box<dyn Iterator<Item = (&'b EntryPath, Seen<'b>)> + 'b> {
        self.base.seen_below(path)
    }
}

impl<'a> Placing<'a> {
    /// Nothing over `base` yet; `has_owners` says whether dpkg knows whose files that has.
    pub fn new(
        base: &'a Rootfs,
        has_owners: bool,
        contested: &'a BTreeSet<EntryPath>,
        epoch: Epoch,
    ) -> Placing<'a> {
        Placing {
            base,
            epoch,
            placed: BTreeMap::new(),
            taken: Vec::new(),
            contested,
            has_owners,
            needs_dpkg: false,
        }
    }

    /// Puts a file of cairn's own or dpkg's.
    pub fn put(
        &mut self,
        path: &EntryPath,
        kind: Kind,
        meta: Meta,
        origin: Origin,
    ) -> Result<(), Error> {
        let path = resolve(self, path, false).map_err(crate::step::Error::from)?;
        self.make_parents(&path)?;
        let as_packed = path.clone();
        self.placed.insert(
            path,
            Placed {
                kind,
                meta,
                origin,
                owner: None,
                as_packed,
            },
        );
        Ok(())
    }

    fn make_parents(&mut self, path: &EntryPath) -> Result<(), Error> {
        let mut missing = Vec::new();
        let mut next = path.parent();
        while let Some(parent) = next.take_if(|parent| self.seen(parent).is_none()) {
            next = parent.parent();
            missing.push(parent);
        }
        for parent in missing {
            let placed = Placed {
                kind: Kind::Directory,
                meta: Meta::plain(0o755, self.epoch.seconds()),
                origin: Origin::None,
                owner: None,
                as_packed: parent.clone(),
            };
            self.placed.insert(parent, placed);
        }
        Ok(())
    }

    /// Puts the files of the package of that number in `debs`; the earlier ones are there already.
    /// Its configuration files get `.dpkg-new` at their end where `waits`, and are there under
    /// their own names, too, where it is one that others rely on before it is configured.
    pub fn unpack(
        &mut self,
        debs: &[Deb],
        number: usize,
        conffiles: Conffiles,
    ) -> Result<(), Error> {
        let deb = &debs[number];
        self.taken
            .resize_with(debs.len().max(self.taken.len()), BTreeSet::new);
        let waiting: BTreeSet<EntryPath> = match conffiles {
            Conffiles::InPlace => BTreeSet::new(),
            Conffiles::Waiting | Conffiles::Both => {
                let paths = deb.conffiles();
                paths
                    .iter()
                    .filter_map(|path| EntryPath::new(path.as_bytes()).ok())
                    .collect()
            }
        };
        // Where each path of the package came to be, for its hard links.
        let mut moved: BTreeMap<EntryPath, EntryPath> = BTreeMap::new();
        for (at, entry) in deb.data.tree().entries().iter().enumerate() {
            if entry.path.is_root() {
                continue;
            }
            let path = resolve(self, &entry.path, false).map_err(crate::step::Error::from)?;
            if self.contested.contains(&path) || self.contested.contains(&entry.path) {
                self.needs_dpkg = true;
            }
            self.make_parents(&path)?;
            if entry.kind == Kind::Directory {
                self.put_directory(path, &entry.path, &entry.meta, number)?;
                continue;
            }
            if !self.may_take(debs, number, &path)? {
                self.taken[number].insert(entry.path.clone());
                continue;
            }
            let (kind, origin) = match &entry.kind {
                Kind::Hardlink(target) => match moved.get(target) {
                    Some(target) => (Kind::Hardlink(target.clone()), Origin::None),
                    None => return Err(Error::Bug("a hard link of a package names nothing")),
                },
                kind @ Kind::File { .. } => {
                    (kind.clone(), Origin::Archive(deb.data.clone(), at as u32))
                }
                kind => (kind.clone(), Origin::None),
            };
            let placed = || Placed {
                kind: kind.clone(),
                meta: entry.meta.clone(),
                origin: origin.clone(),
                owner: Some(number),
                as_packed: entry.path.clone(),
            };
            let waits = waiting.contains(&entry.path);
            if waits {
                let new = [path.as_bytes(), b".dpkg-new"].concat();
                let new = EntryPath::new(&new).map_err(|_| Error::Bug("a path is too long"))?;
                self.placed.insert(new, placed());
            }
            if !waits || conffiles == Conffiles::Both {
                moved.insert(entry.path.clone(), path.clone());
                self.placed.insert(path, placed());
            }
        }
        Ok(())
    }

    fn put_directory(
        &mut self,
        path: EntryPath,
        as_packed: &EntryPath,
        meta: &Meta,
        number: usize,
    ) -> Result<(), Error> {
        match self.seen(&path) {
            Some(Seen::Directory) => {
                // Made for what is in it, by whoever came first.
                if let Some(there) = self
                    .placed
                    .get_mut(&path)
                    .filter(|there| there.owner.is_none())
                {
                    (there.meta, there.owner) = (meta.clone(), Some(number));
                }
            }
            Some(Seen::Symlink(_)) => {
                let leads = resolve(self, &path, true).map_err(crate::step::Error::from)?;
                if !matches!(self.seen(&leads), Some(Seen::Directory) | None) {
                    self.needs_dpkg = true;
                }
            }
            Some(_) => return Err(Error::InTheWay { path }),
            None => {
                let placed = Placed {
                    kind: Kind::Directory,
                    meta: meta.clone(),
                    origin: Origin::None,
                    owner: Some(number),
                    as_packed: as_packed.clone(),
                };
                self.placed.insert(path, placed);
            }
        }
        Ok(())
    }

    /// Whether the package of that number may put something other than a directory at `path`.
    fn may_take(&mut self, debs: &[Deb], number: usize, path: &EntryPath) -> Result<bool, Error> {
        self.needs_dpkg |= self.has_owners && self.base.get(path).is_some();
        let Slot::Occupied(there) = self.placed.entry(path.clone()) else {
            return Ok(true);
        };
        let Some(owner) = there.get().owner.filter(|owner| *owner != number) else {
            return Ok(true);
        };
        if there.get().kind == Kind::Directory {
            return Err(Error::InTheWay { path: path.clone() });
        }
        if replaces(&debs[owner], &debs[number]) {
            return Ok(false);
        }
        if !replaces(&debs[number], &debs[owner]) {
            return Err(Error::Overwrites {
                path: path.clone(),
                name: debs[number].name().to_owned(),
                other: debs[owner].name().to_owned(),
            });
        }
        let as_packed = there.get().as_packed.clone();
        self.taken[owner].insert(as_packed);
        Ok(true)
    }

    /// Whether something was placed below `path`, or there.
    pub fn has_below(&self, path: &EntryPath) -> bool {
        let mut from = self.placed.range(path.clone()..);
        from.next()
            .is_some_and(|(other, _)| other.below(path).is_some())
    }

    /// Hands all of it to `draft`.
    pub fn finish(mut self, draft: &mut Draft) -> Result<(), Error> {
        // What comes into a directory changes its time.
        let parents: BTreeSet<EntryPath> =
            self.placed.keys().filter_map(EntryPath::parent).collect();
        for parent in parents {
            if let Some(placed) = self.placed.get_mut(&parent) {
                placed.meta.mtime = self.epoch.seconds();
            }
        }
        // Hard links come after what they name.
        let mut links = Vec::new();
        for (path, placed) in self.placed {
            match placed.kind {
                Kind::Hardlink(target) => links.push((path, target)),
                Kind::Directory => draft.put_directory(&path, placed.meta)?,
                kind => draft.replace(&path, kind, placed.meta, placed.origin)?,
            }
        }
        for (path, target) in links {
            draft.replace_with_link(&path, &target)?;
        }
        Ok(())
    }
}

/// Where configuration files of a package go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conffiles {
    /// To their places.
    InPlace,
    /// Beside them, until dpkg configures the package.
    Waiting,
    /// Both.
    Both,
}

/// Whether files of `other` may be taken over by `deb` (Debian Policy 7.6).
fn replaces(deb: &Deb, other: &Deb) -> bool {
    let version = Version::new(other.field("Version"));
    let is_meant = |relation: &Relation| {
        relation.name == other.name()
            && version
                .as_ref()
                .is_some_and(|version| relation.admits(version))
    };
    clauses(deb.field("Replaces"))
        .iter()
        .flatten()
        .any(is_meant)
}
