//! From the draft to the plan: target and platforms are chosen, and steps laid out, each after
//! its inputs.
//!
//! In: [`Draft`], [`Options`]. Out: [`Plan`] with the steps that the target needs and no others.

use std::collections::BTreeMap;

use super::draft::{Draft, Files, Layers, Stage};
use super::lower_step::OWN_CONTEXT;
use super::suggest;
use crate::canon::{Platform, Problem};
use crate::frontend::Options;
use crate::plan::{ConfigChange, Operation, Plan, PlannedImage, Step, StepId};

/// The plan of a draft without problems.
pub fn lower(draft: &Draft, options: &Options) -> Result<Plan, Vec<Problem>> {
    let target = target(draft, options).map_err(|problem| vec![*problem])?;
    let platforms = platforms(draft, options).map_err(|problem| vec![*problem])?;
    let mut plan = Plan::default();
    for platform in platforms {
        let mut planner = Planner {
            draft,
            platform: &platform,
            plan: &mut plan,
            built: BTreeMap::new(),
        };
        let root = planner.stage(target).ok_or_else(|| {
            // `stages::draft` has said whatever can lead here.
            let message = "this is a bug in cairn: a recipe without problems can't be planned";
            vec![Problem::new(message)]
        })?;
        plan.images.push(PlannedImage {
            platform,
            root,
            config: config(draft, target, options),
        });
    }
    plan.contexts = contexts(draft, &plan, options);
    Ok(plan)
}

fn target(draft: &Draft, options: &Options) -> Result<usize, Box<Problem>> {
    let Some(wanted) = &options.target else {
        return Ok(draft.stages.len().saturating_sub(1));
    };
    let names = || {
        draft
            .stages
            .iter()
            .filter_map(|stage| stage.name.as_deref())
    };
    names().position(|name| name == wanted).ok_or_else(|| {
        let problem = Problem::new(format!(
            "the recipe has no stage `{wanted}` to be the target"
        ));
        let hint = suggest::hint(wanted, names(), "its stages");
        Box::new(problem.hint(hint.unwrap_or_else(|| "it has no stages".to_owned())))
    })
}

fn platforms(draft: &Draft, options: &Options) -> Result<Vec<Platform>, Box<Problem>> {
    let mut platforms = [&options.platforms, &draft.platforms]
        .into_iter()
        .find(|platforms| !platforms.is_empty())
        .cloned()
        .unwrap_or_default();
    if let Some((parts, span)) = &draft.config_platform {
        let default = &options.default_platform;
        let os = parts.os.as_deref();
        let wanted = match &parts.architecture {
            Some(architecture) => Platform::new(
                os.unwrap_or("linux"),
                architecture,
                parts.variant.as_deref(),
            ),
            None => Platform {
                os: os.unwrap_or(&default.os).to_ascii_lowercase(),
                ..platforms.first().unwrap_or(default).clone()
            },
        };
        if let Some(other) = platforms.iter().find(|platform| **platform != wanted) {
            let message = format!("the config is for `{wanted}`, and the image for `{other}`");
            let hint = "leave `architecture`, `os` and `variant` out: `platforms` decides";
            return Err(Box::new(Problem::new(message).at(span.clone()).hint(hint)));
        }
        platforms = vec![wanted];
    }
    if platforms.is_empty() {
        platforms.push(options.default_platform.clone());
    }
    let mut once: Vec<Platform> = Vec::new();
    for platform in platforms {
        if !once.contains(&platform) {
            once.push(platform);
        }
    }
    Ok(once)
}

/// The changes of the stages that `stage` begins with, from the bottom up, then its own, then the
/// caller's.
fn config(draft: &Draft, stage: usize, options: &Options) -> Vec<ConfigChange> {
    let mut changes = Vec::new();
    let mut next = Some(stage);
    while let Some(stage) = next.and_then(|place| draft.stages.get(place)) {
        changes.push(stage.config.clone());
        next = match stage.base {
            Some((Layers::Stage(place), _)) => Some(place),
            _ => None,
        };
    }
    changes.reverse();
    changes.push(ConfigChange {
        labels: options.labels.clone(),
        annotations: options.annotations.clone(),
        ..ConfigChange::default()
    });
    changes.retain(|change| *change != ConfigChange::default());
    changes
}

fn contexts(draft: &Draft, plan: &Plan, options: &Options) -> BTreeMap<String, String> {
    let used = plan.steps.iter().filter_map(|step| match &step.operation {
        Operation::Context { name, .. } if name != OWN_CONTEXT => Some(name),
        _ => None,
    });
    let folder = |name: &String| {
        let folders = [&options.contexts, &draft.contexts];
        let found = folders.iter().find_map(|folders| folders.get(name));
        Some((name.clone(), found?.clone()))
    };
    used.filter_map(folder).collect()
}

struct Planner<'a> {
    draft: &'a Draft,
    platform: &'a Platform,
    plan: &'a mut Plan,
    built: BTreeMap<usize, StepId>,
}

impl Planner<'_> {
    /// The top of a stage's layers. No deeper than there are stages, for these have no cycle.
    fn stage(&mut self, place: usize) -> Option<StepId> {
        if let Some(&top) = self.built.get(&place) {
            return Some(top);
        }
        let stage = self.draft.stages.get(place)?;
        let (base, span) = stage.base.as_ref()?;
        let mut top = self.layers(base, stage, span)?;
        for step in &stage.steps {
            let mut inputs = vec![top];
            if let Some(files) = &step.files {
                inputs.push(self.files(files, stage, step)?);
            }
            let operation = step.operation.clone();
            top = self.add(operation, inputs, step.name.clone(), stage, &step.span);
        }
        self.built.insert(place, top);
        Some(top)
    }

    fn layers(
        &mut self,
        layers: &Layers,
        stage: &Stage,
        span: &std::ops::Range<usize>,
    ) -> Option<StepId> {
        let (operation, name) = match layers {
            Layers::Stage(place) => return self.stage(*place),
            Layers::Scratch => (Operation::Scratch, "scratch".to_owned()),
            Layers::Image(source) => {
                let name = match source {
                    crate::plan::Source::Registry(reference) => format!("image {reference}"),
                    crate::plan::Source::Layout { path, .. } => format!("image {path}"),
                };
                let operation = Operation::Image {
                    source: source.clone(),
                    platform: self.platform.clone(),
                };
                (operation, name)
            }
        };
        Some(self.add(operation, Vec::new(), name, stage, span))
    }

    fn files(&mut self, files: &Files, stage: &Stage, step: &super::draft::Step) -> Option<StepId> {
        let (operation, inputs) = match files {
            Files::Source(operation) => (operation.clone(), Vec::new()),
            Files::Of(layers, selection) => {
                let input = self.layers(layers, stage, &step.span)?;
                let selection = selection.clone();
                (Operation::Select { selection }, vec![input])
            }
        };
        let name = match &operation {
            Operation::Context { name, .. } if name == OWN_CONTEXT => "read the context".to_owned(),
            Operation::Context { name, .. } => format!("read context {name}"),
            Operation::Http { url, .. } => format!("fetch {url}"),
            Operation::Git { url, commit, .. } => format!("fetch {url} {commit}"),
            _ => "select files".to_owned(),
        };
        Some(self.add(operation, inputs, name, stage, &step.span))
    }

    fn add(
        &mut self,
        operation: Operation,
        inputs: Vec<StepId>,
        name: String,
        stage: &Stage,
        span: &std::ops::Range<usize>,
    ) -> StepId {
        self.plan.add(Step {
            operation,
            inputs,
            name,
            stage: stage.name.clone(),
            span: span.clone(),
        })
    }
}
