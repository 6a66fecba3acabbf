//! Instructions to a file's tree.
//!
//! In: text. Out: [`Dockerfile`], or everything that is wrong with it.

use super::LARGEST;
use super::instruction::{self, Item};
use super::lines;
use super::syntax::{Dockerfile, Instruction, Kind, Node, Stage};
use crate::canon::{Problem, problem};

/// Most problems that are told.
const MOST_PROBLEMS: usize = 100;

/// Most stages.
const MOST_STAGES: usize = 1_000;

pub(super) fn file(text: &str) -> Result<Dockerfile, Vec<Problem>> {
    if text.len() > LARGEST {
        let message = format!("the recipe has more than {LARGEST} bytes");
        return Err(vec![Problem::new(message)]);
    }
    let lines::File {
        directives,
        instructions,
        empty_continuations,
        mut problems,
    } = lines::read(text);
    let mut globals = Vec::new();
    let mut stages: Vec<Stage> = Vec::new();
    let is_empty = instructions.is_empty();
    // Of what stands before the first stage one problem is enough.
    let mut told = false;
    for raw in &instructions {
        match instruction::read(raw, directives.escape, &mut problems) {
            None => told = true,
            Some(Item::From(from)) if stages.len() < MOST_STAGES => stages.push(Stage {
                from,
                instructions: Vec::new(),
            }),
            Some(Item::From(from)) => {
                let message = format!("there are more than {MOST_STAGES} stages");
                problems.push(Problem::new(message).at(from.span));
                break;
            }
            Some(Item::Other(instruction)) => match stages.last_mut() {
                Some(stage) => stage.instructions.push(instruction),
                None => match before_stages(instruction) {
                    Ok(global) => globals.push(global),
                    Err(problem) if !std::mem::replace(&mut told, true) => problems.push(*problem),
                    Err(_) => {}
                },
            },
        }
        if problems.len() >= MOST_PROBLEMS {
            break;
        }
    }
    if stages.is_empty() && problems.is_empty() {
        let problem = match is_empty {
            true => Problem::new("the Dockerfile has no instructions"),
            false => Problem::new("the recipe has no stage"),
        };
        problems.push(problem.hint("begin with `FROM IMAGE`, or `FROM scratch`"));
    }
    if !problems.is_empty() {
        problem::sort(&mut problems);
        problems.truncate(MOST_PROBLEMS);
        return Err(problems);
    }
    Ok(Dockerfile {
        directives,
        globals,
        stages,
        empty_continuations,
    })
}

fn before_stages(
    instruction: Instruction,
) -> Result<Node<Vec<super::syntax::Argument>>, Box<Problem>> {
    let Node {
        span,
        keyword,
        text,
        comments,
        kind,
    } = instruction;
    match kind {
        Kind::Arg(arguments) => Ok(Node {
            span,
            keyword,
            text,
            comments,
            kind: arguments,
        }),
        _ => {
            let name = keyword.value.to_ascii_uppercase();
            let problem = Problem::new(format!("{name} stands before the first FROM"));
            let problem = problem.at(keyword.span);
            Err(Box::new(
                problem.hint("only ARG may: begin the stage with `FROM IMAGE`"),
            ))
        }
    }
}

/// A trigger of a base image: one instruction, of which its spans are places in `text`.
pub(super) fn trigger(text: &str) -> Result<Instruction, Vec<Problem>> {
    let one = |message: &str| vec![Problem::new(message)];
    if text.len() > LARGEST {
        return Err(one("the trigger is too long"));
    }
    let mut file = lines::read(text);
    let [raw] = &file.instructions[..] else {
        return Err(one("a trigger is one instruction"));
    };
    let item = instruction::read(raw, '\\', &mut file.problems);
    match item {
        Some(Item::Other(instruction)) if file.problems.is_empty() => match instruction.kind {
            Kind::OnBuild(_) | Kind::Maintainer(_) => Err(one("it can't be a trigger")),
            _ => Ok(instruction),
        },
        Some(_) if file.problems.is_empty() => Err(one("FROM can't be a trigger")),
        _ => Err(file.problems),
    }
}
