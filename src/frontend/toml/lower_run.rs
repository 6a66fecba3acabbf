//! Commands: from the words of a recipe to [`Command`].
//!
//! In: [`Run`]. Out: a step of the draft, with what its mounts take files from, or problems.

use super::check::{Checker, Owner};
use super::draft::{Files, Layers, Step};
use super::field::{At, Field, TextOrList};
use super::run::{Mount, Run};
use super::{lower_step, value};
use crate::canon::EntryPath;
use crate::frontend::{device, suggest};
use crate::plan::command::{self, MountKind, Network, Security, Sharing, Ulimit};
use crate::plan::name::{self, OWN_CONTEXT};
use crate::plan::{Command, Operation, Selection};

/// A step that runs a command.
pub fn lower(checker: &mut Checker, owner: &Owner<'_>, run: &Run) -> Option<Step> {
    checker.need(owner, "command", &run.command);
    let shell = checker.list("shell", &run.shell, "", text);
    let arguments = match &run.command.given()?.value {
        TextOrList::Text(line) => {
            let shell = shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
            shell.into_iter().chain([line.clone()]).collect()
        }
        TextOrList::Other(words) => checker.items(&words.0, text),
    };
    let at = &run.command.given()?.span;
    if arguments.first().is_none_or(String::is_empty) {
        checker.fault(at.clone(), "the command names no program", "");
        return None;
    }
    if arguments.iter().any(|word| word.contains('\0')) {
        checker.fault(at.clone(), "the command holds a NUL", "");
    }
    let mut mounts = Vec::new();
    for mount in run.mounts.items() {
        let are_sockets =
            |(mount, _): &&(command::Mount, _)| matches!(mount.kind, MountKind::Ssh { .. });
        let sockets = mounts.iter().filter(are_sockets).count();
        mounts.extend(self::mount(checker, mount, sockets));
    }
    let mounts = command::Mount::in_order(mounts).into_iter();
    let (mounts, files): (Vec<_>, Vec<_>) = mounts.unzip();
    let files = files.into_iter().flatten().collect();
    let ulimits = run.ulimits.items().iter().filter_map(|limit| {
        let owner = Owner {
            name: "ulimits",
            span: limit.span.clone(),
        };
        checker.need(&owner, "name", &limit.value.name);
        Some(Ulimit {
            name: limit.value.name.given()?.clone(),
            soft: limit.value.soft.given().copied(),
            hard: limit.value.hard.given().copied(),
        })
    });
    let ulimits = ulimits.collect();
    let pairs = |table: &Field<super::field::Table<String>>| {
        let members = table.members().iter();
        let pairs = members.map(|(name, value)| (name.value.clone(), value.clone()));
        pairs.collect::<Vec<_>>()
    };
    let command = Command {
        arguments,
        env: super::lower_config::env(checker, &run.env),
        workdir: checker
            .optional(&run.workdir, value::absolute)
            .unwrap_or_else(EntryPath::root),
        user: checker.optional(&run.user, value::owner),
        mounts,
        network: word(checker, &run.network, &NETWORKS),
        security: word(checker, &run.security, &SECURITIES),
        devices: checker.items(run.devices.items(), |text| device::parse(text.split(','))),
        hostname: checker.optional(&run.hostname, value::hostname),
        hosts: pairs(&run.hosts),
        ulimits,
        shm_size: run.shm_size.given().copied(),
    };
    let operation = Operation::Run(Box::new(command));
    Some(Step {
        name: name::step(&operation, &[], ""),
        span: owner.span.clone(),
        operation,
        files,
        is_linked: false,
    })
}

const NETWORKS: [(&str, Network); 3] = [
    ("default", Network::Default),
    ("none", Network::None),
    ("host", Network::Host),
];
const SECURITIES: [(&str, Security); 2] = [
    ("sandbox", Security::Sandbox),
    ("insecure", Security::Insecure),
];
const SHARINGS: [(&str, Sharing); 3] = [
    ("shared", Sharing::Shared),
    ("private", Sharing::Private),
    ("locked", Sharing::Locked),
];
const TYPES: [(&str, Type); 6] = [
    ("bind", Type::Bind),
    ("cache", Type::Cache),
    ("tmpfs", Type::Tmpfs),
    ("secret", Type::Secret),
    ("ssh", Type::Ssh),
    ("file", Type::File),
];

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Type {
    #[default]
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
    File,
}

fn text(text: &str) -> Result<String, value::Fault> {
    Ok(text.to_owned())
}

/// One of a few words, the default where it isn't there.
fn word<T: Copy + Default>(
    checker: &mut Checker,
    field: &Field<At<String>>,
    known: &[(&str, T)],
) -> T {
    let Some(at) = field.given() else {
        return T::default();
    };
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == at.value) {
        return *value;
    }
    let names = known.iter().map(|(name, _)| *name);
    let hint = suggest::hint(&at.value, names, "it may be").unwrap_or_default();
    let message = format!("{} is none of its values", value::quoted(&at.value));
    checker.fault(at.span.clone(), message, &hint);
    T::default()
}

