//! A shell's text, so far as checks need it: its simple commands and their words.
//!
//! In: a command for `sh -c`, or a script. Out: [`Command`]s in order, those of `$(…)` and
//! backticks among them. Quotes and escapes are taken off; variables stay as they are written.
//! This is no shell: what it can't tell it leaves out.

/// A simple command: a program and its arguments, without redirections' own syntax.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Command {
    /// Never empty. What stands before the program (`sudo`, `env`, `VAR=value`) is left out.
    pub(super) words: Vec<Shell>,
    /// Whether what the command before prints is its input.
    pub(super) is_piped: bool,
}

/// A word without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shell {
    pub(super) text: String,
    /// Where it starts in the text.
    pub(super) at: usize,
}

/// What may stand before a program and doesn't change what it is.
const BEFORE: [&str; 19] = [
    "sudo", "env", "exec", "time", "nice", "nohup", "command", "eval", "then", "do", "else",
    "elif", "if", "while", "until", "!", "{", "(", "builtin",
];

impl Command {
    /// The program's name, without its folder.
    pub(super) fn program(&self) -> &str {
        let text = self.words.first().map_or("", |word| &word.text);
        text.rsplit('/').next().unwrap_or(text)
    }

    /// What follows the program.
    pub(super) fn arguments(&self) -> &[Shell] {
        self.words.get(1..).unwrap_or_default()
    }

    /// Its arguments that are no flags.
    pub(super) fn operands(&self) -> impl Iterator<Item = &Shell> {
        let arguments = self.arguments().iter();
        arguments.filter(|word| !word.text.starts_with('-'))
    }

    /// Whether one of its arguments is `flag`, or begins with it and `=`.
    pub(super) fn has(&self, flag: &str) -> bool {
        let is = |word: &Shell| {
            let rest = word.text.strip_prefix(flag);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        };
        self.arguments().iter().any(is)
    }
}

/// The commands of `text`.
pub(super) fn commands(text: &str) -> Vec<Command> {
    let mut reader = Reader::default();
    let mut chars = text.char_indices().peekable();
    let mut quote = None;
    // Quotes around each substitution that is open, and what ends it.
    let mut around: Vec<(Option<char>, char)> = Vec::new();
    while let Some((at, c)) = chars.next() {
        let ends = around.last().is_some_and(|(_, end)| *end == c);
        match (quote, c) {
            (Some('\''), '\'') => quote = None,
            (Some('\''), _) => reader.push(c, at),
            (_, '\\') => match chars.next() {
                Some((_, '\n')) | None => {}
                Some((at, c)) => reader.push(c, at),
            },
            (None, ')') | (_, '`') if ends => {
                reader.end_command(false);
                quote = around.pop().and_then(|(quote, _)| quote);
            }
            (_, '`') => {
                reader.end_command(false);
                around.push((quote.take(), '`'));
            }
            (_, '$') if chars.peek().is_some_and(|(_, next)| *next == '(') => {
                chars.next();
                reader.push('$', at);
                reader.end_command(false);
                around.push((quote.take(), ')'));
            }
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => reader.push(c, at),
            (None, '\'' | '"') => {
                reader.open(at);
                quote = Some(c);
            }
            (None, '#') if reader.word.is_none() => {
                while chars.peek().is_some_and(|(_, next)| *next != '\n') {
                    chars.next();
                }
            }
            (None, '|') => {
                let is_or = chars.peek().is_some_and(|(_, next)| *next == '|');
                if is_or || chars.peek().is_some_and(|(_, next)| *next == '&') {
                    chars.next();
                }
                reader.end_command(!is_or);
            }
            (None, '&') if reader.ends_with_redirection() => reader.push(c, at),
            (None, ';' | '&' | '\n' | '(' | ')') => reader.end_command(false),
            (None, '>' | '<') => {
                let is_number = reader.word.as_ref();
                if is_number.is_some_and(|word| word.text.parse::<u32>().is_err()) {
                    reader.end_word();
                }
                reader.push(c, at);
            }
            (None, c) if c.is_whitespace() => reader.end_word(),
            (None, c) => reader.push(c, at),
        }
    }
    reader.end_command(false);
    reader.commands
}

#[derive(Default)]
struct Reader {
    commands: Vec<Command>,
    command: Command,
    word: Option<Shell>,
}

impl Reader {
    fn open(&mut self, at: usize) {
        self.word.get_or_insert_with(|| Shell {
            text: String::new(),
            at,
        });
    }

    fn push(&mut self, c: char, at: usize) {
        self.open(at);
        if let Some(word) = &mut self.word {
            word.text.push(c);
        }
    }

    fn ends_with_redirection(&self) -> bool {
        let word = self.word.as_ref();
        word.is_some_and(|word| word.text.ends_with(['>', '<']))
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        let is_first = self.command.words.is_empty();
        let is_assignment = word.text.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        let is_flag = word.text.starts_with('-');
        if is_first && (is_assignment || is_flag || BEFORE.contains(&&word.text[..])) {
            return;
        }
        self.command.words.push(word);
    }

    fn end_command(&mut self, pipes: bool) {
        self.end_word();
        let command = std::mem::take(&mut self.command);
        if !command.words.is_empty() {
            self.commands.push(command);
        }
        self.command.is_piped = pipes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_wherever_they_stand() {
        for (text, expected) in [
            ("a b && c|d; e || f\n g & h", "a b / c / |d / e / f / g / h"),
            ("a 'b c' \"d e\" f\\ g", "a b c d e f g"),
            ("X=1 Y='2 3' sudo -E a b", "a b"),
            ("a $(b c) d", "a $ / b c / d"),
            ("a \"x$(b c)\"", "a x$ / b c"),
            ("sh -c \"$(b -c d)e f\" g", "sh -c $ / b -c d / e f g"),
            ("a \"`b c` d\"", "a  / b c /  d"),
            ("a `b c`", "a / b c"),
            ("if a; then b; fi", "a / b / fi"),
            ("a # b\nc", "a / c"),
            ("a#b", "a#b"),
            ("a >b 2>&1 <c", "a >b 2>&1 <c"),
            ("a 2>/dev/null | b", "a 2>/dev/null / |b"),
            ("a \\\n b", "a b"),
            ("(a; b)", "a / b"),
            ("'a", "a"),
            ("", ""),
        ] {
            let found: Vec<_> = commands(text)
                .iter()
                .map(|command| {
                    let words: Vec<_> = command.words.iter().map(|word| &word.text[..]).collect();
                    let pipe = if command.is_piped { "|" } else { "" };
                    format!("{pipe}{}", words.join(" "))
                })
                .collect();
            assert_eq!(found.join(" / "), expected, "{text}");
        }
    }
}
