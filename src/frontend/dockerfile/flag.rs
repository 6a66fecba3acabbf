//! The flags of one instruction.
//!
//! In: what was written, and what the instruction asks for, flag by flag. Out: words and
//! switches; what nobody asked for is a problem that names the nearest flag.

use super::joined::Part;
use super::syntax::{Spanned, Word};
use super::words::Flag;
use crate::canon::Problem;
use crate::frontend::suggest;

/// Takes flags out of what was written.
pub(super) struct Flags<'a> {
    keyword: String,
    written: Vec<Flag>,
    known: Vec<&'static str>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Flags<'a> {
    pub(super) fn new(
        keyword: Part<'_>,
        written: Vec<Flag>,
        problems: &'a mut Vec<Problem>,
    ) -> Flags<'a> {
        Flags {
            keyword: keyword.text().to_ascii_uppercase(),
            written,
            known: Vec::new(),
            problems,
        }
    }

    fn take(&mut self, name: &'static str) -> Vec<Flag> {
        self.known.push(name);
        let all = std::mem::take(&mut self.written);
        let (taken, left) = all.into_iter().partition(|flag| flag.name == name);
        self.written = left;
        taken
    }

    fn take_one(&mut self, name: &'static str) -> Option<Flag> {
        let mut taken = self.take(name).into_iter();
        let first = taken.next()?;
        for again in taken {
            let problem = Problem::new(format!("{} has `--{name}` twice", self.keyword));
            let problem = problem
                .at(again.span)
                .other(first.span.clone(), "first here");
            self.problems.push(problem.hint("keep one of them"));
        }
        Some(first)
    }

    fn value(&mut self, flag: Flag) -> Option<Word> {
        if flag.value.is_none() {
            let name = &flag.name;
            let problem = Problem::new(format!("`--{name}` has no value")).at(flag.span);
            self.problems
                .push(problem.hint(format!("write `--{name}=…`, without a blank")));
        }
        flag.value
    }

    /// `--name=value`, at most once.
    pub(super) fn text(&mut self, name: &'static str) -> Option<Word> {
        let flag = self.take_one(name)?;
        self.value(flag)
    }

    /// `--name=value`, any number of them.
    pub(super) fn texts(&mut self, name: &'static str) -> Vec<Word> {
        let taken = self.take(name).into_iter();
        taken.filter_map(|flag| self.value(flag)).collect()
    }

    /// `--name` or `--name=true|false`, at most once.
    pub(super) fn switch(&mut self, name: &'static str) -> Option<Spanned<bool>> {
        let flag = self.take_one(name)?;
        let value = flag.value.as_ref().map(|value| value.raw.to_lowercase());
        match value.as_deref() {
            None | Some("true") => Some(Spanned::new(true, flag.span)),
            Some("false") => Some(Spanned::new(false, flag.span)),
            Some(other) => {
                let problem = Problem::new(format!("`--{name}` can't be `{other}`"));
                let problem = problem.at(flag.span);
                self.problems.push(problem.hint("it is `true` or `false`"));
                None
            }
        }
    }

    /// One of `choices`, at most once.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
    ) -> Option<Spanned<T>> {
        let word = self.text(name)?;
        let found = choices.iter().find(|(choice, _)| *choice == word.raw);
        if let Some((_, value)) = found {
            return Some(Spanned::new(*value, word.span));
        }
        let problem = Problem::new(format!("`--{name}` can't be `{}`", word.raw)).at(word.span);
        let names = choices.iter().map(|(choice, _)| *choice);
        self.problems
            .push(match suggest::hint(&word.raw, names, "it is one of") {
                Some(hint) => problem.hint(hint),
                None => problem,
            });
        None
    }

    /// What is left is unknown.
    pub(super) fn end(self) {
        for flag in self.written {
            let message = format!("{} has no flag `--{}`", self.keyword, flag.name);
            let problem = Problem::new(message).at(flag.span);
            let known: Vec<_> = self.known.iter().map(|name| format!("--{name}")).collect();
            let known = known.iter().map(String::as_str);
            let hint = suggest::hint(&format!("--{}", flag.name), known, "its flags are");
            let none = || "it takes no flags".to_owned();
            self.problems.push(problem.hint(hint.unwrap_or_else(none)));
        }
    }
}
