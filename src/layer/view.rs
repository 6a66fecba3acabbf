//! A file system as far as paths are resolved in it: a stack of layers, or a folder of the host.
//!
//! In: a [`View`]. Out: where paths lead, links followed as a process would whose root it is.

use crate::canon::EntryPath;

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<'a> {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link with that target.
    Symlink(&'a [u8]),
    /// A device, a pipe, a socket.
    Other,
}

/// A file system to look into.
pub trait View {
    /// What is at `path`, links not followed. The root is always there.
    fn seen(&self, path: &EntryPath) -> Option<Seen<'_>>;

    /// Everything below `path`, in order, itself left out.
    fn seen_below<'a>(
        &'a self,
        path: &'a EntryPath,
    ) -> Box<dyn Iterator<Item = (&'a EntryPath, Seen<'a>)> + 'a>;
}

/// A path that can't be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// As ELOOP: more than 40 links (Linux, `MAXSYMLINKS`).
    #[error("`{0}` leads through too many symbolic links")]
    Loop(EntryPath),
    /// A link's target is no path.
    #[error("`{0}` leads to a path that is too long")]
    TooLong(EntryPath),
}

/// Where `path` leads when links on the way are followed, never out of the root: the last
/// component's link only with `follow_last`. What doesn't exist leads to itself.
pub fn resolve(view: &dyn View, path: &EntryPath, follow_last: bool) -> Result<EntryPath, Error> {
    const MOST_LINKS: usize = 40;
    let mut links = 0;
    let mut done: Vec<Vec<u8>> = Vec::new();
    let mut todo: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
    while let Some(component) = todo.pop() {
        if component == b".." {
            done.pop();
            continue;
        }
        done.push(component);
        let here = joined(&done, path)?;
        let Some(Seen::Symlink(target)) = view.seen(&here) else {
            continue;
        };
        if todo.is_empty() && !follow_last {
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Error::Loop(path.clone()));
        }
        if target.starts_with(b"/") {
            done.clear();
        } else {
            done.pop();
        }
        let components = target.split(|&byte| byte == b'/');
        let components = components.filter(|component| !matches!(*component, b"" | b"."));
        todo.extend(components.rev().map(<[u8]>::to_vec));
    }
    joined(&done, path)
}

fn joined(components: &[Vec<u8>], asked: &EntryPath) -> Result<EntryPath, Error> {
    EntryPath::new(&components.join(&b'/')).map_err(|_| Error::TooLong(asked.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Rootfs;
    use crate::layer::rootfs::tests::{path, tree};

    #[test]
    fn links_are_followed_within_the_root() {
        let mut rootfs = Rootfs::default();
        rootfs.push(
            &tree(&[
                "usr/",
                "usr/bin/",
                "bin>usr/bin",
                "out>../../usr",
                "abs>/usr/bin",
                "l1>l2",
                "l2>l1",
                "usr/up>..",
            ]),
            &[],
        );
        for (asked, expected) in [
            ("bin/sh", "/usr/bin/sh"),
            ("out/x", "/usr/x"),
            ("abs/x", "/usr/bin/x"),
            ("usr/up/bin/x", "/usr/bin/x"),
            ("none/x", "/none/x"),
            ("bin", "/usr/bin"),
        ] {
            assert_eq!(
                resolve(&rootfs, &path(asked), true).unwrap().to_string(),
                expected
            );
        }
        assert_eq!(resolve(&rootfs, &path("bin"), false), Ok(path("bin")));
        assert_eq!(
            resolve(&rootfs, &path("l1/x"), true),
            Err(Error::Loop(path("l1/x")))
        );
    }
}
