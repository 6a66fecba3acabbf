//! A plan on paper: as a tree for people, as JSON, and as a graph in DOT.
//!
//! In: [`Plan`]. Out: text. In all three a step goes by its place in the plan.
//!
//! # JSON
//! ```text
//! {"format":1,
//!  "steps":[{"id":0,"name":"scratch","stage":null,"inputs":[],"operation":"scratch",…}],
//!  "images":[{"platform":"linux/amd64","root":0,"config":[{…}]}],
//!  "contexts":{"assets":"../assets"}}
//! ```
//! A step's other members are those of its [`super::Operation`], an image's `config` those of
//! [`super::ConfigChange`], in the order in which they are applied.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{ConfigChange, Plan, Step, StepId};
use crate::canon::{format, words};

/// The plan as a tree: an image's layers from the bottom up, below each what it is made from. A
/// step that stands further up already is named and not drawn again.
pub fn tree(plan: &Plan) -> String {
    let mut printer = Printer {
        plan,
        drawn: BTreeSet::new(),
        text: String::new(),
    };
    for image in &plan.images {
        let _ = writeln!(printer.text, "image {}", image.platform);
        let config: Vec<_> = image.config.iter().flat_map(config_lines).collect();
        printer.stack(image.root, "", !config.is_empty());
        for (index, line) in config.iter().enumerate() {
            let corner = corner(index + 1 < config.len()).0;
            let _ = writeln!(printer.text, "{corner}{}", printable(line));
        }
    }
    printer.text
}

struct Printer<'a> {
    plan: &'a Plan,
    drawn: BTreeSet<StepId>,
    text: String,
}

impl Printer<'_> {
    /// Draws the layers below `top` and itself, each behind `indent`.
    fn stack(&mut self, top: StepId, indent: &str, more_follow: bool) {
        let stack = self.plan.stack(top);
        // Layers that were drawn before are one line: the topmost of them.
        let known = stack
            .iter()
            .rposition(|id| self.drawn.contains(id))
            .unwrap_or(0);
        for (index, &id) in stack.iter().enumerate().skip(known) {
            let (corner, below) = corner(more_follow || index + 1 < stack.len());
            let step = self.plan.step(id);
            let again = !self.drawn.insert(id);
            let mark = if again { " (above)" } else { "" };
            let title = title(step);
            let _ = writeln!(self.text, "{indent}{corner}{} {title}{mark}", id.0);
            if again {
                continue;
            }
            let skipped = usize::from(step.operation.adds_layer());
            let inputs: Vec<_> = step.inputs.iter().skip(skipped).copied().collect();
            for (index, &input) in inputs.iter().enumerate() {
                let more_follow = index + 1 < inputs.len();
                self.stack(input, &format!("{indent}{below}"), more_follow);
            }
        }
    }
}

fn corner(more_follow: bool) -> (&'static str, &'static str) {
    if more_follow {
        ("├─ ", "│  ")
    } else {
        ("└─ ", "   ")
    }
}

fn title(step: &Step) -> String {
    let name = printable(&step.name);
    match &step.stage {
        Some(stage) => format!("{name}  [{}]", printable(stage)),
        None => name,
    }
}

/// Names come from recipes: a control character must not reach a terminal.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            let _ = write!(out, "{}", character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

fn config_lines(change: &ConfigChange) -> Vec<String> {
    let Ok(Value::Object(members)) = serde_json::to_value(change) else {
        return Vec::new();
    };
    let lines = members
        .iter()
        .flat_map(|(name, value)| words::lines(name, value));
    lines
        .map(|(name, text)| format!("config {name} = {text}"))
        .collect()
}

/// The plan as a JSON value (module documentation).
pub fn json(plan: &Plan) -> Result<Value, serde_json::Error> {
    let mut steps = Vec::with_capacity(plan.steps.len());
    for (id, step) in plan.steps.iter().enumerate() {
        let inputs: Vec<_> = step.inputs.iter().map(|input| input.0).collect();
        let mut object = json!({
            "id": id, "name": step.name, "stage": step.stage, "inputs": inputs,
        });
        if let Value::Object(object) = &mut object {
            object.extend(step.operation.members()?);
        }
        steps.push(object);
    }
    let mut images = Vec::with_capacity(plan.images.len());
    for image in &plan.images {
        images.push(json!({
            "platform": image.platform,
            "root": image.root.0,
            "config": serde_json::to_value(&image.config)?,
        }));
    }
    Ok(json!({
        "format": format::CURRENT.number(),
        "steps": steps,
        "images": images,
        "contexts": plan.contexts,
    }))
}

