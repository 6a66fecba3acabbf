//! Why there is no recipe to read, and which one may have been meant.
//!
//! In: where it was looked for. Out: the problem, with the way out.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::canon::Problem;
use crate::canon::login::redacted;
use crate::frontend::suggest;

/// Recipes that a hint names at most.
const MOST_NAMED: usize = 5;
/// Files of a folder that are looked at at most.
const MOST_LOOKED_AT: usize = 10_000;
const NAME_IT: &str = "name the recipe with `-f FILE`, and its context as the last argument";

/// No file was named, and `folder` has none of the names that a recipe has; it goes by the name
/// `shown`, an empty one where it was fetched.
pub fn in_context(folder: &Path, shown: &Path) -> Problem {
    let name = redacted(&shown.display().to_string());
    match folder.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Problem::new(format!("there is no folder `{name}`"))
                .hint("name the context as the last argument: a folder, an address, or `-`");
        }
        Err(error) => {
            return Problem::new(format!("can't look into the folder `{name}`: {error}"))
                .hint(NAME_IT);
        }
        Ok(found) if !found.is_dir() => {
            return Problem::new(format!("the context `{name}` is no folder"))
                .hint(format!("if it is the recipe: `-f {name} FOLDER`"));
        }
        Ok(_) => {}
    }
    let place = match name.is_empty() {
        true => "what was fetched".to_owned(),
        false => format!("`{name}`"),
    };
    let message =
        format!("there is no recipe in {place}: neither a `cairn.toml` nor a `Dockerfile`");
    let shown = shown.strip_prefix(".").unwrap_or(shown);
    Problem::new(message).hint(alike(folder, shown).unwrap_or_else(|| NAME_IT.to_owned()))
}

/// The file `path` was named as `shown`, and can't be read; files are looked up from where the
/// caller is, which need not be in `context`.
pub fn named(path: &Path, shown: &Path, context: Option<&Path>, error: &std::io::Error) -> Problem {
    let name = redacted(&shown.display().to_string());
    let problem = Problem::new(format!("can't read the recipe `{name}`: {error}"));
    let hint = match error.kind() {
        ErrorKind::NotFound => meant(path, shown, context),
        _ => None,
    };
    problem.hint(hint.unwrap_or_else(|| NAME_IT.to_owned()))
}

/// What may have been meant by a name that no file has.
fn meant(path: &Path, shown: &Path, context: Option<&Path>) -> Option<String> {
    let did_you_mean = |file: &Path| format!("did you mean `-f {}`?", file.display());
    let in_context = context.map(|context| context.join(shown));
    if let Some(file) = in_context.filter(|file| shown.is_relative() && file.is_file()) {
        return Some(did_you_mean(&file));
    }
    let (folder, beside) = (path.parent()?, shown.parent().unwrap_or(Path::new("")));
    let files = files(folder);
    let known: Vec<_> = files.iter().map(String::as_str).collect();
    let near = suggest::nearest(path.file_name()?.to_str()?, &known);
    near.map(|near| did_you_mean(&beside.join(near)))
        .or_else(|| alike(folder, beside))
}

/// The files of a folder that look like recipes, as they are named.
fn alike(folder: &Path, shown: &Path) -> Option<String> {
    let mut files = files(folder);
    files.retain(|name| {
        let path = PathBuf::from(name.to_lowercase());
        let is_rules = path.extension().is_some_and(|end| end == "dockerignore");
        let is_recipe = ["dockerfile", "containerfile", "cairn.toml"];
        !is_rules
            && is_recipe
                .iter()
                .any(|part| name.to_lowercase().contains(part))
    });
    let more = files.len() > MOST_NAMED;
    files.truncate(MOST_NAMED);
    let mut shown: Vec<_> = files
        .iter()
        .map(|name| format!("`-f {}`", shown.join(name).display()))
        .collect();
    if more {
        shown.push("…".to_owned());
    }
    (!shown.is_empty()).then(|| format!("name the one that is there: {}", shown.join(", ")))
}

/// The names of a folder's files, those that can be shown.
#[expect(clippy::disallowed_methods, reason = "the names are sorted")]
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries
        .take(MOST_LOOKED_AT)
        .filter(|entry| entry.path().is_file());
    let names = files.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = names
        .filter(|name| !name.chars().any(char::is_control))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    #[test]
    fn a_context_without_a_recipe_tells_both_names_and_what_looks_like_one() {
        let told = |names: &[&str], shown: &str| {
            let folder = with(names);
            let problem = in_context(folder.path(), shown.as_ref());
            assert!(problem.message.contains("`cairn.toml`"), "{problem:?}");
            assert!(problem.message.contains("`Dockerfile`"), "{problem:?}");
            problem.hint.unwrap()
        };
        let names = ["Dockerfile.dev", "Dockerfile.dockerignore", "notes"];
        assert!(told(&names, ".").ends_with(": `-f Dockerfile.dev`"));
        assert!(told(&names, "sub").ends_with(": `-f sub/Dockerfile.dev`"));
        assert!(told(&["Containerfile"], "").ends_with(": `-f Containerfile`"));
        assert_eq!(told(&["notes"], "."), NAME_IT);
        let many: Vec<_> = (0..9)
            .map(|number| format!("{number}.Dockerfile"))
            .collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(told(&many, ".").ends_with("`-f 4.Dockerfile`, …"));
    }

    #[test]
    fn a_context_that_is_no_folder_is_told() {
        let folder = with(&["a"]);
        let told = |name: &str| in_context(&folder.path().join(name), name.as_ref()).message;
        assert_eq!(told("b"), "there is no folder `b`");
        assert_eq!(told("a"), "the context `a` is no folder");
    }

    #[test]
    fn a_misspelt_recipe_suggests_the_near_one() {
        let folder = with(&["Dockerfile", "Dockerfile.dev", "other"]);
        let missing = std::io::Error::from(ErrorKind::NotFound);
        for (asked, expected) in [
            ("Dockerfile.dve", "did you mean `-f Dockerfile.dev`?"),
            ("dokcerfile", "did you mean `-f Dockerfile`?"),
            (
                "recipe",
                "name the one that is there: `-f Dockerfile`, `-f Dockerfile.dev`",
            ),
        ] {
            let problem = named(&folder.path().join(asked), asked.as_ref(), None, &missing);
            assert_eq!(problem.hint.as_deref(), Some(expected), "{asked}");
        }
        // It is looked up from where the caller is.
        let context = Some(folder.path());
        let problem = named(
            "/nowhere/other".as_ref(),
            "other".as_ref(),
            context,
            &missing,
        );
        let expected = format!("did you mean `-f {}/other`?", folder.path().display());
        assert_eq!(problem.hint, Some(expected));
    }
}
