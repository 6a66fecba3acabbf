//! Packages of Debian and its kin, from archives over HTTP.
//!
//! In: a question ([`Packages`]), what the image below has installed, keys. Out: a
//! [`PackageSet`], and its packages as blobs. Everything that an archive says is believed only as
//! far as one of the keys signed it: `InRelease` is signed, names the indexes by digest, and these
//! the packages.

mod download;
mod error;
mod release;
mod settings;
mod signature;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

pub use error::Error;
pub use settings::PackageSettings;

use self::download::{Downloader, Wanted};
use self::release::Release;
use self::signature::Keyring;
use crate::canon::event::{Events, Work};
use crate::canon::{Digest, json};
use crate::inputs::access::Access;
use crate::layer::codec::{Expansion, decompress};
use crate::lock::{self, PackageSet};
use crate::packages::index::{Candidate, Index};
use crate::packages::order::Needs;
use crate::packages::{Question, relation, solve};
use crate::plan::Packages;
use crate::plan::packages::{Archive, Distribution, Mirror, Variant, architecture};
use crate::store::{Blob, RecordKind, Store};

/// Of the record of what a question came out as.
const SOLVED: &str = ".packages";
/// Largest file of keys, in bytes.
const LARGEST_KEYS: u64 = 4 << 20;
/// Largest index, in bytes as it is read: Debian's `main` is of 50 MB.
const LARGEST_INDEX: u64 = 1 << 30;
/// How far a clock may be behind that of an archive, in seconds.
const CLOCK_DIFFERENCE: i64 = 24 * 60 * 60;

/// What the image below has.
#[derive(Debug, Clone, Default)]
pub struct Below {
    /// Its `/var/lib/dpkg/status`; empty where it has none.
    pub status: String,
    /// Files with the keys of archives, by path.
    pub keys: Vec<(String, Vec<u8>)>,
}

/// Finds out what questions come out as, and fetches that.
pub struct Resolver<'a> {
    /// Where everything is kept.
    pub store: &'a Store,
    /// Who is told.
    pub events: &'a Events,
    /// The recipe's folder.
    pub folder: &'a Path,
    /// Where archives are.
    pub settings: &'a PackageSettings,
    /// What servers are shown.
    pub access: Access<'a>,
    /// Whether packages may only come from the store.
    pub offline: bool,
}

/// An archive whose signed list is here.
struct Opened {
    mirror: String,
    url: String,
    archive: Archive,
    release: Release,
    signed: lock::package::Release,
}

