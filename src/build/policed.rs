//! A plan as a source policy has it.
//!
//! In: a plan, a policy. Out: the plan with what the policy puts in place of images, files and
//! commits; or the step whose input may not be had. Nothing is fetched.

use super::Error;
use super::bases::Known;
use super::error::Cause;
use super::questions::git_question;
use crate::plan::name::OWN_CONTEXT;
use crate::plan::step::{MovingRef, Revision, Source};
use crate::plan::{Operation, Plan, Selection};
use crate::policy::{File, Input, Policy, Refusal, Repository};

/// What a step has of a repository.
pub(super) struct Meaning<'a> {
    pub url: &'a str,
    pub revision: &'a Revision,
    pub selection: &'a Selection,
}

impl Meaning<'_> {
    pub(super) fn repository(&self) -> Repository {
        let (name, checksum) = match self.revision {
            Revision::Commit(commit) => (Some(commit.clone()), None),
            Revision::Ref(wanted) => (wanted.name.clone(), wanted.checksum.clone()),
        };
        Repository {
            url: self.url.to_owned(),
            name,
            checksum,
        }
    }

    /// The folder that the files are of, where they are of one.
    pub(super) fn folder(&self) -> Option<&str> {
        match &self.selection.sources[..] {
            [only] if only != "." => Some(only),
            _ => None,
        }
    }
}

/// What `policy` makes of `plan`; `tell` is told what it puts in place of what. A context of its own
/// that `is_fetched` was judged before that.
pub fn plan(
    policy: &Policy,
    mut plan: Plan,
    is_fetched: bool,
    tell: impl Fn(String),
) -> Result<Plan, Error> {
    if policy.is_empty() {
        return Ok(plan);
    }
    for step in &mut plan.steps {
        if let Operation::Context { name, .. } = &step.operation
            && is_fetched
            && name == OWN_CONTEXT
        {
            continue;
        }
        let before = shown(&step.operation);
        operation(policy, &mut step.operation).map_err(|refusal| Error::Step {
            name: step.name.clone(),
            span: step.span.clone(),
            cause: Box::new(Cause::from(refusal)),
        })?;
        let after = shown(&step.operation);
        if before != after {
            let file = policy.file_name();
            tell(format!("`{file}` takes `{after}` in place of `{before}`"));
        }
    }
    Ok(plan)
}

/// What a step fetches, for people.
fn shown(operation: &Operation) -> String {
    match operation {
        Operation::Image {
            source: Source::Registry(reference),
            ..
        } => reference.to_string(),
        Operation::Http { url, sha256, .. } => match sha256 {
            Some(sha256) => format!("{url}` with `{sha256}"),
            None => url.clone(),
        },
        Operation::Git {
            url,
            revision,
            extras,
            ..
        } => git_question(url, revision, extras),
        _ => String::new(),
    }
}

fn operation(policy: &Policy, operation: &mut Operation) -> Result<(), Refusal> {
    match operation {
        Operation::Image { source, .. } => *source = image(policy, source)?,
        Operation::Context { name, .. } => policy.permits(&Input::local(name))?,
        Operation::Http {
            url,
            sha256,
            file_name,
        } => {
            let file = File {
                url: url.clone(),
                sha256: *sha256,
            };
            let file = policy.file(&file, file_name)?;
            (*url, *sha256) = (file.url, file.sha256);
        }
        Operation::Git {
            url,
            revision,
            selection,
            extras,
        } => {
            let meaning = Meaning {
                url,
                revision,
                selection,
            };
            let asked = meaning.repository();
            let given = policy.repository(&asked, meaning.folder(), extras.keep_git_dir)?;
            if given != asked {
                *revision = revision_of(&given);
                *url = given.url;
            }
        }
        _ => {}
    }
    Ok(())
}

fn image(policy: &Policy, source: &Source) -> Result<Source, Refusal> {
    match source {
        Source::Registry(reference) => policy.image(reference).map(Source::Registry),
        Source::Layout { path, name } => {
            policy.permits(&Input::layout(path, name.as_deref()))?;
            Ok(source.clone())
        }
    }
}

/// Which commit a repository of a policy is at.
fn revision_of(repository: &Repository) -> Revision {
    let Repository { name, checksum, .. } = repository;
    let is_commit = |text: &&String| {
        let is_hex = text.bytes().all(|c| c.is_ascii_hexdigit());
        matches!(text.len(), 40 | 64) && is_hex
    };
    let starts = |name: &&String| checksum.iter().all(|sum| name.starts_with(sum.as_str()));
    match name.as_ref().filter(is_commit).filter(starts) {
        Some(commit) => Revision::Commit(commit.clone()),
        None => Revision::Ref(MovingRef {
            name: name.clone(),
            checksum: checksum.clone(),
        }),
    }
}

/// The images that were looked up, by what the policed plan calls them.
pub fn known(policy: &Policy, known: Known) -> Known {
    let images = known.into_iter();
    let images = images.filter_map(|((source, platform), image)| {
        // What may not be had was not looked up.
        let source = self::image(policy, &source).ok()?;
        Some(((source, platform), image))
    });
    images.collect()
}
