//! `cairn verify`.
//!
//! In: an image, a recipe with its lock, what is to be otherwise. Out: a verdict on standard output,
//! a statement in a file. The exit code is 0 for an identical rebuild or enough rebuilders that say so,
//! 1 for what differs, 2 where there is nothing to compare.
//!
//! The rebuild is a process of its own, so that what is otherwise for it is so for all that it
//! starts. It has a store of its own, which begins with the blobs of the caller's and nothing else: no
//! step's result is there.

mod parameters;
mod rebuild;
mod scratch;
mod tell;
mod vary;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::arguments::diff::Diff;
use super::arguments::verify::{Format, Verify};
use super::diff::operand::Finder;
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::{diff, interrupt, print};
use crate::canon::{Digest, Problem, format};
use crate::compare::{self, Report};
use crate::image::Descriptor;
use crate::layer::codec::Expansion;
use crate::store::Store;
use crate::verify::{Agreement, LARGEST, Material, Quorum, Rebuild, Statement, Variation, Verdict};
use scratch::Scratch;

/// What the rebuild's process leaves for who started it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    image: Descriptor,
    not_varied: BTreeMap<Variation, String>,
    materials: Vec<Material>,
    parameters: BTreeMap<String, Vec<String>>,
    /// What no lock held, so that it was had anew.
    not_locked: String,
}

/// Verifies, or is the rebuild itself.
pub fn run(mut arguments: Verify, environment: &Environment) -> Result<(), Failure> {
    if let Some(inside) = arguments.inside.take() {
        return rebuild::inside(arguments, environment, &inside);
    }
    interrupt::install(arguments.progress.mode(), environment.start);
    match verdict(&arguments, environment) {
        Ok(0) => Ok(()),
        // What differs is told already.
        Ok(1) => Err(Failure::drawn(Code::Failed, |_| String::new())),
        Ok(_) => Err(Failure::drawn(Code::Usage, |_| String::new())),
        Err(mut failure) => {
            failure.code = Code::Usage;
            Err(failure)
        }
    }
}

/// Tells, and gives the exit code.
fn verdict(arguments: &Verify, environment: &Environment) -> Result<u8, Failure> {
    let store = environment.store()?;
    let image = {
        let events = environment.events(arguments.progress.mode());
        let finder = Finder {
            environment,
            store: &store,
            events: &events,
            platform: arguments.recipe.platform.first(),
            limit: Expansion::default(),
        };
        finder.find(&arguments.image)?
    };
    let Some(named) = image.image().map(|image| image.named) else {
        return Err(Failure::usage(
            format!("`{}` is no image", arguments.image),
            "name one of `cairn images`, a layout or an archive",
        ));
    };
    let mut statements = read(&arguments.statement, environment)?;
    let mut code = 0;
    if arguments.rebuild || arguments.require.is_none() {
        let compared = compared(arguments, environment, &image, named)?;
        code = compared.statement.rebuild.verdict.exit_code();
        say(arguments, environment, &compared)?;
        statements.push(compared.statement);
    }
    let Some(quorum) = &arguments.require else {
        return Ok(code);
    };
    let agreement = decide(quorum, &named, &statements)?;
    match arguments.format {
        Format::Text => print::to_stdout(&tell::agreement(&agreement))?,
        Format::Json => print::json(&tell::agreement_json(&agreement))?,
    }
    Ok(u8::from(!agreement.is_enough))
}

fn decide(
    quorum: &Quorum,
    subject: &Digest,
    statements: &[Statement],
) -> Result<Agreement, Failure> {
    let agreement = quorum.decide(subject, statements);
    agreement.map_err(|message| {
        Failure::usage(
            message,
            "each has its own name: `cairn verify --rebuilder NAME`",
        )
    })
}

fn read(
    files: &[std::path::PathBuf],
    environment: &Environment,
) -> Result<Vec<Statement>, Failure> {
    let read = files.iter().map(|file| {
        let refused = |why: String| {
            let problem = Problem::new(format!("`{}`: {why}", file.display()));
            Failure::message(Code::Usage, problem)
        };
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(environment.absolute(file));
        let limit = LARGEST as u64 + 1;
        let read = opened.and_then(|file| file.take(limit).read_to_end(&mut bytes));
        let bytes = read
            .map(|_| bytes)
            .map_err(|error| refused(error.to_string()))?;
        Statement::from_json(&bytes).map_err(|error| refused(error.to_string()))
    });
    read.collect()
}

/// What a rebuild showed.
struct Compared {
    statement: Statement,
    /// What differs, unless nothing does or there is no rebuild.
    report: Option<Report>,
    /// Why it does, for people.
    why: String,
}

/// Rebuilds, and compares. `named` is the digest of the image's index where it has one.
fn compared(
    arguments: &Verify,
    environment: &Environment,
    image: &diff::operand::Operand,
    named: Digest,
) -> Result<Compared, Failure> {
    let scratch = Scratch::new(&environment.store()?)?;
    let result = in_scratch(arguments, environment, image, named, &scratch);
    let removed = scratch.remove();
    let result = result?;
    removed?;
    Ok(result)
}