impl Resolver<'_> {
    /// What `question` comes out as over what is `below`.
    pub fn resolve(
        &self,
        question: &Packages,
        below: &Below,
        work: &Work,
    ) -> Result<PackageSet, Error> {
        let architecture = architecture(&question.platform);
        let architecture =
            architecture.ok_or_else(|| Error::Architecture(question.platform.to_string()))?;
        let mirrors = question.archives.iter().map(|archive| {
            let (mirror, instant) = self.mirror(question.distribution, archive)?;
            Ok((archive, mirror, instant))
        });
        let mirrors = mirrors.collect::<Result<Vec<_>, Error>>()?;
        let keyring = self.keyring(question, below)?;
        let downloader = Downloader::new(self)?;
        let mut opened = Vec::new();
        for (archive, mirror, instant) in mirrors {
            opened.push(self.open(&downloader, archive, mirror, instant, &keyring)?);
        }
        let key = key(question, below, &opened)?;
        let known = self.store.record(RecordKind::Source, &key, SOLVED);
        if let Some(PackageSet { packages, .. }) = known {
            return Ok(self.set(&opened, packages));
        }
        let packages = self.solve(&downloader, question, architecture, below, &opened, work)?;
        let set = self.set(&opened, packages);
        self.store
            .put_record(RecordKind::Source, &key, SOLVED, &set)?;
        Ok(set)
    }

    /// The packages of `set` in its order: from the store, or from where they were.
    pub fn fetch(&self, set: &PackageSet, work: &Work) -> Result<Vec<Blob>, Error> {
        let wanted = set.packages.iter().map(|package| Wanted {
            urls: vec![package.url.clone()],
            sha256: package.sha256,
            size: package.size,
        });
        let wanted: Vec<Wanted> = wanted.collect();
        Downloader::new(self)?.blobs(&wanted, work)
    }

    fn set(&self, opened: &[Opened], packages: Vec<lock::Package>) -> PackageSet {
        PackageSet {
            instant: self.settings.now,
            releases: opened.iter().map(|one| one.signed.clone()).collect(),
            packages,
        }
    }

    /// Where an archive is, and at which instant it must be good.
    fn mirror(&self, of: Distribution, archive: &Archive) -> Result<(String, i64), Error> {
        let now = self.settings.now;
        if let Some(mirror) = &archive.mirror {
            return Ok(match mirror {
                Mirror::Today(url) => (url.clone(), now),
                Mirror::Snapshot(url) => {
                    (url.clone(), release::snapshot_instant(url).unwrap_or(now))
                }
            });
        }
        let given = self.settings.mirrors.get(&of).cloned();
        let host = || {
            let mut host = self.settings.host.iter();
            let host = host.find(|other| other.suite == archive.suite);
            host.map(|other| other.mirror.clone())
        };
        let mirror = given.or_else(host).ok_or_else(|| Error::NoMirror {
            suite: archive.suite.clone(),
            variable: match of {
                Distribution::Debian => "CAIRN_DEBIAN_MIRROR",
                Distribution::Ubuntu => "CAIRN_UBUNTU_MIRROR",
            },
        })?;
        let instant = release::snapshot_instant(&mirror).unwrap_or(now);
        Ok((mirror, instant))
    }

    fn keyring(&self, question: &Packages, below: &Below) -> Result<Keyring, Error> {
        let mut keyring = Keyring::default();
        for file in &question.keys {
            let bytes = read_keys(self.folder, file)?;
            keyring.add(&bytes).map_err(|reason| Error::Key {
                file: file.clone(),
                reason,
            })?;
        }
        if question.keys.is_empty() {
            for (_, bytes) in &below.keys {
                // One that can't be read is one that nothing is signed by.
                let _ = keyring.add(bytes);
            }
        }
        match keyring.is_empty() {
            true => Err(Error::NoKeys),
            false => Ok(keyring),
        }
    }

    /// Fetches an archive's signed list and checks it.
    fn open(
        &self,
        downloader: &Downloader,
        archive: &Archive,
        mirror: String,
        instant: i64,
        keyring: &Keyring,
    ) -> Result<Opened, Error> {
        let url = format!("{mirror}/dists/{}/InRelease", archive.suite);
        let bytes = downloader.small(&url)?;
        let refuse = |reason: String| Error::Release {
            url: url.clone(),
            reason,
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| refuse("it is no UTF-8".into()))?;
        let signed = keyring.verify(text, instant);
        let signed = signed.map_err(|reason| Error::Signature {
            url: url.clone(),
            reason,
        })?;
        let release = Release::new(&signed.text).map_err(refuse)?;
        let stale = |reason: String| Error::Stale {
            url: url.clone(),
            reason,
        };
        let date = |field: &str| {
            let paragraph = crate::packages::control::Paragraph::new(&signed.text);
            paragraph.get(field).unwrap_or("").to_owned()
        };
        if release.valid_until.is_some_and(|until| until < instant) {
            return Err(stale(format!("it held until {}", date("Valid-Until"))));
        }
        if release
            .date
            .is_some_and(|made| made > instant + CLOCK_DIFFERENCE)
        {
            return Err(stale(format!(
                "it was made on {}, which is yet to come",
                date("Date")
            )));
        }
        if !release.is_of(&archive.suite) {
            let names = [&release.suite, &release.codename].into_iter().flatten();
            let names = names.cloned().collect::<Vec<_>>().join("`, `");
            let suite = &archive.suite;
            return Err(refuse(format!(
                "it is of `{names}`, and `{suite}` was asked for"
            )));
        }
        self.store.put(&bytes)?;
        Ok(Opened {
            signed: lock::package::Release {
                url: url.clone(),
                sha256: Digest::of(&bytes),
                signer: signed.signer,
            },
            mirror,
            url,
            archive: archive.clone(),
            release,
        })
    }

    fn solve(
        &self,
        downloader: &Downloader,
        question: &Packages,
        architecture: &str,
        below: &Below,
        opened: &[Opened],
        work: &Work,
    ) -> Result<Vec<lock::Package>, Error> {
        let mut wanted = Vec::new();
        let mut of = Vec::new();
        for (number, one) in opened.iter().enumerate() {
            for component in &one.archive.components {
                wanted.push(one.index(component, architecture)?);
                of.push(number);
            }
        }
        let blobs = downloader.blobs(&wanted, work)?;
        let read = |(blob, wanted): (&Blob, &Wanted)| read_index(blob, &wanted.urls);
        let texts = blobs.par_iter().zip(&wanted).map(read);
        let texts = texts.collect::<Result<Vec<_>, Error>>()?;
        let mut index = Index::default();
        for (text, archive) in texts.iter().zip(&of) {
            index.add_archive(text, *archive);
        }
        index.add_installed(&below.status);
        let asked = self.question(question, architecture, below)?;
        let suites: Vec<_> = opened.iter().map(Opened::shown).collect();
        let chosen = solve(&index, &asked).map_err(|error| Error::Unsolvable {
            error,
            suites: suites.join(", "),
        })?;
        let chosen: Vec<Candidate> = chosen
            .into_iter()
            .filter_map(|number| {
                Candidate::new(index.get(number)?.paragraph, index.get(number)?.archive)
            })
            .collect();
        let needs = Needs::new(&chosen, architecture);
        let is_empty = below.status.is_empty();
        let essential = match is_empty {
            true => needs.essential(),
            false => BTreeSet::new(),
        };
        let is_asked_for = |one: &Candidate| {
            let is_base = asked.required && (one.priority == "required" || one.name == "apt");
            is_base
                || asked
                    .wanted
                    .iter()
                    .any(|wanted| one.satisfies(wanted, architecture))
        };
        let package = |number: usize| {
            let one = &chosen[number];
            let opened = one.archive.and_then(|archive| opened.get(archive));
            let opened = opened.ok_or_else(|| Error::Relation(one.name.to_owned()))?;
            let is_automatic = !essential.contains(&number) && !is_asked_for(one);
            opened.package(one, is_automatic)
        };
        needs.order().into_iter().map(package).collect()
    }

    fn question(
        &self,
        question: &Packages,
        architecture: &str,
        below: &Below,
    ) -> Result<Question, Error> {
        let relation =
            |text: &String| relation::wanted(text).map_err(|_| Error::Relation(text.clone()));
        let is_first = below.status.is_empty() && question.variant != Variant::Distroless;
        Ok(Question {
            wanted: question
                .install
                .iter()
                .map(relation)
                .collect::<Result<_, _>>()?,
            essential: is_first,
            required: question.variant == Variant::Minbase,
            recommends: question.recommends,
            // What is made here has a merged /usr from the beginning, as debootstrap has it.
            preferred: match is_first {
                true => vec!["usr-is-merged".to_owned()],
                false => Vec::new(),
            },
            architecture: architecture.to_owned(),
        })
    }
}

