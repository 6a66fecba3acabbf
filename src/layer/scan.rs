//! An archive to a table of entries.
//!
//! In: the tar of a layer, or of an archive that is to be unpacked, from anywhere. Out:
//! [`Scanned`]. Paths are checked here: nothing that comes out leads out of the image.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use super::entry::{Entry, FirstNames, Kind, Meta};
use super::read::{self, Member, MemberKind, Reader};
use super::{Tree, tree};
use crate::canon::digest::Hashed;
use crate::canon::{DiffId, Digest, EntryPath, path};

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// Its entries; of members of one path the last.
    pub tree: Tree,
    /// Directories of which nothing from below is seen (image-spec, layer.md, "Opaque Whiteout").
    pub opaque: Vec<EntryPath>,
    /// Where the content of each entry of `tree` begins in the stream; 0 of what has none.
    pub offsets: Vec<u64>,
    /// Digest of the stream.
    pub diff_id: DiffId,
    /// Bytes of the stream.
    pub size: u64,
}

/// What the archive is, which decides what its names may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An image's layer: `.wh.` names remove, a leading slash is the image's root.
    Layer,
    /// Something to unpack: absolute paths, `.wh.` names, and symlinks that climb out of the
    /// archive are refused. The first components of each path are dropped, and members that have
    /// no more left out, as `tar --strip-components` does: members that come to have one path
    /// are as good as written with it.
    Archive {
        /// How many; a `.` is none.
        strip: u32,
    },
}

impl Purpose {
    fn is_archive(self) -> bool {
        self != Purpose::Layer
    }

    /// What is left of `path`; none where nothing is.
    fn stripped(self, path: &EntryPath) -> Option<EntryPath> {
        let Purpose::Archive { strip: strip @ 1.. } = self else {
            return Some(path.clone());
        };
        let rest: Vec<_> = path.components().skip(strip as usize).collect();
        let rest = EntryPath::new(&rest.join(&b'/')).ok();
        rest.filter(|rest| !rest.is_root())
    }
}

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive itself.
    #[error(transparent)]
    Read(#[from] read::Error),
    /// The stream under it.
    #[error("the archive can't be read: {0}")]
    Io(#[from] io::Error),
    /// A name that is no path inside an image.
    #[error("the archive's member `{name}` is refused: {reason}")]
    Name {
        /// As it stands there, escaped.
        name: String,
        /// Why.
        reason: String,
    },
    /// More members than any image has.
    #[error("the archive has more than {MOST_ENTRIES} members")]
    TooMany,
    /// More text than any image has, which headers may give many members at once: a bomb, as
    /// each entry holds its own.
    #[error(
        "the names, link targets and extended attributes of the archive's members are more than 512 MiB"
    )]
    Text,
    /// The entries don't make a table: a bug, as they were checked.
    #[error(transparent)]
    Tree(#[from] tree::Error),
}

/// Most members of an archive, those that others replace among them.
pub const MOST_ENTRIES: usize = 20_000_000;
/// Most bytes of names, link targets and extended attributes, replaced ones among them.
const MOST_TEXT: usize = 512 << 20;

/// A member on its way into the table; regular files by inode, so that a hard link keeps its
/// content when its target's name is taken by a later member.
enum Node {
    Inode(usize),
    Other(Kind, Meta),
}

struct Inode {
    size: u64,
    digest: Digest,
    offset: u64,
    meta: Meta,
    /// Whether it ever had a second name.
    is_linked: bool,
}

#[derive(Default)]
struct Scan {
    /// Nothing is below anything but a directory.
    nodes: BTreeMap<EntryPath, Node>,
    inodes: Vec<Inode>,
    whiteouts: BTreeSet<EntryPath>,
    opaque: BTreeSet<EntryPath>,
    members: usize,
    text: usize,
}

/// Reads all of `source`, which is not compressed.
pub fn scan(source: impl Read, purpose: Purpose) -> Result<Scanned, Error> {
    let hashed = Hashed::new(source);
    let mut reader = Reader::new(hashed);
    let mut scan = Scan::default();
    while let Some(member) = reader.next_member()? {
        scan.add(member, &mut reader, purpose)?;
        scan.members += 1;
        if scan.members > MOST_ENTRIES {
            return Err(Error::TooMany);
        }
        if scan.text > MOST_TEXT {
            return Err(Error::Text);
        }
    }
    let mut hashed = reader.into_source();
    io::copy(&mut hashed, &mut io::sink())?;
    let (digest, size) = hashed.finish();
    let diff_id = DiffId(digest);
    let (tree, opaque, offsets) = scan.finish()?;
    Ok(Scanned {
        tree,
        opaque,
        offsets,
        diff_id,
        size,
    })
}

