//! The rules of a context: the recipe's own, else `.cairnignore`, else `.dockerignore`.
//!
//! In: the context's folder, and which file it is. Out: its [`Rules`]. What can't be read is an error, a link that leads
//! nowhere too: without its rules a context would hold what nobody meant to copy.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

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

/// Which file has the rules of a context.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum IgnoreFile {
    /// The one in it, where there is one.
    #[default]
    OfContext,
    /// The recipe's own: `Dockerfile.dockerignore`, which stands beside it.
    OfRecipe(PathBuf),
    /// None: nothing is left out. So BuildKit has it for what it fetches itself, repositories and
    /// archives (`dockerui.Client.MainContext`).
    None,
}

/// A context's folder, and the file with its rules.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// Which file.
    pub file: &'a IgnoreFile,
}

/// The rules of a context, and the name of the file that has them.
pub fn read(place: Place<'_>) -> Result<Option<(String, Rules)>, Cause> {
    let shared = [".cairnignore", ".dockerignore"].map(|name| place.folder.join(name));
    let own = match place.file {
        IgnoreFile::OfContext => None,
        IgnoreFile::OfRecipe(own) => Some(own.clone()),
        IgnoreFile::None => return Ok(None),
    };
    let files = own.into_iter().chain(shared);
    for path in files {
        let bytes = match read_ignore_file(&path) {
            Ok(bytes) => bytes,
            // Whether the folder itself is one, whoever reads it says.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
                    && path.symlink_metadata().is_err() =>
            {
                continue;
            }
            Err(error) => {
                return Err(Cause::Ignore(format!(
                    "can't read `{}`: {error}\nhint: make it a readable file, or remove it",
                    path.display()
                )));
            }
        };
        let rules = ignore::parse(&bytes).map_err(|problems| {
            let problems: Vec<_> = problems
                .iter()
                .map(|problem| format!("{}: {problem}", path.display()))
                .collect();
            Cause::Ignore(problems.join("\n"))
        });
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return Ok(Some((name.into_owned(), rules?)));
    }
    Ok(None)
}
