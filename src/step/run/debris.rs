//! Caches that tell when and where a command ran, and that their tools make again.
//!
//! In: what a command left. Out: the same, with the caches gone that it wrote.

use crate::sandbox::{Found, FoundKind};

/// The caches: each holds inode numbers or file times, which are those of this machine and moment,
/// and nothing that isn't elsewhere in the image. Whoever needs one makes it again without a word.
const CACHES: [&[u8]; 3] = [
    // apt's reading of its lists and of dpkg's status, with the time of each (apt.conf(5),
    // `Dir::Cache`; Debian's own images for containers are set up to have none).
    b"var/cache/apt/pkgcache.bin",
    b"var/cache/apt/srcpkgcache.bin",
    // What ldconfig(8) need not read again: libraries by inode and time. `ld.so.cache` is another.
    b"var/cache/ldconfig/aux-cache",
];

/// Has the caches gone which the command wrote that `began` then, by the clock of the file system.
/// One from below that it didn't write stays.
pub(super) fn remove(left: &mut [Found], began: (i64, u32)) {
    for found in left {
        let is_file = matches!(found.kind, FoundKind::File { .. });
        let is_written = found.mtime >= began;
        if is_file && is_written && CACHES.contains(&found.path.as_bytes()) {
            found.kind = FoundKind::Whiteout;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::EntryPath;

    fn found(path: &str, kind: FoundKind, mtime: i64) -> Found {
        Found {
            path: EntryPath::new(path.as_bytes()).unwrap(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: (mtime, 0),
            inode: 1,
            links: 1,
            xattrs: Default::default(),
        }
    }

    #[test]
    fn caches_that_were_written_go_and_nothing_else() {
        let file = FoundKind::File { size: 1 };
        let link = FoundKind::Symlink([1].into());
        for (path, kind, mtime, goes) in [
            ("var/cache/apt/pkgcache.bin", file.clone(), 10, true),
            ("var/cache/apt/pkgcache.bin", file.clone(), 9, false),
            ("var/cache/apt/pkgcache.bin", link, 10, false),
            ("var/cache/ldconfig/aux-cache", file.clone(), 11, true),
            ("etc/ld.so.cache", file.clone(), 11, false),
            ("srv/var/cache/apt/pkgcache.bin", file, 11, false),
        ] {
            let mut left = [found(path, kind.clone(), mtime)];
            remove(&mut left, (10, 0));
            let is_gone = left[0].kind == FoundKind::Whiteout;
            assert_eq!(is_gone, goes, "{path} {kind:?} {mtime}");
        }
    }
}