/// All of a file with keys that a recipe in `folder` names.
pub fn read_keys(folder: &Path, file: &str) -> Result<Vec<u8>, Error> {
    let refuse = |reason: String| Error::Key {
        file: file.to_owned(),
        reason,
    };
    let failed = |error: io::Error| refuse(error.to_string());
    let path = folder.join(file);
    // To open a pipe would wait for whoever writes to it.
    if !std::fs::metadata(&path).map_err(failed)?.is_file() {
        return Err(refuse("it is no file".to_owned()));
    }
    let mut bytes = Vec::new();
    let opened = File::open(path).map_err(failed)?;
    let read = opened.take(LARGEST_KEYS + 1).read_to_end(&mut bytes);
    match read.map_err(failed)? as u64 > LARGEST_KEYS {
        true => Err(refuse(format!("it is larger than {LARGEST_KEYS} bytes"))),
        false => Ok(bytes),
    }
}

impl Opened {
    /// For people.
    fn shown(&self) -> String {
        let components = self.archive.components.join(" ");
        format!("{} {} {components}", self.mirror, self.archive.suite)
    }

    /// The index of a component: the smallest form that can be read.
    fn index(&self, component: &str, architecture: &str) -> Result<Wanted, Error> {
        let folder = format!("{component}/binary-{architecture}");
        let forms = ["Packages.xz", "Packages.gz", "Packages"];
        let found = forms.iter().find_map(|form| {
            let path = format!("{folder}/{form}");
            self.release.files.get(&path).map(|of| (path, *of))
        });
        let (path, (sha256, size)) = found.ok_or_else(|| Error::Release {
            url: self.url.clone(),
            reason: format!("it has no packages of `{component}` for {architecture}"),
        })?;
        let suite = format!("{}/dists/{}", self.mirror, self.archive.suite);
        let by_hash = format!("{suite}/{folder}/by-hash/SHA256/{}", sha256.hex());
        let by_hash = self.release.has_by_hash.then_some(by_hash);
        Ok(Wanted {
            urls: by_hash
                .into_iter()
                .chain([format!("{suite}/{path}")])
                .collect(),
            sha256,
            size,
        })
    }

