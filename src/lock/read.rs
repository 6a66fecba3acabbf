//! The text of a lock to what it says.
//!
//! In: a file's text, which somebody may have changed, cut or merged. Out: a [`Lock`], or what is
//! wrong with it, with the place.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::seal::Seal;
use super::write::seal_of;
use super::{
    Asked, Asker, Body, Commit, EpochFrom, Exchange, File, Image, Lock, LockedEpoch, OfPlatform,
    Package, PackageSet, Record, Release, Request, Response, VERSION,
};
use crate::canon::{Digest, Epoch, Platform, Problem, Source};

/// Why a lock can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What kind it is.
    pub kind: Kind,
    /// What is wrong, and where.
    pub problem: Problem,
}

/// What kind of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is no lock that this cairn reads.
    Unreadable,
    /// An entry is not what its seal says.
    Changed,
}

fn unreadable(problem: Problem) -> Box<Error> {
    let kind = Kind::Unreadable;
    Box::new(Error { kind, problem })
}

/// The way out of whatever is wrong with a lock.
const RENEW: &str = "take the lock that was committed, or make it anew: `cairn lock --update`";

/// What `source` says.
///
/// # Errors
/// What is wrong with it, and where: text that is no TOML or has other members, another version,
/// an entry whose seal is not its own.
pub fn read(source: &Source) -> Result<Lock, Box<Error>> {
    let text = source.text();
    if let Some(at) = conflict(text) {
        let problem = Problem::new("the lock holds two sides of a merge that nobody has ended");
        let hint = "take either side (`git checkout --ours` or `--theirs`) and run `cairn lock`";
        return Err(unreadable(problem.at(at).hint(hint)));
    }
    if text.trim().is_empty() {
        let problem = Problem::new("the lock is empty").at(0..0);
        return Err(unreadable(problem.hint(RENEW)));
    }
    let version: Version = parse(text)?;
    if *version.version.get_ref() != VERSION {
        let problem = Problem::new(format!(
            "the lock has version {}, and this cairn reads version {VERSION}",
            version.version.get_ref()
        ));
        let hint = "build with the cairn that wrote it, or make it anew: `cairn lock --update`";
        return Err(unreadable(problem.at(version.version.span()).hint(hint)));
    }
    let whole: Text = parse(text)?;
    let mut lock = Lock {
        recipe: whole.recipe,
        git: entries(&["git"], whole.git)?,
        http: entries(&["http"], whole.http)?,
        ..Lock::default()
    };
    let span = whole.epoch.span();
    let EpochText {
        seconds,
        from,
        seal,
    } = whole.epoch.into_inner();
    let epoch = LockedEpoch { seconds, from };
    check(&seal, Seal::of(&["epoch"], &epoch), "epoch", span.clone())?;
    if seconds.to_string().parse::<Epoch>().is_err() {
        let problem = Problem::new("the lock's epoch is none");
        return Err(unreadable(problem.at(span).hint(RENEW)));
    }
    lock.epoch = Some(epoch);
    for (name, of) in whole.platform {
        let platform: Platform = name.get_ref().parse().map_err(|error| {
            let problem = Problem::new(format!("the lock names no platform: {error}"));
            unreadable(problem.at(name.span()).hint(RENEW))
        })?;
        let name = name.into_inner();
        let place = |table| ["platform", name.as_str(), table];
        let of = OfPlatform {
            images: entries(&place("images"), of.images)?,
            packages: asked(&place("packages"), of.packages, PackagesText::split)?,
            commands: asked(&place("commands"), of.commands, CommandText::split)?,
        };
        lock.platforms.insert(platform, of);
    }
    Ok(lock)
}

/// Where git left both sides of a merge, or somebody one of its marks.
fn conflict(text: &str) -> Option<Range<usize>> {
    let is_mark = |line: &str| {
        let mut begins = ["<<<<<<< ", "||||||| ", ">>>>>>> "].iter();
        begins.any(|begin| line.starts_with(begin)) || line.trim_end() == "======="
    };
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if is_mark(line) {
            return Some(at..at + line.trim_end().len());
        }
        at += line.len();
    }
    None
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Box<Error>> {
    toml::from_str(text).map_err(|error| {
        let problem = Problem::new(format!("the lock can't be read: {}", error.message()));
        unreadable(problem.at(error.span().unwrap_or_default()).hint(RENEW))
    })
}

/// Refuses an entry whose seal is not its own.
fn check(
    found: &Seal,
    own: Result<Seal, crate::canon::json::Error>,
    what: &str,
    span: Range<usize>,
) -> Result<(), Box<Error>> {
    if own.is_ok_and(|own| own == *found) {
        return Ok(());
    }
    let problem = Problem::new(format!("the lock's entry of `{what}` was changed by hand"));
    let problem = problem.at(span).label("its seal is another's").hint(RENEW);
    let kind = Kind::Changed;
    Err(Box::new(Error { kind, problem }))
}

