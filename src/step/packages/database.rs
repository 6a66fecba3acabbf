//! dpkg's own files for packages that were unpacked: as dpkg writes them when it unpacks.
//!
//! In: packages, the files below. Out: files at their places: `status`, `info/`, `triggers/`
//! (dpkg's `doc/triggers.txt` and `lib/dpkg/`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Error;
use super::deb::Deb;
use super::place::Placing;
use crate::canon::{Digest, EntryPath, Epoch};
use crate::inputs::Origin;
use crate::layer::{Kind, Meta};

/// Where dpkg keeps them.
pub const ADMIN: &str = "var/lib/dpkg";

/// What the image below has of them, by name below [`ADMIN`].
pub type Existing = BTreeMap<String, Vec<u8>>;

/// What dpkg knows of packages once they are unpacked.
pub struct Database<'a> {
    debs: &'a [Deb],
    existing: &'a Existing,
    epoch: Epoch,
}

impl<'a> Database<'a> {
    /// Of `debs`, over what is there.
    pub fn new(debs: &'a [Deb], existing: &'a Existing, epoch: Epoch) -> Database<'a> {
        Database {
            debs,
            existing,
            epoch,
        }
    }

    /// Writes all of it. `numbers` are the packages that were unpacked; `waits` says whether their
    /// configuration files wait for dpkg.
    pub fn write(
        &self,
        placing: &mut Placing,
        numbers: &[usize],
        waits: bool,
    ) -> Result<(), Error> {
        let mut status = self.text("status");
        for &number in numbers {
            let deb = &self.debs[number];
            if !status.is_empty() && !status.ends_with("\n\n") {
                status.push('\n');
            }
            status += &stanza(deb, waits);
            self.info(placing, number)?;
        }
        self.put(
            placing,
            "status",
            status,
            Meta::plain(0o644, self.epoch.seconds()),
        )?;
        if !self.existing.contains_key("info/format") {
            let plain = Meta::plain(0o644, self.epoch.seconds());
            self.put(placing, "info/format", "1\n".to_owned(), plain)?;
        }
        self.triggers(placing, numbers)
    }

    /// What the packages say of themselves, and the lists of their files.
    fn info(&self, placing: &mut Placing, number: usize) -> Result<(), Error> {
        let deb = &self.debs[number];
        let name = deb.info_name();
        for info in &deb.info {
            let path = format!("info/{name}.{}", info.name);
            self.put_bytes(placing, &path, info.content.clone(), info.meta.clone())?;
        }
        let empty = BTreeSet::new();
        let taken = placing.taken.get(number).unwrap_or(&empty);
        let kept = deb.paths.iter().filter(|path| !taken.contains(path));
        let mut list = b"/.\n".to_vec();
        for path in kept {
            list.push(b'/');
            list.extend_from_slice(path.as_bytes());
            list.push(b'\n');
        }
        let plain = Meta::plain(0o644, self.epoch.seconds());
        self.put_bytes(
            placing,
            &format!("info/{name}.list"),
            Arc::from(list),
            plain,
        )
    }

    /// Who is to be told of what.
    fn triggers(&self, placing: &mut Placing, numbers: &[usize]) -> Result<(), Error> {
        let mut of_files = lines(&self.text("triggers/File"));
        let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for &number in numbers {
            let deb = &self.debs[number];
            for line in deb.lines("triggers") {
                let mut words = line.split_whitespace();
                let (Some(directive), Some(trigger)) = (words.next(), words.next()) else {
                    continue;
                };
                let end = match directive {
                    "interest" | "interest-await" => "",
                    "interest-noawait" => "/noawait",
                    _ => continue,
                };
                // Only where there may be several of one name does dpkg say which.
                let who = match deb.field("Multi-Arch") {
                    "same" => deb.info_name(),
                    _ => deb.name().to_owned(),
                };
                let is_name = |c: char| c.is_ascii_graphic() && c != '/';
                if trigger.starts_with('/') {
                    of_files.push(format!("{trigger} {who}{end}"));
                } else if trigger.chars().all(is_name) && !trigger.starts_with('.') {
                    let file = format!("triggers/{trigger}");
                    let there = || lines(&self.text(&file));
                    let all = named.entry(trigger.to_owned()).or_insert_with(there);
                    all.push(format!("{who}{end}"));
                }
            }
        }
        let plain = || Meta::plain(0o644, self.epoch.seconds());
        for (trigger, lines) in named {
            self.put(
                placing,
                &format!("triggers/{trigger}"),
                joined(&lines),
                plain(),
            )?;
        }
        if !of_files.is_empty() {
            self.put(placing, "triggers/File", joined(&of_files), plain())?;
        }
        Ok(())
    }

    fn text(&self, name: &str) -> String {
        let bytes = self.existing.get(name).map_or(&[][..], Vec::as_slice);
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn put(
        &self,
        placing: &mut Placing,
        name: &str,
        text: String,
        meta: Meta,
    ) -> Result<(), Error> {
        self.put_bytes(placing, name, Arc::from(text.into_bytes()), meta)
    }

    fn put_bytes(
        &self,
        placing: &mut Placing,
        name: &str,
        content: Arc<[u8]>,
        meta: Meta,
    ) -> Result<(), Error> {
        put_bytes(placing, &format!("{ADMIN}/{name}"), content, meta)
    }
}

/// Puts a file that is held in memory.
pub fn put_bytes(
    placing: &mut Placing,
    path: &str,
    content: Arc<[u8]>,
    meta: Meta,
) -> Result<(), Error> {
    let path =
        EntryPath::new(path.as_bytes()).map_err(|_| Error::Bug("a path of dpkg's is none"))?;
    let kind = Kind::File {
        size: content.len() as u64,
        digest: Digest::of(&content),
    };
    placing.put(&path, kind, meta, Origin::Bytes(content))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A package in dpkg's list: unpacked. dpkg puts the fields into its own order when it next writes
/// the list.
fn stanza(deb: &Deb, waits: bool) -> String {
    let mut stanza = String::new();
    for line in deb.control.lines() {
        stanza += line;
        stanza.push('\n');
        if line.starts_with("Package:") {
            stanza += "Status: install ok unpacked\n";
        }
    }
    let conffiles = deb.conffiles();
    if waits && !conffiles.is_empty() {
        stanza += "Conffiles:\n";
        for path in conffiles {
            stanza += &format!(" {path} newconffile\n");
        }
    }
    stanza + "\n"
}
