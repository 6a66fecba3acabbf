//! The recipe's text and its context, wherever they are.
//!
//! In: the arguments. Out: [`Opened`]: what language the recipe is in, its text, and folders of
//! this machine. A context that is no folder is fetched.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::arguments::Recipe;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::fetched::{self, Fetched, Kept};
use super::flags::ContextValue;
use super::{no_recipe, policies};
use crate::build::ignore_file::IgnoreFile;
use crate::canon::event::Events;
use crate::canon::login::redacted;
use crate::canon::{Problem, Source, truth};
use crate::frontend::{dockerfile, toml};
use crate::policy::{Input, Policy};
use crate::step::run::CommandSettings;

/// What a source policy calls the folder of a recipe, as BuildKit does.
const RECIPE: &str = "dockerfile";

/// What a recipe is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `cairn.toml`
    Toml,
    /// Docker's
    Dockerfile,
}

/// A recipe and its context.
pub struct Opened {
    pub language: Language,
    pub source: Source,
    /// The recipe's folder.
    pub folder: PathBuf,
    /// The build's context.
    pub context: PathBuf,
    /// The file with the rules of the context.
    pub ignore_file: IgnoreFile,
    /// Where its lock is, if it has a place of its own.
    pub lock: Option<PathBuf>,
    /// What was fetched, as long as it is needed.
    pub kept: Option<Kept>,
}

/// Finds the recipe and its context. `events` are asked for where something has to be fetched;
/// `commands` has what servers are shown then. What `policy` denies is not read.
pub fn open(
    arguments: &Recipe,
    environment: &Environment,
    commands: &CommandSettings,
    policy: &Policy,
    events: impl FnOnce() -> Events,
) -> Result<Opened, Failure> {
    let mut value = ContextValue::new(&arguments.context).map_err(|message| {
        let context = redacted(&arguments.context);
        let hint = "of a repository write `URL.git?ref=REF&subdir=FOLDER`, or `URL.git#REF:FOLDER`";
        Failure::usage(format!("the context `{context}`: {message}"), hint)
    })?;
    if let ContextValue::Git(git) = &mut value
        && keeps_git_dir(&arguments.dockerfile.build_arg, environment)
    {
        git.keep_git_dir = Some(true);
    }
    let is_stdin = |file: &PathBuf| file.as_os_str() == "-";
    if value == ContextValue::Stdin && arguments.file.as_ref().is_some_and(is_stdin) {
        return Err(Failure::usage(
            "recipe and context can't both be standard input",
            "put the recipe into the context, or name a file",
        ));
    }
    if let ContextValue::Folder(_) | ContextValue::Stdin = &value {
        let recipe = policy.permits(&Input::local(RECIPE));
        recipe.map_err(policies::refused)?;
    }
    let fetched = match &value {
        ContextValue::Folder(_) => None,
        _ => {
            let value = fetched::policed(value.clone(), policy)?;
            let asked = fetched::Asked {
                value: &value,
                text: &arguments.context,
            };
            fetched::fetch(asked, environment, commands, policy, &events())?
        }
    };
    match (fetched, value) {
        // What a server has by one address is the recipe, whatever name is given.
        (Some(Fetched::Recipe(bytes, kept)), value)
            if arguments.file.is_none() || value != ContextValue::Stdin =>
        {
            let name = match value {
                ContextValue::Stdin => "Dockerfile".to_owned(),
                _ => redacted(&arguments.context),
            };
            let language = language_of(&bytes);
            let folder = kept.folder.clone();
            source(name, bytes, language).map(|source| Opened {
                language,
                source,
                context: folder.clone(),
                folder,
                ignore_file: IgnoreFile::None,
                lock: None,
                kept: Some(kept),
            })
        }
        // A recipe is named: what was fetched is no tar and can't be its context.
        (Some(Fetched::Recipe(..)), _) => Err(Failure::message(
            Code::Failed,
            Problem::new(format!("the context `{}` is no tar", arguments.context)),
        )),
        (Some(Fetched::Folder(kept)), _) => {
            let shown = PathBuf::new();
            let opened = in_folder(arguments, &kept.folder, &shown, environment, true)?;
            Ok(Opened {
                kept: Some(kept),
                ..opened
            })
        }
        (None, ContextValue::Folder(named)) => {
            let context = environment.absolute(&named);
            in_folder(arguments, &context, &named, environment, false)
        }
        (None, _) => Err(Failure::usage("there is no context", "name a folder")),
    }
}

/// Whether the build's own context is to have its `.git`, as BuildKit has it.
fn keeps_git_dir(build_args: &[(String, Option<String>)], environment: &Environment) -> bool {
    let given = build_args
        .iter()
        .filter(|(name, _)| name == "BUILDKIT_CONTEXT_KEEP_GIT_DIR");
    let mut values =
        given.filter_map(|(name, value)| value.clone().or_else(|| environment.variable(name)));
    let last = values.next_back();
    last.is_some_and(|value| truth(&value) == Some(true))
}

