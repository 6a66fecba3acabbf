//! Where in an image the authority goes.
//!
//! In: the image, a way to read its files. Out: [`Placed`]: a layer above the image's own, and what
//! the command is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::variables::{self, BUNDLES};
use super::{Authority, NAME};
use crate::canon::{Digest, EntryPath};
use crate::inputs::{Origin, Pick};
use crate::layer::entry::{Entry, Kind, Meta};
use crate::layer::view::resolve;
use crate::layer::{Rootfs, Tree};
use crate::normal::keystore::{jks, pkcs12};
use crate::step::Error;

/// Largest bundle or keystore of an image that is changed, in bytes: they have some 200 kB.
const LARGEST: u64 = 8 << 20;

/// Bundles of a system: Debian's and Alpine's, Red Hat's, SUSE's, Arch's.
const SYSTEM: [&str; 9] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
    "var/lib/ca-certificates/ca-bundle.pem",
    "etc/ca-certificates/extracted/tls-ca-bundle.pem",
    "etc/ssl/cert.pem",
    "etc/pki/tls/cert.pem",
    // The same with more in each block; OpenSSL takes plain ones among them.
    "etc/pki/ca-trust/extracted/openssl/ca-bundle.trust.crt",
];

/// Ends of the paths of bundles that come with programs: Python's certifi, also pip's own, conda's
/// OpenSSL, one that was built by hand.
const OTHERS: [&[u8]; 4] = [
    b"/certifi/cacert.pem",
    b"/ssl/cacert.pem",
    b"/ssl/cert.pem",
    b"/botocore/cacert.pem",
];

/// Ends of the paths of Java's keystores, and those of whole systems.
const KEYSTORES: [&[u8]; 2] = [b"/lib/security/cacerts", b"/lib/security/jssecacerts"];
const SYSTEM_KEYSTORES: [&str; 4] = [
    "etc/ssl/certs/java/cacerts",
    "etc/pki/java/cacerts",
    "etc/pki/ca-trust/extracted/java/cacerts",
    "var/lib/ca-certificates/java-cacerts",
];

/// Debian's and Alpine's folder of anchors, from which bundles are made anew.
const ANCHORS: &str = "usr/local/share/ca-certificates";
/// Red Hat's, SUSE's, Arch's.
const OTHER_ANCHORS: [&str; 3] = [
    "etc/pki/ca-trust/source/anchors",
    "etc/pki/trust/anchors",
    "etc/ca-certificates/trust-source/anchors",
];
/// Who is there has packages that make bundles of anchors, or may get them.
const PACKAGES: [&str; 2] = ["var/lib/dpkg/status", "lib/apk/db/installed"];

/// Reads a file of the image: the number of the layer that has it, and where it is there.
pub(in crate::step::run) type Read<'a> = dyn Fn(usize, &EntryPath) -> io::Result<Vec<u8>> + 'a;

/// An authority in an image.
pub(in crate::step::run) struct Placed {
    pub(super) authority: Authority,
    /// The layer.
    pub(in crate::step::run) pick: Pick,
    /// Files for the command alone, with their paths.
    pub(in crate::step::run) files: Vec<(EntryPath, Vec<u8>)>,
    /// Variables for a command that doesn't have them.
    pub(in crate::step::run) env: Vec<(String, String)>,
    /// Contents that are ours, and what the image has in their place, if it has anything.
    pub(super) known: BTreeMap<Digest, Option<Arc<[u8]>>>,
    /// Where the layer has something and the image nothing.
    pub(super) extra: BTreeMap<EntryPath, Kind>,
}

impl Placed {
    pub(in crate::step::run) fn authority(&self) -> &Authority {
        &self.authority
    }
}

