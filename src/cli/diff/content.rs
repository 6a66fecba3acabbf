//! The content of the files that differ, set aside.
//!
//! In: an operand, and what changed. Out: [`Collected`]: every content that is to be opened, in a
//! temporary file, by its digest. Each layer's blob is read once, no further than to the last file
//! that is wanted of it, and what is taken from it was checked against its digest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::operand::{Held, Operand, of_layer, open_tar};
use crate::canon::digest::Hashed;
use crate::canon::{Digest, Problem};
use crate::cli::exit::{Code, Failure};
use crate::compare::{Contents, EntryChange, Which, opened};
use crate::inputs::beneath::Folder;
use crate::inputs::layers::{self, FilePart};
use crate::layer::Rootfs;
use crate::layer::codec::Expansion;
use crate::layer::read::{self, MemberKind, Reader};
use crate::store::Store;

/// Contents by digest, with their sizes.
type Wanted = BTreeSet<(Digest, u64)>;

/// The contents of one side.
pub struct Spool {
    file: File,
    end: u64,
    /// Offset and size.
    places: BTreeMap<Digest, (u64, u64)>,
}

/// The contents of both.
pub struct Collected(pub [Spool; 2]);

impl Contents for Collected {
    fn open(&self, which: Which, digest: &Digest) -> io::Result<Box<dyn Read + '_>> {
        let spool = match which {
            Which::Before => &self.0[0],
            Which::After => &self.0[1],
        };
        let &(offset, size) = spool.places.get(digest).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(FilePart::new(&spool.file, offset, size)))
    }
}

/// Sets the contents aside that `changes` need of `operand`, whose file system is `rootfs`.
pub fn collect(
    operand: &Operand,
    rootfs: &Rootfs,
    changes: &[EntryChange],
    which: Which,
    store: &Store,
    limit: Expansion,
) -> Result<Spool, Failure> {
    let mut by_layer: BTreeMap<usize, Wanted> = BTreeMap::new();
    let mut paths = BTreeMap::new();
    for (path, pair) in opened(changes) {
        let inode = rootfs.get(path).and_then(|node| node.inode);
        let layer = inode.map_or(0, |inode| inode.layer as usize);
        let content = match which {
            Which::Before => pair[0],
            Which::After => pair[1],
        };
        by_layer.entry(layer).or_default().insert(content);
        paths.insert(content, path);
    }
    let failed = |error: &dyn std::fmt::Display| {
        let message = format!("files of `{}` can't be read: {error}", operand.side.name);
        Failure::message(Code::Failed, Problem::new(message))
    };
    let temporary = store.temporary()?;
    let mut spool = Spool {
        // Only the open file is needed: the name goes, and with it what a crash could leave.
        file: temporary.reopen().map_err(|error| failed(&error))?,
        end: 0,
        places: BTreeMap::new(),
    };
    match &operand.held {
        Held::Image(image) => {
            for (number, wanted) in by_layer {
                let Some(layer) = image.base.stack.layers().get(number) else {
                    continue;
                };
                let given = layer.give(store, limit, |tar| {
                    spool.take_from_tar(tar, wanted)?;
                    Err(Stop::Done)
                });
                match given {
                    Ok(()) | Err(Stop::Done) => {}
                    Err(Stop::Layer(error)) => return Err(of_layer(error)),
                    Err(Stop::Archive(error)) => {
                        // Where the store's blob is damaged, nobody else is to blame.
                        let blob = store.require_blob(&layer.descriptor.digest)?;
                        blob.check()?;
                        return Err(failed(&error));
                    }
                }
            }
        }
        Held::Layer(path) => {
            for wanted in by_layer.into_values() {
                let mut tar = open_tar(path, limit).map_err(|error| failed(&error))?;
                let taken = spool.take_from_tar(&mut tar, wanted);
                taken.map_err(|error| failed(&error))?;
            }
        }
        Held::Folder(path) => {
            let folder = Folder::open(path).map_err(|error| failed(&error))?;
            for ((digest, size), path) in paths {
                let taken = folder
                    .open_file(path)
                    .and_then(|file| spool.take(file, size));
                let (offset, got) = taken.map_err(|error| failed(&error))?;
                if got != digest {
                    return Err(failed(&format!("{path} changes while it is read")));
                }
                spool.places.insert(digest, (offset, size));
            }
        }
        Held::File(path, size, digest) => {
            let taken = File::open(path).and_then(|file| spool.take(file, *size));
            let (offset, _) = taken.map_err(|error| failed(&error))?;
            spool.places.insert(*digest, (offset, *size));
        }
    }
    Ok(spool)
}

/// Why reading a layer ends.
enum Stop {
    /// All is there that is wanted.
    Done,
    Layer(layers::Error),
    Archive(read::Error),
}

impl From<layers::Error> for Stop {
    fn from(error: layers::Error) -> Stop {
        Stop::Layer(error)
    }
}

impl From<read::Error> for Stop {
    fn from(error: read::Error) -> Stop {
        Stop::Archive(error)
    }
}

impl Spool {
    /// Takes what is wanted of a tar. Files are known by their content: which name a layer's table
    /// has for it need not be the one that the tar has.
    fn take_from_tar(&mut self, tar: &mut dyn Read, mut wanted: Wanted) -> Result<(), read::Error> {
        let sizes: BTreeSet<_> = wanted.iter().map(|(_, size)| *size).collect();
        let mut reader = Reader::new(tar);
        while !wanted.is_empty() {
            let Some(member) = reader.next_member()? else {
                let error = io::Error::new(
                    io::ErrorKind::InvalidData,
                    "it lacks files that its table names",
                );
                return Err(error.into());
            };
            if member.kind != MemberKind::File || !sizes.contains(&member.size) {
                continue;
            }
            let end = self.end;
            let (offset, digest) = self.take(&mut reader, member.size)?;
            match wanted.remove(&(digest, member.size)) {
                true => drop(self.places.insert(digest, (offset, member.size))),
                false => self.end = end,
            }
        }
        Ok(())
    }

    /// Puts a content of `size` bytes at the end.
    fn take(&mut self, source: impl Read, size: u64) -> io::Result<(u64, Digest)> {
        let offset = self.end;
        self.file.seek(SeekFrom::Start(offset))?;
        let mut hashed = Hashed::new(source.take(size));
        let mut out = io::BufWriter::with_capacity(128 << 10, &self.file);
        io::copy(&mut hashed, &mut out)?;
        out.flush()?;
        drop(out);
        let (digest, _) = hashed.finish();
        self.end += size;
        Ok((offset, digest))
    }
}