/// The recipe of the folder `context`, which goes by the name `shown`. What is named in one that
/// was fetched is in it, and no link leads out.
fn in_folder(
    arguments: &Recipe,
    context: &Path,
    shown: &Path,
    environment: &Environment,
    is_fetched: bool,
) -> Result<Opened, Failure> {
    let is_stdin = arguments
        .file
        .as_ref()
        .is_some_and(|file| file.as_os_str() == "-");
    let (name, path) = match &arguments.file {
        Some(file) if is_fetched && !is_stdin => (file.clone(), context.join(file)),
        Some(file) => (file.clone(), environment.absolute(file)),
        None => {
            let names = ["cairn.toml", "Dockerfile", "dockerfile"];
            let is_there = |name: &&str| context.join(name).symlink_metadata().is_ok();
            let name = names.into_iter().find(is_there).ok_or_else(|| {
                Failure::message(Code::Unavailable, no_recipe::in_context(context, shown))
            })?;
            let shown = shown.join(name);
            let shown = shown.strip_prefix(".").unwrap_or(&shown);
            (shown.to_owned(), context.join(name))
        }
    };
    let shown_path = name;
    let name = redacted(&shown_path.display().to_string());
    let path = match is_fetched && !is_stdin {
        true => inside(context, &path).unwrap_or(path),
        false => path,
    };
    let largest = dockerfile::LARGEST.max(toml::LARGEST) as u64 + 1;
    let mut bytes = Vec::new();
    let read = match is_stdin {
        true => std::io::stdin().take(largest).read_to_end(&mut bytes),
        false if is_fetched && inside(context, &path).is_none() => {
            Err(std::io::ErrorKind::NotFound.into())
        }
        false => {
            std::fs::File::open(&path).and_then(|file| file.take(largest).read_to_end(&mut bytes))
        }
    };
    if read.is_err() && name.contains("://") {
        return Err(Failure::usage(
            format!("`{name}` is an address, and `-f` names a file of the context or `-`"),
            "fetch it, and hand it on: `curl -fsSL URL | cairn build -f - .`",
        ));
    }
    read.map_err(|error| {
        let context = (!is_fetched && !is_stdin).then_some(shown);
        let problem = no_recipe::named(&path, &shown_path, context, &error);
        Failure::message(Code::Unavailable, problem)
    })?;
    let language = match path.extension() {
        Some(extension) if extension == "toml" && !is_stdin => Language::Toml,
        _ if is_stdin => language_of(&bytes),
        _ if path.file_name().is_some_and(is_dockerfile_name) => Language::Dockerfile,
        _ => language_of(&bytes),
    };
    let folder = match is_stdin {
        true => environment.absolute(".".as_ref()),
        false => path.parent().map(PathBuf::from).unwrap_or_default(),
    };
    let mut own = path.clone().into_os_string();
    own.push(".dockerignore");
    let own = PathBuf::from(own);
    let has_own = language == Language::Dockerfile && !is_stdin && own.symlink_metadata().is_ok();
    Ok(Opened {
        language,
        source: source(name, bytes, language)?,
        folder,
        context: context.to_owned(),
        ignore_file: match language {
            // A `cairn.toml` gives the same image of a folder and of the commit with its files.
            Language::Dockerfile if is_fetched => IgnoreFile::None,
            _ if has_own => IgnoreFile::OfRecipe(own),
            _ => IgnoreFile::OfContext,
        },
        lock: (!is_stdin).then(|| lock_of(&path)),
        kept: None,
    })
}

/// The lock of the recipe at `path`: `cairn.lock`, or of one with a name of its own `NAME.lock`.
fn lock_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match &*name {
        "cairn.toml" | "Dockerfile" | "dockerfile" | "Containerfile" => {
            path.with_file_name("cairn.lock")
        }
        name => path.with_file_name(format!("{name}.lock")),
    }
}

/// Where `path` really is, if that is in `folder`.
fn inside(folder: &Path, path: &Path) -> Option<PathBuf> {
    let (folder, path) = (folder.canonicalize().ok()?, path.canonicalize().ok()?);
    path.starts_with(&folder).then_some(path)
}

fn is_dockerfile_name(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy().to_lowercase();
    name.contains("dockerfile") || name.contains("containerfile")
}

fn source(name: String, bytes: Vec<u8>, language: Language) -> Result<Source, Failure> {
    let largest = match language {
        Language::Toml => toml::LARGEST,
        Language::Dockerfile => dockerfile::LARGEST,
    };
    Source::new(name, bytes, largest).map_err(|problem| Failure::message(Code::Failed, *problem))
}

/// What a text without a name is written in: a Dockerfile begins with a word, behind comments; a
/// key of TOML has `=` after it.
fn language_of(bytes: &[u8]) -> Language {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let first = lines
        .into_iter()
        .find(|line| !line.is_empty() && !line.starts_with('#'));
    let first = first.unwrap_or_default();
    let (word, rest) = first.split_once([' ', '\t']).unwrap_or((first, ""));
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic());
    // Also an instruction that is misspelt, or stands before the first FROM.
    match is_word && !rest.trim_start().starts_with(['=', '.']) {
        true => Language::Dockerfile,
        false => Language::Toml,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_known_by_the_first_line_that_counts() {
        for (text, expected) in [
            ("FROM scratch", Language::Dockerfile),
            ("# from\n\n  arg a=1\nFROM $a", Language::Dockerfile),
            ("\u{feff}# escape=`\r\nFROM\ta", Language::Dockerfile),
            ("FORM scratch", Language::Dockerfile),
            ("RUN a=b", Language::Dockerfile),
            ("from = \"scratch\"", Language::Toml),
            ("config . user = \"a\"", Language::Toml),
            ("from=\"scratch\"", Language::Toml),
            ("[stages.a]\n", Language::Toml),
            ("", Language::Toml),
        ] {
            assert_eq!(language_of(text.as_bytes()), expected, "{text}");
        }
    }
}
