//! `COPY` and `ADD`.
//!
//! In: their sources. Out: what gives the files, and a copy of them; a here-document alone is a
//! file step.

use super::needs::Base;
use super::stage::{Lowered, Lowering, State, entry_path, is_download, named_files, problem};
use crate::canon::Digest;
use crate::canon::login::redacted;
use crate::canon::path::joined;
use crate::canon::pattern::Wildcard;
use crate::frontend::address::{self, Address, Git, Http};
use crate::frontend::dockerfile::syntax::{
    Add, Copy, Heredoc, Span, Transfer, TransferSource, Word,
};
use crate::frontend::toml::{pattern, value};
use crate::plan::name::{self, OWN_CONTEXT};
use crate::plan::step::{Destination, Ownership};
use crate::plan::{Mode, Operation, Selection, StepId};

/// What one copy takes: what gives the files, with the layers that these are of.
struct Taken {
    operation: Operation,
    inputs: Vec<StepId>,
    /// Whether archives among them are unpacked.
    unpack: bool,
}

/// What `ADD` asks for beside the rest.
#[derive(Default)]
struct Asked {
    is_add: bool,
    checksum: Option<(String, Span)>,
    keep_git_dir: Option<bool>,
    unpack: Option<bool>,
}

impl Lowering<'_> {
    pub(super) fn copy_files(
        &mut self,
        state: &mut State,
        copy: &Copy,
        span: &Span,
    ) -> Lowered<()> {
        let from = match &copy.from {
            None => None,
            Some(from) => {
                let base = self.needs.origin(&from.value, self.place, &from.span)?;
                Some((base, &from.span))
            }
        };
        let transfer = (&copy.transfer, copy.parents);
        self.transfer(state, transfer, from, &Asked::default(), span)
    }

    pub(super) fn add_files(&mut self, state: &mut State, add: &Add, span: &Span) -> Lowered<()> {
        let checksum = match &add.checksum {
            None => None,
            Some(word) => {
                let text = self.word(state, word)?;
                Some((text, word.span.clone())).filter(|(text, _)| !text.is_empty())
            }
        };
        let asked = Asked {
            is_add: true,
            checksum,
            keep_git_dir: add.keep_git_dir.as_ref().map(|keep| keep.value),
            unpack: add.unpack.as_ref().map(|unpack| unpack.value),
        };
        self.transfer(state, (&add.transfer, false), None, &asked, span)
    }

    fn transfer(
        &mut self,
        state: &mut State,
        (transfer, parents): (&Transfer, bool),
        from: Option<(Base<'_>, &Span)>,
        asked: &Asked,
        span: &Span,
    ) -> Lowered<()> {
        let to = self.destination(state, &transfer.destination)?;
        let ownership = self.ownership(state, transfer)?;
        let mut exclude = Vec::new();
        for word in &transfer.exclude {
            let text = self.word(state, word)?;
            let filter = pattern::filter(&text);
            exclude.push(filter.map_err(|fault| problem(&word.span, fault.message, fault.hint))?);
        }
        if let [TransferSource::Heredoc(heredoc)] = &transfer.sources[..] {
            return self.single_heredoc(state, heredoc, (to, ownership, transfer.link), span);
        }
        let mut taken = Vec::new();
        let mut paths: Vec<String> = Vec::new();
        for source in &transfer.sources {
            let other = match source {
                TransferSource::Heredoc(heredoc) => Taken {
                    operation: Operation::Inline {
                        name: heredoc.name.clone(),
                        content: self.content(state, heredoc)?,
                    },
                    inputs: Vec::new(),
                    unpack: false,
                },
                TransferSource::Path(word) => {
                    let text = self.word(state, word)?;
                    match self.remote(&text, &word.span, asked, &exclude)? {
                        Some(taken) => taken,
                        None => {
                            paths.push(path(&text, parents, &word.span)?);
                            continue;
                        }
                    }
                }
            };
            self.local(
                &mut taken,
                &mut paths,
                (parents, &exclude),
                &from,
                asked,
                span,
            )?;
            taken.push(other);
        }
        self.local(
            &mut taken,
            &mut paths,
            (parents, &exclude),
            &from,
            asked,
            span,
        )?;
        if let Some((_, span)) = &asked.checksum
            && !matches!(
                &taken[..],
                [Taken {
                    operation: Operation::Http { .. } | Operation::Git { .. },
                    ..
                }]
            )
        {
            let message = "`--checksum` is for one download or Git repository";
            let hint = "leave it out, or give each of them an ADD of its own";
            return Err(problem(span, message, hint));
        }
        self.put(state, taken, (to, ownership, transfer.link), &from, span);
        Ok(())
    }

    /// Ends a row of paths: they are one selection.
    fn local(
        &mut self,
        taken: &mut Vec<Taken>,
        paths: &mut Vec<String>,
        (parents, exclude): (bool, &[String]),
        from: &Option<(Base<'_>, &Span)>,
        asked: &Asked,
        span: &Span,
    ) -> Lowered<()> {
        if paths.is_empty() {
            return Ok(());
        }
        let sources = std::mem::take(paths);
        let has_wildcard = sources
            .iter()
            .any(|source| Wildcard::is_needed_for(source.as_bytes()));
        let selection = Selection {
            parents,
            include: Vec::new(),
            exclude: exclude.to_vec(),
            may_be_empty: has_wildcard || !exclude.is_empty(),
            sources,
        };
        let (operation, inputs) = match from {
            None => {
                let name = OWN_CONTEXT.to_owned();
                (Operation::Context { name, selection }, Vec::new())
            }
            Some((Base::Files(name, context), _)) if !is_download(context) => {
                (named_files(name, context, selection), Vec::new())
            }
            Some((base, at)) => {
                let layers = self.layers(base, &self.needs.platform, at)?;
                (Operation::Select { selection }, vec![layers])
            }
        };
        let _ = span;
        taken.push(Taken {
            operation,
            inputs,
            unpack: asked.unpack.unwrap_or(asked.is_add),
        });
        Ok(())
    }

    /// A source that is fetched.
    fn remote(
        &mut self,
        text: &str,
        span: &Span,
        asked: &Asked,
        exclude: &[String],
    ) -> Lowered<Option<Taken>> {
        let address = address::read(text).map_err(|message| problem(span, message, ""))?;
        let Some(address) = address else {
            return Ok(None);
        };
        if !asked.is_add {
            let message = format!(
                "`COPY` fetches nothing, and `{}` is an address",
                redacted(text).escape_debug()
            );
            return Err(problem(span, message, "`ADD` fetches"));
        }
        let (operation, unpack) = match address {
            Address::Http(Http { url, login }) => {
                self.plan.add_login(&url, login.as_ref());
                let sha256 = match &asked.checksum {
                    None => None,
                    Some((text, span)) => Some(sha256(text, span)?),
                };
                let file_name = address::file_name(&url);
                let operation = Operation::Http {
                    url,
                    sha256,
                    file_name,
                };
                (operation, asked.unpack.unwrap_or(false))
            }
            Address::Git(git) => {
                let checksum = match (&asked.checksum, git.checksum.clone()) {
                    (Some((asked, span)), Some(own)) if *asked != *own => {
                        let message =
                            format!("`--checksum` says `{asked}`, and the address `{own}`");
                        return Err(problem(span, message, "keep one of them"));
                    }
                    (Some((asked, span)), _) => {
                        let is_commit =
                            !asked.is_empty() && asked.bytes().all(|b| b.is_ascii_hexdigit());
                        if !is_commit {
                            let message = format!("`{}` is no commit", asked.escape_debug());
                            return Err(problem(span, message, "write its hex digits"));
                        }
                        Some(asked.to_ascii_lowercase())
                    }
                    (None, own) => own,
                };
                if let (Some(asked), Some(own)) = (asked.keep_git_dir, git.keep_git_dir)
                    && asked != own
                {
                    let message = "`--keep-git-dir` and the address say different things";
                    return Err(problem(span, message, "keep one of them"));
                }
                self.plan.add_login(&git.url, git.login.as_ref());
                let git = Git {
                    checksum,
                    keep_git_dir: git.keep_git_dir.or(asked.keep_git_dir),
                    ..*git
                };
                let operation = Operation::Git {
                    revision: git.revision(),
                    extras: git.extras(),
                    url: git.url,
                    selection: Selection {
                        sources: vec![git.folder.unwrap_or_else(|| ".".to_owned())],
                        exclude: exclude.to_vec(),
                        ..Selection::default()
                    },
                };
                (operation, false)
            }
        };
        Ok(Some(Taken {
            operation,
            inputs: Vec::new(),
            unpack,
        }))
    }

    /// Puts what is taken where it goes: in one copy, or, as not all archives are unpacked, in
    /// several.
    fn put(
        &mut self,
        state: &mut State,
        taken: Vec<Taken>,
        (to, ownership, link): (Destination, Ownership, bool),
        from: &Option<(Base<'_>, &Span)>,
        span: &Span,
    ) {
        let from = match from {
            Some((Base::Stage(place), _)) => name::from_stage(&self.needs.name(*place)),
            Some((Base::Image(source), _)) => name::from_image(source),
            Some((Base::Files(name, _), _)) => name::from_context(name),
            Some((Base::Scratch, _)) | None => String::new(),
        };
        for group in taken.chunk_by(|one, other| one.unpack == other.unpack) {
            let operation = Operation::Copy {
                to: to.clone(),
                unpack: group.iter().any(|taken| taken.unpack),
                ownership: ownership.clone(),
            };
            let copied: Vec<_> = group.iter().map(|taken| &taken.operation).collect();
            let name = name::step(&operation, &copied, &from);
            let files = group.iter().map(|taken| {
                let name = name::step(&taken.operation, &[], "");
                self.add(taken.operation.clone(), taken.inputs.clone(), name, span)
            });
            let files: Vec<StepId> = files.collect();
            self.over(state, operation, files, (name, link), span);
        }
    }

    /// Adds a layer; with `link` one that doesn't depend on those below.
    fn over(
        &mut self,
        state: &mut State,
        operation: Operation,
        files: Vec<StepId>,
        (name, link): (String, bool),
        span: &Span,
    ) {
        let names_owner = match &operation {
            Operation::Copy { ownership, .. } | Operation::File { ownership, .. } => {
                let owner = ownership.owner.as_deref().unwrap_or_default();
                owner
                    .bytes()
                    .any(|byte| !byte.is_ascii_digit() && byte != b':')
            }
            _ => false,
        };
        // Only the layers below know an owner's number.
        if !link || names_owner {
            let inputs = std::iter::once(state.top).chain(files).collect();
            state.top = self.add(operation, inputs, name, span);
            return;
        }
        let scratch = self.source(Operation::Scratch, span);
        let inputs = std::iter::once(scratch).chain(files).collect();
        let linked = name::link(&name);
        let above = self.add(operation, inputs, name, span);
        state.top = self.add(Operation::Merge, vec![state.top, above], linked, span);
    }

    fn single_heredoc(
        &mut self,
        state: &mut State,
        heredoc: &Heredoc,
        (to, ownership, link): (Destination, Ownership, bool),
        span: &Span,
    ) -> Lowered<()> {
        let content = self.content(state, heredoc)?;
        let (path, name) = match to.is_directory {
            // Whether it is a directory all the same only the layers below know.
            false => (to.path, Some(heredoc.name.clone())),
            true => {
                let name = entry_path(&heredoc.name, &heredoc.span)?;
                let path = to.path.join(&name);
                let path = path.map_err(|error| problem(&heredoc.span, error.to_string(), ""))?;
                (path, None)
            }
        };
        let operation = Operation::File {
            path,
            name,
            content,
            ownership,
        };
        let name = name::step(&operation, &[], "");
        self.over(state, operation, Vec::new(), (name, link), span);
        Ok(())
    }

    /// What a here-document holds, variables expanded.
    fn content(&self, state: &State, heredoc: &Heredoc) -> Lowered<String> {
        let content = heredoc.content();
        match heredoc.expands {
            false => Ok(content),
            true => self
                .expander
                .heredoc(&content, &state.scope)
                .map_err(|error| super::scope::unexpanded(&error, &heredoc.body.span)),
        }
    }

    fn destination(&self, state: &State, word: &Word) -> Lowered<Destination> {
        let text = self.word(state, word)?;
        let last = text.rsplit('/').next().unwrap_or_default();
        let path = joined(&state.workdir, &text);
        Ok(Destination {
            path: entry_path(&path, &word.span)?,
            is_directory: matches!(last, "" | "."),
        })
    }

    fn ownership(&self, state: &State, transfer: &Transfer) -> Lowered<Ownership> {
        let mut ownership = Ownership::default();
        if let Some(word) = &transfer.chmod {
            let text = self.word(state, word)?;
            if !text.is_empty() {
                let mode = Mode::parse(&text);
                ownership.mode = Some(mode.map_err(|message| problem(&word.span, message, ""))?);
            }
        }
        if let Some(word) = &transfer.chown {
            let text = self.word(state, word)?;
            let text = text.trim_end_matches(':');
            if !text.is_empty() {
                let owner = value::owner(text);
                let owner = owner.map_err(|fault| problem(&word.span, fault.message, fault.hint));
                ownership.owner = Some(owner?);
            }
        }
        Ok(ownership)
    }
}

fn sha256(text: &str, span: &Span) -> Lowered<Digest> {
    let hex = text.strip_prefix("sha256:").unwrap_or_default();
    Digest::from_hex(hex).map_err(|_| {
        let shown = text.escape_debug();
        let hint = "write `sha256:` and the 64 lower-case hex digits that `sha256sum` prints";
        problem(span, format!("`{shown}` is no sha256"), hint)
    })
}

/// A source in one form; what leads out of the context stays at its root.
fn path(text: &str, parents: bool, span: &Span) -> Lowered<String> {
    let clean = |text: &str| {
        let clean = joined("/", text);
        let clean = clean.trim_start_matches('/');
        if clean.is_empty() {
            ".".to_owned()
        } else {
            clean.to_owned()
        }
    };
    let read = match text.split_once("/./") {
        Some((before, after)) if parents => {
            let text = format!("{}/./{}", clean(before), clean(after));
            pattern::source_with_pivot(&text)
        }
        _ if parents && clean(text) == "." => {
            let message = "with `--parents` something has to be named, and this is all of it";
            return Err(problem(
                span,
                message,
                "write `*`, or leave `--parents` out",
            ));
        }
        _ => pattern::source(&clean(text)),
    };
    // What was meant for JSON and is none falls into words.
    let hint = |hint| match text.starts_with("[\"") {
        true => "an array ends with `]`, and has strings in double quotes".into(),
        false => hint,
    };
    read.map_err(|fault| problem(span, fault.message, hint(fault.hint)))
}
