//! Which commit a name means today.
//!
//! In: a repository and a name. Out: [`Resolved`], as BuildKit has it: a whole ref, else a branch,
//! else a tag; the beginning of a commit is no name.

use std::collections::BTreeMap;

use super::program::Git;
use super::{Error, Remote};
use crate::plan::step::{KeptRef, MovingRef};
use crate::store::Store;

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The commit.
    pub commit: String,
    /// The ref that it is the name of; a commit's own digits are none.
    pub named: Option<KeptRef>,
}

/// The commit that a name means today.
pub fn resolve(remote: &Remote<'_>, wanted: &MovingRef, store: &Store) -> Result<Resolved, Error> {
    let name = wanted.name.as_deref().unwrap_or("HEAD");
    let is_hex = |byte: u8| byte.is_ascii_hexdigit();
    let resolved = match matches!(name.len(), 40 | 64) && name.bytes().all(is_hex) {
        true => Resolved {
            commit: name.to_ascii_lowercase(),
            named: None,
        },
        false => {
            let (folder, _locked) = store.temporary_folder()?;
            let git = Git::new(folder.path(), remote);
            let listed = git.ask(&["ls-remote", "--symref", "--", remote.url])?;
            let listed = listed.map_err(|reason| remote.refused(name, reason))?;
            named(&listed, name).ok_or_else(|| Error::NoRef {
                url: remote.url.to_owned(),
                name: name.to_owned(),
            })?
        }
    };
    let checksum = wanted.checksum.as_deref().unwrap_or_default();
    let object = resolved.named.as_ref().map(|named| &named.object);
    let is_meant = |digits: &String| digits.starts_with(&checksum.to_ascii_lowercase());
    match is_meant(&resolved.commit) || object.is_some_and(is_meant) {
        true => Ok(resolved),
        false => Err(Error::Checksum {
            url: remote.url.to_owned(),
            name: name.to_owned(),
            expected: checksum.to_owned(),
            got: resolved.commit,
        }),
    }
}

/// What `name` means among the refs that `git ls-remote --symref` lists; of a tag that is an
/// object the commit that it names.
fn named(listed: &str, name: &str) -> Option<Resolved> {
    let listed: BTreeMap<_, Vec<_>> = listed
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .fold(BTreeMap::new(), |mut all, (value, name)| {
            all.entry(name.trim()).or_insert_with(Vec::new).push(value);
            all
        });
    let value = |name: &str| {
        let mut values = listed.get(name)?.iter();
        let is_object = |value: &&&str| matches!(value.len(), 40 | 64) && !value.contains(' ');
        values.find(is_object).map(|value| (*value).to_owned())
    };
    let names = match name {
        // The branch that the server begins with, as far as it tells.
        "HEAD" => {
            let links = listed.get("HEAD").into_iter().flatten();
            let branch = links.filter_map(|link| link.strip_prefix("ref: ")).next();
            [
                branch.unwrap_or("HEAD").to_owned(),
                "HEAD".to_owned(),
                String::new(),
            ]
        }
        name => [
            format!("refs/{}", name.trim_start_matches("refs/")),
            format!("refs/heads/{name}"),
            format!("refs/tags/{name}"),
        ],
    };
    let (name, object) = names.iter().find_map(|name| Some((name, value(name)?)))?;
    let commit = value(&format!("{name}^{{}}")).unwrap_or_else(|| object.clone());
    let named = (name != "HEAD").then(|| KeptRef {
        name: name.clone(),
        object,
    });
    Some(Resolved { commit, named })
}
