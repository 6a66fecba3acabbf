//! Steps as they are written: a type for each verb.
//!
//! In: [`super::de`]. Out: values with places, for [`super::lower`]. The documentation of types
//! and keys is what an editor shows.

use schemars::JsonSchema;
use serde::Deserialize;

use super::field::{At, Field, List};
use super::packages::Packages;
use super::recipe::Origin;
use super::run::Run;

/// One step: a table with exactly one verb.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Copies files and folders, as Docker's `COPY` does.
    Copy(Copy),
    /// Writes one file whose content stands in the recipe.
    File(File),
    /// Makes a directory, and those above it that don't exist.
    Directory(Directory),
    /// Makes a symbolic link.
    Symlink(Symlink),
    /// Removes files and folders.
    Remove(Remove),
    /// Unpacks archives, such as `.tar.gz`.
    Unpack(Unpack),
    /// Fetches one file from an HTTP server.
    Http(Http),
    /// Fetches the files of a git commit.
    Git(Git),
    /// Runs a command in the sandbox.
    Run(Run),
    /// Installs packages of a distribution, as its own tools would.
    Packages(Packages),
}

/// Copies files and folders, as Docker's `COPY` does: of a folder, what it holds is copied.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Copy {
    /// Where from; without it, the build's context.
    #[serde(default)]
    pub from: Field<At<Origin>>,
    /// Files and folders, with the patterns `*`, `?` and `[a-z]`; `"."` is all.
    #[schemars(extend("minItems" = 1))]
    pub paths: Field<At<List<At<String>>>>,
    /// Where to, absolute. With a slash at the end it is a directory, as several sources need it.
    #[schemars(extend("pattern" = "^/"))]
    pub to: Field<At<String>>,
    /// Permission bits in octal, such as `"0755"`, for files and folders alike.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[0-7]{3,4}$"))]
    pub mode: Field<At<String>>,
    /// `user` or `user:group`, by number, or by name as the image knows them.
    #[serde(default)]
    pub owner: Field<At<String>>,
    /// Copies only files that match one of these patterns (`.dockerignore`'s), which begin at
    /// each of `paths`.
    #[serde(default)]
    pub include: Field<List<At<String>>>,
    /// Leaves out files that match one of these patterns (`.dockerignore`'s), which begin at
    /// each of `paths`.
    #[serde(default)]
    pub exclude: Field<List<At<String>>>,
    /// Keeps the folders above each source: `a/b.txt` becomes `TO/a/b.txt`, and `a/./b/c.txt`,
    /// where only those after the first `/./` are kept, `TO/b/c.txt`.
    #[serde(default)]
    pub parents: Field<bool>,
    /// Whether it is fine that the patterns match nothing; a path without one must be there.
    #[serde(default)]
    pub missing_ok: Field<bool>,
    /// Whether a source that is an archive is unpacked, as Docker's `ADD` does.
    #[serde(default)]
    pub unpack: Field<bool>,
    /// Whether the layer doesn't depend on those below, as with Docker's `--link`: no link of
    /// theirs is followed, and no owner is known by name.
    #[serde(default)]
    pub link: Field<bool>,
}

/// Writes one file whose content stands in the recipe.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// Where, absolute.
    #[schemars(extend("pattern" = "^/.*[^/]$"))]
    pub path: Field<At<String>>,
    /// What it is called should `path` be a directory: then it goes in there, and any link there is
    /// followed, as by Docker's `COPY`. Without a name the file takes the place of a link, and a
    /// directory is an error.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[^/]+$"))]
    pub name: Field<At<String>>,
    /// All of it, as it is: end it with a newline if the file should.
    pub content: Field<String>,
    /// Permission bits in octal; else `"0644"`.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[0-7]{3,4}$"))]
    pub mode: Field<At<String>>,
    /// `user` or `user:group`, by number, or by name as the image knows them; else `"0:0"`.
    #[serde(default)]
    pub owner: Field<At<String>>,
}

/// Makes a directory, and those above it that don't exist.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Directory {
    /// Where, absolute.
    #[schemars(extend("pattern" = "^/"))]
    pub path: Field<At<String>>,
    /// Whether one that is there stays as it is, as Docker's `WORKDIR` has it.
    #[serde(default)]
    pub keep: Field<bool>,
    /// Permission bits in octal; else `"0755"`.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[0-7]{3,4}$"))]
    pub mode: Field<At<String>>,
    /// `user` or `user:group`, by number, or by name as the image knows them; else `"0:0"`.
    #[serde(default)]
    pub owner: Field<At<String>>,
}

