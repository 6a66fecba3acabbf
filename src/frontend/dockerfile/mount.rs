//! `RUN --mount=…`.
//!
//! In: the flag's value, and who expands variables: the value is cut at its commas first, so that
//! a variable never adds an option. Out: [`Mount`], or a problem.
//!
//! Options are `key=value`, in any order; one with a comma in it is quoted as in CSV.

use super::csv;
use super::syntax::{Sharing, Span, Spanned, Word};
use super::transfer;
use crate::canon::{Problem, truth};
use crate::frontend::suggest;

/// Something that is mounted for one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Of the flag's value.
    pub span: Span,
    /// Where; relative to the working directory.
    pub target: Option<Spanned<String>>,
    /// Whether it can't be written to: as written, else bind, secret and ssh mounts.
    pub read_only: bool,
    /// What.
    pub kind: MountKind,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountKind {
    /// A part of the context, a stage or an image.
    Bind {
        /// Whose; else the build's context.
        from: Option<Spanned<String>>,
        /// Path in it; else all of it.
        source: Option<Spanned<String>>,
    },
    /// A folder that outlives the build.
    Cache {
        /// Its name; else its target.
        id: Option<Spanned<String>>,
        /// What it starts with; else nothing.
        from: Option<Spanned<String>>,
        /// Path in that.
        source: Option<Spanned<String>>,
        /// `sharing`
        sharing: Sharing,
        /// Of the folder, when it is made.
        owner: Owner,
    },
    /// A folder in memory.
    Tmpfs {
        /// Most bytes that it holds.
        size: Option<u64>,
    },
    /// A secret of the caller's.
    Secret {
        /// `id`, or `source`; else the last part of the target.
        id: Option<Spanned<String>>,
        /// A variable to hold it; then it is a file only where a target is named, too.
        env: Option<Spanned<String>>,
        /// Whether it must be there.
        required: bool,
        /// Of the file.
        owner: Owner,
    },
    /// A socket of an SSH agent.
    Ssh {
        /// `id`, or `source`; else `default`.
        id: Option<Spanned<String>>,
        /// Whether it must be there.
        required: bool,
        /// Of the socket.
        owner: Owner,
    },
}

/// Owner and mode, where they are said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// Permission bits.
    pub mode: Option<u32>,
    /// By number.
    pub uid: Option<u32>,
    /// By number.
    pub gid: Option<u32>,
}

/// Every key, its other spellings left out.
const KEYS: [&str; 13] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "readwrite",
    "id",
    "sharing",
    "required",
    "mode",
    "uid",
    "gid",
    "size",
];

const TYPES: [&str; 5] = ["bind", "cache", "tmpfs", "secret", "ssh"];

/// Expands the variables of an option's value.
pub type Expand<'a> = dyn FnMut(&Word) -> Result<String, Box<Problem>> + 'a;

/// What is wrong with a mount where it stands, also in a stage that nobody needs: BuildKit reads its
/// values, those without variables, too, only when it comes to that.
pub(super) fn early(word: &Word) -> Option<Problem> {
    let fields = match csv::fields(word, "mount") {
        Ok(fields) => fields,
        Err(problem) => return Some(*problem),
    };
    let from = fields
        .iter()
        .find(|field| field.raw.to_ascii_lowercase().starts_with("from="))?;
    transfer::variable_in_from("from", from)
}

/// Reads the value of `--mount`.
pub fn parse(word: &Word, expand: &mut Expand<'_>) -> Result<Mount, Box<Problem>> {
    let mut options = Options::default();
    for field in csv::fields(word, "mount")? {
        options.read(&field, expand)?;
    }
    options.mount(word)
}

#[derive(Default)]
struct Options {
    kind: Option<Spanned<String>>,
    from: Option<Spanned<String>>,
    source: Option<Spanned<String>>,
    target: Option<Spanned<String>>,
    read_only: Option<bool>,
    id: Option<Spanned<String>>,
    env: Option<Spanned<String>>,
    sharing: Option<Spanned<Sharing>>,
    required: Option<Spanned<bool>>,
    size: Option<Spanned<u64>>,
    mode: Option<Spanned<u32>>,
    uid: Option<Spanned<u32>>,
    gid: Option<Spanned<u32>>,
}

fn problem(span: &Span, message: impl Into<String>, hint: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::new(message).at(span.clone()).hint(hint))
}