    /// What the index says of a package.
    fn package(&self, one: &Candidate, automatic: bool) -> Result<lock::Package, Error> {
        let field = |field| one.paragraph.get(field);
        let sha256 = field("SHA256").and_then(|hex| Digest::from_hex(hex).ok());
        let size = field("Size").and_then(|size| size.parse().ok());
        let (Some(path), Some(sha256), Some(size)) = (field("Filename"), sha256, size) else {
            return Err(Error::Release {
                url: self.url.clone(),
                reason: format!("it says no file, size or SHA256 of `{}`", one.name),
            });
        };
        Ok(lock::Package {
            name: one.name.to_owned(),
            version: one.version.to_string(),
            architecture: one.architecture.to_owned(),
            url: format!("{}/{}", self.mirror, path.trim_start_matches("./")),
            sha256,
            size,
            automatic,
        })
    }
}

fn read_index(blob: &Blob, urls: &[String]) -> Result<String, Error> {
    let refuse = |reason: String| Error::Release {
        url: urls.last().cloned().unwrap_or_default(),
        reason,
    };
    let mut text = String::new();
    let plain = decompress(blob.open()?, blob.size, Expansion::UNLIMITED);
    let read = plain.and_then(|plain| plain.take(LARGEST_INDEX + 1).read_to_string(&mut text));
    read.map_err(|error| refuse(error.to_string()))?;
    match text.len() as u64 > LARGEST_INDEX {
        true => Err(refuse(format!("it is larger than {LARGEST_INDEX} bytes"))),
        false => Ok(text),
    }
}

/// What an answer follows from.
fn key(question: &Packages, below: &Below, opened: &[Opened]) -> Result<Digest, Error> {
    #[derive(Serialize)]
    struct Preimage<'a> {
        version: u32,
        question: &'a Packages,
        releases: Vec<(&'a str, Digest)>,
        status: Digest,
    }
    let releases = opened
        .iter()
        .map(|one| (one.mirror.as_str(), one.signed.sha256));
    Ok(Digest::of(&json::to_vec(&Preimage {
        version: 1,
        question,
        releases: releases.collect(),
        status: Digest::of(below.status.as_bytes()),
    })?))
}
