//! `RUN --mount`.
//!
//! In: a mount as it is written. Out: [`Mount`], and the step that its files come from.

use super::needs::Base;
use super::scope;
use super::stage::{Lowered, Lowering, State, entry_path, is_download, named_files, problem};
use crate::canon::EntryPath;
use crate::canon::path::joined;
use crate::frontend::dockerfile::build_argument::CACHE_NAMESPACE;
use crate::frontend::dockerfile::mount::{self, MountKind as Said, Owner};
use crate::frontend::dockerfile::syntax::{Span, Spanned, Word};
use crate::plan::command::{Mount, MountKind};
use crate::plan::name::OWN_CONTEXT;
use crate::plan::step::pattern_of;
use crate::plan::{Operation, Selection, StepId};

type Text = Option<Spanned<String>>;

impl Lowering<'_> {
    /// The mount that `word` says, behind so many sockets of its command.
    pub(super) fn mount(
        &mut self,
        state: &State,
        word: &Word,
        sockets: usize,
    ) -> Lowered<(Mount, Option<StepId>)> {
        let expander = self.expander;
        let mut expand = |word: &Word| {
            let expanded = scope::word(expander, word, &state.scope);
            expanded.map(|expanded| expanded.text)
        };
        let said = mount::parse(word, &mut expand)?;
        let span = &said.span;
        let target = match (&said.target, &said.kind) {
            (Some(target), _) => joined(&state.workdir, &target.value),
            (None, Said::Secret { id, .. }) => {
                let id = id.as_ref().map_or("", |id| id.value.as_str());
                format!("/run/secrets/{id}")
            }
            (None, Said::Ssh { .. }) => format!("/run/buildkit/ssh_agent.{sockets}"),
            (None, _) => {
                let hint = "add where it is to be: `target=/PATH`";
                return Err(problem(span, "the mount has no `target`", hint));
            }
        };
        let target = entry_path(&target, span)?;
        if target.is_root() {
            let message = "nothing can be mounted over the root";
            return Err(problem(
                span,
                message,
                "name a directory below it as `target`",
            ));
        }
        let (kind, input) = match said.kind {
            Said::Bind { from, source } => {
                let writable = !said.read_only;
                let (source, input) = self.source_of(&from, &source, span)?;
                (MountKind::Bind { source, writable }, Some(input))
            }
            Said::Cache {
                id,
                from,
                source,
                sharing,
                owner,
            } => {
                let id = match (id, &said.target) {
                    (Some(id), _) => id.value,
                    (None, Some(target)) => cleaned(&target.value),
                    (None, None) => target.to_string(),
                };
                let id = match self.options.build_args.get(CACHE_NAMESPACE) {
                    Some(namespace) if !namespace.is_empty() => format!("{namespace}/{id}"),
                    _ => id,
                };
                let (from, input) = match &from {
                    Some(name) if name.value != "scratch" => {
                        let (path, input) = self.source_of(&from, &source, span)?;
                        (Some(path), Some(input))
                    }
                    _ => (None, None),
                };
                let (mode, uid, gid) = owned(owner, 0o755);
                let kind = MountKind::Cache {
                    id,
                    sharing,
                    read_only: said.read_only,
                    from,
                    mode,
                    uid,
                    gid,
                };
                (kind, input)
            }
            Said::Tmpfs { size } => {
                let read_only = said.read_only;
                (MountKind::Tmpfs { size, read_only }, None)
            }
            Said::Secret {
                id,
                env,
                required,
                owner,
            } => {
                let last = target
                    .name()
                    .map(|name| String::from_utf8_lossy(name).into_owned());
                let id = id.map(|id| id.value).or(last).unwrap_or_default();
                let (mode, uid, gid) = owned(owner, 0o400);
                let kind = MountKind::Secret {
                    id,
                    file: env.is_none() || said.target.is_some(),
                    variable: env.map(|env| env.value),
                    required,
                    mode,
                    uid,
                    gid,
                };
                (kind, None)
            }
            Said::Ssh {
                id,
                required,
                owner,
            } => {
                let (mode, uid, gid) = owned(owner, 0o600);
                let kind = MountKind::Ssh {
                    id: id.map_or_else(|| "default".to_owned(), |id| id.value),
                    required,
                    mode,
                    uid,
                    gid,
                };
                (kind, None)
            }
        };
        Ok((Mount { target, kind }, input))
    }

    /// The step that `from` names, and the path in what it gives.
    fn source_of(
        &mut self,
        from: &Text,
        source: &Text,
        span: &Span,
    ) -> Lowered<(EntryPath, StepId)> {
        let path = joined("/", source.as_ref().map_or("/", |source| &source.value));
        let path = entry_path(&path, span)?;
        let base = match from {
            None => None,
            Some(from) => Some(self.needs.origin(&from.value, self.place, &from.span)?),
        };
        // What is meant is the path itself: no character of it is a wildcard.
        let selection = Selection {
            sources: vec![pattern_of(&path)],
            ..Selection::default()
        };
        match base {
            None => {
                let name = OWN_CONTEXT.to_owned();
                let input = self.source(Operation::Context { name, selection }, span);
                Ok((EntryPath::root(), input))
            }
            Some(Base::Files(name, context)) if !is_download(context) => {
                let input = self.source(named_files(name, context, selection), span);
                Ok((EntryPath::root(), input))
            }
            Some(base) => {
                let input = self.layers(&base, &self.needs.platform, span)?;
                Ok((path, input))
            }
        }
    }
}

/// What is said of an owner, or what there is without.
fn owned(owner: Owner, mode: u16) -> (u16, u32, u32) {
    let said = owner.mode.map(|mode| (mode & 0o7777) as u16);
    (
        said.unwrap_or(mode),
        owner.uid.unwrap_or(0),
        owner.gid.unwrap_or(0),
    )
}

/// A path without `.`, `..` and double slashes, relative where it is so.
fn cleaned(path: &str) -> String {
    let clean = joined("/", path);
    match path.starts_with('/') {
        true => clean,
        false => clean.trim_start_matches('/').to_owned(),
    }
}
