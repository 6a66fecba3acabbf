//! Which files a selection means.
//!
//! In: a [`View`] and a [`Selection`]. Out: [`Chosen`] sources with their members. Pure. The rules
//! are those of `COPY` (Dockerfile reference, "COPY"): a source that is a symbolic link is
//! followed, links inside a copied directory are copied as links; a wildcard's `*` stays within
//! a component; nothing leads out of the root.

use crate::canon::EntryPath;
use crate::canon::path;
use crate::canon::pattern::{self, Rules, Verdict, Wildcard};
use crate::layer::view::{self, Seen, View, resolve};
use crate::plan::Selection;

/// A source that a selection's pattern matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// As it was asked for or matched, which names it at its destination.
    pub name: EntryPath,
    /// Where it is, links followed.
    pub root: EntryPath,
    /// Paths in the view, in order, of `root` and what is taken below it.
    pub members: Vec<EntryPath>,
    /// What of its path is kept, where that was asked for.
    pub kept: Option<Kept>,
}

/// What of a source's path is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The end of its name.
    pub path: EntryPath,
    /// Where each directory above that is, links followed, outermost first.
    pub above: Vec<EntryPath>,
}

/// Why a selection means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing is there.
    #[error("there is no `{0}`")]
    Missing(String),
    /// Patterns that match nothing at all.
    #[error("nothing matches {0}")]
    NoMatch(String),
    /// A pattern that is none.
    #[error("`{pattern}` is no pattern: {reason}")]
    Pattern {
        /// As it was written.
        pattern: String,
        /// Why.
        reason: String,
    },
    /// A path that is none.
    #[error("`{0}` is no path: {1}")]
    Path(String, path::Error),
    /// A path that leads nowhere.
    #[error(transparent)]
    View(#[from] view::Error),
}

/// Finds what `selection` means in `view`. A name must be there; a wildcard may match nothing as
/// long as something is selected.
pub fn select(view: &dyn View, selection: &Selection) -> Result<Vec<Chosen>, Error> {
    let filter = Filter {
        include: rules(&selection.include)?,
        exclude: rules(&selection.exclude)?,
    };
    let mut chosen = Vec::new();
    for source in &selection.sources {
        let roots = match selection.parents && source.contains("**") {
            true => deep_roots(view, source)?,
            false => roots(view, source)?,
        };
        for (name, root) in roots {
            let members = filter.members(view, &root);
            if !members.is_empty() {
                let kept = selection.parents.then(|| kept(view, source, &name));
                let kept = kept.transpose()?;
                chosen.push(Chosen {
                    kept,
                    name,
                    root,
                    members,
                });
            }
        }
    }
    if chosen.is_empty() && !selection.may_be_empty {
        let quoted = selection.sources.iter().map(|source| format!("`{source}`"));
        return Err(Error::NoMatch(quoted.collect::<Vec<_>>().join(", ")));
    }
    Ok(chosen)
}

fn rules(patterns: &[String]) -> Result<Rules, Error> {
    Rules::new(patterns).map_err(|(at, reason)| Error::Pattern {
        pattern: patterns[at].clone(),
        reason: reason.to_string(),
    })
}

/// What a source names: each with where it leads.
fn roots(view: &dyn View, source: &str) -> Result<Vec<(EntryPath, EntryPath)>, Error> {
    let path = |text: &[u8]| {
        EntryPath::resolved_in_root(text).map_err(|error| Error::Path(source.to_owned(), error))
    };
    if !Wildcard::is_needed_for(source.as_bytes()) {
        let name = path(source.as_bytes())?;
        let root = resolve(view, &name, true)?;
        return match view.seen(&root) {
            Some(_) => Ok(vec![(name, root)]),
            None => Err(Error::Missing(source.to_owned())),
        };
    }
    let (prefix, pattern) = Wildcard::part(source);
    let prefix = path(prefix.as_bytes())?;
    let wildcard = Wildcard::new(pattern.as_bytes()).map_err(|reason: pattern::glob::Error| {
        Error::Pattern {
            pattern: source.to_owned(),
            reason: reason.to_string(),
        }
    })?;
    let folder = resolve(view, &prefix, true)?;
    let mut found = Vec::new();
    for (below, _) in view.seen_below(&folder) {
        let Some(rest) = below
            .below(&folder)
            .filter(|rest| wildcard.matches(rest.as_bytes()))
        else {
            continue;
        };
        let root = resolve(view, below, true)?;
        if view.seen(&root).is_some() {
            let name = prefix
                .join(&rest)
                .map_err(|error| Error::Path(source.to_owned(), error))?;
            found.push((name, root));
        }
    }
    Ok(found)
}

