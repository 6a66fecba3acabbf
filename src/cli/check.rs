//! What is legal in a Dockerfile, and should be otherwise.
//!
//! In: a recipe, and what is known of its base images. Out: [`Warnings`]: as text, as events, or
//! as what fails a build whose recipe says `# check=error=true`.

use std::collections::{BTreeMap, BTreeSet};

use super::exit::{Code, Failure};
use super::recipe::Recipe;
use crate::build::bases::{Known, config};
use crate::build::ignore_file::{self, Place};
use crate::canon::event::Events;
use crate::canon::{Problem, Source};
use crate::frontend::dockerfile::check::{self, Base, CheckInput, Finding, Level, Settings};
use crate::frontend::dockerfile::syntax::{Dockerfile, Span};
use crate::frontend::dockerfile::{self, Bases, StageFacts};
use crate::ui::diagnostic::{self, Remark, Severity};

/// The build argument that stands in for `# check=`.
const ARGUMENT: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// What was found.
#[derive(Default)]
pub struct Warnings {
    pub findings: Vec<Finding>,
    /// Whether the recipe says that they fail its build.
    is_error: bool,
}

impl Warnings {
    /// Everything that the rules find in a recipe.
    pub fn of_all(recipe: &Recipe, known: &Known) -> Warnings {
        let Some(file) = recipe.dockerfile() else {
            return Warnings::default();
        };
        let options = &recipe.options;
        let facts = facts(file, recipe, known);
        let ignore = ignore_file::read(Place {
            folder: &recipe.context,
            file: &recipe.ignore_file,
        });
        // Whatever reads the context says what is wrong with its rules.
        let ignore = ignore.ok().flatten().map(|(_, rules)| rules);
        let bases: BTreeMap<usize, Base> = facts
            .iter()
            .enumerate()
            .filter_map(known_base(known))
            .collect();
        let contexts: BTreeSet<String> = options.contexts.keys().cloned().collect();
        let given = options.build_args.get(ARGUMENT);
        let settings = given.and_then(|text| Settings::parse(text).ok());
        let input = CheckInput {
            text: recipe.source.text(),
            ignore: ignore.as_ref(),
            bases: Some(&bases),
            arguments: Some(&options.build_args),
            contexts: Some(&contexts),
            is_locked: recipe.lock.as_ref().is_some_and(|lock| lock.exists()),
            settings: settings.as_ref(),
        };
        Warnings {
            findings: check::check(file, &input),
            is_error: check::settings(file, &input).error,
        }
    }

    /// What a build tells: nothing that is only worth knowing, unless the file may mean something
    /// else, and nothing of what stands in stages that it doesn't need, as Docker does.
    pub fn of_build(recipe: &Recipe, known: &Known) -> Warnings {
        let mut warnings = Warnings::of_all(recipe, known);
        let Some(file) = recipe.dockerfile() else {
            return warnings;
        };
        let facts = facts(file, recipe, known);
        let stages = file.stages.iter().zip(&facts);
        let unneeded = stages.filter(|(_, facts)| !facts.is_needed);
        let unneeded: Vec<Span> = unneeded
            .flat_map(|(stage, _)| &stage.instructions)
            .map(|instruction| instruction.span.clone())
            .collect();
        warnings.findings.retain(|finding| {
            let is_there = |span: &Span| span.contains(&finding.span.start);
            let is_told =
                finding.rule.level == Level::Warning || finding.rule.name == "ForeignSyntax";
            is_told && !unneeded.iter().any(is_there)
        });
        warnings
    }

    /// Images that may have been meant for stages: where they are named, and the way out.
    pub fn slips(&self) -> Vec<(Span, String)> {
        let all = self.findings.iter();
        let slips = all.filter(|finding| finding.rule.name == "MisspeltStage");
        slips
            .filter_map(|finding| Some((finding.span.clone(), finding.hint.clone()?)))
            .collect()
    }

