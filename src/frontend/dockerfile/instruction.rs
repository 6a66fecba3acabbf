//! An instruction on one line to a node of the tree.
//!
//! In: [`Raw`] instructions. Out: [`Item`]s, or problems.

use super::flag::Flags;
use super::heredoc;
use super::joined::Part;
use super::lines::Raw;
use super::syntax::*;
use super::transfer;
use super::words::{self, Json};
use super::{csv, healthcheck, mount};
use crate::canon::Problem;
use crate::frontend::{device, suggest};
use crate::plan::command::Device;

/// Every instruction.
pub(super) const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// What a line turned out to be.
pub(super) enum Item {
    From(Node<From>),
    Other(Instruction),
}

/// Reads one instruction.
pub(super) struct Reader<'a> {
    pub(super) escape: char,
    pub(super) heredocs: &'a [Heredoc],
    pub(super) problems: &'a mut Vec<Problem>,
}

/// What `raw` says; nothing when that is no sense, which the problems then tell.
pub(super) fn read(raw: &Raw, escape: char, problems: &mut Vec<Problem>) -> Option<Item> {
    let mut reader = Reader {
        escape,
        heredocs: &raw.heredocs,
        problems,
    };
    let line = raw.line.all().trim();
    let (keyword, rest) = words::keyword(line);
    if keyword.text().eq_ignore_ascii_case("FROM") {
        let from = reader.from(keyword, rest)?;
        return Some(Item::From(node(raw, line, keyword, from)));
    }
    let kind = reader.kind(keyword, rest, false)?;
    Some(Item::Other(node(raw, line, keyword, kind)))
}

fn node<T>(raw: &Raw, line: Part<'_>, keyword: Part<'_>, kind: T) -> Node<T> {
    Node {
        span: line.span().start..raw.span.end,
        keyword: keyword.spanned(),
        text: line.text().to_owned(),
        comments: raw.comments.clone(),
        kind,
    }
}