impl Scan {
    fn add(
        &mut self,
        member: Member,
        reader: &mut impl Read,
        purpose: Purpose,
    ) -> Result<(), Error> {
        let refuse = |reason: &str| refused(&member.path, reason);
        self.text += member.path.len();
        if let MemberKind::Symlink(target) | MemberKind::Hardlink(target) = &member.kind {
            self.text += target.len();
        }
        self.text += xattr_bytes(&member.meta);
        // Parted first, as with its prefix a name may be longer than any path's component.
        let components = member.path.split(|&byte| byte == b'/');
        let mut components: Vec<_> = components.filter(|c| !matches!(*c, b"" | b".")).collect();
        let name = components.pop().unwrap_or_default();
        // AUFS keeps its own things under such names, and no engine takes them for entries.
        let is_aufs = |name: &&[u8]| name.starts_with(b".wh..wh.");
        if purpose == Purpose::Layer && components.iter().any(is_aufs) {
            return Ok(());
        }
        if let Some(removed) = name.strip_prefix(b".wh.") {
            if purpose.is_archive() {
                return Err(refuse("no layer can hold a name that begins with `.wh.`"));
            }
            let parent = checked_path(&components.join(&b'/'), purpose)?;
            return self
                .add_whiteout(parent, removed)
                .ok_or_else(|| refuse("it removes nothing"));
        }
        let whole = checked_path(&member.path, purpose)?;
        let Some(path) = purpose.stripped(&whole) else {
            return Ok(());
        };
        if let Some(through) = self.non_directory_above(&path) {
            return Err(refuse(&format!(
                "`{through}`, which it passes through, is no directory"
            )));
        }
        let bad_xattr = bad_xattr(&member.meta);
        let Member {
            meta, size, offset, ..
        } = member;
        let node = match member.kind {
            MemberKind::File => {
                let digest = digest_of(reader)?;
                self.inodes.push(Inode {
                    size,
                    digest,
                    offset,
                    meta,
                    is_linked: false,
                });
                Node::Inode(self.inodes.len() - 1)
            }
            MemberKind::Hardlink(ref target) => {
                let target = checked_path(target, purpose).map_err(|_| {
                    let target = String::from_utf8_lossy(target).escape_debug().to_string();
                    refuse(&format!("it is a hard link to `{target}`, which leads out"))
                })?;
                let target = purpose.stripped(&target).ok_or_else(|| {
                    refuse(&format!(
                        "it is a hard link to `{target}`, which `strip` leaves out"
                    ))
                })?;
                let node = self.nodes.get(&target);
                // Each name has an entry of its own, with all that.
                self.text += node.map_or(0, |node| self.text_of(node));
                match node {
                    Some(Node::Inode(inode)) => {
                        self.inodes[*inode].is_linked = true;
                        Node::Inode(*inode)
                    }
                    Some(Node::Other(Kind::Symlink(link), _))
                        if purpose.is_archive() && climbs_out(&whole, link) =>
                    {
                        return Err(refuse("it is a link that points out of the archive"));
                    }
                    // Of other things than files a link is as good as another of the kind.
                    Some(Node::Other(kind, meta)) if *kind != Kind::Directory => {
                        Node::Other(kind.clone(), meta.clone())
                    }
                    _ => {
                        return Err(refuse(&format!(
                            "it is a hard link to `{target}`, which is no file before it"
                        )));
                    }
                }
            }
            MemberKind::Symlink(ref target) => {
                let is_sound =
                    !target.is_empty() && target.len() <= path::LONGEST && !target.contains(&0);
                if !is_sound {
                    return Err(refuse(
                        "its link target is empty, too long or holds a NUL byte",
                    ));
                }
                if purpose.is_archive() && climbs_out(&whole, target) {
                    return Err(refuse("it is a link that points out of the archive"));
                }
                Node::Other(Kind::Symlink(target.as_slice().into()), meta)
            }
            MemberKind::Directory => Node::Other(Kind::Directory, meta),
            MemberKind::CharacterDevice(device) => Node::Other(Kind::CharacterDevice(device), meta),
            MemberKind::BlockDevice(device) => Node::Other(Kind::BlockDevice(device), meta),
            MemberKind::Fifo => Node::Other(Kind::Fifo, meta),
        };
        let is_directory = matches!(node, Node::Other(Kind::Directory, _));
        if path.is_root() && !is_directory {
            return Err(refuse("the root can only be a directory"));
        }
        if let Some(xattr) = bad_xattr {
            return Err(refuse(&format!(
                "its extended attribute `{xattr}` has no name that a layer can hold"
            )));
        }
        let old = self.nodes.insert(path.clone(), node);
        if !is_directory && !matches!(old, Some(Node::Inode(_))) {
            let from = (std::ops::Bound::Excluded(&path), std::ops::Bound::Unbounded);
            let lost = self.nodes.range(from).map(|(other, _)| other);
            let lost = lost.take_while(|other| other.below(&path).is_some());
            for other in lost.cloned().collect::<Vec<_>>() {
                self.nodes.remove(&other);
            }
        }
        Ok(())
    }

