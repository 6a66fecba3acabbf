//! Which stages the target needs, and what each begins with.
//!
//! In: a tree, what the caller chose, what is known of base images. Out: [`Needs`]. A stage only
//! ever needs stages above it.

use std::collections::{BTreeMap, BTreeSet};

use super::scope::{self, Scope};
use super::{BaseQuestion, Bases};
use crate::canon::{Platform, Problem, Reference};
use crate::frontend::dockerfile::expand::Expander;
use crate::frontend::dockerfile::syntax::{self, Dockerfile, Instruction, Kind, Span};
use crate::frontend::dockerfile::{mount, trigger};
use crate::frontend::{NamedContext, Options, suggest};
use crate::plan::Source;

/// The stages, as far as the target needs them.
pub struct Needs<'a> {
    /// Every stage, above its instructions those that its base has it do.
    pub stages: Vec<Stage<'a>>,
    /// The one that is the image.
    pub target: usize,
    /// What the image is of, and any image that is only copied or mounted from, whatever the
    /// platform of the stage that does so (BuildKit: such a stage has no platform of its own).
    pub platform: Platform,
    /// What is set above the first stage.
    pub globals: Scope,
    options: &'a Options,
    /// The last stage of each name, by place among the stages.
    names: BTreeMap<&'a str, Vec<usize>>,
}

/// A stage.
pub struct Stage<'a> {
    /// As it is written.
    pub syntax: &'a syntax::Stage,
    /// What it begins with.
    pub base: Base<'a>,
    /// What its images are of.
    pub platform: Platform,
    /// What the base image has it do first.
    pub triggers: Vec<Instruction>,
    /// Whether a named context of its name takes its place, so that none of its instructions is
    /// done.
    pub is_replaced: bool,
    /// Whether the target needs it.
    pub is_needed: bool,
}

/// What a stage begins with, or copies from.
#[derive(Debug, Clone)]
pub enum Base<'a> {
    /// Nothing.
    Scratch,
    /// Another stage.
    Stage(usize),
    /// An image.
    Image(Source),
    /// Files that the caller names: the name, and what they are.
    Files(&'a str, &'a NamedContext),
}

