//! Steps: from the words of a recipe to operations.
//!
//! In: [`Verb`]s. Out: [`Step`]s of the draft, or problems.

use std::ops::Range;

use super::check::{Checker, Owner};
use super::draft::{Files, Layers, Step};
use super::field::{At, Field, Keyed, List};
use super::recipe::{Base, Origin};
use super::step::{Copy, Git, Http, Unpack, Verb};
use super::{address, lower_packages, lower_run, pattern, value};
use crate::canon::{Problem, Reference};
use crate::frontend::suggest;
use crate::plan::name::{self, OWN_CONTEXT};
use crate::plan::step::{Destination, GitExtras, Ownership, Revision};
use crate::plan::{Mode, Operation, Selection, Source};

/// A step of the draft; none when it is faulty.
pub fn lower(checker: &mut Checker, verb: &Keyed<Verb>) -> Option<Step> {
    let mut lowering = Lowering {
        owner: Owner {
            name: "",
            span: verb.span.clone(),
        },
        checker,
    };
    lowering.verb(&verb.value)
}

/// What a stage begins with; `scratch` is a word of its own.
pub fn base(checker: &mut Checker, base: &Base, span: &Range<usize>) -> Option<Layers> {
    let parts = [
        ("image", &base.image),
        ("stage", &base.stage),
        ("oci", &base.oci),
    ];
    layers(checker, &parts, &base.name, span)
}

struct Lowering<'a> {
    checker: &'a mut Checker,
    owner: Owner<'a>,
}

/// Files to copy: what they are, and where they come from, for the step's name.
struct Chosen {
    files: Files,
    from: String,
}

type Texts = Field<List<At<String>>>;
type NonEmptyTexts = Field<At<List<At<String>>>>;

impl Chosen {
    fn own(files: Files) -> Chosen {
        let from = String::new();
        Chosen { files, from }
    }
}

