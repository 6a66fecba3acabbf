//! Why a command's step can't be done.
//!
//! In: errors of what it needs, and how it ended. Out: [`Error`].

use crate::canon::EntryPath;
use crate::inputs::{layers, stage};
use crate::normal::keys::Key;
use crate::sandbox::{self, Exit, Guarantee};
use crate::{layer, proxy, step, store};

/// Bytes that the files may hold that a command leaves: as a file with holes takes no space, it can
/// seem to be so large that nobody lives to see the end of its zeros.
pub const LARGEST_CHANGE: u64 = 64 << 30;

/// Why a command's step can't be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command said so, or was ended.
    #[error(
        "the command {}{}{}",
        ending(exit),
        lines(last),
        ways_out(exit, (!last.is_empty()).then_some(log), *has_opened_shell)
    )]
    Failed {
        /// How it ended.
        exit: Exit,
        /// What it wrote last.
        last: Vec<String>,
        /// Under which its log is: the beginning of the step's key in hexadecimal.
        log: String,
        /// Whether the caller asked for a shell where it failed, and had it.
        has_opened_shell: bool,
    },
    /// Something that the recipe asks for and the caller has to allow.
    #[error(
        "the recipe asks for {what}, which has to be allowed\nhint: if you trust it, say `--allow {entitlement}`"
    )]
    NotAllowed {
        /// What.
        what: &'static str,
        /// By which name it is allowed.
        entitlement: &'static str,
    },
    /// The host's network, which the caller's own flag gives to all commands.
    #[error(
        "`--network host` gives commands the host's network, which has to be allowed\nhint: if you trust the recipe, say `--allow network.host`, too"
    )]
    HostNetworkNotAllowed,
    /// What would make the result of a command depend on more than the recipe.
    #[error(
        "the command {0}, and `--require-hermetic` says that no result depends on that\nhint: take it out of the recipe, or leave out `--require-hermetic`"
    )]
    NotHermetic(String),
    /// A command whose network no lock holds.
    #[error(
        "a command has the network as it is today, and this machine's time and chance, and `--require-hermetic` says that no result depends on that\nhint: `cairn lock` records what it fetches, and with `--network=none` it has no network; or leave out `--require-hermetic`"
    )]
    NotRecorded,
    /// What commands don't find the same here as everywhere.
    #[error("this machine can't have commands see what they see everywhere:{}", told(.0))]
    Guarantees(Vec<Guarantee>),
    /// A secret that nobody gave.
    #[error("there is no secret `{0}`\nhint: give it with `--secret id={0},src=FILE`")]
    NoSecret(String),
    /// A secret that no variable can hold.
    #[error(
        "secret `{0}` can't be a variable: it is no UTF-8, or holds a NUL\nhint: mount it as a file"
    )]
    SecretVariable(String),
    /// An agent that nobody gave.
    #[error(
        "there is no SSH agent `{0}`\nhint: give it with `--ssh {0}`, and start `ssh-agent` before"
    )]
    NoSsh(String),
    /// A device by a name that is no path: one of the Container Device Interface.
    #[error(
        "`{0}` is no path of a device, and cairn reads no CDI files, where such a name would be\nhint: name the device's own files, each with a flag: `--device=/dev/fuse`"
    )]
    Device(String),
    /// A device that this machine doesn't have.
    #[error(
        "there is no device `{0}` on this machine\nhint: load its driver, or leave `required` out, so that the command goes without"
    )]
    NoDevice(String),
    /// It left more than a layer may hold.
    #[error(
        "the command left files of {total} bytes, and a layer may hold {LARGEST_CHANGE} (64 GiB): `{path}` alone is of {size}\nhint: {}",
        smaller(path)
    )]
    TooLarge {
        /// Bytes that all files hold.
        total: u64,
        /// The largest of them.
        path: EntryPath,
        /// Bytes of that.
        size: u64,
    },
    /// What it asked of the network, while that was recorded or replayed.
    #[error(transparent)]
    Proxy(#[from] proxy::Error),
    /// A file with the step's own certificate authority in it, which can't be taken out.
    #[error(
        "`{0}` holds the certificate authority by which cairn sees what the command fetches: it is another one each time, and can't be cut out of a file of this kind or size\nhint: have the command remove the file, or make it in one without network: `RUN --network=none`"
    )]
    Authority(EntryPath),
    /// Private keys that the command made.
    #[error(
        "the command made private keys, which whoever has the image has, too: {}\nhint: have the command remove them, and make them where the container starts; `--allow-keys` leaves them in",
        listed(.0)
    )]
    Keys(Vec<Key>),
    /// The sandbox.
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    /// A layer that it runs on.
    #[error(transparent)]
    Layers(#[from] layers::Error),
    /// Files that it mounts.
    #[error(transparent)]
    Stage(#[from] stage::Error),
    /// Files that it mounts, on their way to it.
    #[error(transparent)]
    Pack(#[from] layer::pack::Error),
    /// What it changed, or its user.
    #[error(transparent)]
    Step(#[from] step::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A plan that makes no sense.
    #[error("this is a bug in cairn: {0}")]
    Bug(&'static str),
}

/// Every guarantee that is missing, and the way to all of them.
fn told(missing: &[Guarantee]) -> String {
    let whats = missing
        .iter()
        .map(|guarantee| format!("\n    {}: {}", guarantee.name(), guarantee.what()));
    let ways = missing.iter().map(|guarantee| guarantee.remedy());
    let ways = ways.collect::<Vec<_>>().join("; ");
    format!(
        "{}\nhint: {ways}; or leave out `--require-hermetic`",
        whats.collect::<String>()
    )
}

fn ending(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("ended with exit code {code}"),
        Exit::Signal(signal) => match signal_name(*signal) {
            Some(name) => format!("was ended by signal {signal} ({name})"),
            None => format!("was ended by signal {signal}"),
        },
        Exit::TimedOut => "was ended, as its time was over".to_owned(),
        Exit::OutOfMemory => "was ended, as it took more memory than it may".to_owned(),
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// The keys, or some of many.
fn listed(keys: &[Key]) -> String {
    const SHOWN: usize = 10;
    let shown = keys.iter().take(SHOWN);
    let mut shown: Vec<_> = shown
        .map(|Key { path, kind }| format!("`{path}` ({kind})"))
        .collect();
    if keys.len() > SHOWN {
        shown.push(format!("and {} more", keys.len() - SHOWN));
    }
    shown.join(", ")
}

/// How a file is made smaller.
fn smaller(path: &EntryPath) -> &'static str {
    match path.name() {
        // Both have a record for each number of a user.
        Some(b"lastlog" | b"faillog") => {
            "a user with a large number makes it as long as that: add it by `useradd --no-log-init`"
        }
        _ => {
            "a layer has a file's holes as the zeros that they read as: make it smaller, or remove it"
        }
    }
}

fn lines(last: &[String]) -> String {
    match last {
        [] => ", and wrote nothing".to_owned(),
        last => format!("\nwhat it wrote last:\n    {}", last.join("\n    ")),
    }
}

/// The hint: only of what shows more than the caller has seen. `log` is the name of what it wrote,
/// if it wrote anything.
fn ways_out(exit: &Exit, log: Option<&str>, has_opened_shell: bool) -> String {
    let limit = match exit {
        Exit::TimedOut => Some("`--timeout` gives it more time;"),
        Exit::OutOfMemory => Some("`--memory` gives it more;"),
        Exit::Code(_) | Exit::Signal(_) => None,
    };
    let log = log.map(|log| format!("`cairn log {log}` shows all that it wrote"));
    let shell = (!has_opened_shell).then(|| "`--debug-shell` opens a shell where it failed".into());
    let looks: Vec<String> = [log, shell].into_iter().flatten().collect();
    let ways = format!("{} {}", limit.unwrap_or_default(), looks.join(", "));
    match ways.trim_matches([' ', ';']) {
        "" => String::new(),
        ways => format!("\nhint: {ways}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_only_what_shows_more() {
        let hints = |exit, last: &[&str], has_opened_shell| {
            let error = Error::Failed {
                exit,
                last: last.iter().map(|&line| line.to_owned()).collect(),
                log: "0123".to_owned(),
                has_opened_shell,
            };
            let told = error.to_string();
            told.split_once("\nhint: ").map(|(_, hint)| hint.to_owned())
        };
        let log = "`cairn log 0123` shows all that it wrote";
        let shell = "`--debug-shell` opens a shell where it failed";
        let time = "`--timeout` gives it more time";
        for (exit, last, has_opened_shell, expected) in [
            (Exit::Code(1), &["a"][..], false, format!("{log}, {shell}")),
            (Exit::Code(1), &[], false, shell.to_owned()),
            (Exit::Code(1), &["a"], true, log.to_owned()),
            (Exit::Code(1), &[], true, String::new()),
            (
                Exit::TimedOut,
                &["a"],
                false,
                format!("{time}; {log}, {shell}"),
            ),
            (Exit::TimedOut, &[], true, time.to_owned()),
        ] {
            let told = hints(exit, last, has_opened_shell);
            assert_eq!(told.unwrap_or_default(), expected);
        }
    }
}
