//! The commands of a `RUN`, with their places.
//!
//! In: `RUN` of any form. Out: [`Placed`] commands.

use super::shell::{self, Command, Shell};
use crate::frontend::dockerfile::syntax::*;

/// How many bytes comments and continuations are expected to move a word, at most: each search
/// takes time with it.
const FARTHEST: usize = 16 << 10;

/// Commands of one `RUN` and where its text stands.
pub(super) struct Placed<'a> {
    pub(super) commands: Vec<Command>,
    /// All of what is run.
    pub(super) text: String,
    span: Span,
    file: &'a str,
}

/// What `run` runs; `file` is the recipe.
pub(super) fn of<'a>(run: &Run, node: &Instruction, file: &'a str) -> Placed<'a> {
    let (text, span) = match &run.command {
        RunCommand::Shell(text) => (text.value.clone(), text.span.clone()),
        RunCommand::Script(heredoc) => (heredoc.body.value.clone(), heredoc.body.span.clone()),
        RunCommand::Exec(words) => {
            let span = run.command.span().unwrap_or(node.span.clone());
            let values: Vec<_> = words.iter().map(|word| word.value.clone()).collect();
            // `["sh", "-c", "…"]`: the last is for a shell.
            if let [_, flag, script] = &values[..]
                && flag.starts_with('-')
                && flag.ends_with('c')
            {
                return Placed {
                    commands: shell::commands(script),
                    text: script.clone(),
                    span,
                    file: "",
                };
            }
            let words = values.iter().map(|value| Shell {
                text: value.clone(),
                at: 0,
            });
            let command = Command {
                words: words.collect(),
                is_piped: false,
            };
            return Placed {
                commands: vec![command],
                text: values.join(" "),
                span,
                file: "",
            };
        }
    };
    Placed {
        commands: shell::commands(&text),
        text,
        span,
        file,
    }
}

impl Placed<'_> {
    /// Where `word` stands in the file: continuation lines and comments may have moved it down,
    /// never up. All of the text where that can't be told.
    pub(super) fn span(&self, word: &Shell) -> Span {
        let from = self.span.start.saturating_add(word.at);
        let mut end = self
            .span
            .end
            .min(self.file.len())
            .min(from.saturating_add(FARTHEST));
        while !self.file.is_char_boundary(end) {
            end += 1;
        }
        let first: String = word
            .text
            .chars()
            .take_while(|c| !c.is_whitespace())
            .collect();
        let found = self.file.get(from..end).and_then(|text| text.find(&first));
        match found {
            Some(at) if !first.is_empty() => from + at..from + at + first.len(),
            _ => self.span.clone(),
        }
    }
}
