//! Why a file that a step copies isn't there, as far as can be told.
//!
//! In: a path, the file system that lacks it, and of a context its folder. Out: the way out, as a
//! hint: a link on its way, the rule that leaves it out, or the name that is most like it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::error::Cause;
use super::ignore_file::{self, Place};
use crate::canon::EntryPath;
use crate::frontend::suggest;
use crate::inputs::{context, git, select, stage};
use crate::layer::view::{Seen, View, resolve};

/// `cause` with a hint, where it is that `view` lacks a file; `place` is the context's.
pub(super) fn explained(
    cause: impl Into<Cause>,
    view: &dyn View,
    place: Option<Place<'_>>,
) -> Cause {
    let cause = cause.into();
    let (Cause::Context(context::Error::Select(error))
    | Cause::Git(git::Error::Context(context::Error::Select(error)))
    | Cause::Stage(stage::Error::Select(error))) = &cause
    else {
        return cause;
    };
    let select::Error::Missing(path) = error else {
        return cause;
    };
    match hint(path, view, place) {
        Some(hint) => Cause::Hinted(Box::new(cause), hint),
        None => cause,
    }
}

fn hint(path: &str, view: &dyn View, place: Option<Place<'_>>) -> Option<String> {
    let asked = EntryPath::resolved_in_root(path.as_bytes()).ok()?;
    let wanted = resolve(view, &asked, true).ok()?;
    place
        .and_then(|place| left_out(&wanted, place))
        .or_else(|| link_to_nowhere(&asked, view))
        .or_else(|| alike(&wanted, view))
}

/// The line of an ignore file that leaves out what is there.
fn left_out(path: &EntryPath, place: Place<'_>) -> Option<String> {
    let (file, rules) = ignore_file::read(place).ok()??;
    let verdict = rules.verdict_alone(path);
    let on_disk = place.folder.join(OsStr::from_bytes(path.as_bytes()));
    let is_left_out = verdict.matches() && on_disk.symlink_metadata().is_ok();
    let line = rules.explain(verdict).filter(|_| is_left_out)?.line;
    Some(format!("line {line} of `{file}` leaves `{path}` out"))
}

fn link_to_nowhere(asked: &EntryPath, view: &dyn View) -> Option<String> {
    let itself = std::iter::once(asked.clone());
    let mut on_the_way = asked.ancestors().skip(1).chain(itself);
    on_the_way.find_map(|path| {
        let Some(Seen::Symlink(target)) = view.seen(&path) else {
            return None;
        };
        let there = resolve(view, &path, true).ok()?;
        let target = String::from_utf8_lossy(target).escape_debug().to_string();
        view.seen(&there).is_none().then(|| {
            format!(
                "`{path}` is a symbolic link to `{target}`; links are followed within the root \
                 alone, and there is no `{there}`: copy the file itself"
            )
        })
    })
}

/// What the last folder on the way holds, or the one name in it that may have been meant.
fn alike(path: &EntryPath, view: &dyn View) -> Option<String> {
    let folder = path
        .ancestors()
        .take_while(|above| above.is_root() || view.seen(above) == Some(Seen::Directory));
    let folder = folder.last()?;
    let rest = path.below(&folder)?;
    let word = std::str::from_utf8(rest.components().next()?).ok()?;
    let is_child = |path: &&EntryPath| path.parent().as_ref() == Some(&folder);
    let below = view.seen_below(&folder).map(|(path, _)| path);
    let names = below.filter(is_child).filter_map(EntryPath::name);
    let names = names.filter_map(|name| std::str::from_utf8(name).ok());
    let names = names.filter(|name| !name.chars().any(char::is_control));
    suggest::hint(word, names, &format!("`{folder}` holds"))
}
