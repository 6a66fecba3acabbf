//! What is wrong with a recipe, and where.
//!
//! In: the findings of a frontend, or of any room that works for a step. Out: [`Problem`], which
//! `ui::diagnostic` draws below the recipe's line.

use std::ops::Range;

/// One thing that is wrong, with its place in the recipe and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Lower case, literals in backticks, no full stop.
    pub message: String,
    /// Bytes of the recipe that are meant; none when it is about none of them.
    pub span: Option<Range<usize>>,
    /// Beside the carets; empty where the message says it all.
    pub label: String,
    /// Other places that have to do with it, each with what it says there.
    pub others: Vec<(Range<usize>, String)>,
    /// What made it so, outermost first.
    pub causes: Vec<String>,
    /// What a command wrote last, by lines.
    pub output: Vec<String>,
    /// The way out.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of no particular place.
    pub fn new(message: impl Into<String>) -> Problem {
        Problem {
            message: message.into(),
            span: None,
            label: String::new(),
            others: Vec::new(),
            causes: Vec::new(),
            output: Vec::new(),
            hint: None,
        }
    }

    /// The same at `span`.
    pub fn at(self, span: Range<usize>) -> Problem {
        Problem {
            span: Some(span),
            ..self
        }
    }

    /// The same with words beside the carets.
    pub fn label(self, label: impl Into<String>) -> Problem {
        Problem {
            label: label.into(),
            ..self
        }
    }

    /// The same with another place.
    pub fn other(mut self, span: Range<usize>, label: impl Into<String>) -> Problem {
        self.others.push((span, label.into()));
        self
    }

    /// The same with a cause.
    pub fn cause(mut self, cause: impl Into<String>) -> Problem {
        self.causes.push(cause.into());
        self
    }

    /// The same with the way out.
    pub fn hint(self, hint: impl Into<String>) -> Problem {
        Problem {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// Sorts problems by place, those without one first, and drops what is said twice.
pub fn sort(problems: &mut Vec<Problem>) {
    let place = |problem: &Problem| problem.span.as_ref().map(|span| (span.start, span.end));
    problems.sort_by(|a, b| place(a).cmp(&place(b)).then(a.message.cmp(&b.message)));
    problems.dedup();
}