/// The mount, behind so many sockets of its command, and what gives its files.
fn mount(
    checker: &mut Checker,
    at: &At<Mount>,
    sockets: usize,
) -> Option<(command::Mount, Option<Files>)> {
    let mount = &at.value;
    let owner = Owner {
        name: "mounts",
        span: at.span.clone(),
    };
    checker.need(&owner, "type", &mount.kind);
    let kind = word(checker, &mount.kind, &TYPES);
    unwanted(checker, at, kind);
    let id = mount.id.given().cloned();
    let target = match (&mount.target, kind) {
        (Field::Absent, Type::Secret) => {
            format!("/run/secrets/{}", id.as_deref().unwrap_or_default())
        }
        (Field::Absent, Type::Ssh) => format!("/run/buildkit/ssh_agent.{sockets}"),
        (target, _) => {
            checker.need(&owner, "target", target);
            target.given()?.value.clone()
        }
    };
    let target = At {
        span: mount.target.given().map_or(&at.span, |at| &at.span).clone(),
        value: target,
    };
    let target = checker.read(&target, value::absolute)?;
    if target.is_root() {
        checker.fault(
            at.span.clone(),
            "nothing can be mounted over the root",
            "name a directory below it as `target`",
        );
    }
    let bits = |mode| checker.optional(&mount.mode, value::mode).unwrap_or(mode);
    let required = mount.required.given().copied().unwrap_or_default();
    let uid = mount.uid.given().copied().unwrap_or_default();
    let gid = mount.gid.given().copied().unwrap_or_default();
    let (kind, files) = match kind {
        Type::Bind => {
            let (source, files) = source(checker, mount)?;
            let writable = mount.writable.given().copied().unwrap_or_default();
            (MountKind::Bind { source, writable }, Some(files))
        }
        Type::Cache => {
            let mode = { bits }(0o755);
            let (from, files) = match mount.from.is_absent() {
                true => (None, None),
                false => {
                    let (path, files) = source(checker, mount)?;
                    (Some(path), Some(files))
                }
            };
            let kind = MountKind::Cache {
                id: id.unwrap_or_else(|| target.to_string()),
                sharing: word(checker, &mount.sharing, &SHARINGS),
                read_only: mount.read_only.given().copied().unwrap_or_default(),
                from,
                mode,
                uid,
                gid,
            };
            (kind, files)
        }
        Type::Tmpfs => {
            let size = mount.size.given().copied();
            let read_only = mount.read_only.given().copied().unwrap_or_default();
            (MountKind::Tmpfs { size, read_only }, None)
        }
        Type::Secret => {
            let mode = { bits }(0o400);
            let id = id.or_else(|| Some(String::from_utf8_lossy(target.name()?).into_owned()));
            let variable = mount.variable.given().cloned();
            let kind = MountKind::Secret {
                id: id.unwrap_or_default(),
                file: variable.is_none() || !mount.target.is_absent(),
                variable,
                required,
                mode,
                uid,
                gid,
            };
            (kind, None)
        }
        Type::Ssh => {
            let kind = MountKind::Ssh {
                mode: { bits }(0o600),
                id: id.unwrap_or_else(|| "default".to_owned()),
                required,
                uid,
                gid,
            };
            (kind, None)
        }
        Type::File => {
            let mode = { bits }(0o644);
            checker.need(&owner, "content", &mount.content);
            let content = mount.content.given()?.clone();
            (MountKind::Inline { content, mode }, None)
        }
    };
    Some((command::Mount { target, kind }, files))
}

/// Says the keys that a mount of this type has no use for.
fn unwanted(checker: &mut Checker, at: &At<Mount>, kind: Type) {
    use Type::{Bind, Cache, File, Secret, Ssh, Tmpfs};
    let mount = &at.value;
    let keys: [(&str, bool, &[Type]); 12] = [
        ("from", mount.from.is_absent(), &[Bind, Cache]),
        ("source", mount.source.is_absent(), &[Bind, Cache]),
        ("writable", mount.writable.is_absent(), &[Bind]),
        ("read-only", mount.read_only.is_absent(), &[Cache, Tmpfs]),
        ("id", mount.id.is_absent(), &[Cache, Secret, Ssh]),
        ("sharing", mount.sharing.is_absent(), &[Cache]),
        ("size", mount.size.is_absent(), &[Tmpfs]),
        ("variable", mount.variable.is_absent(), &[Secret]),
        ("required", mount.required.is_absent(), &[Secret, Ssh]),
        ("mode", mount.mode.is_absent(), &[Cache, Secret, Ssh, File]),
        (
            "uid",
            mount.uid.is_absent() && mount.gid.is_absent(),
            &[Cache, Secret, Ssh],
        ),
        ("content", mount.content.is_absent(), &[File]),
    ];
    for (key, is_absent, types) in keys {
        if !is_absent && !types.contains(&kind) {
            let message = format!("a mount of this type has no `{key}`");
            checker.fault(at.span.clone(), message, "leave it out");
        }
    }
}

/// The path in what `from` gives, and what that is.
fn source(checker: &mut Checker, mount: &Mount) -> Option<(EntryPath, Files)> {
    let read = |text: &str| match text.starts_with('/') {
        true => value::absolute(text),
        false => value::absolute(&format!("/{text}")),
    };
    let path = match &mount.source {
        Field::Absent => EntryPath::root(),
        source => checker.optional(source, read)?,
    };
    let name = match &mount.from {
        Field::Faulty => return None,
        Field::Absent => OWN_CONTEXT.to_owned(),
        Field::Given(at) => match &at.value.context {
            Field::Given(name) => {
                lower_step::one_origin(checker, at)?;
                lower_step::context_name(checker, name)?
            }
            _ => {
                let layers: Layers = lower_step::one_origin(checker, at)??;
                return Some((path, Files::Whole(layers)));
            }
        },
    };
    // What is meant is the path itself: no character of it is a wildcard.
    let selection = Selection {
        sources: vec![crate::plan::step::pattern_of(&path)],
        ..Selection::default()
    };
    let files = Files::Source(Operation::Context { name, selection });
    Some((EntryPath::root(), files))
}