/// What a source names in which `**` stands for any folders (`COPY --parents`): as rules of
/// `.dockerignore` match, and of a folder that matches not each file again.
fn deep_roots(view: &dyn View, source: &str) -> Result<Vec<(EntryPath, EntryPath)>, Error> {
    let rules = rules(&[source.replace("/./", "/")])?;
    let mut found: Vec<(EntryPath, EntryPath)> = Vec::new();
    for (path, _) in view.seen_below(&EntryPath::root()) {
        let is_in_last = found
            .last()
            .is_some_and(|(last, _)| path.below(last).is_some());
        if !is_in_last && rules.verdict_alone(path).matches() {
            found.push((path.clone(), path.clone()));
        }
    }
    Ok(found)
}

/// What of `name`, which `source` gave, follows the first `/./` in that, if any; each component
/// of a pattern stands for one.
fn kept(view: &dyn View, source: &str, name: &EntryPath) -> Result<Kept, Error> {
    let all = name.components().count();
    let is_name = |part: &&str| !matches!(*part, "" | ".");
    let after = source.split_once("/./").map(|(_, after)| after);
    let kept = after.map_or(all, |after| after.split('/').filter(is_name).count());
    let dropped = match source.split_once("/./") {
        Some((before, after)) if after.contains("**") => {
            before.split('/').filter(is_name).count().min(all)
        }
        _ => all.saturating_sub(kept),
    };
    let path: Vec<_> = name.components().skip(dropped).collect();
    let path = EntryPath::new(&path.join(&b'/'));
    let above = name.ancestors().skip(dropped + 1);
    Ok(Kept {
        path: path.map_err(|error| Error::Path(source.to_owned(), error))?,
        above: above
            .map(|path| resolve(view, &path, true))
            .collect::<Result<_, _>>()?,
    })
}

struct Filter {
    include: Rules,
    exclude: Rules,
}

impl Filter {
    /// `root` and what is taken below it; nothing where all of it is left out.
    fn members(&self, view: &dyn View, root: &EntryPath) -> Vec<EntryPath> {
        if view.seen(root) != Some(Seen::Directory) {
            let name = root
                .name()
                .and_then(|name| EntryPath::new(name).ok())
                .unwrap_or_default();
            let is_taken = self
                .is_taken(&name, Verdict::default(), Verdict::default())
                .0;
            return if is_taken {
                vec![root.clone()]
            } else {
                Vec::new()
            };
        }
        if self.include.is_empty() && self.exclude.is_empty() {
            let below = view.seen_below(root).map(|(path, _)| path.clone());
            return std::iter::once(root.clone()).chain(below).collect();
        }
        let mut members = vec![root.clone()];
        // Directories from `root` to the present path: their verdicts, and whether they were added.
        let mut above: Vec<Above> = Vec::new();
        for (path, seen) in view.seen_below(root) {
            let Some(relative) = path.below(root) else {
                continue;
            };
            while above
                .last()
                .is_some_and(|last| path.below(&last.path).is_none())
            {
                above.pop();
            }
            let (include, exclude) = above
                .last()
                .map_or_else(Default::default, |last| (last.include, last.exclude));
            let (is_taken, include, exclude) = self.is_taken(&relative, include, exclude);
            if is_taken {
                for directory in above.iter_mut().filter(|directory| !directory.is_added) {
                    directory.is_added = true;
                    members.push(directory.path.clone());
                }
                members.push(path.clone());
            }
            if seen == Seen::Directory {
                above.push(Above {
                    path: path.clone(),
                    include,
                    exclude,
                    is_added: is_taken,
                });
            }
        }
        members
    }

    fn is_taken(
        &self,
        relative: &EntryPath,
        include: Verdict,
        exclude: Verdict,
    ) -> (bool, Verdict, Verdict) {
        let include = self.include.verdict(relative, include);
        let exclude = self.exclude.verdict(relative, exclude);
        let is_included = self.include.is_empty() || include.matches();
        (is_included && !exclude.matches(), include, exclude)
    }
}

struct Above {
    path: EntryPath,
    include: Verdict,
    exclude: Verdict,
    is_added: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::Digest;
    use crate::layer::{Entry, Kind, Meta, Rootfs, Tree};

    fn example() -> Rootfs {
        let entry = |text: &&str| {
            let (path, kind) = match (text.split_once('>'), text.strip_suffix('/')) {
                (Some((path, target)), _) => (path, Kind::Symlink(target.as_bytes().into())),
                (None, Some(path)) => (path, Kind::Directory),
                (None, None) => (
                    *text,
                    Kind::File {
                        size: 0,
                        digest: Digest::of(b""),
                    },
                ),
            };
            Entry {
                path: EntryPath::new(path.as_bytes()).unwrap(),
                kind,
                meta: Meta::plain(0o644, 0),
            }
        };
        let texts = [
            "src/",
            "src/a.c",
            "src/b.h",
            "src/deep/",
            "src/deep/c.c",
            "src/deep/d.md",
            "src/docs/",
            "src/docs/e.md",
            "link>src/deep",
            "file>src/a.c",
            "out>../../src/a.c",
            "gone>nowhere",
            "README.md",
        ];
        let mut rootfs = Rootfs::default();
        rootfs.push(&Tree::new(texts.iter().map(entry).collect()).unwrap(), &[]);
        rootfs
    }

