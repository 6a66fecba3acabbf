//! Instructions that change the config alone.
//!
//! In: `ENV`, `LABEL`, `CMD`, …. Out: changes of the stage's state.

use super::scope::Scope;
use super::stage::{Lowered, Lowering, State, problem};
use crate::frontend::dockerfile::syntax::{
    Argument, CommandLine, Healthcheck, HealthcheckCommand, Kind, Pair, Span, Word,
};
use crate::frontend::toml::value;
use crate::plan::config::{Field, Healthcheck as Check, Unset};

impl Lowering<'_> {
    /// Goes through an instruction that adds no layer.
    pub(super) fn config(&mut self, state: &mut State, kind: &Kind) -> Lowered<()> {
        match kind {
            Kind::Arg(arguments) => {
                for argument in arguments {
                    self.argument(state, argument)?;
                }
            }
            Kind::Env(pairs) => {
                for (pair, (name, value)) in pairs.iter().zip(self.pairs(state, pairs)?) {
                    state.scope.set(&name, &value);
                    few(&state.scope, &pair.key.span)?;
                    let env = &mut state.change.env;
                    match env.iter_mut().find(|(other, _)| *other == name) {
                        Some((_, old)) => *old = value,
                        None => env.push((name, value)),
                    }
                }
            }
            Kind::Label(pairs) => {
                let labels = self.pairs(state, pairs)?;
                state.change.labels.extend(labels);
            }
            Kind::Cmd(line) => {
                state.has_cmd = true;
                state.change.args_escaped = true;
                let words = words(state, line);
                unset(state, Field::Cmd, words.is_empty());
                state.change.cmd = (!words.is_empty()).then_some(words);
            }
            Kind::Entrypoint(line) => {
                state.change.args_escaped = true;
                let words = words(state, line);
                unset(state, Field::Entrypoint, words.is_empty());
                if !state.has_cmd {
                    unset(state, Field::Cmd, words.is_empty());
                }
                state.change.entrypoint = (!words.is_empty()).then_some(words);
            }
            Kind::Expose(words) => self.expose(state, words)?,
            Kind::Healthcheck(check) => {
                state.change.healthcheck = Some(match check {
                    Healthcheck::None => Check {
                        test: vec!["NONE".to_owned()],
                        ..Check::default()
                    },
                    Healthcheck::Command(command) => healthcheck(command),
                });
            }
            Kind::Maintainer(author) => state.change.author = Some(author.value.clone()),
            Kind::OnBuild(trigger) => state.change.on_build.push(trigger.trigger.clone()),
            Kind::Shell(words) => {
                state.shell = words.iter().map(|word| word.value.clone()).collect();
                state.change.shell = Some(state.shell.clone());
            }
            Kind::StopSignal(word) => {
                let signal = self.word(state, word)?;
                let signal = value::signal(&signal)
                    .map_err(|fault| problem(&word.span, fault.message, fault.hint))?;
                state.change.stop_signal = Some(signal);
            }
            Kind::User(word) => {
                let user = self.word(state, word)?;
                state.user = Some(user.clone()).filter(|user| !user.is_empty());
                state.change.user = Some(user);
            }
            Kind::Volume(words) => {
                for word in words {
                    let volume = self.word(state, word)?;
                    if volume.is_empty() {
                        return Err(problem(&word.span, "a volume's path is empty", "name it"));
                    }
                    insert(&mut state.change.volumes, volume);
                }
            }
            // These have layers.
            Kind::Add(_) | Kind::Copy(_) | Kind::Run(_) | Kind::Workdir(_) => {}
        }
        Ok(())
    }

    /// `ARG`: what the caller gives, else the default, else what it has above the first stage.
    fn argument(&self, state: &mut State, argument: &Argument) -> Lowered<()> {
        let name = self.word(state, &argument.name)?;
        let given = self.options.build_args.get(&name);
        let value = match (given, &argument.default) {
            (Some(given), _) => given.clone(),
            (None, Some(default)) => self.word(state, default)?,
            (None, None) => {
                use crate::frontend::dockerfile::expand::Variables;
                match self.needs.globals.get(&name) {
                    Some(global) => global.to_owned(),
                    None => return Ok(()),
                }
            }
        };
        // They ask for scans, and are for no command.
        if !matches!(
            name.as_str(),
            "BUILDKIT_SBOM_SCAN_CONTEXT" | "BUILDKIT_SBOM_SCAN_STAGE"
        ) {
            state.scope.set(&name, &value);
        }
        few(&state.scope, &argument.name.span)
    }

    /// All are expanded with what is known before the instruction.
    fn pairs(&self, state: &State, pairs: &[Pair]) -> Lowered<Vec<(String, String)>> {
        let pair = |pair: &Pair| {
            let key = self.word(state, &pair.key)?;
            if key.is_empty() {
                return Err(problem(&pair.key.span, "the name is empty", "name it"));
            }
            Ok((key, self.word(state, &pair.value)?))
        };
        pairs.iter().map(pair).collect()
    }

    fn expose(&self, state: &mut State, words: &[Word]) -> Lowered<()> {
        for word in words {
            let expanded = super::scope::word(self.expander, word, &state.scope)?;
            for text in &expanded.words {
                for port in ports(text, &word.span)? {
                    insert(&mut state.change.ports, port);
                }
            }
        }
        Ok(())
    }
}