    /// Bytes of a node's link target and extended attributes.
    fn text_of(&self, node: &Node) -> usize {
        match node {
            Node::Inode(inode) => xattr_bytes(&self.inodes[*inode].meta),
            Node::Other(Kind::Symlink(target), meta) => target.len() + xattr_bytes(meta),
            Node::Other(_, meta) => xattr_bytes(meta),
        }
    }

    /// What `path` would be below and can't. As nothing else is below that, it stands right before
    /// where `path` belongs.
    fn non_directory_above(&self, path: &EntryPath) -> Option<&EntryPath> {
        let (before, node) = self.nodes.range(..path).next_back()?;
        let is_directory = matches!(node, Node::Other(Kind::Directory, _));
        (!is_directory && path.below(before).is_some()).then_some(before)
    }

    fn add_whiteout(&mut self, parent: EntryPath, removed: &[u8]) -> Option<()> {
        if removed == b".wh..opq" {
            self.opaque.insert(parent);
        } else if removed.starts_with(b".wh.") {
            // AUFS keeps its own things under such names, and no engine takes them for entries.
        } else {
            let removed = EntryPath::new(removed)
                .ok()
                .filter(|removed| !removed.is_root())?;
            self.whiteouts.insert(parent.join(&removed).ok()?);
        }
        Some(())
    }

    fn finish(self) -> Result<(Tree, Vec<EntryPath>, Vec<u64>), Error> {
        let Scan {
            nodes,
            inodes,
            whiteouts,
            mut opaque,
            ..
        } = self;
        let mut first_names = FirstNames::default();
        let mut entries = Vec::with_capacity(nodes.len() + whiteouts.len());
        for removed in whiteouts {
            match nodes.get(&removed) {
                None => entries.push((Entry::whiteout(removed), 0)),
                // Removed and made anew: what was below it is gone all the same.
                Some(Node::Other(Kind::Directory, _)) => {
                    opaque.insert(removed);
                }
                Some(_) => {}
            }
        }
        for (path, node) in nodes {
            entries.push(match node {
                Node::Other(kind, meta) => (Entry { path, kind, meta }, 0),
                Node::Inode(number) => {
                    let inode = &inodes[number];
                    let meta = inode.meta.clone();
                    let link = inode.is_linked.then(|| first_names.link(number, &path));
                    match link.flatten() {
                        Some(kind) => (Entry { path, kind, meta }, 0),
                        None => {
                            let kind = Kind::File {
                                size: inode.size,
                                digest: inode.digest,
                            };
                            (Entry { path, kind, meta }, inode.offset)
                        }
                    }
                }
            });
        }
        entries.sort_by(|(a, _), (b, _)| a.order(b));
        let (entries, offsets) = entries.into_iter().unzip();
        Ok((Tree::new(entries)?, opaque.into_iter().collect(), offsets))
    }
}

fn refused(name: &[u8], reason: &str) -> Error {
    let name = String::from_utf8_lossy(name).escape_debug().to_string();
    Error::Name {
        name,
        reason: reason.to_owned(),
    }
}

fn checked_path(name: &[u8], purpose: Purpose) -> Result<EntryPath, Error> {
    if purpose.is_archive() && name.starts_with(b"/") {
        return Err(refused(name, "its path is absolute"));
    }
    EntryPath::new(name).map_err(|error| refused(name, &error.to_string()))
}

/// Whether a relative link goes above the archive's root.
fn climbs_out(path: &EntryPath, target: &[u8]) -> bool {
    if target.starts_with(b"/") {
        return false;
    }
    let mut depth = path.components().count() as i64 - 1;
    target.split(|&byte| byte == b'/').any(|component| {
        match component {
            b"" | b"." => {}
            b".." => depth -= 1,
            _ => depth += 1,
        }
        depth < 0
    })
}

fn bad_xattr(meta: &Meta) -> Option<String> {
    let names = meta.xattrs.iter().flat_map(|xattrs| xattrs.keys());
    let bad = names
        .into_iter()
        .find(|name| name.is_empty() || name.contains(&0) || name.contains(&b'='))?;
    Some(String::from_utf8_lossy(bad).escape_debug().to_string())
}

/// What the extended attributes take in memory, about.
fn xattr_bytes(meta: &Meta) -> usize {
    let xattrs = meta.xattrs.iter().flat_map(|xattrs| xattrs.iter());
    let sizes = xattrs.map(|(name, value)| name.len() + value.len() + 64);
    sizes.sum()
}

fn digest_of(reader: &mut impl Read) -> Result<Digest, io::Error> {
    let mut hashed = Hashed::new(reader);
    io::copy(&mut hashed, &mut io::sink())?;
    Ok(hashed.finish().0)
}
