//! What makes a build come out otherwise: cairn's own rules.
//!
//! In: a tree. Out: findings of names that move, and of commands that ask the clock, chance or the
//! host.

use super::commands::{self, Placed};
use super::rule::*;
use super::{CheckInput, Finding, download, find, package, unlocked};
use crate::frontend::dockerfile::expand::Expander;
use crate::frontend::dockerfile::mount;
use crate::frontend::dockerfile::syntax::*;
use crate::frontend::suggest;

pub(super) fn check(file: &Dockerfile, input: &CheckInput<'_>, findings: &mut Vec<Finding>) {
    let stages: Vec<_> = file.stages.iter().map(|stage| &stage.from.kind).collect();
    let is_image = |before: usize, name: &str| {
        let lower = name.to_lowercase();
        let mut earlier = stages[..before].iter();
        let is_stage = earlier.any(|from| {
            let own = from.name.as_ref();
            own.is_some_and(|own| own.value == lower)
        });
        let is_number = name.parse::<usize>().is_ok();
        let is_context = input.contexts.is_some_and(|names| names.contains(name));
        !is_stage && !is_number && !is_context && !matches!(name, "scratch" | "context" | "")
    };
    let expander = Expander::new(file.directives.escape);
    let arguments = arguments(file, input, &expander);
    for (at, stage) in file.stages.iter().enumerate() {
        let image = &stage.from.kind.image;
        if let Ok(expanded) = expander.word(&image.raw, &arguments)
            && is_image(at, &expanded.text)
        {
            misspelt(&expanded.text, &image.span, &stages[..at], findings);
            base(&expanded.text, &image.span, findings);
        }
        for node in &stage.instructions {
            match &node.kind {
                Kind::Copy(copy) => {
                    if let Some(from) = &copy.from
                        && is_image(at, &from.value)
                    {
                        misspelt(&from.value, &from.span, &stages[..at], findings);
                        base(&from.value, &from.span, findings);
                    }
                }
                Kind::Add(add) => download::add(add, findings),
                Kind::Run(run) => {
                    for mount in &run.mounts {
                        if let Some(from) = mount::from(&mount.raw)
                            && is_image(at, from)
                        {
                            misspelt(from, &mount.span, &stages[..at], findings);
                        }
                    }
                    flags(run, node, findings);
                    let placed = commands::of(run, node, input.text);
                    download::run(&placed, findings);
                    package::run(&placed, findings);
                    unlocked::run(&placed, input.text, findings);
                    let is_own = match run.network.as_ref().map(|network| network.value) {
                        Some(Network::None) => true,
                        Some(Network::Host) => false,
                        Some(Network::Default) | None => input.is_locked,
                    };
                    ambient(&placed, is_own, findings);
                }
                _ => {}
            }
        }
    }
}

/// The places of commands that reach all that the machine does, which no lock holds.
pub(super) fn on_host_network(file: &Dockerfile) -> impl Iterator<Item = &Span> {
    let nodes = file.stages.iter().flat_map(|stage| &stage.instructions);
    nodes.filter_map(|node| match &node.kind {
        Kind::Run(run) => {
            let network = run.network.as_ref()?;
            (network.value == Network::Host).then_some(&node.span)
        }
        _ => None,
    })
}

/// Global arguments, for the names of bases.
fn arguments(
    file: &Dockerfile,
    input: &CheckInput<'_>,
    expander: &Expander,
) -> Vec<(String, String)> {
    let mut known: Vec<(String, String)> = Vec::new();
    for argument in file.globals.iter().flat_map(|node| &node.kind) {
        let name = &argument.name.raw;
        let given = input.arguments.and_then(|given| given.get(name)).cloned();
        let default = argument.default.as_ref();
        let default = default.and_then(|word| expander.word(&word.raw, &known).ok());
        if let Some(value) = given.or(default.map(|expanded| expanded.text)) {
            known.push((name.clone(), value));
        }
    }
    known
}

/// An image whose name is almost that of a stage above.
fn misspelt(name: &str, span: &Span, above: &[&From], findings: &mut Vec<Finding>) {
    // Names of stages have none of these.
    if name.contains(['/', ':', '@']) {
        return;
    }
    let names = above.iter().filter_map(|from| from.name.as_ref());
    let names = names.map(|name| &name.value[..]);
    if let Some(hint) = suggest::near(name, names) {
        let message = format!("`{name}` is no stage above, and so an image");
        find(findings, MISSPELT_STAGE, span, message, hint);
    }
}