impl Lowering<'_> {
    fn verb(&mut self, verb: &Verb) -> Option<Step> {
        self.owner.name = match verb {
            Verb::Copy(_) => "copy",
            Verb::File(_) => "file",
            Verb::Directory(_) => "directory",
            Verb::Symlink(_) => "symlink",
            Verb::Remove(_) => "remove",
            Verb::Unpack(_) => "unpack",
            Verb::Http(_) => "http",
            Verb::Git(_) => "git",
            Verb::Run(_) => "run",
            Verb::Packages(_) => "packages",
        };
        match verb {
            Verb::Copy(copy) => self.copy(copy),
            Verb::Unpack(unpack) => self.unpack(unpack),
            Verb::Http(http) => self.http(http),
            Verb::Git(git) => self.git(git),
            Verb::Run(run) => lower_run::lower(self.checker, &self.owner, run),
            Verb::Packages(packages) => lower_packages::lower(self.checker, &self.owner, packages),
            Verb::File(file) => {
                let path = self.required("path", &file.path, value::absolute_name);
                let ownership = self.ownership(&file.mode, &file.owner);
                self.checker.need(&self.owner, "content", &file.content);
                let name = self.checker.optional(&file.name, value::file_name);
                let (path, content) = (path?, file.content.given()?.clone());
                let operation = Operation::File {
                    path,
                    name,
                    content,
                    ownership,
                };
                self.step(None, operation)
            }
            Verb::Directory(directory) => {
                let path = self.required("path", &directory.path, value::absolute);
                let ownership = self.ownership(&directory.mode, &directory.owner);
                let path = path?;
                let keep = directory.keep.given().copied().unwrap_or_default();
                let operation = Operation::Directory {
                    path,
                    keep,
                    ownership,
                };
                self.step(None, operation)
            }
            Verb::Symlink(symlink) => {
                let path = self.required("path", &symlink.path, value::absolute_name);
                let target = self.required("target", &symlink.target, value::link_target);
                let (path, target) = (path?, target?);
                self.step(None, Operation::Symlink { path, target })
            }
            Verb::Remove(remove) => {
                let paths = self.paths(&remove.paths, pattern::absolute_pattern);
                let missing_ok = remove.missing_ok.given().copied().unwrap_or_default();
                let paths = paths?;
                self.step(None, Operation::Remove { paths, missing_ok })
            }
        }
    }

    fn copy(&mut self, copy: &Copy) -> Option<Step> {
        let filters = (&copy.include, &copy.exclude);
        let parents = copy.parents.given().copied().unwrap_or_default();
        let may_be_empty = copy.missing_ok.given().copied().unwrap_or_default();
        let flags = (parents, may_be_empty);
        let chosen = self.chosen(&copy.from, &copy.paths, filters, flags);
        let to = self.required("to", &copy.to, value::destination);
        let ownership = self.ownership(&copy.mode, &copy.owner);
        self.several_need_a_directory(&copy.paths, &copy.to);
        let (chosen, to) = (chosen?, to?);
        let operation = Operation::Copy {
            to,
            unpack: copy.unpack.given().copied().unwrap_or_default(),
            ownership,
        };
        let mut step = self.step(Some(chosen), operation)?;
        step.is_linked = copy.link.given().copied().unwrap_or_default();
        Some(step)
    }

    fn unpack(&mut self, unpack: &Unpack) -> Option<Step> {
        let none = Field::Absent;
        let chosen = self.chosen(&unpack.from, &unpack.paths, (&none, &none), (false, false));
        let to = self.required("to", &unpack.to, value::destination);
        let ownership = self.ownership(&unpack.mode, &unpack.owner);
        let strip = unpack.strip.given().copied().unwrap_or_default();
        let (chosen, to) = (chosen?, to?);
        self.unpacked(chosen, to, strip, ownership)
    }

    fn http(&mut self, http: &Http) -> Option<Step> {
        let url = self.required("url", &http.url, address::http_url);
        let sha256 = self.required("sha256", &http.sha256, address::sha256);
        let to = self.required("to", &http.to, value::destination);
        let ownership = self.ownership(&http.mode, &http.owner);
        let is_archive = http.unpack.given().copied().unwrap_or_default();
        if let (false, Some(strip)) = (is_archive, http.strip.given()) {
            let message = "`strip` is for archives, and this file is not unpacked";
            let span = strip.span.clone();
            self.checker
                .fault(span, message, "add `unpack = true`, or leave `strip` out");
        }
        let (url, sha256, to) = (url?, sha256?, to?);
        let file_name = match address::url_file_name(&url) {
            Some(name) => name,
            None if is_archive || !to.is_directory => "download".to_owned(),
            None => {
                let at = http.url.given()?;
                let hint = "say it in `to`: a path that doesn't end with `/`";
                let message = format!("`{url}` does not say the file's name");
                self.checker.fault(at.span.clone(), message, hint);
                return None;
            }
        };
        let files = Files::Source(Operation::Http {
            url,
            sha256: Some(sha256),
            file_name,
        });
        if is_archive {
            let strip = http.strip.given().map_or(0, |strip| strip.value);
            return self.unpacked(Chosen::own(files), to, strip, ownership);
        }
        let operation = Operation::Copy {
            to,
            unpack: false,
            ownership,
        };
        self.step(Some(Chosen::own(files)), operation)
    }

    fn git(&mut self, git: &Git) -> Option<Step> {
        let url = self.required("url", &git.url, address::git_url);
        let commit = self.required("commit", &git.commit, address::commit);
        let to = self.required("to", &git.to, value::destination);
        let sources = match git.paths.is_absent() {
            true => Some(vec![".".to_owned()]),
            false => self.paths(&git.paths, pattern::source),
        };
        let selection = self.selection(sources, (&git.include, &git.exclude));
        self.several_need_a_directory(&git.paths, &git.to);
        let ownership = self.ownership(&git.mode, &git.owner);
        let (url, commit, to, selection) = (url?, commit?, to?, selection?);
        let files = Files::Source(Operation::Git {
            url,
            revision: Revision::Commit(commit),
            selection,
            extras: GitExtras::default(),
        });
        let operation = Operation::Copy {
            to,
            unpack: false,
            ownership,
        };
        self.step(Some(Chosen::own(files)), operation)
    }

    /// What is unpacked goes into a directory, however it was written; as that it is named.
    fn unpacked(
        &self,
        chosen: Chosen,
        to: Destination,
        strip: u32,
        ownership: Ownership,
    ) -> Option<Step> {
        let operation = Operation::Unpack {
            to,
            strip,
            ownership,
        };
        let mut step = self.step(Some(chosen), operation)?;
        if let Operation::Unpack { to, .. } = &mut step.operation {
            to.is_directory = true;
        }
        Some(step)
    }

    fn step(&self, chosen: Option<Chosen>, operation: Operation) -> Option<Step> {
        let select;
        let (copied, from) = match &chosen {
            None => (None, ""),
            Some(Chosen { files, from }) => match files {
                Files::Source(operation) => (Some(operation), from.as_str()),
                Files::Whole(_) => (None, from.as_str()),
                Files::Of(_, selection) => {
                    let selection = selection.clone();
                    select = Operation::Select { selection };
                    (Some(&select), from.as_str())
                }
            },
        };
        Some(Step {
            name: name::step(&operation, copied.as_slice(), from),
            span: self.owner.span.clone(),
            operation,
            files: chosen.map(|chosen| chosen.files).into_iter().collect(),
            is_linked: false,
        })
    }

    fn required<T>(
        &mut self,
        key: &str,
        field: &Field<At<String>>,
        read: fn(&str) -> Result<T, value::Fault>,
    ) -> Option<T> {
        self.checker.required(&self.owner, key, field, read)
    }

    fn paths(
        &mut self,
        paths: &NonEmptyTexts,
        read: fn(&str) -> Result<String, value::Fault>,
    ) -> Option<Vec<String>> {
        self.checker.need(&self.owner, "paths", paths);
        self.checker
            .list("paths", paths, "name what is meant", read)
    }

    /// Docker's rule: without the slash nobody can tell whether a name or a directory is meant.
    fn several_need_a_directory(&mut self, paths: &NonEmptyTexts, to: &Field<At<String>>) {
        if let (Some(paths), Some(to)) = (paths.given(), to.given())
            && paths.value.0.len() > 1
            && value::destination(&to.value).is_ok_and(|to| !to.is_directory)
        {
            let message = "several sources need a directory to be copied to";
            let hint = format!("write `{}/`", to.value);
            self.checker.fault(to.span.clone(), message, &hint);
        }
    }

    fn ownership(&mut self, mode: &Field<At<String>>, owner: &Field<At<String>>) -> Ownership {
        Ownership {
            mode: self.checker.optional(mode, value::mode).map(Mode::Bits),
            owner: self.checker.optional(owner, value::owner),
        }
    }

    fn selection(
        &mut self,
        sources: Option<Vec<String>>,
        (include, exclude): (&Texts, &Texts),
    ) -> Option<Selection> {
        let include = self.checker.items(include.items(), pattern::filter);
        let exclude = self.checker.items(exclude.items(), pattern::filter);
        Some(Selection {
            sources: sources?,
            parents: false,
            include,
            exclude,
            may_be_empty: false,
        })
    }

    fn chosen(
        &mut self,
        from: &Field<At<Origin>>,
        paths: &NonEmptyTexts,
        filters: (&Texts, &Texts),
        (parents, may_be_empty): (bool, bool),
    ) -> Option<Chosen> {
        let read = match parents {
            true => pattern::source_with_pivot,
            false => pattern::source,
        };
        let sources = self.paths(paths, read);
        let selection = self.selection(sources, filters);
        let selection = selection.map(|selection| Selection {
            parents,
            may_be_empty,
            ..selection
        });
        let own = || OWN_CONTEXT.to_owned();
        let (files, from): (_, String) = match from {
            Field::Faulty => return None,
            Field::Absent => (context(own(), selection?), String::new()),
            Field::Given(from) => self.origin(from, selection)?,
        };
        Some(Chosen { files, from })
    }

    fn origin(
        &mut self,
        from: &At<Origin>,
        selection: Option<Selection>,
    ) -> Option<(Files, String)> {
        let origin = &from.value;
        let parts = parts(origin);
        let Some(layers) = one_origin(self.checker, from)? else {
            let known = context_name(self.checker, origin.context.given()?)?;
            let from = name::from_context(&known);
            return Some((context(known, selection?), from));
        };
        let from = match (&layers, given(&parts).as_slice()) {
            (Layers::Stage(_), [(_, name)]) => name::from_stage(&name.value),
            (Layers::Image(source), _) => name::from_image(source),
            _ => String::new(),
        };
        Some((Files::Of(layers, selection?), from))
    }
}

