//! From the draft to the plan: target and platforms are chosen, and steps laid out, each after
//! its inputs.
//!
//! In: [`Draft`], [`Options`]. Out: [`Plan`] with the steps that the target needs and no others.

use std::collections::BTreeMap;

use super::draft::{Draft, Files, Layers, Stage};
use crate::canon::{Platform, Problem};
use crate::frontend::{NamedContext, Options, suggest};
use crate::plan::name::{self, OWN_CONTEXT};
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
        for place in needed(draft, target) {
            planner.stage(place);
        }
        let root = planner.stage(target).ok_or_else(|| {
            // `stages::draft` has said whatever can lead here.
            let message = "this is a bug in cairn: a recipe without problems can't be planned";
            vec![Problem::new(message)]
        })?;
        plan.images.push(PlannedImage {
            platform,
            is_asked_for: false,
            root,
            config: config(draft, target, options),
        });
    }
    plan.contexts = contexts(draft, &plan, options);
    Ok(plan)
}

/// The stages that the target needs, in the recipe's order, as those of a Dockerfile come.
fn needed(draft: &Draft, target: usize) -> Vec<usize> {
    let mut found = std::collections::BTreeSet::new();
    let mut open = vec![target];
    while let Some(place) = open.pop() {
        if let Some(stage) = draft.stages.get(place).filter(|_| found.insert(place)) {
            open.extend(super::stages::needs(stage).map(|(place, _)| place));
        }
    }
    found.into_iter().collect()
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
        let hint = suggest::hint(wanted, names(), "its stages are");
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
        let folder = match options.contexts.get(name) {
            Some(NamedContext::Folder(folder)) => folder,
            _ => draft.contexts.get(name)?,
        };
        Some((name.clone(), folder.clone()))
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
            // In the order of a Dockerfile's plan: files before the nothing that a link is over.
            let mut files = Vec::new();
            for from in &step.files {
                files.push(self.files(from, stage, step)?);
            }
            let below = match step.is_linked {
                false => top,
                true => self.layers(&Layers::Scratch, stage, &step.span)?,
            };
            let inputs = std::iter::once(below).chain(files).collect();
            let mut operation = step.operation.clone();
            if let Operation::Packages(packages) = &mut operation {
                packages.platform = self.platform.clone();
            }
            let name = step.name.clone();
            let made = self.add(operation, inputs, name.clone(), stage, &step.span);
            top = match step.is_linked {
                false => made,
                true => {
                    let (inputs, name) = (vec![top, made], name::link(&name));
                    self.add(Operation::Merge, inputs, name, stage, &step.span)
                }
            };
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
        let operation = match layers {
            Layers::Stage(place) => return self.stage(*place),
            Layers::Scratch => Operation::Scratch,
            Layers::Image(source) => Operation::Image {
                source: source.clone(),
                platform: self.platform.clone(),
            },
        };
        let name = name::step(&operation, &[], "");
        Some(self.add(operation, Vec::new(), name, stage, span))
    }

    fn files(&mut self, files: &Files, stage: &Stage, step: &super::draft::Step) -> Option<StepId> {
        let (operation, inputs) = match files {
            Files::Source(operation) => (operation.clone(), Vec::new()),
            Files::Whole(layers) => return self.layers(layers, stage, &step.span),
            Files::Of(layers, selection) => {
                let input = self.layers(layers, stage, &step.span)?;
                let selection = selection.clone();
                (Operation::Select { selection }, vec![input])
            }
        };
        let name = name::step(&operation, &[], "");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::Source;
    use crate::frontend::toml::{LARGEST, plan};
    use crate::plan::print;

    fn options() -> Options {
        Options::new("linux/amd64".parse().unwrap())
    }

    fn planned(text: &str, options: &Options) -> Result<Plan, Vec<String>> {
        let source = Source::new("cairn.toml", text.into(), LARGEST).unwrap();
        plan(&source, options).map_err(|problems| {
            let messages = problems.into_iter().map(|problem| problem.message);
            messages.collect()
        })
    }

    fn platforms(text: &str, options: &Options) -> Result<Vec<String>, Vec<String>> {
        let images = planned(text, options)?.images;
        Ok(images.iter().map(|i| i.platform.to_string()).collect())
    }

    const STAGES: &str = r#"
        from = "alpine@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        steps = [
            { copy = { from = { stage = "build" }, paths = ["/out"], to = "/usr/bin/" } },
            { http = { url = "https://a.example/b%2Ac.tgz?x", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", to = "/opt/" } },
        ]
        config.user = "app"

        [stages.unneeded]
        from = "debian"

        [stages.build]
        from = { stage = "tools" }
        steps = [{ copy = { paths = ["src"], to = "/src" } }]
        config.env.A = "build"

        [stages.tools]
        from = "scratch"
        steps = [{ git = { url = "https://a.example/t", commit = "0123456789012345678901234567890123456789", to = "/t" } }]
        config.env.A = "tools"
    "#;

    #[test]
    fn steps_stand_after_their_inputs_and_only_needed_stages_are_there() {
        let plan = planned(STAGES, &options()).unwrap();
        for (id, step) in plan.steps.iter().enumerate() {
            assert!(step.inputs.iter().all(|input| input.0 < id), "{id}");
        }
        insta::assert_snapshot!(print::tree(&plan), @r#"
        image linux/amd64
        ├─ 5 image docker.io/library/alpine@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
        ├─ 7 copy out → /usr/bin/ from stage build
        │  └─ 6 select out
        │     ├─ 0 scratch  [tools]
        │     ├─ 2 git https://a.example/t 012345678901 → /t  [tools]
        │     │  └─ 1 fetch https://a.example/t 0123456789012345678901234567890123456789  [tools]
        │     └─ 4 copy src → /src  [build]
        │        └─ 3 read src  [build]
        ├─ 9 http https://a.example/b%2Ac.tgz?x → /opt/
        │  └─ 8 fetch https://a.example/b%2Ac.tgz?x
        └─ config user = app
        "#);
    }

    #[test]
    fn target_brings_the_configs_below_it() {
        let target = Some("build".to_owned());
        let options = Options {
            target,
            labels: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            ..options()
        };
        let plan = planned(STAGES, &options).unwrap();
        let config = &plan.images[0].config;
        let values: Vec<_> = config.iter().flat_map(|change| &change.env).collect();
        assert_eq!(
            values,
            [&("A".into(), "tools".into()), &("A".into(), "build".into())]
        );
        assert_eq!(config.last().unwrap().labels, options.labels);
        assert!(config.iter().all(|change| change.user.is_none()));
    }

    #[test]
    fn platforms_share_all_that_does_not_depend_on_them() {
        let text = "platforms = [\"amd64\", \"arm64\"]\n".to_owned() + STAGES;
        let one = planned(STAGES, &options()).unwrap();
        let two = planned(&text, &options()).unwrap();
        // An image of its own, and the two steps on top of it.
        assert_eq!(two.steps.len(), one.steps.len() + 3);
        assert_eq!(two.images.len(), 2);
    }

    #[test]
    fn caller_then_recipe_then_config_then_default_names_the_platform() {
        let from = "from = \"scratch\"\n";
        let listed = format!("platforms = [\"arm64\", \"arm\"]\n{from}");
        let parts = format!("{from}config = {{ architecture = \"arm\", variant = \"v6\" }}");
        let called = Options {
            platforms: vec!["riscv64".parse().unwrap()],
            ..options()
        };
        let expect = |platforms: &[&str]| Ok(platforms.iter().map(|&p| p.to_owned()).collect());
        assert_eq!(platforms(from, &options()), expect(&["linux/amd64"]));
        assert_eq!(
            platforms(&listed, &options()),
            expect(&["linux/arm64", "linux/arm/v7"])
        );
        assert_eq!(platforms(&listed, &called), expect(&["linux/riscv64"]));
        assert_eq!(platforms(&parts, &options()), expect(&["linux/arm/v6"]));
        let both = ["the config is for `linux/arm/v6`, and the image for `linux/riscv64`"];
        assert_eq!(
            platforms(&parts, &called),
            Err(both.map(str::to_owned).to_vec())
        );
    }

    #[test]
    fn os_alone_changes_the_operating_system() {
        let text = "from = \"scratch\"\nconfig.os = \"FreeBSD\"";
        let found = platforms(text, &options());
        assert_eq!(found, Ok(vec!["freebsd/amd64".to_owned()]));
    }

    #[test]
    fn contexts_of_the_caller_come_first_and_only_used_ones_are_named() {
        let text = r#"
            from = "scratch"
            contexts = { a = "../a", b = "b", unused = "c" }
            steps = [
                { copy = { from = { context = "a" }, paths = ["."], to = "/a" } },
                { copy = { from = { context = "b" }, paths = ["."], to = "/b" } },
                { copy = { from = { context = "own" }, paths = ["."], to = "/c" } },
                { copy = { from = { context = "context" }, paths = ["."], to = "/d" } },
            ]
        "#;
        let message = ["there is no context `own`".to_owned()];
        assert_eq!(planned(text, &options()), Err(message.to_vec()));
        let given = [("own", "/own"), ("b", "/b")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let options = Options {
            contexts: given
                .map(|(name, folder)| (name, NamedContext::Folder(folder)))
                .into(),
            ..options()
        };
        let contexts = planned(text, &options).unwrap().contexts;
        let expected = [("a", "../a"), ("b", "/b"), ("own", "/own")];
        assert!(contexts.iter().map(|(k, v)| (&**k, &**v)).eq(expected));
    }

    #[test]
    fn http_name_is_the_files_name() {
        let plan = planned(STAGES, &options()).unwrap();
        let names = plan.steps.iter().filter_map(|step| match &step.operation {
            Operation::Http { file_name, .. } => Some(file_name.clone()),
            _ => None,
        });
        assert_eq!(names.collect::<Vec<_>>(), ["b*c.tgz"]);
    }

    #[test]
    fn unknown_target_is_no_panic() {
        let target = Some("biuld".to_owned());
        let options = Options {
            target,
            ..options()
        };
        let source = Source::new("cairn.toml", STAGES.into(), LARGEST).unwrap();
        let problems = plan(&source, &options).unwrap_err();
        let message = "the recipe has no stage `biuld` to be the target";
        assert_eq!(problems[0].message, message);
        assert_eq!(problems[0].hint.as_deref(), Some("did you mean `build`?"));
    }
}