impl Options {
    fn read(&mut self, field: &Word, expand: &mut Expand<'_>) -> Result<(), Box<Problem>> {
        let span = &field.span;
        let (key, raw) = match field.raw.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (&field.raw[..], None),
        };
        let key = key.to_ascii_lowercase();
        if key == "from"
            && let Some(problem) = transfer::variable_in_from("from", field)
        {
            return Err(Box::new(problem));
        }
        let value = match raw {
            Some(raw) => Some(Spanned::new(
                expand(&Word::new(raw, span.clone()))?,
                span.clone(),
            )),
            None => None,
        };
        let Some(value) = value else {
            match &key[..] {
                "readonly" | "ro" => self.read_only = Some(true),
                "readwrite" | "rw" => self.read_only = Some(false),
                "required" => self.required = Some(Spanned::new(true, span.clone())),
                _ if known(&key) => {
                    let message = format!("`{key}` of a mount has no value");
                    return Err(problem(span, message, format!("write `{key}=…`")));
                }
                _ => return Err(unknown(&key, span)),
            }
            return Ok(());
        };
        match &key[..] {
            "type" => self.kind = Some(value),
            "from" => self.from = Some(value),
            "source" | "src" => self.source = Some(value),
            "target" | "dst" | "destination" => self.target = Some(value),
            "readonly" | "ro" => self.read_only = Some(boolean(&key, &value)?),
            "readwrite" | "rw" => self.read_only = Some(!boolean(&key, &value)?),
            "required" => {
                self.required = Some(Spanned::new(boolean(&key, &value)?, span.clone()));
            }
            "id" => self.id = Some(value),
            "env" => self.env = Some(value),
            "sharing" => self.sharing = Some(sharing(&value)?),
            "size" => self.size = Some(size(&value)?),
            "mode" => self.mode = Some(number(&value, 8, "an octal mode, as `0755`")?),
            "uid" => self.uid = Some(number(&value, 10, "a number")?),
            "gid" => self.gid = Some(number(&value, 10, "a number")?),
            _ => return Err(unknown(&key, span)),
        }
        Ok(())
    }

    fn mount(self, word: &Word) -> Result<Mount, Box<Problem>> {
        let kind = self.kind.as_ref().map(|kind| kind.value.to_lowercase());
        let kind = kind.as_deref().unwrap_or("bind");
        let set = |key, span: Option<&Span>| span.map(|span| (key, span.clone()));
        let number = |value: &Option<Spanned<u32>>| value.as_ref().map(|value| value.value);
        let span = |value: &Option<Spanned<u32>>| value.as_ref().map(|value| value.span.clone());
        let owned = [
            ("mode", span(&self.mode)),
            ("uid", span(&self.uid)),
            ("gid", span(&self.gid)),
        ];
        // Keys that the others have no use for are left alone, as Docker does.
        let has_owner = matches!(kind, "cache" | "secret" | "ssh");
        let mut misplaced = Vec::new();
        if !has_owner {
            misplaced.extend(owned.into_iter().filter_map(|(key, at)| Some((key, at?))));
        }
        if !matches!(kind, "secret" | "ssh") {
            misplaced.extend(set("required", self.required.as_ref().map(|at| &at.span)));
        }
        if kind != "secret" {
            misplaced.extend(set("env", self.env.as_ref().map(|at| &at.span)));
        } else {
            misplaced.extend(set("from", self.from.as_ref().map(|at| &at.span)));
        }
        if kind != "tmpfs" {
            misplaced.extend(set("size", self.size.as_ref().map(|at| &at.span)));
        }
        if kind != "cache" {
            misplaced.extend(set("sharing", self.sharing.as_ref().map(|at| &at.span)));
        }
        if let (true, Some((key, at))) = (TYPES.contains(&kind), misplaced.first()) {
            let message = format!("a mount of type `{kind}` has no `{key}`");
            return Err(problem(at, message, "leave it out"));
        }
        let owner = Owner {
            mode: number(&self.mode),
            uid: number(&self.uid),
            gid: number(&self.gid),
        };
        let required = self.required.as_ref().is_some_and(|value| value.value);
        let is_writable = matches!(kind, "cache" | "tmpfs");
        let read_only = self.read_only.unwrap_or(!is_writable);
        let kind = match kind {
            "bind" => MountKind::Bind {
                from: self.from,
                source: self.source,
            },
            "cache" => MountKind::Cache {
                id: self.id,
                from: self.from,
                source: self.source,
                sharing: self.sharing.map_or(Sharing::Shared, |value| value.value),
                owner,
            },
            "tmpfs" => MountKind::Tmpfs {
                size: self.size.map(|size| size.value),
            },
            "secret" => {
                let id = named(self.id, self.source)?;
                if id.is_none() && self.target.is_none() {
                    let message = "a secret has neither `id` nor `target`";
                    return Err(problem(&word.span, message, "write `id=NAME`"));
                }
                MountKind::Secret {
                    id,
                    env: self.env,
                    required,
                    owner,
                }
            }
            "ssh" => MountKind::Ssh {
                id: named(self.id, self.source)?,
                required,
                owner,
            },
            other => {
                let message = format!("there is no mount of type `{other}`");
                let hint = suggest::hint(other, TYPES, "the types are").unwrap_or_default();
                let at = self.kind.map_or(word.span.clone(), |kind| kind.span);
                return Err(problem(&at, message, hint));
            }
        };
        Ok(Mount {
            span: word.span.clone(),
            target: self.target,
            read_only,
            kind,
        })
    }
}