/// The name of a context that there is.
pub fn context_name(checker: &mut Checker, name: &At<String>) -> Option<String> {
    if checker.contexts.contains(&name.value) {
        return Some(name.value.clone());
    }
    let message = format!("there is no context `{}`", name.value);
    let problem = Problem::new(message).at(name.span.clone());
    let known = checker.contexts.iter().map(String::as_str);
    let hint = suggest::hint(&name.value, known, "the contexts are").unwrap_or_else(|| {
        "name its folder in `[contexts]`, or give `--build-context NAME=FOLDER`".to_owned()
    });
    checker.say(problem.hint(hint));
    None
}

fn parts(origin: &Origin) -> [Part<'_>; 4] {
    [
        ("stage", &origin.stage),
        ("image", &origin.image),
        ("context", &origin.context),
        ("oci", &origin.oci),
    ]
}

/// The layers that an origin names; inside, nothing where it names a context alone.
pub fn one_origin(checker: &mut Checker, from: &At<Origin>) -> Option<Option<Layers>> {
    let parts = parts(&from.value);
    if let [("context", _)] = given(&parts)[..] {
        return Some(None);
    }
    layers(checker, &parts, &from.value.name, &from.span).map(Some)
}

fn context(name: String, selection: Selection) -> Files {
    Files::Source(Operation::Context { name, selection })
}

