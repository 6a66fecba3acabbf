//! What the image below has of packages.
//!
//! In: its layers. Out: dpkg's files, keys of archives, and what only dpkg itself can respect.

use std::collections::{BTreeMap, BTreeSet};

use super::Error;
use super::database::{ADMIN, Existing};
use crate::canon::EntryPath;
use crate::inputs::stage::StackContent;
use crate::inputs::{Stack, debian};
use crate::layer::codec::Expansion;
use crate::layer::view::resolve;
use crate::layer::{Kind, Rootfs};
use crate::store::Store;

/// Largest file that is read, in bytes: the list of 5,000 packages has 6 MB.
const LARGEST: u64 = 64 << 20;

/// What an image has.
pub struct Below {
    /// Its file system.
    pub rootfs: std::sync::Arc<Rootfs>,
    /// dpkg's files.
    pub existing: Existing,
    /// The packages of an image without dpkg, a file each, as a list of dpkg's.
    distroless: String,
    /// The lines of dpkg's own configuration.
    configuration: Vec<String>,
}

impl Below {
    /// Reads what `stack` has.
    pub fn read(stack: &Stack, store: &Store, limit: Expansion) -> Result<Below, Error> {
        let rootfs = stack.rootfs(store, limit)?;
        let reading = Reading {
            content: StackContent::new(stack, store, limit),
            rootfs: &rootfs,
        };
        let mut existing = Existing::new();
        for name in ["status", "diversions", "statoverride", "info/format"] {
            if let Some(bytes) = reading.file(&format!("{ADMIN}/{name}"))? {
                existing.insert(name.to_owned(), bytes);
            }
        }
        for (path, bytes) in reading.folder(&format!("{ADMIN}/triggers"))? {
            existing.insert(format!("triggers/{path}"), bytes);
        }
        if let Some(bytes) = reading.file(STATES)? {
            existing.insert(STATES.to_owned(), bytes);
        }
        let mut distroless = String::new();
        for (name, bytes) in reading.folder(&format!("{ADMIN}/status.d"))? {
            if !name.ends_with(".md5sums") {
                let text = String::from_utf8_lossy(&bytes);
                distroless += &format!("\nStatus: install ok installed\n{}\n", text.trim());
            }
        }
        let mut configuration = Vec::new();
        let own = reading.file("etc/dpkg/dpkg.cfg")?.into_iter();
        let parts = reading.folder("etc/dpkg/dpkg.cfg.d")?.into_values();
        for bytes in own.chain(parts) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            configuration.extend(text.lines().map(|line| line.trim().to_owned()));
        }
        Ok(Below {
            existing,
            distroless,
            configuration,
            rootfs: rootfs.clone(),
        })
    }

    /// What solving needs: the list of packages, and the keys of archives.
    pub fn for_solving(
        &self,
        keyring: &str,
        stack: &Stack,
        store: &Store,
        limit: Expansion,
    ) -> Result<debian::Below, Error> {
        let reading = Reading {
            content: StackContent::new(stack, store, limit),
            rootfs: &self.rootfs,
        };
        let mut keys: Vec<(String, Vec<u8>)> = Vec::new();
        if let Some(bytes) = reading.file(keyring)? {
            keys.push((keyring.to_owned(), bytes));
        }
        let trusted = reading.folder("etc/apt/trusted.gpg.d")?.into_iter();
        keys.extend(trusted.filter(|(name, _)| name.ends_with(".gpg") || name.ends_with(".asc")));
        let mut status = self.text("status");
        status += &self.distroless;
        Ok(debian::Below { status, keys })
    }

    /// One of dpkg's files as text; empty where there is none.
    pub fn text(&self, name: &str) -> String {
        let bytes = self.existing.get(name).map_or(&[][..], Vec::as_slice);
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Whether nothing is installed.
    pub fn is_empty(&self) -> bool {
        self.text("status").trim().is_empty() && self.distroless.is_empty()
    }

    /// Whether there is a dpkg.
    pub fn has_dpkg(&self) -> bool {
        let path = EntryPath::new(b"usr/bin/dpkg");
        path.is_ok_and(|path| self.rootfs.get(&path).is_some())
    }

    /// Whether dpkg leaves out files that packages have.
    pub fn leaves_out(&self) -> bool {
        let mut lines = self.configuration.iter();
        lines.any(|line| line.starts_with("path-exclude"))
    }

    /// Paths whose files dpkg puts elsewhere, or gives other owners.
    pub fn contested(&self) -> BTreeSet<EntryPath> {
        let diversions = self.text("diversions");
        let diverted = diversions.lines().enumerate();
        let diverted = diverted.filter_map(|(at, line)| (at % 3 != 2).then_some(line));
        let overrides = self.text("statoverride");
        let overridden = overrides
            .lines()
            .filter_map(|line| line.splitn(4, ' ').nth(3));
        let paths = diverted.chain(overridden);
        paths
            .filter_map(|path| EntryPath::new(path.as_bytes()).ok())
            .collect()
    }

    /// File triggers that packages below are interested in: paths.
    pub fn file_triggers(&self) -> Vec<String> {
        let text = self.text("triggers/File");
        let paths = text.lines().filter_map(|line| line.split_once(' '));
        paths.map(|(path, _)| path.to_owned()).collect()
    }
}

/// Where apt keeps which packages are there for others alone.
pub const STATES: &str = "var/lib/apt/extended_states";

struct Reading<'a> {
    content: StackContent,
    rootfs: &'a Rootfs,
}

impl Reading<'_> {
    fn file(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        use std::io::Read as _;
        let path = EntryPath::new(path.as_bytes()).map_err(|_| Error::Bug("a path is none"))?;
        let path = resolve(self.rootfs, &path, true).map_err(crate::step::Error::from)?;
        let node = self.rootfs.get(&path);
        let Some((Kind::File { .. }, Some(inode))) = node.map(|node| (&node.kind, node.inode))
        else {
            return Ok(None);
        };
        let io = |source| crate::step::Error::Io {
            path: path.clone(),
            source,
        };
        let mut bytes = Vec::new();
        let origin = self.content.origin(inode);
        let opened = origin.open().map_err(io)?;
        let read = opened.take(LARGEST + 1).read_to_end(&mut bytes);
        match read.map_err(io)? as u64 > LARGEST {
            // What is cut would be another answer.
            true => Err(Error::TooLarge(path, LARGEST)),
            false => Ok(Some(bytes)),
        }
    }

    /// The files of a folder by name.
    fn folder(&self, path: &str) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let folder = EntryPath::new(path.as_bytes()).map_err(|_| Error::Bug("a path is none"))?;
        let names = self
            .rootfs
            .below(&folder)
            .filter(|(path, _)| path.is_in(&folder));
        let names = names.filter_map(|(path, _)| String::from_utf8(path.name()?.to_vec()).ok());
        let mut files = BTreeMap::new();
        for name in names {
            if let Some(bytes) = self.file(&format!("{path}/{name}"))? {
                files.insert(name, bytes);
            }
        }
        Ok(files)
    }
}
