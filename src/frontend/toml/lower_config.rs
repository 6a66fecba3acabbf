//! The config: from the words of a recipe to a change.
//!
//! In: [`Config`]. Out: [`ConfigChange`], or problems.

use std::collections::BTreeMap;
use std::ops::Range;

use super::check::{Checker, Owner};
use super::config::{Config, Healthcheck};
use super::draft::PlatformParts;
use super::field::{At, Field, Table, TextOr};
use super::value;
use crate::canon::{Platform, Problem};
use crate::frontend::suggest;
use crate::plan::ConfigChange;
use crate::plan::config::{Field as Name, Healthcheck as Check, Unset};

/// The keys that `unset` knows, and whether members can be unset by themselves.
const NAMES: [(&str, Name, bool); 14] = [
    ("entrypoint", Name::Entrypoint, false),
    ("cmd", Name::Cmd, false),
    ("env", Name::Env, true),
    ("user", Name::User, false),
    ("workdir", Name::Workdir, false),
    ("ports", Name::Ports, true),
    ("volumes", Name::Volumes, true),
    ("labels", Name::Labels, true),
    ("stop-signal", Name::StopSignal, false),
    ("healthcheck", Name::Healthcheck, false),
    ("author", Name::Author, false),
    ("on-build", Name::OnBuild, false),
    ("shell", Name::Shell, false),
    ("annotations", Name::Annotations, true),
];

/// The change that a config asks for.
pub fn lower(checker: &mut Checker, config: &Config) -> ConfigChange {
    let empty = "to drop the base's, name it in `unset`";
    let text = |text: &str| Ok::<_, value::Fault>(text.to_owned());
    let unset = config.unset.items().iter();
    let unset = unset
        .filter_map(|item| self::unset(checker, item))
        .collect();
    let mut ports = checker.items(config.ports.items(), value::port);
    let mut volumes = checker.items(config.volumes.items(), volume);
    for list in [&mut ports, &mut volumes] {
        list.sort();
        list.dedup();
    }
    let entrypoint = checker.list("entrypoint", &config.entrypoint, empty, text);
    if let (Some([first, ..]), Some(list)) = (entrypoint.as_deref(), config.entrypoint.given())
        && first.is_empty()
    {
        let span = list.value.0[0].span.clone();
        checker.fault(
            span,
            "the command is empty",
            "name a program, or leave `entrypoint` out",
        );
    }
    ConfigChange {
        unset,
        entrypoint,
        cmd: checker.list("cmd", &config.cmd, empty, text),
        env: env(checker, &config.env),
        user: checker.optional(&config.user, value::owner),
        workdir: checker.optional(&config.workdir, workdir),
        ports,
        volumes,
        labels: map(checker, "labels", &config.labels),
        stop_signal: checker.optional(&config.stop_signal, value::signal),
        healthcheck: healthcheck(checker, &config.healthcheck),
        on_build: checker.items(config.on_build.items(), text),
        shell: checker.list("shell", &config.shell, empty, text),
        args_escaped: config.args_escaped.given().copied().unwrap_or_default(),
        author: config.author.given().cloned(),
        annotations: map(checker, "annotations", &config.annotations),
    }
}

/// The platform that a config names in parts, and where.
pub fn platform(checker: &mut Checker, config: &Config) -> Option<(PlatformParts, Range<usize>)> {
    let fields = platform_fields(config);
    let first = fields.iter().find_map(|field| field.given())?;
    let parts = PlatformParts {
        architecture: checker.optional(&config.architecture, |text| {
            part(text, &format!("linux/{text}"))
        }),
        os: checker.optional(&config.os, |text| part(text, &format!("{text}/amd64"))),
        variant: checker.optional(&config.variant, |text| {
            part(text, &format!("linux/arm/{text}"))
        }),
    };
    if parts.architecture.is_none() && parts.variant.is_some() && config.architecture.is_absent() {
        let message = "`variant` is of an `architecture`, which isn't said";
        checker.fault(first.span.clone(), message, "");
    }
    Some((parts, first.span.clone()))
}

/// Says that a stage names a platform, which only the whole recipe can.
pub fn no_platform(checker: &mut Checker, config: &Config) {
    for at in platform_fields(config).into_iter().filter_map(Field::given) {
        let message = "a stage is built for the platforms of the whole recipe";
        let hint = "move it to the recipe's own `[config]`, or name it in `platforms`";
        checker.fault(at.span.clone(), message, hint);
    }
}

fn platform_fields(config: &Config) -> [&Field<At<String>>; 3] {
    [&config.architecture, &config.os, &config.variant]
}

/// A part of a platform; what it may be, the platform knows that it makes with others.
fn part(text: &str, platform: &str) -> Result<String, value::Fault> {
    if text.is_empty() || text.contains('/') {
        return Err(value::Fault {
            message: format!("`{text}` is no part of a platform"),
            hint: "write a word such as `\"linux\"`, `\"arm\"` or `\"v7\"`".to_owned(),
        });
    }
    match platform.parse::<Platform>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(value::Fault {
            message: error.message,
            hint: error.hint,
        }),
    }
}

