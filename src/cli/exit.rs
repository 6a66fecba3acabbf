//! How the program ends.
//!
//! In: errors of the rooms. Out: a text for standard error, and an exit code.

use std::process::ExitCode;

use crate::build::error::{Kind, of_registry, of_stage, of_store};
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
    /// SIGINT or SIGTERM.
    Interrupted = 130,
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
    Error(Box<dyn std::error::Error>),
    Message(Box<Problem>),
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

    /// A recipe with problems.
    pub fn recipe(problems: Vec<Problem>, source: Source) -> Failure {
        Failure {
            code: Code::Failed,
            what: What::Problems(problems, Box::new(source)),
        }
    }

    /// Any other error.
    pub fn new(code: Code, error: impl std::error::Error + 'static) -> Failure {
        Failure {
            code,
            what: What::Error(Box::new(error)),
        }
    }

    /// A build that failed, at its place in the recipe.
    pub fn build(error: build::Error, source: Source) -> Failure {
        let (code, way_out) = (error.kind().into(), error.way_out());
        let text = error.cause().to_string();
        let (hints, lines): (Vec<_>, Vec<_>) =
            text.lines().partition(|line| line.starts_with("hint: "));
        let mut lines = lines.into_iter();
        let mut problem = Problem::new(lines.next().unwrap_or_default());
        for line in lines {
            problem = problem.cause(line.trim().trim_start_matches("cause: "));
        }
        let hints = hints.iter().map(|hint| hint.trim_start_matches("hint: "));
        if let Some(hint) = hints.chain(way_out).next() {
            problem = problem.hint(hint);
        }
        let what = match error {
            build::Error::Step { name, span, .. } => {
                What::Problems(vec![problem.at(span).label(name)], Box::new(source))
            }
            build::Error::Other(_) => What::Message(Box::new(problem)),
        };
        Failure { code, what }
    }

    /// What is said on standard error.
    pub fn text(&self, colour: bool) -> String {
        match &self.what {
            What::Problems(problems, source) => diagnostic::problems(problems, source, colour),
            What::Error(error) => diagnostic::chain(&**error, colour),
            What::Message(problem) => diagnostic::problem(problem, None, colour),
        }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Failure {
        Failure::new(of_store(&error).into(), error)
    }
}

impl From<registry::Error> for Failure {
    fn from(error: registry::Error) -> Failure {
        Failure::new(of_registry(&error).into(), error)
    }
}

impl From<export::Error> for Failure {
    fn from(error: export::Error) -> Failure {
        let code = match &error {
            export::Error::Store(error) => of_store(error).into(),
            export::Error::Damaged { .. } => Code::DigestMismatch,
            export::Error::Stage(error) => of_stage(error).into(),
            export::Error::NoEngine(_) => Code::Unavailable,
            _ => Code::Failed,
        };
        Failure::new(code, error)
    }
}