fn in_scratch(
    arguments: &Verify,
    environment: &Environment,
    image: &diff::operand::Operand,
    named: Digest,
    scratch: &Scratch,
) -> Result<Compared, Failure> {
    let varied = arguments.variations();
    let made = rebuild::start(scratch, image, environment, &varied)?;
    let mut statement = Statement {
        name: arguments.image.clone(),
        subject: named,
        rebuild: Rebuild {
            verdict: Verdict::CannotRebuild,
            passes: Vec::new(),
            rebuilt: None,
            varied: BTreeSet::new(),
            not_varied: BTreeMap::new(),
            materials: Vec::new(),
            parameters: BTreeMap::new(),
            format: format::CURRENT.number(),
            builder: format!("cairn {}", env!("CARGO_PKG_VERSION")),
            rebuilder: arguments.rebuilder.clone(),
        },
    };
    let compared = |statement, report, why| Compared {
        statement,
        report,
        why,
    };
    let made = match made {
        Ok(made) => made,
        Err(code) => {
            let is_missing = code == i32::from(Code::Unavailable as u8);
            let hint = match (is_missing, arguments.explain) {
                (true, false) => tell::MISSING,
                _ => "",
            };
            return Ok(compared(statement, None, hint.to_owned()));
        }
    };
    let rebuilt = made.image.digest;
    // A rebuild for one platform of several speaks of that image alone.
    if image.side.digest == Some(rebuilt) {
        statement.subject = rebuilt;
    }
    let not_locked = made.not_locked;
    let rebuild = &mut statement.rebuild;
    let is_varied = |it: &Variation| !made.not_varied.contains_key(it);
    rebuild.varied = varied.into_iter().filter(is_varied).collect();
    rebuild.not_varied = made.not_varied;
    rebuild.materials = made.materials;
    rebuild.parameters = made.parameters;
    if !not_locked.is_empty() {
        let why = match rebuilt == statement.subject {
            true => {
                "built with what is there now it is identical, which proves nothing\n".to_owned()
            }
            false => {
                scratch.give_back(&made.image, &environment.store()?)?;
                let found = differences(arguments, environment, &statement.subject, &rebuilt)?;
                self::why(&found, arguments, environment, scratch)?
            }
        };
        let why = format!("not locked {not_locked}\n\n{why}");
        return Ok(compared(statement, None, why));
    }
    rebuild.rebuilt = Some(rebuilt);
    if rebuilt == statement.subject {
        rebuild.verdict = Verdict::Identical;
        return Ok(compared(statement, None, String::new()));
    }
    scratch.give_back(&made.image, &environment.store()?)?;
    let found = differences(arguments, environment, &statement.subject, &rebuilt)?;
    (rebuild.verdict, rebuild.passes) = judged(&found);
    let why = self::why(&found, arguments, environment, scratch)?;
    Ok(compared(statement, Some(found), why))
}

/// Why what differs does, for people.
fn why(
    found: &Report,
    arguments: &Verify,
    environment: &Environment,
    scratch: &Scratch,
) -> Result<String, Failure> {
    if found.entries.is_empty() {
        return Ok(String::new());
    }
    let (rebuilt, own) = (Store::open_to_read(&scratch.store()), environment.store()?);
    Ok(why::text(found, &rebuilt, &own, arguments.explain))
}

fn differences(
    arguments: &Verify,
    environment: &Environment,
    subject: &Digest,
    rebuilt: &Digest,
) -> Result<Report, Failure> {
    let asked = Diff {
        before: subject.to_string(),
        after: rebuilt.to_string(),
        paths: Vec::new(),
        platform: arguments.recipe.platform.first().cloned(),
        format: super::arguments::diff::Format::Text,
        output: None,
        stat: false,
        max_expansion: Expansion::default().factor,
    };
    diff::report(&asked, environment)
}

/// What the differences come to, and the passes after which there are none, of two images whose digests
/// differ.
fn judged(report: &Report) -> (Verdict, Vec<String>) {
    match report.verdict {
        // Of several images one is the same, and others weren't looked at.
        compare::Verdict::Identical => (Verdict::Different, Vec::new()),
        compare::Verdict::SameContent => (Verdict::SameContent, Vec::new()),
        compare::Verdict::Different => match tell::passes(report) {
            Some(passes) => (Verdict::SameAfterNamedPasses, passes),
            None => (Verdict::Different, Vec::new()),
        },
    }
}

fn say(arguments: &Verify, environment: &Environment, compared: &Compared) -> Result<(), Failure> {
    let Compared {
        statement,
        report,
        why,
    } = compared;
    let json = statement.to_json();
    let json = json.map_err(|error| Failure::new(Code::Failed, error))?;
    if let Some(output) = &arguments.output {
        put(&environment.absolute(output), &json)?;
    }
    match arguments.format {
        Format::Text => print::to_stdout(&tell::text(statement, report.as_ref(), why)),
        Format::Json => print::bytes_to_stdout(&[&json[..], b"\n"].concat()),
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| {
        let message = format!("can't write `{}`: {error}", path.display());
        Failure::message(Code::Failed, Problem::new(message))
    })
}