impl<'a> Needs<'a> {
    /// Looks at every `FROM`, and from the target up at what needs what.
    pub fn new(
        file: &'a Dockerfile,
        options: &'a Options,
        platform: &Platform,
        known: &Bases,
        expander: &Expander,
    ) -> Result<Needs<'a>, Vec<Problem>> {
        let mut needs = Needs {
            stages: Vec::with_capacity(file.stages.len()),
            target: 0,
            platform: platform.clone(),
            globals: scope::global(file, options, platform, expander)?,
            options,
            names: BTreeMap::new(),
        };
        let mut problems = Vec::new();
        for (place, stage) in file.stages.iter().enumerate() {
            let read = needs.stage(stage, platform, expander);
            let (base, platform, is_replaced) = read.unwrap_or_else(|problem| {
                problems.push(*problem);
                (Base::Scratch, platform.clone(), false)
            });
            needs.stages.push(Stage {
                syntax: stage,
                base,
                platform,
                triggers: Vec::new(),
                is_replaced,
                is_needed: false,
            });
            if let Some(name) = &stage.from.kind.name {
                needs.names.entry(&name.value).or_default().push(place);
            }
        }
        match needs.find_target() {
            Ok(target) => needs.target = target,
            Err(problem) => problems.push(*problem),
        }
        if problems.is_empty() {
            problems = needs.mark(known);
        }
        match problems.is_empty() {
            true => Ok(needs),
            false => Err(problems),
        }
    }

    /// The places of the stages that are needed.
    pub fn in_order(&self) -> Vec<usize> {
        let places = self.stages.iter().enumerate();
        let needed = places.filter(|(_, stage)| stage.is_needed);
        needed.map(|(place, _)| place).collect()
    }

    /// The images that needed stages begin with, and that are not known.
    pub fn unknown(&self, known: &Bases) -> impl Iterator<Item = (BaseQuestion, Span)> {
        let needed = self.stages.iter().filter(|stage| stage.is_needed);
        let questions = needed.filter_map(|stage| {
            let span = &stage.syntax.from.kind.image.span;
            Some((stage.question()?, span.clone()))
        });
        questions.filter(|(question, _)| !known.contains_key(question))
    }

    /// What the stage of that place calls itself, for people.
    pub fn name(&self, place: usize) -> String {
        let stage = self.stages.get(place).map(|stage| &stage.syntax.from.kind);
        let name = stage.and_then(|from| from.name.as_ref());
        name.map_or_else(|| place.to_string(), |name| name.value.clone())
    }

    fn find_target(&self) -> Result<usize, Box<Problem>> {
        let last = self.stages.len().saturating_sub(1);
        let Some(wanted) = &self.options.target else {
            return Ok(last);
        };
        let lower = wanted.to_lowercase();
        let by_name = self.names.get(lower.as_str());
        if let Some(place) = by_name.and_then(|places| places.last()) {
            return Ok(*place);
        }
        if let Some(place) = wanted.parse().ok().filter(|place| *place <= last) {
            return Ok(place);
        }
        let problem = Problem::new(format!(
            "the recipe has no stage `{wanted}` to be the target"
        ));
        let hint = suggest::hint(&lower, self.names.keys().copied(), "its stages are");
        Err(Box::new(problem.hint(hint.unwrap_or_else(|| {
            "none of its stages has a name".to_owned()
        }))))
    }

    /// What a stage begins with, its platform, and whether that takes its place.
    fn stage(
        &self,
        stage: &syntax::Stage,
        target: &Platform,
        expander: &Expander,
    ) -> Result<(Base<'a>, Platform, bool), Box<Problem>> {
        let from = &stage.from.kind;
        let image = scope::word(expander, &from.image, &self.globals)?;
        let mut platform = target.clone();
        if let Some(word) = &from.platform {
            let text = scope::word(expander, word, &self.globals)?.text;
            let parsed = text.parse::<Platform>();
            platform = parsed.map_err(|error| {
                let problem = Problem::new(error.message).at(word.span.clone());
                Box::new(problem.hint(error.hint))
            })?;
        }
        if let Some(name) = &from.name
            && let Some(base) = self.named_context(&name.value)
        {
            return Ok((base, platform, true));
        }
        let lacking = self.lacking(&image.unset);
        if image.text.is_empty() {
            let problem = Problem::new("`FROM` names no image, once its variables are expanded");
            let problem = problem.at(from.image.span.clone());
            return Err(Box::new(match lacking {
                Some(hint) => problem.hint(hint),
                None => problem,
            }));
        }
        let base = self.base(&image.text, self.stages.len(), &from.image.span);
        let base = base.map_err(|mut problem| {
            problem.hint = lacking.or(problem.hint.take());
            problem
        })?;
        if let Base::Stage(place) = base {
            platform = self.stages[place].platform.clone();
        }
        Ok((base, platform, false))
    }

    /// What to do about variables of `FROM` that have no value.
    fn lacking(&self, unset: &BTreeSet<String>) -> Option<String> {
        let first = unset.first()?;
        let known = self.globals.all();
        let known = known.iter().map(|(name, _)| &name[..]);
        let near = suggest::near(first, known);
        let names: Vec<_> = unset.iter().map(|name| format!("`{name}`")).collect();
        Some(match near {
            Some(near) => format!("`{first}` has no value: {near}"),
            None => format!(
                "{} {} no value: give one with `ARG` above the first `FROM`, or `--build-arg`",
                names.join(", "),
                if unset.len() == 1 { "has" } else { "have" },
            ),
        })
    }

    /// What `name` means in the stage of that place: a stage above it, a named context, an image.
    pub fn base(&self, name: &str, place: usize, span: &Span) -> Result<Base<'a>, Box<Problem>> {
        if let Some(stage) = self.stage_above(name, place) {
            return Ok(Base::Stage(stage));
        }
        if name == "scratch" {
            return Ok(Base::Scratch);
        }
        if let Some(base) = self.named_context(name) {
            return Ok(base);
        }
        name.parse::<Reference>()
            .map(|reference| Base::Image(Source::Registry(reference)))
            .map_err(|error| {
                let hint = match error.in_lower_case() {
                    Some(lower) => format!("did you mean `{lower}`?"),
                    None => "name a stage above, or an image as `[REGISTRY/]NAME[:TAG]`".to_owned(),
                };
                Box::new(Problem::new(error.to_string()).at(span.clone()).hint(hint))
            })
    }

    /// What `--from` or `from=` names: also a stage by its number.
    pub fn origin(&self, name: &str, place: usize, span: &Span) -> Result<Base<'a>, Box<Problem>> {
        let below = |message: String| {
            let hint = "stages are made from the top down: move that one further up";
            Box::new(Problem::new(message).at(span.clone()).hint(hint))
        };
        if let Ok(number) = name.parse::<usize>() {
            if number < place {
                return Ok(Base::Stage(number));
            }
            return Err(below(format!("stage {number} is not above this one")));
        }
        let lower = name.to_lowercase();
        if self.stage_above(&lower, place).is_none()
            && self.names.contains_key(lower.as_str())
            && self.named_context(name).is_none()
        {
            return Err(below(format!("stage `{name}` is not above this one")));
        }
        self.base(name, place, span)
    }

    fn stage_above(&self, name: &str, place: usize) -> Option<usize> {
        let lower = name.to_lowercase();
        let places = self.names.get(lower.as_str())?;
        places.iter().rev().copied().find(|stage| *stage < place)
    }

    /// The named context that takes the place of the stage or image of that name.
    fn named_context(&self, name: &str) -> Option<Base<'a>> {
        if matches!(name, "scratch" | "context") {
            return None;
        }
        let contexts = &self.options.contexts;
        let is_same = |other: &str| {
            let (other, name) = (other.parse::<Reference>(), name.parse::<Reference>());
            other.is_ok() && other.ok() == name.ok()
        };
        let found = contexts.get_key_value(name);
        let found = found.or_else(|| contexts.iter().find(|(other, _)| is_same(other)));
        let (name, context) = found?;
        Some(match context {
            NamedContext::Scratch => Base::Scratch,
            NamedContext::Image(reference) => Base::Image(Source::Registry(reference.clone())),
            NamedContext::Layout { path, name } => Base::Image(Source::Layout {
                path: path.clone(),
                name: name.clone(),
            }),
            _ => Base::Files(name, context),
        })
    }

    /// Marks what the target needs, from the last stage up, with the triggers of their bases.
    fn mark(&mut self, known: &Bases) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(target) = self.stages.get_mut(self.target) {
            target.is_needed = true;
        }
        for place in (0..=self.target).rev() {
            if !self.stages[place].is_needed {
                continue;
            }
            match self.triggers(place, known) {
                Ok(triggers) => self.stages[place].triggers = triggers,
                Err(problem) => problems.push(*problem),
            }
            for other in self.needed_by(place) {
                self.stages[other].is_needed = true;
            }
        }
        problems
    }

    fn triggers(&self, place: usize, known: &Bases) -> Result<Vec<Instruction>, Box<Problem>> {
        let stage = &self.stages[place];
        if stage.is_replaced {
            return Ok(Vec::new());
        }
        if let Base::Stage(base) = stage.base {
            let instructions = self.stages[base].syntax.instructions.iter();
            let triggers = instructions.filter_map(|instruction| match &instruction.kind {
                Kind::OnBuild(trigger) => Some((*trigger.instruction).clone()),
                _ => None,
            });
            return Ok(triggers.collect());
        }
        let config = stage.question().and_then(|question| known.get(&question));
        let texts = config.iter().flat_map(|config| &config.on_build);
        let span = &stage.syntax.from.kind.image.span;
        let read = |text: &String| {
            trigger(text).map_err(|problems| {
                let text = text.escape_debug();
                let message = format!("the base image's trigger `{text}` can't be read");
                let problem = Problem::new(message).at(span.clone());
                let causes = problems.into_iter();
                Box::new(causes.fold(problem, |problem, cause| problem.cause(cause.message)))
            })
        };
        texts.map(read).collect()
    }

    /// The stages that one begins with, copies from or mounts. What can't be read is told when the
    /// stage is gone through.
    fn needed_by(&self, place: usize) -> Vec<usize> {
        let stage = &self.stages[place];
        let mut needed = Vec::new();
        let mut add = |base: Result<Base, Box<Problem>>| {
            if let Ok(Base::Stage(place)) = base {
                needed.push(place);
            }
        };
        add(Ok(stage.base.clone()));
        for instruction in stage.instructions() {
            match &instruction.kind {
                Kind::Copy(copy) => {
                    if let Some(from) = &copy.from {
                        add(self.origin(&from.value, place, &from.span));
                    }
                }
                Kind::Run(run) => {
                    for mount in &run.mounts {
                        if let Some(from) = mount::from(&mount.raw) {
                            add(self.origin(from, place, &mount.span));
                        }
                    }
                }
                _ => {}
            }
        }
        needed
    }
}

impl Stage<'_> {
    /// What is done in it, in order.
    pub fn instructions(&self) -> impl Iterator<Item = &Instruction> {
        let own = self.syntax.instructions.iter();
        let own = own.filter(|_| !self.is_replaced);
        self.triggers.iter().chain(own)
    }

    /// The image that it begins with.
    pub fn question(&self) -> Option<BaseQuestion> {
        match &self.base {
            Base::Image(source) => Some(BaseQuestion {
                source: source.clone(),
                platform: self.platform.clone(),
            }),
            _ => None,
        }
    }
}