/// Places `authority` over `rootfs`. `env` are the variables that the command has.
pub(in crate::step::run) fn place(
    authority: &Authority,
    rootfs: &Rootfs,
    env: &[(String, String)],
    read: &Read,
) -> Result<Placed, Error> {
    let mut placing = Placing {
        authority,
        rootfs,
        read,
        entries: BTreeMap::new(),
        known: BTreeMap::new(),
        extra: BTreeMap::new(),
    };
    let own = env
        .iter()
        .filter(|(name, _)| BUNDLES.contains(&name.as_str()));
    let own = own.map(|(_, value)| value.trim_start_matches('/'));
    for path in SYSTEM.into_iter().chain(own) {
        placing.bundle(path.as_bytes())?;
    }
    for path in SYSTEM_KEYSTORES {
        placing.keystore(path.as_bytes())?;
    }
    let ends =
        |path: &EntryPath, ends: &[&[u8]]| ends.iter().any(|end| path.as_bytes().ends_with(end));
    for (path, _) in rootfs.below(&EntryPath::root()) {
        if ends(path, &OTHERS) {
            placing.bundle(path.as_bytes())?;
        } else if ends(path, &KEYSTORES) {
            placing.keystore(path.as_bytes())?;
        }
    }
    placing.anchors()?;
    let mut bundle = placing.system()?;
    append(&mut bundle, authority.pem());
    let wgetrc = placing.content(b"etc/wgetrc")?.map(|(_, bytes)| bytes);
    let told = variables::tell(bundle, wgetrc.unwrap_or_default());
    let files = told.files.into_iter().map(|(path, content)| {
        let path = EntryPath::new(path.as_bytes()).map_err(refused)?;
        Ok((path, content))
    });
    let files = files.collect::<Result<Vec<_>, Error>>()?;
    // What comes of copying them is known, too: the image's bundle, or nothing.
    if let Some((_, bundle)) = files.first() {
        let original = placing.system()?;
        let original = (!original.is_empty()).then(|| original.into());
        placing.known.entry(Digest::of(bundle)).or_insert(original);
    }
    placing.finish(files, told.env)
}

struct Placing<'a> {
    authority: &'a Authority,
    rootfs: &'a Rootfs,
    read: &'a Read<'a>,
    /// What the layer has beside directories.
    entries: BTreeMap<EntryPath, (Kind, Meta, Origin)>,
    known: BTreeMap<Digest, Option<Arc<[u8]>>>,
    extra: BTreeMap<EntryPath, Kind>,
}

