//! Variables and where they come from.
//!
//! In: a tree, build arguments, what is known of base images. Out: findings of Docker's rules on
//! variables, and on what `FROM` makes of them.

use std::collections::{BTreeMap, BTreeSet};

use super::rule::*;
use super::{CheckInput, Finding, find, parents};
use crate::canon::{Platform, Reference};
use crate::frontend::dockerfile::expand::{Expanded, Expander};
use crate::frontend::dockerfile::syntax::*;
use crate::frontend::suggest;

/// Arguments of platforms and the target, which `FROM` knows undeclared.
const PREDEFINED: [&str; 9] = [
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
    "TARGETSTAGE",
];

/// Arguments that every stage knows undeclared.
const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

type Variables = BTreeMap<String, String>;

pub(super) fn check(file: &Dockerfile, input: &CheckInput<'_>, findings: &mut Vec<Finding>) {
    let expander = Expander::new(file.directives.escape);
    let (globals, defaults) = globals(file, input, &expander, findings);
    let parents = parents(file);
    let mut known: Vec<Option<Variables>> = Vec::new();
    for (at, stage) in file.stages.iter().enumerate() {
        from(stage, &expander, &globals, &defaults, findings);
        let base = input.bases.and_then(|bases| bases.get(&at));
        let mut variables = match (parents[at], base) {
            (Some(parent), _) => known.get(parent).cloned().flatten(),
            (None, Some(base)) => {
                let names = base.variables.iter();
                Some(names.map(|name| (name.clone(), String::new())).collect())
            }
            (None, None) => (stage.from.kind.image.raw == "scratch").then(Variables::new),
        };
        // What the base sets is not known: only slips of the keyboard are told.
        let is_known = variables.is_some();
        let own = variables.get_or_insert_default();
        own.entry("PATH".to_owned()).or_default();
        for name in PROXIES {
            own.entry(name.to_owned()).or_default();
        }
        let mut reader = Reader {
            expander: &expander,
            globals: &globals,
            arguments: input.arguments,
            variables: own,
            is_known,
            findings,
        };
        for node in &stage.instructions {
            reader.instruction(node);
        }
        known.push(is_known.then_some(variables).flatten());
    }
}

/// Global arguments as given, and as they are where none is given.
fn globals(
    file: &Dockerfile,
    input: &CheckInput<'_>,
    expander: &Expander,
    findings: &mut Vec<Finding>,
) -> (Variables, Variables) {
    let mut given: Variables = PREDEFINED
        .iter()
        .map(|name| ((*name).to_owned(), String::new()))
        .collect();
    let mut defaults = given.clone();
    for argument in file.globals.iter().flat_map(|node| &node.kind) {
        secret("ARG", &argument.name, findings);
        let name = &argument.name.raw;
        let value = |variables: &Variables| {
            let default = argument.default.as_ref()?;
            Some(expander.word(&default.raw, variables).ok()?.text)
        };
        if let Some(value) = value(&defaults) {
            defaults.insert(name.clone(), value);
        }
        let own = input.arguments.and_then(|given| given.get(name)).cloned();
        let value = own.or_else(|| value(&given)).unwrap_or_default();
        given.insert(name.clone(), value);
    }
    (given, defaults)
}

fn from(
    stage: &Stage,
    expander: &Expander,
    globals: &Variables,
    defaults: &Variables,
    findings: &mut Vec<Finding>,
) {
    let From {
        image,
        platform,
        name,
    } = &stage.from.kind;
    for word in std::iter::once(image).chain(platform) {
        let Ok(expanded) = expander.word(&word.raw, globals) else {
            continue;
        };
        for unset in &expanded.unset {
            let message = format!("`${unset}` is not declared before the first FROM");
            let names = globals.keys().map(String::as_str);
            let hint = suggest::near(unset, names)
                .unwrap_or_else(|| format!("declare it with `ARG {unset}` before the first FROM"));
            find(findings, UNDEFINED_ARG_IN_FROM, &word.span, message, hint);
        }
    }
    if let Ok(expanded) = expander.word(&image.raw, defaults)
        && expanded.text.parse::<Reference>().is_err()
    {
        let message = format!("without build arguments `{}` names no image", image.raw);
        let hint = "give the argument a default: `ARG NAME=VALUE`";
        let is_variable = image.raw.contains('$');
        if is_variable {
            find(
                findings,
                INVALID_DEFAULT_ARG_IN_FROM,
                &image.span,
                message,
                hint,
            );
        }
    }
    let Some(platform) = platform else { return };
    if matches!(&platform.raw[..], "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
        let message = format!("`--platform={}` is the default", platform.raw);
        find(
            findings,
            REDUNDANT_TARGET_PLATFORM,
            &platform.span,
            message,
            "leave it out",
        );
    }
    if let (false, Ok(parsed)) = (platform.raw.contains('$'), platform.raw.parse::<Platform>()) {
        let name = name.as_ref().map_or("", |name| &name.value);
        if !name.contains(&parsed.os) && !name.contains(&parsed.architecture) {
            let message = format!("`--platform={}` is fixed", platform.raw);
            let hint = "use `$BUILDPLATFORM` or `$TARGETPLATFORM`, or name the stage after it";
            find(
                findings,
                FROM_PLATFORM_FLAG_CONST_DISALLOWED,
                &platform.span,
                message,
                hint,
            );
        }
    }
}

