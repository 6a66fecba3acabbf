//! What a Dockerfile takes and offers, without being built.
//!
//! In: a tree, what the caller chose. Out: [`targets`], its stages; [`outline`], the arguments,
//! secrets, agents and caches of those stages that the target needs.
//!
//! Descriptions are comments right above an instruction that begin with the name of what they
//! describe (docs.docker.com/build/building/base-images, "Descriptions").

use std::collections::{BTreeMap, BTreeSet};

use super::expand::Expander;
use super::mount::{self, MountKind};
use super::syntax::{self, Dockerfile, Kind, Node, Span, Spanned, Word};
use super::{Bases, lower};
use crate::canon::Problem;
use crate::frontend::Options;

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As it was written; a stage without one has none.
    pub name: Option<String>,
    /// Whether it is built when no target is named.
    pub is_default: bool,
    /// What its comment says.
    pub description: Option<String>,
    /// What it begins with, as it was written.
    pub base: String,
    /// `--platform`, as it was written.
    pub platform: Option<String>,
    /// Of its `FROM`.
    pub span: Span,
}

/// What building a target takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The target's name.
    pub name: Option<String>,
    /// What its comment says.
    pub description: Option<String>,
    /// `ARG`, each once.
    pub arguments: Vec<Argument>,
    /// `--mount=type=secret`, each once.
    pub secrets: Vec<Required>,
    /// `--mount=type=ssh`, each once.
    pub agents: Vec<Required>,
    /// `--mount=type=cache`: its name or target.
    pub caches: Vec<(String, Span)>,
}

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// What its comment says.
    pub description: Option<String>,
    /// What it is: as given, else its default.
    pub value: Option<String>,
    /// Of its `ARG`.
    pub span: Span,
}

/// Something that a command wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Required {
    /// Its name.
    pub name: String,
    /// Whether the build fails without it.
    pub required: bool,
    /// Of the instruction.
    pub span: Span,
}

/// Every stage, in the file's order.
pub fn targets(file: &Dockerfile) -> Vec<Target> {
    let last = file.stages.len().saturating_sub(1);
    let stages = file.stages.iter().enumerate();
    let target = |(place, stage): (usize, &syntax::Stage)| {
        let from = &stage.from.kind;
        let name = from.name.as_ref().map(|name| name.written.clone());
        Target {
            description: described(&stage.from, name.as_deref()),
            name,
            is_default: place == last,
            base: from.image.raw.clone(),
            platform: from.platform.as_ref().map(|word| word.raw.clone()),
            span: stage.from.span.clone(),
        }
    };
    stages.map(target).collect()
}

/// What the target takes, or why there is none.
pub fn outline(file: &Dockerfile, options: &Options) -> Result<Outline, Vec<Problem>> {
    let facts = lower::stages(file, options, &Bases::new())?;
    let expander = Expander::new(file.directives.escape);
    let mut reader = Reader {
        options,
        expander: &expander,
        globals: BTreeMap::new(),
        seen: BTreeSet::new(),
        outline: Outline {
            name: None,
            description: None,
            arguments: Vec::new(),
            secrets: Vec::new(),
            agents: Vec::new(),
            caches: Vec::new(),
        },
    };
    let mut globals = BTreeMap::new();
    for node in &file.globals {
        reader.arguments(node, &node.kind, &mut globals);
    }
    reader.globals.clone_from(&globals);
    let needed = file.stages.iter().zip(&facts);
    let needed = needed
        .filter(|(_, facts)| facts.is_needed)
        .map(|(stage, _)| stage);
    for stage in needed {
        // The last that is needed is the target.
        let name = stage
            .from
            .kind
            .name
            .as_ref()
            .map(|name| name.written.clone());
        reader.outline.description = described(&stage.from, name.as_deref());
        reader.outline.name = name;
        let mut variables = BTreeMap::new();
        for node in &stage.instructions {
            match &node.kind {
                Kind::Arg(arguments) => reader.arguments(node, arguments, &mut variables),
                Kind::Run(run) => run.mounts.iter().for_each(|word| {
                    reader.mount(word, &node.span, &variables);
                }),
                _ => {}
            }
        }
    }
    Ok(reader.outline)
}

/// What the comments above `node` say of `name`.
fn described<T>(node: &Node<T>, name: Option<&str>) -> Option<String> {
    let name = name?;
    let of = |comment: &Spanned<String>| {
        let (first, rest) = comment.value.split_once(' ')?;
        first
            .eq_ignore_ascii_case(name)
            .then(|| rest.trim().to_owned())
    };
    node.comments.iter().rev().find_map(of)
}

struct Reader<'a> {
    options: &'a Options,
    expander: &'a Expander,
    globals: BTreeMap<String, String>,
    /// What was told: of which kind, by which name.
    seen: BTreeSet<(u8, String)>,
    outline: Outline,
}

