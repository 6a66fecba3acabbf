//! Values of a plan as a `cairn.toml` has them.
//!
//! In: parts of [`crate::plan`]. Out: TOML, inline tables in the order in which their keys were
//! given.

use crate::plan::command::{MountKind, Network, Security, Sharing};
use crate::plan::config::{Field, Healthcheck, Unset};
use crate::plan::step::{Destination, Ownership};
use crate::plan::{Command, ConfigChange, Mode, Selection};

/// A table on one line.
#[derive(Default)]
pub struct Table(Vec<String>);

impl Table {
    /// An empty one.
    pub fn new() -> Table {
        Table::default()
    }

    /// With a value that is TOML already.
    pub fn raw(mut self, key: &str, value: impl std::fmt::Display) -> Table {
        self.0.push(format!("{key} = {value}"));
        self
    }

    /// With a text.
    pub fn text(self, key: &str, value: &str) -> Table {
        self.raw(key, text(value))
    }

    /// With `true`, where it is so.
    pub fn flag(self, key: &str, value: bool) -> Table {
        match value {
            true => self.raw(key, true),
            false => self,
        }
    }

    /// With a list, unless it is empty.
    pub fn list(self, key: &str, values: &[String]) -> Table {
        match values.is_empty() {
            true => self,
            false => self.raw(key, list(values)),
        }
    }

    /// With a value that may be missing.
    pub fn maybe(self, key: &str, value: Option<impl std::fmt::Display>) -> Table {
        match value {
            Some(value) => self.raw(key, value),
            None => self,
        }
    }

    /// As TOML.
    pub fn inline(self) -> String {
        match self.0.is_empty() {
            true => "{}".to_owned(),
            false => format!("{{ {} }}", self.0.join(", ")),
        }
    }
}