impl Reader<'_> {
    /// Notes a problem.
    pub(super) fn fail<T>(
        &mut self,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Option<T> {
        let problem = Problem::new(message).at(span);
        self.problems.push(problem.hint(hint));
        None
    }

    /// Notes that the instruction says too little.
    fn lacks<T>(&mut self, keyword: Part<'_>, what: &str, hint: &str) -> Option<T> {
        let name = keyword.text().to_ascii_uppercase();
        self.fail(keyword.span(), format!("{name} needs {what}"), hint)
    }

    fn from(&mut self, keyword: Part<'_>, rest: Part<'_>) -> Option<From> {
        let (written, rest) = words::flags(rest);
        let mut flags = Flags::new(keyword, written, self.problems);
        let platform = flags.text("platform");
        flags.end();
        let hint = "write `FROM IMAGE`, or `FROM IMAGE AS NAME`";
        let words = words::blank_separated(rest);
        let (image, name) = match words[..] {
            [image] => (image, None),
            [image, r#as, name] if r#as.text().eq_ignore_ascii_case("as") => {
                (image, Some(self.stage_name(r#as, name)?))
            }
            [] => return self.lacks(keyword, "an image", hint),
            [_, second, ..] => {
                let message = "FROM takes an image, and `AS` and a name after it";
                return self.fail(second.span(), message, hint);
            }
        };
        Some(From {
            image: image.word(),
            platform,
            name,
        })
    }

    fn stage_name(&mut self, keyword: Part<'_>, name: Part<'_>) -> Option<StageName> {
        let written = name.text().to_owned();
        let value = written.to_lowercase();
        let is_valid = value.starts_with(|c: char| c.is_ascii_lowercase())
            && value
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
        if !is_valid {
            let message = format!("`{written}` can't be the name of a stage");
            let hint = "it starts with a letter; letters, digits, `-`, `_` and `.` follow";
            return self.fail(name.span(), message, hint);
        }
        Some(StageName {
            value,
            written,
            span: name.span(),
            keyword: keyword.spanned(),
        })
    }

    /// What an instruction other than `FROM` says.
    fn kind(&mut self, keyword: Part<'_>, rest: Part<'_>, is_trigger: bool) -> Option<Kind> {
        let name = keyword.text().to_ascii_uppercase();
        match &name[..] {
            "RUN" => return self.run(keyword, rest).map(Kind::Run),
            "COPY" => return transfer::copy(self, keyword, rest).map(Kind::Copy),
            "ADD" => return transfer::add(self, keyword, rest).map(Kind::Add),
            "HEALTHCHECK" => {
                return healthcheck::read(self, keyword, rest).map(Kind::Healthcheck);
            }
            "ONBUILD" if !is_trigger => return self.on_build(keyword, rest).map(Kind::OnBuild),
            "ONBUILD" | "MAINTAINER" | "FROM" if is_trigger => {
                let message = format!("{name} can't be a trigger");
                return self.fail(keyword.span(), message, "name another instruction");
            }
            _ if !KEYWORDS.contains(&&name[..]) => {
                let message = format!("there is no instruction `{}`", keyword.text());
                let problem = Problem::new(message).at(keyword.span());
                let hint = suggest::hint(&name, KEYWORDS, "the instructions are");
                self.problems.push(match hint {
                    Some(hint) => problem.hint(hint),
                    None => problem,
                });
                return None;
            }
            _ => {}
        }
        let (written, rest) = words::flags(rest);
        Flags::new(keyword, written, self.problems).end();
        match &name[..] {
            "CMD" => self.command(rest).map(Kind::Cmd),
            "ENTRYPOINT" => self.command(rest).map(Kind::Entrypoint),
            "SHELL" => self.shell(keyword, rest).map(Kind::Shell),
            "ARG" => self.arguments(keyword, rest).map(Kind::Arg),
            "ENV" => self.pairs(keyword, rest).map(Kind::Env),
            "LABEL" => self.pairs(keyword, rest).map(Kind::Label),
            "EXPOSE" => {
                let words: Vec<_> = words::blank_separated(rest);
                if words.is_empty() {
                    return self.lacks(keyword, "a port", "write `EXPOSE 8080`");
                }
                Some(Kind::Expose(words.into_iter().map(Part::word).collect()))
            }
            "VOLUME" => self.volumes(keyword, rest).map(Kind::Volume),
            _ if rest.is_empty() => self.lacks(keyword, "a value", "write one behind it"),
            "MAINTAINER" => Some(Kind::Maintainer(rest.spanned())),
            "STOPSIGNAL" => Some(Kind::StopSignal(rest.word())),
            "USER" => self.user(rest).map(Kind::User),
            _ => Some(Kind::Workdir(rest.word())),
        }
    }

    /// No user's or group's name has blanks; what quotes and variables come to is not known yet.
    fn user(&mut self, rest: Part<'_>) -> Option<Word> {
        let words = words::blank_separated(rest);
        match words[..] {
            [_, second, ..] if !rest.text().contains(['$', '"', '\'', self.escape]) => {
                let hint = "write `USER NAME`, or `USER NAME:GROUP`";
                self.fail(second.span(), "USER takes one user", hint)
            }
            _ => Some(rest.word()),
        }
    }

    /// A JSON array, or text for the shell.
    pub(super) fn command(&mut self, rest: Part<'_>) -> Option<CommandLine> {
        match words::json(rest) {
            Json::Strings(words) => Some(CommandLine::Exec(words)),
            Json::No => Some(CommandLine::Shell(rest.spanned())),
            Json::Others => self.not_strings(rest),
        }
    }

    pub(super) fn not_strings<T>(&mut self, rest: Part<'_>) -> Option<T> {
        let hint = "quote every element, or write a command for the shell";
        self.fail(
            rest.span(),
            "the array holds something other than strings",
            hint,
        )
    }

    fn shell(&mut self, keyword: Part<'_>, rest: Part<'_>) -> Option<Vec<Spanned<String>>> {
        let hint = "write `SHELL [\"/bin/sh\", \"-c\"]`";
        match self.command(rest)? {
            CommandLine::Exec(words) if !words.is_empty() => Some(words),
            CommandLine::Shell(text) if !text.value.is_empty() => {
                self.fail(text.span, "SHELL takes a JSON array of strings", hint)
            }
            _ => self.lacks(keyword, "a program", hint),
        }
    }

    fn run(&mut self, keyword: Part<'_>, rest: Part<'_>) -> Option<Run> {
        let (written, rest) = words::flags(rest);
        let mut flags = Flags::new(keyword, written, self.problems);
        let mounts = flags.texts("mount");
        let network = flags.choice(
            "network",
            &[
                ("default", Network::Default),
                ("none", Network::None),
                ("host", Network::Host),
            ],
        );
        let security = flags.choice(
            "security",
            &[
                ("sandbox", Security::Sandbox),
                ("insecure", Security::Insecure),
            ],
        );
        let named = flags.texts("device");
        flags.end();
        for word in &mounts {
            self.problems.extend(mount::early(word));
        }
        let mut devices = Vec::new();
        for word in &named {
            match device(word) {
                Ok(device) => devices.push(Spanned::new(device, word.span.clone())),
                Err(problem) => self.problems.push(*problem),
            }
        }
        let command = match self.command(rest)? {
            CommandLine::Exec(words) if words.is_empty() => {
                return self.lacks(keyword, "a command", "name a program in the array");
            }
            CommandLine::Exec(words) => RunCommand::Exec(words),
            CommandLine::Shell(_) if rest.is_empty() => {
                return self.lacks(keyword, "a command", "write one behind it, or remove it");
            }
            CommandLine::Shell(_) if is_script(rest) && !self.heredocs.is_empty() => {
                RunCommand::Script(self.heredocs[0].clone())
            }
            CommandLine::Shell(text) => RunCommand::Shell(with_heredocs(text, self.heredocs)),
        };
        Some(Run {
            mounts,
            network,
            security,
            devices,
            command,
        })
    }

    fn arguments(&mut self, keyword: Part<'_>, rest: Part<'_>) -> Option<Vec<Argument>> {
        let words = words::quoted(rest, self.escape);
        if words.is_empty() {
            return self.lacks(keyword, "a name", "write `ARG NAME`, or `ARG NAME=DEFAULT`");
        }
        let argument = |word: &Part<'_>| match word.text().find('=') {
            None => Some(Argument {
                name: word.word(),
                default: None,
            }),
            Some(0) => self.fail(word.span(), "the name of the argument is empty", "name it"),
            Some(at) => Some(Argument {
                name: word.slice(0..at).word(),
                default: Some(word.from(at + 1).word()),
            }),
        };
        words.iter().map(argument).collect()
    }

    fn pairs(&mut self, keyword: Part<'_>, rest: Part<'_>) -> Option<Vec<Pair>> {
        let name = keyword.text().to_ascii_uppercase();
        let hint = format!("write `{name} KEY=VALUE`");
        let words = words::quoted(rest, self.escape);
        let Some(first) = words.first() else {
            return self.lacks(keyword, "a key and its value", &hint);
        };
        if !first.text().contains('=') {
            let Some((key, value)) = rest.split(char::is_whitespace) else {
                let message = format!("{name} gives `{}` no value", first.text());
                return self.fail(first.span(), message, hint);
            };
            return Some(vec![Pair {
                key: key.word(),
                value: value.word(),
                is_legacy: true,
            }]);
        }
        let pair = |word: &Part<'_>| match word.text().find('=') {
            Some(0) => self.fail(word.span(), format!("a key of {name} is empty"), &hint),
            Some(at) => Some(Pair {
                key: word.slice(0..at).word(),
                value: word.from(at + 1).word(),
                is_legacy: false,
            }),
            None => {
                let message = format!("`{}` has no `=`", word.text());
                let hint = "quote a value that has blanks: `KEY=\"a b\"`";
                self.fail(word.span(), message, hint)
            }
        };
        words.iter().map(pair).collect()
    }

    fn volumes(&mut self, keyword: Part<'_>, rest: Part<'_>) -> Option<Vec<Word>> {
        let words = self.list(rest)?;
        if words.is_empty() {
            return self.lacks(keyword, "a path", "write `VOLUME /data`");
        }
        let trimmed = |word: Word| Word::new(word.raw.trim(), word.span);
        let words: Vec<_> = words.into_iter().map(trimmed).collect();
        match words.iter().find(|word| word.raw.is_empty()) {
            Some(word) => self.fail(
                word.span.clone(),
                "the path of a volume is empty",
                "name it",
            ),
            None => Some(words),
        }
    }

    /// A JSON array, or words between blanks.
    pub(super) fn list(&mut self, rest: Part<'_>) -> Option<Vec<Word>> {
        match words::json(rest) {
            Json::Strings(strings) => {
                let words = strings.into_iter();
                Some(words.map(|word| Word::new(word.value, word.span)).collect())
            }
            Json::Others => self.not_strings(rest),
            Json::No => {
                let words = words::blank_separated(rest).into_iter();
                Some(words.map(Part::word).collect())
            }
        }
    }

    fn on_build(&mut self, keyword: Part<'_>, rest: Part<'_>) -> Option<OnBuild> {
        let (written, rest) = words::flags(rest);
        Flags::new(keyword, written, self.problems).end();
        if rest.is_empty() {
            return self.lacks(keyword, "an instruction", "write `ONBUILD RUN make`");
        }
        let (inner, arguments) = words::keyword(rest);
        let kind = self.kind(inner, arguments, true)?;
        let last = self.heredocs.last().map(|last| last.body.span.end);
        let mut span = rest.span();
        span.end = span.end.max(last.unwrap_or(0));
        Some(OnBuild {
            trigger: with_heredocs(rest.spanned(), self.heredocs).value,
            instruction: Box::new(Node {
                span,
                keyword: inner.spanned(),
                text: rest.text().to_owned(),
                comments: Vec::new(),
                kind,
            }),
        })
    }
}

/// What `--device` says. No variable is expanded in it.
fn device(word: &Word) -> Result<Device, Box<Problem>> {
    let options = csv::fields(word, "device")?;
    let device = device::parse(options.iter().map(|option| &option.raw[..]));
    device.map_err(|fault| {
        let problem = Problem::new(fault.message).at(word.span.clone());
        Box::new(problem.hint(fault.hint))
    })
}

/// Whether nothing but a here-document is run.
fn is_script(rest: Part<'_>) -> bool {
    heredoc::opening(rest.text()).is_some()
}

/// The text with the bodies behind it, as a shell reads them.
fn with_heredocs(mut text: Spanned<String>, heredocs: &[Heredoc]) -> Spanned<String> {
    for heredoc in heredocs {
        text.value.push('\n');
        text.value.push_str(&heredoc.body.value);
        text.value.push_str(&heredoc.name);
    }
    text
}