/// `id`, or its old name.
fn named(
    id: Option<Spanned<String>>,
    source: Option<Spanned<String>>,
) -> Result<Option<Spanned<String>>, Box<Problem>> {
    match (id, source) {
        (Some(_), Some(source)) => Err(problem(
            &source.span,
            "a mount has both `id` and `source`",
            "leave `source` out",
        )),
        (id, source) => Ok(id.or(source)),
    }
}

fn known(key: &str) -> bool {
    KEYS.contains(&key) || matches!(key, "src" | "dst" | "destination" | "env")
}

fn unknown(key: &str, span: &Span) -> Box<Problem> {
    let keys = KEYS.into_iter().chain(["env"]);
    let hint = suggest::hint(key, keys, "its keys are").unwrap_or_default();
    problem(span, format!("a mount has no `{key}`"), hint)
}

fn boolean(key: &str, value: &Spanned<String>) -> Result<bool, Box<Problem>> {
    let text = &value.value;
    truth(text).ok_or_else(|| {
        problem(
            &value.span,
            format!("`{key}` can't be `{text}`"),
            "it is `true` or `false`",
        )
    })
}

fn sharing(value: &Spanned<String>) -> Result<Spanned<Sharing>, Box<Problem>> {
    let text = value.value.to_lowercase();
    let sharing = match &text[..] {
        "shared" => Sharing::Shared,
        "private" => Sharing::Private,
        "locked" => Sharing::Locked,
        _ => {
            let names = ["shared", "private", "locked"];
            let hint = suggest::hint(&text, names, "it is one of").unwrap_or_default();
            let message = format!("`sharing` can't be `{text}`");
            return Err(problem(&value.span, message, hint));
        }
    };
    Ok(Spanned::new(sharing, value.span.clone()))
}

fn number(value: &Spanned<String>, radix: u32, what: &str) -> Result<Spanned<u32>, Box<Problem>> {
    let is_number = value.value.starts_with(|c: char| c.is_ascii_digit());
    match u32::from_str_radix(&value.value, radix) {
        Ok(number) if is_number => Ok(Spanned::new(number, value.span.clone())),
        _ => Err(problem(
            &value.span,
            format!("`{}` is no number", value.value),
            format!("write {what}"),
        )),
    }
}

/// Bytes: a number and a unit of 1024, as `64m` or `1.5GiB`.
fn size(value: &Spanned<String>) -> Result<Spanned<u64>, Box<Problem>> {
    let text = value.value.to_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let unit = unit.strip_suffix('b').unwrap_or(unit);
    let unit = unit.strip_suffix('i').unwrap_or(unit);
    let power = match unit {
        "" => Some(0),
        "k" => Some(10),
        "m" => Some(20),
        "g" => Some(30),
        "t" => Some(40),
        "p" => Some(50),
        _ => None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let bytes = power.and_then(|power: u32| {
        let fraction = &fraction[..fraction.len().min(9)];
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        let part: u128 = match fraction {
            "" => 0,
            digits => digits.parse().ok()?,
        };
        let whole = u128::from(whole.parse::<u64>().ok()?);
        let bytes = (whole << power) + (part << power) / scale;
        u64::try_from(bytes).ok().filter(|bytes| *bytes < 1 << 63)
    });
    match bytes {
        Some(bytes) => Ok(Spanned::new(bytes, value.span.clone())),
        None => Err(problem(
            &value.span,
            format!("`{}` is no size", value.value),
            "write a number of bytes, or one with a unit: `64m`",
        )),
    }
}

/// `from` of a mount, in which no variables may be.
pub fn from(raw: &str) -> Option<&str> {
    let mut options = raw.split(',').filter_map(|option| {
        let option = option.trim_matches(['"', '\'']);
        option.split_once('=')
    });
    let from = options.find(|(key, _)| key.eq_ignore_ascii_case("from"));
    from.map(|(_, value)| value)
        .filter(|value| !value.is_empty())
}
