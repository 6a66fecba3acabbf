//! The rules of a context: `.cairnignore`, else `.dockerignore`.
//!
//! In: the context's folder. Out: its [`Rules`].

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

/// The rules of `.cairnignore`, else of `.dockerignore`.
pub(super) fn ignored(folder: &Path) -> Result<Rules, Cause> {
    for name in [".cairnignore", ".dockerignore"] {
        let path = folder.join(name);
        let bytes = match read_ignore_file(&path) {
            Ok(bytes) => bytes,
            // Whether the folder itself is one, whoever reads it says.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
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
        return ignore::parse(&bytes).map_err(|problems| {
            let problems: Vec<_> = problems
                .iter()
                .map(|problem| format!("{}: {problem}", path.display()))
                .collect();
            Cause::Ignore(problems.join("\n"))
        });
    }
    Ok(Rules::default())
}
