//! The rules of a context: `.cairnignore`, else `.dockerignore`.
//!
//! In: the context's folder. Out: its [`Rules`]. What can't be read is an error, a link that leads
//! nowhere too: without its rules a context would hold what nobody meant to copy.

use std::io::{ErrorKind, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::error::Cause;
use crate::canon::pattern::{Rules, ignore};

/// What is in a file of rules. A pipe is not waited for, and no device is read without end.
fn read_ignore_file(path: &Path) -> std::io::Result<Vec<u8>> {
    const LARGEST: u64 = 4 << 20;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = std::fs::File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(std::io::Error::other(format!(
            "it is larger than {LARGEST} bytes"
        ))),
        false => Ok(bytes),
    }
}

/// The rules of a context, and the name of the file that has them.
pub(super) fn read(folder: &Path) -> Result<Option<(&'static str, Rules)>, Cause> {
    for name in [".cairnignore", ".dockerignore"] {
        let path = folder.join(name);
        let bytes = match read_ignore_file(&path) {
            Ok(bytes) => bytes,
            // Whether the folder itself is one, whoever reads it says.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
                    && path.symlink_metadata().is_err() =>
            {
                continue;
            }
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let rules = parse(&path, &bytes);
        return Ok(Some((name, rules?)));
    }
    Ok(None)
}

/// The rules in the file at `path`.
pub(super) fn read_one(path: &Path) -> Result<Rules, Cause> {
    let bytes = read_ignore_file(path).map_err(|error| unreadable(path, &error))?;
    parse(path, &bytes)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Cause {
    Cause::Ignore(format!(
        "can't read `{}`: {error}\nhint: make it a readable file, or remove it",
        path.display()
    ))
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Rules, Cause> {
    ignore::parse(bytes).map_err(|problems| {
        let problems: Vec<_> = problems
            .iter()
            .map(|problem| format!("{}: {problem}", path.display()))
            .collect();
        Cause::Ignore(problems.join("\n"))
    })
}