#[derive(Deserialize)]
struct Version {
    version: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(rename = "version")]
    _version: u32,
    recipe: String,
    epoch: Spanned<EpochText>,
    #[serde(default)]
    git: Entries<CommitText>,
    #[serde(default)]
    http: Entries<FileText>,
    #[serde(default)]
    platform: BTreeMap<Spanned<String>, PlatformText>,
}

type Entries<T> = BTreeMap<String, Spanned<T>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EpochText {
    seconds: i64,
    from: EpochFrom,
    seal: Seal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlatformText {
    #[serde(default)]
    images: Entries<ImageText>,
    #[serde(default)]
    packages: Vec<Spanned<PackagesText>>,
    #[serde(default)]
    commands: Vec<Spanned<CommandText>>,
}

/// An entry of a table and its seal.
trait Entry {
    type Value: Serialize;
    fn split(self) -> (Self::Value, Seal);
}

fn entries<T: Entry>(
    place: &[&str],
    texts: Entries<T>,
) -> Result<BTreeMap<String, T::Value>, Box<Error>> {
    let mut values = BTreeMap::new();
    for (name, text) in texts {
        let span = text.span();
        let (value, seal) = text.into_inner().split();
        let place = [place, &[&name]].concat();
        check(&seal, Seal::of(&place, &value), &name, span)?;
        values.insert(name, value);
    }
    Ok(values)
}

fn asked<T, V: Serialize>(
    place: &[&str],
    texts: Vec<Spanned<T>>,
    split: impl Fn(T) -> (Asked<V>, Seal),
) -> Result<Vec<Asked<V>>, Box<Error>> {
    let mut all = Vec::<Asked<V>>::with_capacity(texts.len());
    let mut seen = BTreeMap::new();
    for text in texts {
        let span = text.span();
        let (asked, seal) = split(text.into_inner());
        let own = seal_of(place, &asked.by, &asked.answer);
        check(&seal, own, &asked.by.step, span.clone())?;
        let step = asked.by.step.clone();
        if let Some(first) = seen.insert(asked.by.selected, step.clone()) {
            let message = format!("the lock has two entries of one step: `{first}` and `{step}`");
            let problem = Problem::new(message).at(span);
            let hint = "as of a merge that took both sides: remove one, or take either side (`git checkout --ours` or `--theirs`) and run `cairn lock`";
            return Err(unreadable(problem.label("the second").hint(hint)));
        }
        all.push(asked);
    }
    Ok(all)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageText {
    index: Option<Digest>,
    manifest: Digest,
    seal: Seal,
}

impl Entry for ImageText {
    type Value = Image;

    fn split(self) -> (Image, Seal) {
        let (index, manifest) = (self.index, self.manifest);
        (Image { index, manifest }, self.seal)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommitText {
    commit: String,
    named: Option<[String; 2]>,
    tree: Digest,
    seal: Seal,
}

impl Entry for CommitText {
    type Value = Commit;

    fn split(self) -> (Commit, Seal) {
        let value = Commit {
            commit: self.commit,
            named: self.named,
            tree: self.tree,
        };
        (value, self.seal)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    sha256: Digest,
    size: u64,
    modified: Option<i64>,
    seal: Seal,
}

impl Entry for FileText {
    type Value = File;

    fn split(self) -> (File, Seal) {
        let value = File {
            sha256: self.sha256,
            size: self.size,
            modified: self.modified,
        };
        (value, self.seal)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PackagesText {
    step: String,
    stage: Option<String>,
    selected: Digest,
    seal: Seal,
    instant: i64,
    #[serde(default)]
    releases: Vec<Release>,
    #[serde(default)]
    packages: Vec<Package>,
}

impl PackagesText {
    fn split(self) -> (Asked<PackageSet>, Seal) {
        let by = Asker {
            step: self.step,
            stage: self.stage,
            selected: self.selected,
        };
        let answer = PackageSet {
            instant: self.instant,
            releases: self.releases,
            packages: self.packages,
        };
        (Asked { by, answer }, self.seal)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandText {
    step: String,
    stage: Option<String>,
    selected: Digest,
    seal: Seal,
    instant: i64,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    exchanges: Vec<ExchangeText>,
}

impl CommandText {
    fn split(self) -> (Asked<Record>, Seal) {
        let by = Asker {
            step: self.step,
            stage: self.stage,
            selected: self.selected,
        };
        let exchanges = self.exchanges.into_iter().map(Exchange::from);
        let answer = Record {
            instant: self.instant,
            names: self.names,
            exchanges: exchanges.collect(),
        };
        (Asked { by, answer }, self.seal)
    }
}

/// An [`Exchange`] on one line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExchangeText {
    method: String,
    url: String,
    #[serde(default)]
    asked: BTreeMap<String, String>,
    sent: Option<Body>,
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Body>,
    #[serde(default)]
    trailers: BTreeMap<String, String>,
}

impl From<ExchangeText> for Exchange {
    fn from(text: ExchangeText) -> Exchange {
        Exchange {
            request: Request {
                url: text.url,
                method: text.method,
                asked: text.asked,
                sent: text.sent,
            },
            response: Response {
                status: text.status,
                headers: text.headers,
                body: text.body,
                trailers: text.trailers,
            },
        }
    }
}
