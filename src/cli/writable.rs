//! Whether an output can be written: asked before any work is done, and said when it can't.
//!
//! In: absolute paths. Out: nothing, or a [`Failure`] that names what is in the way. What changes
//! between the question and the writing is met there once more.

use std::io::ErrorKind;
use std::path::Path;

use super::exit::{Code, Failure};
use crate::build::error::of_io;
use crate::canon::Problem;
use crate::export::way_out;

/// That a file can be written whole: next to it, and then in its place.
pub fn file(path: &Path) -> Result<(), Failure> {
    let failed = |error| cant_write(path, &error);
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match std::fs::metadata(&target) {
        Ok(there) if there.is_dir() => Err(failed(ErrorKind::IsADirectory.into())),
        // A device or a pipe is written to as it is; to open a pipe would wait for its reader.
        Ok(there) if !there.is_file() => Ok(()),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(error)),
        _ => may_write_in(target.parent().unwrap_or(&target)).map_err(failed),
    }
}

/// That a folder can be written to, or made.
pub fn folder(path: &Path) -> Result<(), Failure> {
    let failed = |error| cant_write(path, &error);
    for ancestor in path.ancestors() {
        match std::fs::metadata(ancestor) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Ok(_) => return may_write_in(ancestor).map_err(failed),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

fn may_write_in(folder: &Path) -> std::io::Result<()> {
    if !std::fs::metadata(folder)?.is_dir() {
        return Err(ErrorKind::NotADirectory.into());
    }
    use rustix::fs::Access;
    Ok(rustix::fs::access(
        folder,
        Access::WRITE_OK | Access::EXEC_OK,
    )?)
}

/// Why an output can't be written, and the way out.
pub fn cant_write(path: &Path, error: &std::io::Error) -> Failure {
    let shown = path.display();
    let parent = path.parent().unwrap_or(path);
    let (reason, hint) = match error.kind() {
        ErrorKind::NotFound if !parent.exists() => (
            format!("there is no folder `{}`", parent.display()),
            "make that folder, or write it elsewhere",
        ),
        ErrorKind::IsADirectory => (
            "it is a folder".to_owned(),
            "name a file, which may be in that folder",
        ),
        ErrorKind::NotADirectory => (
            "it, or what is on its way, is no folder".to_owned(),
            "write it elsewhere",
        ),
        _ => (
            error.to_string(),
            way_out(error).trim_start_matches("\nhint: "),
        ),
    };
    let code = of_io(error).map_or(Code::Failed, Code::from);
    let problem = Problem::new(format!("can't write `{shown}`: {reason}"));
    Failure::message(code, problem.hint(hint))
}