struct Reader<'a> {
    expander: &'a Expander,
    globals: &'a Variables,
    arguments: Option<&'a BTreeMap<String, String>>,
    variables: &'a mut Variables,
    is_known: bool,
    findings: &'a mut Vec<Finding>,
}

impl Reader<'_> {
    /// Expands a word, and tells what it names that isn't set.
    fn word(&mut self, word: &Word) -> String {
        match self.expander.word(&word.raw, &*self.variables) {
            Ok(expanded) => {
                self.unset(&expanded.unset, &word.span);
                let Expanded { text, .. } = expanded;
                text
            }
            Err(_) => String::new(),
        }
    }

    fn unset(&mut self, names: &BTreeSet<String>, span: &Span) {
        for name in names {
            if self.findings.len() >= super::MOST_FINDINGS {
                return;
            }
            let near = suggest::near(name, self.variables.keys().map(String::as_str));
            let hint = match (near, self.globals.contains_key(name)) {
                (_, true) => format!("write `ARG {name}` in this stage"),
                (Some(near), _) => near,
                (None, _) if self.is_known => "set it with ENV or ARG before".to_owned(),
                _ => continue,
            };
            let message = format!("`${name}` is not set here");
            find(self.findings, UNDEFINED_VAR, span, message, hint);
        }
    }

    fn transfer(&mut self, transfer: &Transfer) {
        let flags = transfer.chown.iter().chain(&transfer.chmod);
        let words = flags
            .chain(&transfer.exclude)
            .chain([&transfer.destination]);
        for word in words {
            self.word(word);
        }
        for source in &transfer.sources {
            match source {
                TransferSource::Path(word) => drop(self.word(word)),
                TransferSource::Heredoc(heredoc) if heredoc.expands => {
                    let mode = crate::frontend::dockerfile::expand::Mode {
                        no_quotes: true,
                        ..Default::default()
                    };
                    let body = &heredoc.body.value;
                    if let Ok(expanded) = self.expander.with(body, &*self.variables, mode) {
                        self.unset(&expanded.unset, &heredoc.span);
                    }
                }
                TransferSource::Heredoc(_) => {}
            }
        }
    }

    fn instruction(&mut self, node: &Instruction) {
        match &node.kind {
            Kind::Arg(arguments) => {
                for argument in arguments {
                    secret("ARG", &argument.name, self.findings);
                    let name = &argument.name.raw;
                    let default = argument.default.as_ref().map(|word| self.word(word));
                    let given = self.arguments.and_then(|given| given.get(name));
                    let global = self.globals.get(name);
                    let value = given.cloned().or(default).or_else(|| global.cloned());
                    self.variables
                        .insert(name.clone(), value.unwrap_or_default());
                }
            }
            Kind::Env(pairs) => {
                let set: Vec<_> = pairs
                    .iter()
                    .map(|pair| {
                        secret("ENV", &pair.key, self.findings);
                        (self.word(&pair.key), self.word(&pair.value))
                    })
                    .collect();
                self.variables.extend(set);
            }
            Kind::Label(pairs) => {
                for pair in pairs {
                    self.word(&pair.key);
                    self.word(&pair.value);
                }
            }
            Kind::Copy(copy) => self.transfer(&copy.transfer),
            Kind::Add(add) => {
                add.checksum.iter().for_each(|word| drop(self.word(word)));
                self.transfer(&add.transfer);
            }
            Kind::Expose(words) | Kind::Volume(words) => {
                words.iter().for_each(|word| drop(self.word(word)));
            }
            Kind::User(word) | Kind::Workdir(word) | Kind::StopSignal(word) => {
                self.word(word);
            }
            Kind::Run(run) => run.mounts.iter().for_each(|word| drop(self.word(word))),
            _ => {}
        }
    }
}

/// Words of a name that tell of a secret.
const SECRET: [&str; 10] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
];

/// Whether a variable's name tells of a secret.
pub fn names_secret(name: &str) -> bool {
    let lower = name.to_lowercase();
    let has = |what: &[&str]| lower.split('_').any(|word| what.contains(&word));
    has(&SECRET) && !has(&["public"])
}

fn secret(instruction: &str, name: &Word, findings: &mut Vec<Finding>) {
    if names_secret(&name.raw) {
        let message = format!("everybody who has the image can read `{}`", name.raw);
        let hint = match instruction {
            "ENV" => "give it to the container when it runs, or use `RUN --mount=type=secret`",
            _ => "use `RUN --mount=type=secret`",
        };
        find(
            findings,
            SECRETS_USED_IN_ARG_OR_ENV,
            &name.span,
            message,
            hint,
        );
    }
}