fn workdir(text: &str) -> Result<String, value::Fault> {
    let path = value::absolute(text)?;
    Ok(format!("/{}", path.lossy()))
}

fn volume(text: &str) -> Result<String, value::Fault> {
    let path = value::absolute(text)?;
    if path.is_root() {
        return Err(value::Fault {
            message: "the root can't be a volume".to_owned(),
            hint: String::new(),
        });
    }
    Ok(format!("/{}", path.lossy()))
}

/// The variables of a table, in order.
pub fn env(checker: &mut Checker, table: &Field<Table<String>>) -> Vec<(String, String)> {
    let mut env = Vec::new();
    for (name, value) in table.members() {
        if name.value.is_empty() {
            checker.fault(name.span.clone(), "a variable of `env` has no name", "");
        } else if name.value.contains('=') {
            let message = format!("`{}` can't be a variable's name: it holds `=`", name.value);
            checker.fault(name.span.clone(), message, "write `NAME = \"value\"`");
        }
        env.push((name.value.clone(), value.clone()));
    }
    env
}

fn map(
    checker: &mut Checker,
    owner: &str,
    table: &Field<Table<String>>,
) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for (key, value) in table.members() {
        if key.value.is_empty() {
            let message = format!("a key of `{owner}` is empty");
            checker.fault(key.span.clone(), message, "");
        }
        map.insert(key.value.clone(), value.clone());
    }
    map
}

fn healthcheck(checker: &mut Checker, field: &Field<At<TextOr<Healthcheck>>>) -> Option<Check> {
    let at = field.given()?;
    let healthcheck = match &at.value {
        TextOr::Text(text) if text == "none" => {
            return Some(Check {
                test: vec!["NONE".to_owned()],
                ..Check::default()
            });
        }
        TextOr::Text(text) => {
            let message = format!("`{text}` is no healthcheck");
            let hint = "write `\"none\"`, or `{ test = [\"CMD\", \"…\"] }`";
            checker.fault(at.span.clone(), message, hint);
            return None;
        }
        TextOr::Other(healthcheck) => healthcheck,
    };
    let owner = Owner {
        name: "healthcheck",
        span: at.span.clone(),
    };
    checker.need(&owner, "test", &healthcheck.test);
    let text = |text: &str| Ok::<_, value::Fault>(text.to_owned());
    let hint = "begin it with `\"CMD\"` or `\"CMD-SHELL\"`";
    let test = checker.list("test", &healthcheck.test, hint, text);
    if let (Some(words), Some(list)) = (&test, healthcheck.test.given()) {
        let message = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["CMD", first, ..] if !first.is_empty() => None,
            ["CMD-SHELL", line] if !line.is_empty() => None,
            ["CMD-SHELL", _, _, ..] => Some("`CMD-SHELL` takes one text, a shell's command line"),
            ["CMD" | "CMD-SHELL", ..] => Some("`test` names no command"),
            _ => Some("`test` begins with neither `CMD` nor `CMD-SHELL`"),
        };
        if let Some(message) = message {
            checker.fault(list.span.clone(), message, hint);
        }
    }
    let mut time = |field| checker.optional(field, value::duration).unwrap_or(0);
    Some(Check {
        interval: time(&healthcheck.interval),
        timeout: time(&healthcheck.timeout),
        start_period: time(&healthcheck.start_period),
        start_interval: time(&healthcheck.start_interval),
        retries: i64::from(healthcheck.retries.given().copied().unwrap_or(0)),
        test: test?,
    })
}

fn unset(checker: &mut Checker, item: &At<String>) -> Option<Unset> {
    let (key, member) = match item.value.split_once('.') {
        Some((key, member)) => (key, Some(member)),
        None => (item.value.as_str(), None),
    };
    let Some((_, name, has_members)) = NAMES.iter().find(|(known, ..)| *known == key) else {
        let message = format!("`unset` knows no `{key}`");
        let problem = Problem::new(message).at(item.span.clone());
        let known = NAMES.iter().map(|(known, ..)| *known);
        let hint = suggest::hint(key, known, "it knows").unwrap_or_default();
        checker.say(problem.hint(hint));
        return None;
    };
    let Some(member) = member else {
        return Some(Unset::All(*name));
    };
    if !has_members || member.is_empty() {
        let message = format!("`{}` names no member of the config", item.value);
        checker.fault(
            item.span.clone(),
            message,
            &format!("all of it is `\"{key}\"`"),
        );
        return None;
    }
    let member = match name {
        Name::Ports => value::port(member),
        Name::Volumes => volume(member),
        _ => Ok(member.to_owned()),
    };
    match member {
        Ok(member) => Some(Unset::Member(*name, member)),
        Err(fault) => {
            checker.fault(item.span.clone(), fault.message, &fault.hint);
            None
        }
    }
}
