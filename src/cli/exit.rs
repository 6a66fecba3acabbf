//! How the program ends.
//!
//! In: errors of the rooms. Out: a text for standard error, and an exit code.
//!
//! What a recipe or the command line names and is to be read – the recipe itself, a folder, a file
//! of a context, commit, image or stage, a URL, a name in a registry – and isn't there or isn't
//! given, or that a source policy denies, can't be had: 3. Whatever is there and not what its digest says is 4, also where it was
//! a blob of the store. All else that goes wrong is 1.

use std::ops::Range;
use std::process::ExitCode;

use crate::build::error::{Kind, of_image, of_io, of_registry, of_stage, of_store};
use crate::canon::{Problem, Source};
use crate::ui::diagnostic;
use crate::{build, export, registry, store};

/// Exit codes; documented in `cairn --help` and the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The build failed.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// An input can't be had.
    Unavailable = 3,
    /// Something is not what its digest says.
    DigestMismatch = 4,
    /// SIGHUP.
    HungUp = 129,
    /// SIGINT.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> ExitCode {
        ExitCode::from(code as u8)
    }
}

impl From<Kind> for Code {
    fn from(kind: Kind) -> Code {
        match kind {
            Kind::Failed => Code::Failed,
            Kind::Unavailable => Code::Unavailable,
            Kind::DigestMismatch => Code::DigestMismatch,
        }
    }
}

/// A run that failed.
pub struct Failure {
    pub code: Code,
    what: What,
}

enum What {
    Problems(Vec<Problem>, Box<Source>),
    /// With the way out, where it tells none.
    Error(
        Box<dyn std::error::Error + Send + Sync>,
        Option<&'static str>,
    ),
    Message(Box<Problem>),
    /// As it is printed, with colours and without.
    Text([String; 2]),
}

impl Failure {
    /// A command line that makes no sense, and the way out.
    pub fn usage(message: impl Into<String>, hint: &str) -> Failure {
        let problem = Problem::new(message).hint(hint);
        Failure {
            code: Code::Usage,
            what: What::Message(Box::new(problem)),
        }
    }

    /// A failure that is one message.
    pub fn message(code: Code, problem: Problem) -> Failure {
        Failure {
            code,
            what: What::Message(Box::new(problem)),
        }
    }

    /// A failure that `draw` draws, with colours or without.
    pub fn drawn(code: Code, draw: impl Fn(bool) -> String) -> Failure {
        let what = What::Text([draw(false), draw(true)]);
        Failure { code, what }
    }

    /// The problems of a recipe, if these are what failed.
    pub fn problems(&self) -> Option<(&[Problem], &Source)> {
        match &self.what {
            What::Problems(problems, source) => Some((problems, source)),
            _ => None,
        }
    }

    /// A recipe with problems.
    pub fn recipe(problems: Vec<Problem>, source: Source) -> Failure {
        Failure {
            code: Code::Failed,
            what: What::Problems(problems, Box::new(source)),
        }
    }

    /// A problem at a place of `source`.
    pub fn at(code: Code, problem: Problem, source: Source) -> Failure {
        Failure {
            code,
            what: What::Problems(vec![problem], Box::new(source)),
        }
    }

    /// Any other error.
    pub fn new(code: Code, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
        Failure {
            code,
            what: What::Error(Box::new(error), None),
        }
    }

    /// A build that failed, at its place in the recipe.
    pub fn build(error: build::Error, source: Source) -> Failure {
        let (code, way_out) = (error.kind().into(), error.way_out());
        let problem = problem(&error.cause().to_string(), way_out);
        let what = match error {
            build::Error::Step { name, span, cause } => {
                let problem = match *cause {
                    // The recipe's line says which command it is, as far as it goes.
                    build::error::Cause::Run(_) => problem.at(shortened(span, source.text())),
                    _ => problem.at(span).label(name),
                };
                What::Problems(vec![problem], Box::new(source))
            }
            build::Error::Other(_) => What::Message(Box::new(problem)),
        };
        Failure { code, what }
    }

    /// The same, where something can't be had, with the way out of the slip of the keyboard that
    /// stands at its place, if one does.
    pub fn or_is(mut self, slips: &[(Range<usize>, String)]) -> Failure {
        if let (Code::Unavailable, What::Problems(problems, _)) = (self.code, &mut self.what) {
            for problem in problems {
                let slip = slips
                    .iter()
                    .find(|(span, _)| Some(span) == problem.span.as_ref());
                if let Some((_, hint)) = slip {
                    problem.hint = Some(hint.clone());
                }
            }
        }
        self
    }

    /// What is said on standard error.
    pub fn text(&self, colour: bool) -> String {
        match &self.what {
            What::Problems(problems, source) => diagnostic::problems(problems, source, colour),
            What::Error(error, way_out) => diagnostic::chain(&**error, *way_out, colour),
            What::Message(problem) => diagnostic::problem(problem, None, colour),
            What::Text([plain, coloured]) => if colour { coloured } else { plain }.clone(),
        }
    }
}

/// A span, of which no more than its first line is drawn where it is a long script.
fn shortened(span: Range<usize>, text: &str) -> Range<usize> {
    const MOST_LINES: usize = 8;
    let lines = text.get(span.clone()).unwrap_or_default();
    match lines.lines().count() > MOST_LINES {
        true => span.start..span.start + lines.find('\n').unwrap_or(lines.len()),
        false => span,
    }
}

/// The problem that an error's text tells, with `way_out` where it tells none itself.
fn problem(text: &str, way_out: Option<&str>) -> Problem {
    let (hints, lines): (Vec<_>, Vec<_>) =
        text.lines().partition(|line| line.starts_with("hint: "));
    let mut lines = lines.into_iter();
    let mut problem = Problem::new(lines.next().unwrap_or_default());
    for line in lines {
        if let Some(output) = line.strip_prefix("    ") {
            problem.output.push(output.to_owned());
            continue;
        }
        if line == "what it wrote last:" {
            continue;
        }
        problem = problem.cause(line.trim().trim_start_matches("cause: "));
    }
    let hints = hints.iter().map(|hint| hint.trim_start_matches("hint: "));
    match hints.chain(way_out).next() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Failure {
        Failure::new(of_store(&error).into(), error)
    }
}

impl From<registry::Error> for Failure {
    fn from(error: registry::Error) -> Failure {
        let kind = of_registry(&error);
        let way_out =
            "look at the name, and at the registry; `--debug` says what was asked of whom";
        let way_out = (kind == Kind::Unavailable).then_some(way_out);
        Failure {
            code: kind.into(),
            what: What::Error(Box::new(error), way_out),
        }
    }
}

impl From<export::Error> for Failure {
    fn from(error: export::Error) -> Failure {
        use crate::layer::pack::Error::Read;
        use export::Error;
        let kind = match &error {
            Error::Store(error) => of_store(error),
            Error::Image(error) => of_image(error),
            Error::Stage(error) => of_stage(error),
            Error::Damaged { .. } => Kind::DigestMismatch,
            Error::NoEngine(_) => Kind::Unavailable,
            Error::Write { source, .. } | Error::Pack(Read { source, .. }) => {
                of_io(source).unwrap_or(Kind::Failed)
            }
            _ => Kind::Failed,
        };
        if kind == Kind::DigestMismatch {
            let way_out = "remove that blob from the store, and build again";
            return Failure::message(kind.into(), problem(&error.to_string(), Some(way_out)));
        }
        Failure::new(kind.into(), error)
    }
}