/// The plan as a graph in the DOT language (graphviz.org/doc/info/lang.html). Layers are boxes,
/// files are rounded, images are double boxes; a dashed edge carries files.
pub fn dot(plan: &Plan) -> String {
    let mut text = "digraph plan {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for (id, step) in plan.steps.iter().enumerate() {
        let style = if step.operation.gives_layers() {
            ""
        } else {
            ", style=rounded"
        };
        let label = quoted(&title(step));
        let _ = writeln!(text, "  s{id} [label={label}{style}];");
        for input in &step.inputs {
            let carries_layers = plan.step(*input).operation.gives_layers();
            let style = if carries_layers {
                ""
            } else {
                " [style=dashed]"
            };
            let _ = writeln!(text, "  s{} -> s{id}{style};", input.0);
        }
    }
    for (index, image) in plan.images.iter().enumerate() {
        let label = quoted(&image.platform.to_string());
        let _ = writeln!(text, "  i{index} [label={label}, peripheries=2];");
        let _ = writeln!(text, "  s{} -> i{index};", image.root.0);
    }
    text.push_str("}\n");
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlannedImage;
    use crate::plan::step::{Destination, Operation, Ownership, Selection};

    /// Two platforms that share all steps; a copy from a stage whose layers stand on a file.
    fn plan() -> Plan {
        let mut plan = Plan::default();
        let mut add = |operation, inputs: &[StepId], name: &str, stage: Option<&str>| {
            plan.add(Step {
                operation,
                inputs: inputs.to_vec(),
                name: name.to_owned(),
                stage: stage.map(str::to_owned),
                span: 0..0,
            })
        };
        let scratch = add(Operation::Scratch, &[], "scratch", None);
        let path = crate::canon::EntryPath::new(b"a").unwrap();
        let file = Operation::File {
            path: path.clone(),
            name: None,
            content: "x\"\n".to_owned(),
            ownership: Ownership::default(),
        };
        let file = add(file, &[scratch], "file \"/a\u{1b}\"", Some("build"));
        let selection = Selection::default();
        let select = add(Operation::Select { selection }, &[file], "select a", None);
        let copy = Operation::Copy {
            unpack: false,
            to: Destination {
                path,
                is_directory: false,
            },
            ownership: Ownership::default(),
        };
        let root = add(copy, &[scratch, select], "copy a → /a", None);
        for platform in ["amd64", "arm64"] {
            plan.images.push(PlannedImage {
                platform: platform.parse().unwrap(),
                is_asked_for: false,
                root,
                config: vec![ConfigChange {
                    user: Some("app".to_owned()),
                    ..ConfigChange::default()
                }],
            });
        }
        plan
    }

    #[test]
    fn tree_draws_every_step_once() {
        insta::assert_snapshot!(tree(&plan()), @r#"
        image linux/amd64
        ├─ 0 scratch
        ├─ 3 copy a → /a
        │  └─ 2 select a
        │     ├─ 0 scratch (above)
        │     └─ 1 file "/a\u{1b}"  [build]
        └─ config user = app
        image linux/arm64
        ├─ 3 copy a → /a (above)
        └─ config user = app
        "#);
    }

    #[test]
    fn json_has_what_the_documentation_says() {
        let json = json(&plan()).unwrap();
        assert_eq!(json["format"], 1);
        assert_eq!(json["steps"][3]["operation"], "copy");
        assert_eq!(json["steps"][3]["inputs"], json!([0, 2]));
        assert_eq!(json["steps"][1]["content"], "x\"\n");
        assert_eq!(json["steps"][1]["stage"], "build");
        assert_eq!(json["images"][1]["platform"], "linux/arm64");
        assert_eq!(json["images"][1]["root"], 3);
        assert_eq!(json["images"][1]["config"], json!([{"user": "app"}]));
    }

    #[test]
    fn dot_quotes_names() {
        let dot = dot(&plan());
        assert!(
            dot.contains(r#"s1 [label="file \"/a\\u{1b}\"  [build]"];"#),
            "{dot}"
        );
        assert!(dot.contains("s2 -> s3 [style=dashed];"), "{dot}");
        assert!(dot.contains("s3 -> i1;"), "{dot}");
    }

    #[test]
    fn equal_steps_are_one() {
        let mut plan = plan();
        let count = plan.steps.len();
        let again = plan.steps[3].clone();
        assert_eq!(plan.add(again), StepId(3));
        assert_eq!(plan.steps.len(), count);
        assert_eq!(plan.stack(StepId(3)), [StepId(0), StepId(3)]);
    }
}