/// A text between quotation marks.
pub fn text(value: &str) -> String {
    let mut out = String::from('"');
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn list(values: &[String]) -> String {
    let values: Vec<_> = values.iter().map(|value| text(value)).collect();
    format!("[{}]", values.join(", "))
}

fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Option<String> {
    let mut table = Table::new();
    for (name, value) in pairs {
        table = table.text(&text(name), value);
    }
    (!table.0.is_empty()).then(|| table.inline())
}

/// Where copied files go.
pub fn destination(to: &Destination) -> String {
    match to.is_directory && !to.path.is_root() {
        true => format!("{}/", to.path),
        false => to.path.to_string(),
    }
}

/// With mode and owner; none where the mode is symbolic, which no `cairn.toml` says.
pub fn owned(table: Table, ownership: &Ownership) -> Option<Table> {
    let mode = match &ownership.mode {
        None => None,
        Some(Mode::Bits(bits)) => Some(text(&format!("{bits:04o}"))),
        Some(Mode::Symbolic(_)) => return None,
    };
    let owner = ownership.owner.as_deref().map(text);
    Some(table.maybe("mode", mode).maybe("owner", owner))
}

/// A copy of selected files, without where to.
pub fn copy(from: Option<String>, selection: &Selection) -> Table {
    Table::new()
        .maybe("from", from)
        .list("paths", &selection.sources)
        .list("include", &selection.include)
        .list("exclude", &selection.exclude)
        .flag("parents", selection.parents)
        .flag("missing-ok", selection.may_be_empty)
}

/// Files of a commit, without where to.
pub fn git(url: &str, commit: &str, selection: &Selection) -> Table {
    Table::new()
        .text("url", url)
        .text("commit", commit)
        .list("paths", &selection.sources)
        .list("include", &selection.include)
        .list("exclude", &selection.exclude)
}

/// A command with these mounts.
pub fn command(command: &Command, mounts: Vec<String>) -> Table {
    let table = match &command.arguments[..] {
        [shell, flag, line] if shell == "/bin/sh" && flag == "-c" => {
            Table::new().text("command", line)
        }
        words => Table::new().raw("command", list(words)),
    };
    let env = command.env.iter().map(|(name, value)| (name, value));
    let hosts = command.hosts.iter().map(|(name, value)| (name, value));
    let workdir = Some(&command.workdir).filter(|workdir| !workdir.is_root());
    let ulimits = command.ulimits.iter().map(|limit| {
        let table = Table::new().text("name", &limit.name);
        let table = table.maybe("soft", limit.soft).maybe("hard", limit.hard);
        table.inline()
    });
    let ulimits: Vec<_> = ulimits.collect();
    let several = |items: Vec<String>| match items.is_empty() {
        true => None,
        false => Some(format!("[{}]", items.join(", "))),
    };
    let network = match command.network {
        Network::Default => None,
        Network::None => Some(text("none")),
        Network::Host => Some(text("host")),
    };
    let devices = command.devices.iter().map(ToString::to_string);
    let devices: Vec<_> = devices.collect();
    let security = match command.security {
        Security::Sandbox => None,
        Security::Insecure => Some(text("insecure")),
    };
    table
        .maybe("env", pairs(env))
        .maybe("workdir", workdir.map(|path| text(&path.to_string())))
        .maybe("user", command.user.as_deref().map(text))
        .maybe("mounts", several(mounts))
        .maybe("network", network)
        .maybe("security", security)
        .list("devices", &devices)
        .maybe("hostname", command.hostname.as_deref().map(text))
        .maybe("hosts", pairs(hosts))
        .maybe("ulimits", several(ulimits))
        .maybe("shm-size", command.shm_size)
}

/// A mount whose files are from `from`, of which `source`.
pub fn mount(
    target: &str,
    kind: &MountKind,
    from: Option<String>,
    source: Option<String>,
) -> String {
    let table = |kind: &str| Table::new().text("type", kind).text("target", target);
    let owned = |table: Table, (mode, uid, gid): (u16, u32, u32)| {
        let mode = text(&format!("{mode:04o}"));
        let id = |id: u32| Some(id).filter(|id| *id != 0);
        table
            .raw("mode", mode)
            .maybe("uid", id(uid))
            .maybe("gid", id(gid))
    };
    let sources = |table: Table| {
        let source = source.as_deref().map(text);
        table.maybe("from", from.as_ref()).maybe("source", source)
    };
    let table = match kind {
        MountKind::Bind { writable, .. } => sources(table("bind")).flag("writable", *writable),
        MountKind::Cache {
            id,
            sharing,
            read_only,
            mode,
            uid,
            gid,
            ..
        } => {
            let sharing = match sharing {
                Sharing::Shared => None,
                Sharing::Private => Some(text("private")),
                Sharing::Locked => Some(text("locked")),
            };
            let table = sources(table("cache").text("id", id)).maybe("sharing", sharing);
            owned(table.flag("read-only", *read_only), (*mode, *uid, *gid))
        }
        MountKind::Tmpfs { size, read_only } => table("tmpfs")
            .maybe("size", *size)
            .flag("read-only", *read_only),
        MountKind::Secret {
            id,
            file,
            variable,
            required,
            mode,
            uid,
            gid,
        } => {
            let table = match file {
                true => table("secret"),
                false => Table::new().text("type", "secret"),
            };
            let variable = variable.as_deref().map(text);
            let table = table.text("id", id).maybe("variable", variable);
            owned(table.flag("required", *required), (*mode, *uid, *gid))
        }
        MountKind::Ssh {
            id,
            required,
            mode,
            uid,
            gid,
        } => {
            let table = table("ssh").text("id", id).flag("required", *required);
            owned(table, (*mode, *uid, *gid))
        }
        MountKind::Inline { content, mode } => {
            owned(table("file").text("content", content), (*mode, 0, 0))
        }
    };
    table.inline()
}

/// The keys of a config and what they have.
pub fn config(change: &ConfigChange) -> Vec<(&'static str, String)> {
    let unset: Vec<_> = change.unset.iter().map(unset).collect();
    let env = change.env.iter().map(|(name, value)| (name, value));
    let on = |list: &[String]| (!list.is_empty()).then(|| self::list(list));
    let texts = |value: &Option<String>| value.as_deref().map(text);
    let keys = [
        ("unset", on(&unset)),
        ("entrypoint", change.entrypoint.as_deref().map(list)),
        ("cmd", change.cmd.as_deref().map(list)),
        ("env", pairs(env)),
        ("user", texts(&change.user)),
        ("workdir", texts(&change.workdir)),
        ("ports", on(&change.ports)),
        ("volumes", on(&change.volumes)),
        ("labels", pairs(&change.labels)),
        ("stop-signal", texts(&change.stop_signal)),
        ("healthcheck", change.healthcheck.as_ref().map(healthcheck)),
        ("on-build", on(&change.on_build)),
        ("shell", change.shell.as_deref().map(list)),
        (
            "args-escaped",
            change.args_escaped.then(|| "true".to_owned()),
        ),
        ("author", texts(&change.author)),
        ("annotations", pairs(&change.annotations)),
    ];
    let there = keys.into_iter();
    there
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

fn unset(unset: &Unset) -> String {
    let name = |field: &Field| {
        let value = serde_json::to_value(field).unwrap_or_default();
        value.as_str().unwrap_or_default().to_owned()
    };
    match unset {
        Unset::All(field) => name(field),
        Unset::Member(field, member) => format!("{}.{member}", name(field)),
    }
}

fn healthcheck(check: &Healthcheck) -> String {
    if check.test == ["NONE"] {
        return text("none");
    }
    let time = |nanoseconds: i64| {
        let shown = (nanoseconds != 0).then(|| format!("{}ms", nanoseconds / 1_000_000));
        shown.map(|shown| text(&shown))
    };
    Table::new()
        .list("test", &check.test)
        .maybe("interval", time(check.interval))
        .maybe("timeout", time(check.timeout))
        .maybe("start-period", time(check.start_period))
        .maybe("start-interval", time(check.start_interval))
        .maybe("retries", (check.retries != 0).then_some(check.retries))
        .inline()
}