impl Reader<'_> {
    fn is_new(&mut self, kind: u8, name: &str) -> bool {
        self.seen.insert((kind, name.to_owned()))
    }

    fn arguments<T>(
        &mut self,
        node: &Node<T>,
        arguments: &[syntax::Argument],
        variables: &mut BTreeMap<String, String>,
    ) {
        for argument in arguments {
            let name = argument.name.raw.clone();
            let given = self.options.build_args.get(&name).cloned();
            let default = argument.default.as_ref();
            // What depends on a base image's variables is told as it was written.
            let default = default.map(|word| match self.expander.word(&word.raw, &*variables) {
                Ok(expanded) if expanded.unset.is_empty() => expanded.text,
                _ => word.raw.clone(),
            });
            let global = || self.globals.get(&name).cloned();
            let value = given.or(default).or_else(global);
            variables.extend(value.clone().map(|value| (name.clone(), value)));
            if self.is_new(b'a', &name) {
                self.outline.arguments.push(Argument {
                    description: described(node, Some(&name)),
                    name,
                    value,
                    span: node.span.clone(),
                });
            }
        }
    }

    fn mount(&mut self, word: &Word, span: &Span, variables: &BTreeMap<String, String>) {
        let expander = self.expander;
        let mut expand = |word: &Word| {
            let expanded = expander.word(&word.raw, variables);
            Ok(expanded.map_or_else(|_| word.raw.clone(), |expanded| expanded.text))
        };
        // What is wrong with it, the check and the build say.
        let Ok(mount) = mount::parse(word, &mut expand) else {
            return;
        };
        let target = mount.target.map(|target| target.value).unwrap_or_default();
        let value = |id: Option<Spanned<String>>| id.map(|id| id.value);
        match mount.kind {
            MountKind::Secret { id, required, .. } => {
                let last = target.rsplit('/').next().unwrap_or_default();
                let name = value(id).unwrap_or_else(|| last.to_owned());
                if self.is_new(b's', &name) {
                    let span = span.clone();
                    self.outline.secrets.push(Required {
                        name,
                        required,
                        span,
                    });
                }
            }
            MountKind::Ssh { id, required, .. } => {
                let name = value(id).unwrap_or_else(|| "default".to_owned());
                if self.is_new(b'h', &name) {
                    let span = span.clone();
                    self.outline.agents.push(Required {
                        name,
                        required,
                        span,
                    });
                }
            }
            MountKind::Cache { id, .. } => {
                let name = value(id).unwrap_or(target);
                if self.is_new(b'c', &name) {
                    self.outline.caches.push((name, span.clone()));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::{Platform, Source};
    use crate::frontend::dockerfile::{LARGEST, parse};

    const TEXT: &str = "# VERSION which one\nARG VERSION=1\nFROM a AS Base\n\
         # dev for people\n# who write\nFROM --platform=$BUILDPLATFORM b:$VERSION AS dev\nARG VERSION\n\
         # WITH what else\nARG WITH=$VERSION-x\nRUN --mount=type=secret,id=t,required x\n\
         RUN --mount=type=ssh --mount=type=cache,target=/c --mount=type=secret,target=/u/t x\n\
         FROM dev\nARG UNUSED\n";

    fn file() -> Dockerfile {
        parse(&Source::new("Dockerfile", TEXT.into(), LARGEST).unwrap()).unwrap()
    }

    #[test]
    fn targets_are_the_stages() {
        let told: Vec<_> = targets(&file()).into_iter().collect();
        let names: Vec<_> = told.iter().map(|target| target.name.as_deref()).collect();
        assert_eq!(names, [Some("Base"), Some("dev"), None]);
        let defaults: Vec<_> = told.iter().map(|target| target.is_default).collect();
        assert_eq!(defaults, [false, false, true]);
        assert_eq!(told[1].description.as_deref(), Some("for people"));
        assert_eq!(told[1].base, "b:$VERSION");
        assert_eq!(told[1].platform.as_deref(), Some("$BUILDPLATFORM"));
        assert!(TEXT[told[1].span.clone()].starts_with("FROM --platform"));
    }

    #[test]
    fn the_outline_has_what_the_target_takes() {
        let mut options = Options::new(Platform::new("linux", "amd64", None));
        options.target = Some("dev".to_owned());
        options
            .build_args
            .insert("VERSION".to_owned(), "2".to_owned());
        let outline = outline(&file(), &options).unwrap();
        assert_eq!(outline.name.as_deref(), Some("dev"));
        let arguments: Vec<_> = outline
            .arguments
            .iter()
            .map(|argument| {
                (
                    &argument.name[..],
                    argument.value.as_deref(),
                    argument.description.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            arguments,
            [
                ("VERSION", Some("2"), Some("which one")),
                ("WITH", Some("2-x"), Some("what else")),
            ]
        );
        let secrets: Vec<_> = outline
            .secrets
            .iter()
            .map(|one| (&one.name[..], one.required))
            .collect();
        assert_eq!(secrets, [("t", true)]);
        assert_eq!(outline.agents[0].name, "default");
        assert_eq!(outline.caches[0].0, "/c");
        options.target = Some("nothing".to_owned());
        assert!(super::outline(&file(), &options).is_err());
    }
}
