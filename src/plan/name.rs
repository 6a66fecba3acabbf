//! What steps are called, for people and in an image's history.
//!
//! In: an [`Operation`], and what it copies. Out: one line, the same for every frontend, so that
//! recipes that say the same give the same image.

use super::command::Command;
use super::packages::{Packages, Variant};
use super::step::{Destination, MovingRef, Revision, Source};
use super::{Operation, Selection};

/// The build's own context.
pub const OWN_CONTEXT: &str = "context";

/// Most characters of a command in a name.
const LONGEST_COMMAND: usize = 1000;

/// Where the files of a step come from, for [`step`]: nothing for the build's own context.
pub fn from_context(name: &str) -> String {
    match name {
        OWN_CONTEXT => String::new(),
        name => format!(" from context {name}"),
    }
}

/// As [`from_context`], of a stage.
pub fn from_stage(name: &str) -> String {
    format!(" from stage {name}")
}

/// As [`from_context`], of an image.
pub fn from_image(source: &Source) -> String {
    match source {
        Source::Registry(reference) => format!(" from {reference}"),
        Source::Layout { path, .. } => format!(" from {path}"),
    }
}

/// What a step is called that copies what `copied` give, from where `from` says.
pub fn step(operation: &Operation, copied: &[&Operation], from: &str) -> String {
    match operation {
        Operation::Scratch => "scratch".to_owned(),
        Operation::Image { source, .. } => match source {
            Source::Registry(reference) => format!("image {reference}"),
            Source::Layout { path, .. } => format!("image {path}"),
        },
        Operation::Context { name, selection } if name == OWN_CONTEXT => {
            format!("read {}", several(&selection.sources))
        }
        Operation::Context { name, selection } => {
            format!("read {} of context {name}", several(&selection.sources))
        }
        Operation::Select { selection } => format!("select {}", several(&selection.sources)),
        Operation::Inline { name, .. } => format!("read {name}"),
        Operation::Http { url, .. } => format!("fetch {url}"),
        Operation::Git { url, revision, .. } => format!("fetch {url} {}", shown_revision(revision)),
        Operation::Copy { to, unpack, .. } => {
            transfer(if *unpack { "add" } else { "copy" }, copied, to, from)
        }
        Operation::Unpack { to, .. } => transfer("unpack", copied, to, from),
        Operation::File { path, .. } => format!("file {path}"),
        Operation::Directory { path, .. } => format!("directory {path}"),
        Operation::Symlink { path, target } => format!("symlink {path} → {target}"),
        Operation::Remove { paths, .. } => {
            let shown: Vec<_> = paths.iter().map(|path| format!("/{path}")).collect();
            format!("remove {}", several(&shown))
        }
        Operation::Run(command) => format!("run {}", shown_command(command)),
        Operation::Packages(packages) => shown_packages(packages),
        Operation::Merge => "link".to_owned(),
    }
}

/// Who made them, which suite they are of, and which are asked for.
fn shown_packages(packages: &Packages) -> String {
    let distribution = packages.distribution.name();
    let suites = packages
        .archives
        .iter()
        .map(|archive| archive.suite.clone());
    let mut words = vec![format!("packages {distribution}")];
    words.extend(suites.take(1));
    words.extend((packages.variant == Variant::Minbase).then(|| "minbase".to_owned()));
    words.extend(Some(several(&packages.install)).filter(|text| !text.is_empty()));
    words.join(" ")
}

/// What a step is called that puts the layer of the step called `name` over others.
pub fn link(name: &str) -> String {
    format!("link {name}")
}

fn transfer(verb: &str, copied: &[&Operation], to: &Destination, from: &str) -> String {
    let to = shown(to);
    match copied {
        [Operation::Http { url, .. }] => format!("http {url} → {to}"),
        [Operation::Git { url, revision, .. }] => {
            let shown = shown_revision(revision);
            let shown = match revision {
                Revision::Commit(_) => shown.get(..12).unwrap_or(shown),
                Revision::Ref(_) => shown,
            };
            format!("git {url} {shown} → {to}")
        }
        _ => {
            let words: Vec<_> = copied
                .iter()
                .flat_map(|operation| words(operation))
                .collect();
            format!("{verb} {} → {to}{from}", several(&words))
        }
    }
}

/// The files that an operation gives, as they were asked for.
fn words(operation: &Operation) -> Vec<String> {
    let chosen = |selection: &Selection| selection.sources.clone();
    match operation {
        Operation::Context { selection, .. } | Operation::Select { selection } => chosen(selection),
        Operation::Http { url, .. } | Operation::Git { url, .. } => vec![url.clone()],
        Operation::Inline { name, .. } => vec![format!("<<{name}")],
        _ => Vec::new(),
    }
}

fn shown_revision(revision: &Revision) -> &str {
    match revision {
        Revision::Commit(commit) => commit,
        Revision::Ref(MovingRef { name, .. }) => name.as_deref().unwrap_or("HEAD"),
    }
}

/// What a command says, on one line: of a shell's, what it is for the shell.
fn shown_command(command: &Command) -> String {
    let text = match &command.arguments[..] {
        [_, flags, text] if flags.starts_with('-') && flags.ends_with('c') => text.clone(),
        words => words.join(" "),
    };
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > LONGEST_COMMAND {
            break;
        }
    }
    match line.char_indices().nth(LONGEST_COMMAND) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn shown(to: &Destination) -> String {
    let slash = if to.is_directory && !to.path.is_root() {
        "/"
    } else {
        ""
    };
    format!("{}{slash}", to.path)
}

/// A few of them, and how many more there are.
pub fn several(names: &[String]) -> String {
    const MOST: usize = 3;
    let few = names[..names.len().min(MOST)].join(" ");
    match names.len().saturating_sub(MOST) {
        0 => few,
        more => format!("{few} and {more} more"),
    }
}