impl Placing<'_> {
    /// Where `path` leads, and what is in the file there: none where no file is, or one that is
    /// none of what is looked for.
    fn content(&self, path: &[u8]) -> Result<Option<(EntryPath, Vec<u8>)>, Error> {
        // A path of the recipe's own may be none, and a link lead nowhere.
        let Ok(path) = EntryPath::new(path) else {
            return Ok(None);
        };
        let Ok(path) = resolve(self.rootfs, &path, true) else {
            return Ok(None);
        };
        let node = self.rootfs.get(&path);
        let Some((Kind::File { size, .. }, Some(inode))) =
            node.map(|node| (&node.kind, node.inode))
        else {
            return Ok(None);
        };
        if *size > LARGEST {
            return Ok(None);
        }
        let bytes = (self.read)(inode.layer as usize, &path);
        let bytes = bytes.map_err(|source| Error::Io {
            path: path.clone(),
            source,
        })?;
        Ok(Some((path, bytes)))
    }

    /// The system's bundle, empty if it has none.
    fn system(&self) -> Result<Vec<u8>, Error> {
        for path in SYSTEM {
            if let Some((_, bytes)) = self.content(path.as_bytes())? {
                return Ok(bytes);
            }
        }
        Ok(Vec::new())
    }

    fn bundle(&mut self, path: &[u8]) -> Result<(), Error> {
        let Some((path, original)) = self.content(path)? else {
            return Ok(());
        };
        let mut bundle = original.clone();
        append(&mut bundle, self.authority.pem());
        self.replace(path, original, bundle);
        Ok(())
    }

    fn keystore(&mut self, path: &[u8]) -> Result<(), Error> {
        let Some((path, original)) = self.content(path)? else {
            return Ok(());
        };
        let changed = match jks::is_one(&original) {
            true => jks::add(&original, NAME, self.authority.der()),
            false => pkcs12::add(&original, NAME, self.authority.der()),
        };
        // One that has a password of its own can't be changed.
        if let Some(changed) = changed {
            self.replace(path, original, changed);
        }
        Ok(())
    }

    /// Puts another content in place of a file's.
    fn replace(&mut self, path: EntryPath, original: Vec<u8>, bytes: Vec<u8>) {
        let Some(node) = self.rootfs.get(&path) else {
            return;
        };
        let digest = Digest::of(&bytes);
        self.known.insert(digest, Some(original.into()));
        let size = bytes.len() as u64;
        let kind = Kind::File { size, digest };
        let origin = Origin::Bytes(bytes.into());
        self.entries.insert(path, (kind, node.meta.clone(), origin));
    }

    fn anchors(&mut self) -> Result<(), Error> {
        let pem = format!("{NAME}.pem");
        for folder in OTHER_ANCHORS {
            if let Some(folder) = self.directory(folder)? {
                self.file(&folder, &pem)?;
            }
        }
        let folder = match self.directory(ANCHORS)? {
            Some(folder) => folder,
            None if self.may_get_anchors()? => path(ANCHORS)?,
            None => return Ok(()),
        };
        let crt = self.file(&folder, &format!("{NAME}.crt"))?;
        // As update-ca-certificates has it, so that it doesn't find anything new.
        let Some(folder) = self.directory("etc/ssl/certs")? else {
            return Ok(());
        };
        self.link(&folder, &pem, &format!("/{crt}", crt = crt.lossy()))?;
        let hash = format!("{}.0", self.authority.hash);
        self.link(&folder, &hash, &pem)
    }

    /// Whether a package may come that makes bundles of anchors, and nothing is in the way.
    fn may_get_anchors(&self) -> Result<bool, Error> {
        let is_free = |at: EntryPath| match self.rootfs.get(&at) {
            None => true,
            Some(node) => node.is_directory(),
        };
        let ways = [ANCHORS, "usr/local/share", "usr/local", "usr"];
        for way in ways {
            if !is_free(path(way)?) {
                return Ok(false);
            }
        }
        for file in PACKAGES {
            if self.rootfs.get(&path(file)?).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the directory is that `name` leads to.
    fn directory(&self, name: &str) -> Result<Option<EntryPath>, Error> {
        let Ok(path) = resolve(self.rootfs, &path(name)?, true) else {
            return Ok(None);
        };
        let node = self.rootfs.get(&path);
        Ok(node.is_some_and(|node| node.is_directory()).then_some(path))
    }

    /// Puts the authority's certificate somewhere.
    fn file(&mut self, folder: &EntryPath, name: &str) -> Result<EntryPath, Error> {
        let bytes = self.authority.pem().as_bytes();
        let (size, digest) = (bytes.len() as u64, Digest::of(bytes));
        self.known.insert(digest, None);
        let origin = Origin::Bytes(bytes.into());
        self.put(folder, name, Kind::File { size, digest }, origin)
    }

    fn link(&mut self, folder: &EntryPath, name: &str, target: &str) -> Result<(), Error> {
        let kind = Kind::Symlink(target.as_bytes().into());
        self.put(folder, name, kind, Origin::None).map(drop)
    }

    fn put(
        &mut self,
        folder: &EntryPath,
        name: &str,
        kind: Kind,
        origin: Origin,
    ) -> Result<EntryPath, Error> {
        let at = folder.join(&path(name)?).map_err(refused)?;
        // A certificate of the same subject, or whatever bears our name: it was there first.
        if self.rootfs.get(&at).is_none() {
            self.extra.insert(at.clone(), kind.clone());
            let mode = match kind {
                Kind::Symlink(_) => 0o777,
                _ => 0o644,
            };
            let entry = (kind, Meta::plain(mode, 0), origin);
            self.entries.insert(at.clone(), entry);
        }
        Ok(at)
    }

    /// The layer, with the directories above what it has as the image has them.
    fn finish(
        mut self,
        files: Vec<(EntryPath, Vec<u8>)>,
        env: Vec<(String, String)>,
    ) -> Result<Placed, Error> {
        let above: BTreeSet<EntryPath> = self
            .entries
            .keys()
            .flat_map(|path| path.ancestors().collect::<Vec<_>>())
            .filter(|path| !path.is_root())
            .collect();
        for path in above {
            if self.entries.contains_key(&path) {
                continue;
            }
            let meta = match self.rootfs.get(&path) {
                Some(node) => node.meta.clone(),
                None => {
                    self.extra.insert(path.clone(), Kind::Directory);
                    Meta::plain(0o755, 0)
                }
            };
            let entry = (Kind::Directory, meta, Origin::None);
            self.entries.insert(path, entry);
        }
        let entries = self.entries.into_iter();
        let (entries, origins) = entries
            .map(|(path, (kind, meta, origin))| (Entry { path, kind, meta }, origin))
            .unzip();
        Ok(Placed {
            authority: self.authority.clone(),
            pick: Pick {
                name: EntryPath::root(),
                kept: None,
                tree: Tree::new(entries)?,
                origins,
            },
            files,
            env,
            known: self.known,
            extra: self.extra,
        })
    }
}

fn path(text: &str) -> Result<EntryPath, Error> {
    EntryPath::new(text.as_bytes()).map_err(refused)
}

fn refused(error: crate::canon::path::Error) -> Error {
    Error::Path(EntryPath::root(), error)
}

/// Puts a block behind all others. Different bundles stay different: one whose last line has no
/// end gets a comment, too.
fn append(bundle: &mut Vec<u8>, pem: &str) {
    if !bundle.is_empty() && !bundle.ends_with(b"\n") {
        bundle.extend(b"\n#\n");
    }
    bundle.extend(pem.as_bytes());
}