/// Makes a symbolic link.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Symlink {
    /// Where the link is, absolute.
    #[schemars(extend("pattern" = "^/.*[^/]$"))]
    pub path: Field<At<String>>,
    /// What it says, as it is.
    #[schemars(extend("minLength" = 1))]
    pub target: Field<At<String>>,
}

/// Removes files and folders, with all that they hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Remove {
    /// What, absolute, with the patterns `*`, `?` and `[a-z]`.
    #[schemars(extend("minItems" = 1))]
    pub paths: Field<At<List<At<String>>>>,
    /// Whether it is fine that nothing is there to remove; else that fails the build.
    #[serde(default)]
    pub missing_ok: Field<bool>,
}

/// Unpacks archives, such as `.tar.gz`; their bytes tell the format.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Unpack {
    /// Where from; without it, the build's context.
    #[serde(default)]
    pub from: Field<At<Origin>>,
    /// The archives, with the patterns `*`, `?` and `[a-z]`.
    #[schemars(extend("minItems" = 1))]
    pub paths: Field<At<List<At<String>>>>,
    /// The directory that they are unpacked into, absolute.
    #[schemars(extend("pattern" = "^/"))]
    pub to: Field<At<String>>,
    /// How many leading folders of each member's path are dropped; else 0.
    #[serde(default)]
    pub strip: Field<u32>,
    /// Permission bits in octal, in place of the archive's.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[0-7]{3,4}$"))]
    pub mode: Field<At<String>>,
    /// `user` or `user:group`, in place of the archive's.
    #[serde(default)]
    pub owner: Field<At<String>>,
}

/// Fetches one file from an HTTP server, checks it, and copies or unpacks it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Http {
    /// `https://…` or `http://…`, without a password in it.
    #[schemars(extend("pattern" = "^https?://"))]
    pub url: Field<At<String>>,
    /// What the file must have, as `sha256sum` prints it.
    #[schemars(extend("pattern" = "^(sha256:)?[0-9a-f]{64}$"))]
    pub sha256: Field<At<String>>,
    /// Where to, absolute. With a slash at the end it is a directory, and the file's name comes
    /// from the URL.
    #[schemars(extend("pattern" = "^/"))]
    pub to: Field<At<String>>,
    /// Whether the file is an archive to unpack into `to`.
    #[serde(default)]
    pub unpack: Field<bool>,
    /// With `unpack`: how many leading folders of each member's path are dropped; else 0.
    #[serde(default)]
    pub strip: Field<At<u32>>,
    /// Permission bits in octal; else `"0644"`.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[0-7]{3,4}$"))]
    pub mode: Field<At<String>>,
    /// `user` or `user:group`, by number, or by name as the image knows them; else `"0:0"`.
    #[serde(default)]
    pub owner: Field<At<String>>,
}

/// Fetches the files of a git commit, and copies them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Git {
    /// `https://…`, `http://…`, `ssh://…`, `git://…`, `file://…` or `user@host:path`, without a
    /// password in it.
    pub url: Field<At<String>>,
    /// The commit, all digits of it: a branch or tag can be moved.
    #[schemars(extend("pattern" = "^([0-9a-f]{40}|[0-9a-f]{64})$"))]
    pub commit: Field<At<String>>,
    /// Where to, absolute. With a slash at the end it is a directory, as several sources need it.
    #[schemars(extend("pattern" = "^/"))]
    pub to: Field<At<String>>,
    /// Files and folders of the commit, with patterns; else all.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub paths: Field<At<List<At<String>>>>,
    /// Copies only files that match one of these patterns (`.dockerignore`'s).
    #[serde(default)]
    pub include: Field<List<At<String>>>,
    /// Leaves out files that match one of these patterns (`.dockerignore`'s).
    #[serde(default)]
    pub exclude: Field<List<At<String>>>,
    /// Permission bits in octal; else those of the commit.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[0-7]{3,4}$"))]
    pub mode: Field<At<String>>,
    /// `user` or `user:group`, by number, or by name as the image knows them; else `"0:0"`.
    #[serde(default)]
    pub owner: Field<At<String>>,
}