fn base(name: &str, span: &Span, findings: &mut Vec<Finding>) {
    if name.contains("@sha256:") || name.contains("@sha512:") {
        return;
    }
    let last = name.rsplit('/').next().unwrap_or(name);
    let message = match last.split_once(':') {
        None => format!("`{name}` is whatever its tag `latest` names today"),
        Some(_) => format!("`{name}` is whatever its tag names today"),
    };
    let hint = format!("write `{name}@sha256:…`");
    find(findings, UNPINNED_BASE, span, message, hint);
}

fn flags(run: &Run, node: &Instruction, findings: &mut Vec<Finding>) {
    let mut impure = |span: &Span, what: &str| {
        let message = format!("{what} lets the host into the build");
        find(
            findings,
            IMPURE_RUN,
            span,
            message,
            "leave it out where you can",
        );
    };
    if let Some(network) = &run.network
        && network.value == Network::Host
    {
        impure(&network.span, "`--network=host`");
    }
    if let Some(security) = &run.security
        && security.value == Security::Insecure
    {
        impure(&security.span, "`--security=insecure`");
    }
    if let Some(device) = run.devices.first() {
        let _ = node;
        impure(&device.span, "`--device`");
    }
}

/// Whether a program makes something that nobody else may know.
fn makes_secret(program: &str, verb: Option<&str>) -> bool {
    let verbs = [
        "rand", "genrsa", "genpkey", "gendsa", "dsaparam", "ecparam", "req",
    ];
    match program {
        "ssh-keygen" | "pwgen" | "apg" => true,
        "openssl" => verb.is_some_and(|verb| verbs.contains(&verb)),
        "wg" => matches!(verb, Some("genkey" | "genpsk")),
        _ => false,
    }
}

/// Clock, chance and host. Where the command has a clock and chance of its own, they are the same each time.
fn ambient(placed: &Placed<'_>, is_own: bool, findings: &mut Vec<Finding>) {
    for command in &placed.commands {
        let Some(first) = command.words.first() else {
            continue;
        };
        let program = command.program();
        let verb = command.operands().next().map(|word| &word.text[..]);
        let clock = match program {
            "date" => {
                let fixed = ["-d", "--date", "-r", "--reference", "-u@"];
                let is_fixed = |flag: &&str| {
                    let mut words = command.arguments().iter();
                    words.any(|word| word.text.starts_with(flag))
                };
                !fixed.iter().any(is_fixed)
            }
            "hwclock" | "ntpdate" => true,
            _ => false,
        };
        if clock && !is_own {
            let message = format!("`{program}` says when it is built");
            let hint = "use `date -d @$SOURCE_DATE_EPOCH`, or leave the time out";
            find(findings, CLOCK_IN_RUN, &placed.span(first), message, hint);
        }
        let is_secret = makes_secret(program, verb);
        let random = match program {
            "uuidgen" | "shuf" => Some(first),
            "openssl" if verb == Some("dhparam") => Some(first),
            _ if is_secret => Some(first),
            _ => {
                let names = [
                    "$RANDOM",
                    "${RANDOM",
                    "/dev/urandom",
                    "/dev/random",
                    "random/uuid",
                ];
                let is_random = |text: &str| names.iter().any(|name| text.contains(name));
                command.words.iter().find(|word| is_random(&word.text))
            }
        };
        if let Some(word) = random.filter(|_| !is_own || is_secret) {
            let message = match is_own {
                true => format!("`{}` makes a secret that others can make, too", word.text),
                false => format!("`{}` gives something else each time", word.text),
            };
            let hint = "make it where the container starts, or copy it in";
            find(findings, RANDOM_IN_RUN, &placed.span(word), message, hint);
        }
        let host = match program {
            "hostname" | "hostnamectl" | "nproc" | "lscpu" | "lsblk" | "lspci" => Some(first),
            "uname" => {
                let tells = |word: &&super::shell::Shell| {
                    let is_flag = word.text.starts_with('-');
                    is_flag && word.text.contains(['r', 'n', 'a', 'v'])
                };
                command.arguments().iter().find(tells).map(|_| first)
            }
            _ => {
                let files = [
                    "/proc/cpuinfo",
                    "/proc/meminfo",
                    "/proc/version",
                    "/proc/uptime",
                ];
                let is_host = |text: &str| files.iter().any(|file| text.contains(file));
                command.words.iter().find(|word| is_host(&word.text))
            }
        };
        if let Some(word) = host {
            let message = format!("`{}` tells of a machine that there is not", word.text);
            let hint = "write the value that is meant";
            find(findings, HOST_IN_RUN, &placed.span(word), message, hint);
        }
    }
}