    fn selected(
        sources: &[&str],
        include: &[&str],
        exclude: &[&str],
    ) -> Result<Vec<String>, Error> {
        let texts = |list: &[&str]| list.iter().map(|text| text.to_string()).collect();
        let selection = Selection {
            sources: texts(sources),
            parents: false,
            include: texts(include),
            exclude: texts(exclude),
            may_be_empty: false,
        };
        let chosen = select(&example(), &selection)?;
        Ok(chosen
            .iter()
            .map(|chosen| {
                let members: Vec<_> = chosen
                    .members
                    .iter()
                    .map(|path| path.below(&chosen.root).unwrap().lossy().into_owned())
                    .collect();
                format!(
                    "{} {}: {}",
                    chosen.name.lossy(),
                    chosen.root.lossy(),
                    members.join(" ")
                )
            })
            .collect())
    }

    #[test]
    fn sources_that_are_links_are_followed_within_the_root() {
        for (source, expected) in [
            ("file", "file src/a.c: "),
            ("/link/", "link src/deep:  c.c d.md"),
            ("link/c.c", "link/c.c src/deep/c.c: "),
            ("out", "out src/a.c: "),
            ("../../src/deep", "src/deep src/deep:  c.c d.md"),
        ] {
            assert_eq!(selected(&[source], &[], &[]), Ok(vec![expected.to_owned()]));
        }
    }

    #[test]
    fn a_wildcard_stays_within_its_components() {
        assert_eq!(
            selected(&["src/*.c"], &[], &[]).unwrap(),
            ["src/a.c src/a.c: "]
        );
        assert_eq!(
            selected(&["*/*/*.c"], &[], &[]).unwrap(),
            ["src/deep/c.c src/deep/c.c: "]
        );
        assert_eq!(
            selected(&["lin?/*.c"], &[], &[]),
            Err(Error::NoMatch("`lin?/*.c`".to_owned()))
        );
        assert_eq!(
            selected(&["link/*.c"], &[], &[]).unwrap(),
            ["link/c.c src/deep/c.c: "]
        );
        assert_eq!(
            selected(&["none*", "README.md"], &[], &[]).unwrap(),
            ["README.md README.md: "]
        );
    }

    #[test]
    fn what_follows_the_pivot_is_kept() {
        let kept = |source: &str| {
            let selection = Selection {
                sources: vec![source.to_owned()],
                parents: true,
                ..Selection::default()
            };
            let chosen = select(&example(), &selection).unwrap();
            let kept = chosen.into_iter().map(|chosen| chosen.kept.unwrap());
            let shown = kept.map(|kept| {
                let above: Vec<_> = kept.above.iter().map(EntryPath::to_string).collect();
                format!("{}: {}", kept.path, above.join(" "))
            });
            shown.collect::<Vec<_>>().join(", ")
        };
        for (source, expected) in [
            (".", "/: "),
            ("src", "/src: "),
            ("src/deep/c.c", "/src/deep/c.c: /src /src/deep"),
            ("src/./deep/c.c", "/deep/c.c: /src/deep"),
            ("src/deep/./c.c", "/c.c: "),
            ("src/deep/./.", "/: "),
            ("src/./*/*.c", "/deep/c.c: /src/deep"),
            ("*/./*.c", "/a.c: "),
            ("*/*/./c.c", "/c.c: "),
            ("link/c.c", "/link/c.c: /src/deep"),
        ] {
            assert_eq!(kept(source), expected, "{source}");
        }
        assert_eq!(
            select(
                &example(),
                &Selection {
                    sources: vec!["src".to_owned()],
                    ..Selection::default()
                }
            )
            .unwrap()[0]
                .kept,
            None
        );
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert_eq!(
            selected(&["nope"], &[], &[]),
            Err(Error::Missing("nope".to_owned()))
        );
        assert_eq!(
            selected(&["gone"], &[], &[]),
            Err(Error::Missing("gone".to_owned()))
        );
        assert!(matches!(
            selected(&["a[", "src"], &[], &[]),
            Err(Error::Pattern { .. })
        ));
    }

    #[test]
    fn excluded_files_leave_their_directories_and_included_ones_bring_theirs() {
        assert_eq!(
            selected(&["src"], &[], &["**/*.md"]).unwrap(),
            ["src src:  a.c b.h deep deep/c.c docs"]
        );
        assert_eq!(
            selected(&["src"], &["**/*.c"], &[]).unwrap(),
            ["src src:  a.c deep deep/c.c"]
        );
        assert_eq!(
            selected(&["src"], &["deep"], &["**/d.*"]).unwrap(),
            ["src src:  deep deep/c.c"]
        );
        assert_eq!(
            selected(&["src"], &[], &["deep", "docs", "!deep/c.c"]).unwrap(),
            ["src src:  a.c b.h deep deep/c.c"]
        );
        assert!(selected(&["README.md"], &[], &["*.md"]).is_err());
    }
}