/// Most variables of a stage: looking one up takes time with their number.
const MOST_VARIABLES: usize = 10_000;

fn few(scope: &Scope, span: &Span) -> Lowered<()> {
    match scope.len() > MOST_VARIABLES {
        true => Err(problem(
            span,
            format!("a stage has more than {MOST_VARIABLES} variables"),
            "put them into a file",
        )),
        false => Ok(()),
    }
}

/// What is to be started: a text by the shell.
fn words(state: &State, line: &CommandLine) -> Vec<String> {
    match line {
        CommandLine::Shell(text) => {
            let shell = state.shell.iter().cloned();
            shell.chain([text.value.clone()]).collect()
        }
        CommandLine::Exec(words) => words.iter().map(|word| word.value.clone()).collect(),
    }
}

fn unset(state: &mut State, field: Field, is_unset: bool) {
    let unset = &mut state.change.unset;
    unset.retain(|other| *other != Unset::All(field));
    if is_unset {
        unset.push(Unset::All(field));
    }
}

/// Lists of what is exposed and held are sets.
fn insert(list: &mut Vec<String>, item: String) {
    if let Err(place) = list.binary_search(&item) {
        list.insert(place, item);
    }
}

fn healthcheck(command: &HealthcheckCommand) -> Check {
    let test = match &command.command {
        CommandLine::Shell(text) => vec!["CMD-SHELL".to_owned(), text.value.clone()],
        CommandLine::Exec(words) => {
            let words = words.iter().map(|word| word.value.clone());
            std::iter::once("CMD".to_owned()).chain(words).collect()
        }
    };
    let time = |time: &Option<crate::frontend::dockerfile::syntax::Spanned<u64>>| {
        let nanoseconds = time.as_ref().map_or(0, |time| time.value);
        i64::try_from(nanoseconds).unwrap_or(i64::MAX)
    };
    Check {
        test,
        interval: time(&command.interval),
        timeout: time(&command.timeout),
        start_period: time(&command.start_period),
        start_interval: time(&command.start_interval),
        retries: command.retries.as_ref().map_or(0, |n| i64::from(n.value)),
    }
}

/// The ports of `[HOST:]PORT[-PORT][/PROTOCOL]`; the host's part says nothing of an image.
fn ports(text: &str, span: &Span) -> Lowered<Vec<String>> {
    let refuse = || {
        let shown = text.escape_debug();
        let hint = "write a number up to 65535 or a range such as `8000-8010`, with `/udp` or `/sctp` behind it where it isn't TCP";
        problem(span, format!("`{shown}` is no port"), hint)
    };
    let container = text.rsplit(':').next().unwrap_or(text);
    let (range, protocol) = container.split_once('/').unwrap_or((container, ""));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "" => "tcp".to_owned(),
        protocol @ ("tcp" | "udp" | "sctp") => protocol.to_owned(),
        _ => return Err(refuse()),
    };
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u16>().ok().filter(|_| is_number);
        number.ok_or_else(refuse)
    };
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(range)?, number(range)?),
    };
    if last < first {
        return Err(refuse());
    }
    Ok((first..=last)
        .map(|port| format!("{port}/{protocol}"))
        .collect())
}