type Part<'a> = (&'static str, &'a Field<At<String>>);

fn given<'a>(parts: &[Part<'a>]) -> Vec<(&'static str, &'a At<String>)> {
    let given = |(key, field): &Part<'a>| field.given().map(|value| (*key, value));
    let mut given: Vec<_> = parts.iter().filter_map(given).collect();
    given.sort_by_key(|(_, at)| at.span.start);
    given
}

/// The layers that exactly one of `parts` names; `name` goes with `oci`.
fn layers(
    checker: &mut Checker,
    parts: &[Part<'_>],
    name: &Field<At<String>>,
    span: &Range<usize>,
) -> Option<Layers> {
    if parts
        .iter()
        .any(|(_, field)| matches!(field, Field::Faulty))
    {
        return None;
    }
    let given = given(parts);
    let &[(key, at)] = given.as_slice() else {
        let keys: Vec<_> = parts.iter().map(|(key, _)| format!("`{key}`")).collect();
        let keys = keys.join(", ");
        match given.as_slice() {
            [(one, _), (two, at), ..] => {
                let message = format!("`from` names both `{one}` and `{two}`");
                checker.fault(at.span.clone(), message, &format!("keep one of {keys}"));
            }
            _ => {
                let message = "`from` names nothing";
                checker.fault(span.clone(), message, &format!("give it one of {keys}"));
            }
        }
        return None;
    };
    if let (Some(name), true) = (name.given(), key != "oci") {
        let message = "`name` goes with `oci` alone";
        checker.fault(name.span.clone(), message, "");
    }
    match key {
        "stage" => stage(checker, at).map(Layers::Stage),
        "oci" => {
            let path = checker.read(at, value::relative)?;
            let name = name.given().map(|name| name.value.clone());
            Some(Layers::Image(Source::Layout { path, name }))
        }
        _ => image(checker, at).map(Layers::Image),
    }
}

/// An image reference.
pub fn image(checker: &mut Checker, at: &At<String>) -> Option<Source> {
    match at.value.parse::<Reference>() {
        Ok(reference) => Some(Source::Registry(reference)),
        Err(error) => {
            let hint = match error.in_lower_case() {
                Some(lower) => format!("did you mean `{lower}`?"),
                None => String::new(),
            };
            checker.fault(at.span.clone(), error.to_string(), &hint);
            None
        }
    }
}

fn stage(checker: &mut Checker, at: &At<String>) -> Option<usize> {
    if let Some(&place) = checker.stages.get(&at.value) {
        return Some(place);
    }
    let problem = Problem::new(format!("there is no stage `{}`", at.value)).at(at.span.clone());
    let known = checker.stages.keys().map(String::as_str);
    let hint = suggest::hint(&at.value, known, "the stages are");
    let hint = hint.unwrap_or_else(|| format!("begin one with `[stages.{}]`", at.value));
    checker.say(problem.hint(hint));
    None
}