    /// The source, or the failure of a build whose recipe wants no warnings. What Docker builds is
    /// built: only its own rules count.
    pub fn judge(&self, source: Source) -> Result<Source, Failure> {
        let mut broken = self
            .findings
            .iter()
            .filter(|finding| finding.rule.is_dockers);
        let Some(first) = broken.next().filter(|_| self.is_error) else {
            return Ok(source);
        };
        let mut names = BTreeSet::from([first.rule.name]);
        names.extend(broken.map(|finding| finding.rule.name));
        let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
        let message = format!(
            "the recipe wants no warnings, and there are: {}",
            names.join(", ")
        );
        let problem = Problem::new(message)
            .hint("mend them, or skip rules with `# check=skip=RULE;error=true`");
        Err(Failure::drawn(Code::Failed, |colour| {
            let problem = diagnostic::problem(&problem, None, colour);
            format!("{}\n{problem}", self.drawn(&source, 20, colour))
        }))
    }

    /// Tells each in one line.
    pub fn tell(&self, source: &Source, events: &Events) {
        for finding in &self.findings {
            let place = source.position(finding.span.start);
            events.warn(format!(
                "{}:{}:{}: {} ({})",
                source.name(),
                place.line,
                place.column,
                finding.message,
                finding.rule.name
            ));
        }
    }

    /// What is said after a build; empty where nothing was found.
    pub fn text(&self, source: &Source, colour: bool) -> String {
        let Some(first) = self.findings.first() else {
            return String::new();
        };
        let problem = Problem::new(format!("`{}` has {}", source.name(), self.count()));
        let way = format!(
            "`cairn build --explain {}` tells about a rule",
            first.rule.name
        );
        let last = Remark {
            severity: match self.warnings() {
                0 => Severity::Note,
                _ => Severity::Warning,
            },
            rule: None,
            problem: problem.hint(way),
        };
        let last = diagnostic::remarks(&[last], source, 1, colour);
        format!("{}\n{last}", self.drawn(source, 20, colour))
    }

    /// All of them with their places.
    pub fn drawn(&self, source: &Source, most: usize, colour: bool) -> String {
        let remark = |finding: &Finding| Remark {
            severity: match finding.rule.level {
                Level::Warning => Severity::Warning,
                Level::Note => Severity::Note,
            },
            rule: Some(finding.rule.name),
            problem: Problem {
                hint: finding.hint.clone(),
                ..Problem::new(&finding.message).at(finding.span.clone())
            },
        };
        let remarks: Vec<_> = self.findings.iter().map(remark).collect();
        diagnostic::remarks(&remarks, source, most, colour)
    }

    /// How many: `2 warnings, 1 note`.
    pub fn count(&self) -> String {
        let notes = self.findings.len() - self.warnings();
        let counted = |number: usize, what: &str| match number {
            0 => None,
            1 => Some(format!("1 {what}")),
            _ => Some(format!("{number} {what}s")),
        };
        let parts = [counted(self.warnings(), "warning"), counted(notes, "note")];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        match parts.is_empty() {
            true => "nothing".to_owned(),
            false => parts.join(", "),
        }
    }

    /// How many are to be mended.
    pub fn warnings(&self) -> usize {
        let levels = self.findings.iter().map(|finding| finding.rule.level);
        levels.filter(|level| *level == Level::Warning).count()
    }
}

/// What is wrong with the build argument in place of `# check=`.
pub fn judge_argument(recipe: &Recipe) -> Result<(), Failure> {
    let given = recipe.options.build_args.get(ARGUMENT);
    match given.map(|text| Settings::parse(text)) {
        Some(Err(error)) => Err(Failure::usage(
            format!("`--build-arg {ARGUMENT}`: {error}"),
            "it is written as `skip=RULE,RULE;error=true`",
        )),
        _ => Ok(()),
    }
}

fn facts(file: &Dockerfile, recipe: &Recipe, known: &Known) -> Vec<StageFacts> {
    let configs: Bases = known
        .iter()
        .map(|((source, platform), image)| {
            let (source, platform) = (source.clone(), platform.clone());
            (
                dockerfile::BaseQuestion { source, platform },
                config(&image.config),
            )
        })
        .collect();
    dockerfile::stages(file, &recipe.options, &configs).unwrap_or_default()
}

/// What the rules want to know of a stage's base.
fn known_base(known: &Known) -> impl Fn((usize, &StageFacts)) -> Option<(usize, Base)> {
    move |(place, facts)| {
        let question = facts.base.clone()?;
        let image = known.get(&(question.source, question.platform))?;
        let config = config(&image.config);
        let base = Base {
            variables: config.env.into_iter().map(|(name, _)| name).collect(),
            has_shell: config.shell.is_some(),
            platforms: Some((image.config.platform(), facts.platform.clone())),
        };
        Some((place, base))
    }
}
