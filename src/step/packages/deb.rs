//! A Debian package's file: deb(5).
//!
//! In: a blob. Out: [`Deb`]: what is said of the package, its scripts, and what it holds, unpacked
//! into a file without a name. Whoever made it is trusted no further than the archive's signature,
//! so everything in it has limits.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use super::Error;
use crate::canon::EntryPath;
use crate::inputs::layers::{FilePart, Unpacked, spool};
use crate::layer::codec::{Expansion, decompress};
use crate::layer::read::Reader;
use crate::layer::scan::{self, Purpose, scan};
use crate::layer::{Kind, Meta};
use crate::packages::control::Paragraph;
use crate::packages::index::Candidate;
use crate::store::{Blob, Store};

/// Most bytes that a package may say of itself: the longest lists of files and symbols have 10 MB.
const LARGEST_CONTROL: u64 = 256 << 20;

/// A package.
pub struct Deb {
    /// Its control file: one paragraph.
    pub control: String,
    /// What else it says of itself, by name: scripts, lists, checksums.
    pub info: Vec<Info>,
    /// Its files.
    pub data: Arc<Unpacked>,
    /// Their paths in the package's own order, in which dpkg lists them.
    pub paths: Vec<EntryPath>,
    /// All of it.
    pub blob: Blob,
}

/// A file that dpkg keeps beside its list of packages.
pub struct Info {
    /// `postinst`, `md5sums`, …
    pub name: String,
    /// All of it.
    pub content: Arc<[u8]>,
    /// As the package has it.
    pub meta: Meta,
}

impl Deb {
    /// Reads a package, which may expand as far as `limit`; `name` is what it is called in
    /// messages.
    pub fn open(blob: &Blob, name: &str, store: &Store, limit: Expansion) -> Result<Deb, Error> {
        let refuse = |reason: String| Error::Deb {
            name: name.to_owned(),
            reason,
        };
        let io = |error: io::Error| refuse(error.to_string());
        let file = blob.open()?;
        let members = members(&file, blob.size).map_err(refuse)?;
        let member = |begin: &str| {
            let mut members = members.iter();
            let found = members.find(|member| {
                let rest = member.name.strip_prefix(begin);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            found.ok_or_else(|| refuse(format!("it has no `{begin}`")))
        };
        let plain = |member: &Member| {
            let part = FilePart::new(&file, member.offset, member.size);
            decompress(part, member.size, limit).map_err(io)
        };
        let mut tar = Vec::new();
        let limited = plain(member("control.tar")?)?.take(LARGEST_CONTROL + 1);
        let mut limited = limited;
        limited.read_to_end(&mut tar).map_err(io)?;
        if tar.len() as u64 > LARGEST_CONTROL {
            return Err(refuse(format!(
                "it says more than {LARGEST_CONTROL} bytes of itself"
            )));
        }
        let (control, info) = info(&tar).map_err(refuse)?;
        let archive = |tar: &mut dyn Read| scan(tar, Purpose::Archive { strip: 0 });
        let scanned = |tar: &mut dyn Read| {
            archive(tar).map_err(|error: scan::Error| refuse(error.to_string()))
        };
        let (temporary, scanned) = spool(plain(member("data.tar")?)?, store, scanned)?;
        // Only the open file is needed: the name goes, and with it what a crash could leave.
        let spooled = temporary.reopen().map_err(io)?;
        let paths = paths(&spooled, scanned.size).map_err(refuse)?;
        let deb = Deb {
            paths,
            control,
            info,
            data: Arc::new(Unpacked::new(spooled, scanned)),
            blob: blob.clone(),
        };
        match Candidate::new(Paragraph::new(&deb.control), Some(0)) {
            Some(_) => Ok(deb),
            None => Err(refuse(
                "its control file lacks what every package has".to_owned(),
            )),
        }
    }

    /// What its control file says.
    pub fn paragraph(&self) -> Paragraph<'_> {
        Paragraph::new(&self.control)
    }

    /// A field of its control file; empty where there is none.
    pub fn field(&self, name: &str) -> &str {
        self.paragraph().get(name).unwrap_or("")
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.field("Package")
    }

    /// What the names of its files beside dpkg's list begin with.
    pub fn info_name(&self) -> String {
        match self.field("Multi-Arch") {
            "same" => format!("{}:{}", self.name(), self.field("Architecture")),
            _ => self.name().to_owned(),
        }
    }

    /// The file of that name beside dpkg's list.
    pub fn info(&self, name: &str) -> Option<&Info> {
        self.info.iter().find(|info| info.name == name)
    }

    /// The lines of such a file.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let content = self
            .info(name)
            .map(|info| String::from_utf8_lossy(&info.content));
        let content = content.unwrap_or_default();
        content
            .lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// The configuration files that it brings: absolute paths.
    pub fn conffiles(&self) -> Vec<String> {
        let mut lines = self.lines("conffiles");
        // Those with a flag before their path are to go, and none is brought.
        lines.retain(|line| line.starts_with('/'));
        lines
    }
}

/// A member of an archive of ar(5).
struct Member {
    name: String,
    offset: u64,
    size: u64,
}

fn members(file: &File, size: u64) -> Result<Vec<Member>, String> {
    const MAGIC: &[u8] = b"!<arch>\n";
    const HEADER: u64 = 60;
    const MOST: usize = 64;
    let read = |offset, size: u64| {
        let mut bytes = Vec::new();
        let read = FilePart::new(file, offset, size).read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(|error| error.to_string())
    };
    if read(0, MAGIC.len() as u64)? != MAGIC {
        return Err("it is no archive of ar".to_owned());
    }
    let mut members = Vec::new();
    let mut offset = MAGIC.len() as u64;
    while offset < size && members.len() < MOST {
        let header = read(offset, HEADER)?;
        let text = String::from_utf8_lossy(&header).into_owned();
        let field = |from: usize, to: usize| text.get(from..to).unwrap_or("").trim();
        let length: Option<u64> = field(48, 58).parse().ok();
        let end = length.and_then(|length| offset.checked_add(HEADER)?.checked_add(length));
        let (Some(length), Some(end), "`\n") = (length, end, text.get(58..60).unwrap_or("")) else {
            return Err("it is a damaged archive of ar".to_owned());
        };
        if end > size {
            return Err("it is cut off".to_owned());
        }
        members.push(Member {
            name: field(0, 16).trim_end_matches('/').to_owned(),
            offset: offset + HEADER,
            size: length,
        });
        offset = end + end % 2;
    }
    let version = members
        .first()
        .filter(|first| first.name == "debian-binary");
    let version = version.ok_or("it is no package of Debian")?;
    match read(version.offset, version.size.min(16))?.starts_with(b"2.") {
        true => Ok(members),
        false => Err("it is a package of a kind that nobody knows".to_owned()),
    }
}

/// The paths of an archive's members, in their order.
fn paths(file: &File, size: u64) -> Result<Vec<EntryPath>, String> {
    let tar = io::BufReader::with_capacity(256 << 10, FilePart::new(file, 0, size));
    let mut reader = Reader::new(tar);
    let mut paths = Vec::new();
    while let Some(member) = reader.next_member().map_err(|error| error.to_string())? {
        let path = EntryPath::new(&member.path).map_err(|error| error.to_string())?;
        if !path.is_root() {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// The control file, and what stands beside it.
fn info(tar: &[u8]) -> Result<(String, Vec<Info>), String> {
    let scanned = scan(tar, Purpose::Archive { strip: 0 }).map_err(|error| error.to_string())?;
    let mut control = None;
    let mut info = Vec::new();
    for (entry, offset) in scanned.tree.entries().iter().zip(&scanned.offsets) {
        let Kind::File { size, .. } = entry.kind else {
            continue;
        };
        let content = usize::try_from(*offset)
            .ok()
            .zip(usize::try_from(size).ok());
        let content = content.and_then(|(from, size)| tar.get(from..from.checked_add(size)?));
        let content = content.ok_or("it is cut off")?;
        let name = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
        let is_fine = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
        if !name.chars().all(is_fine) {
            return Err(format!("it says `{}` of itself", name.escape_debug()));
        }
        if name == "control" {
            let text = String::from_utf8(content.to_vec()).map_err(|_| "it is no UTF-8")?;
            control = Some(text.trim_matches('\n').to_owned() + "\n");
            continue;
        }
        info.push(Info {
            name,
            content: Arc::from(content),
            meta: Meta {
                uid: 0,
                gid: 0,
                ..entry.meta.clone()
            },
        });
    }
    let control = control.filter(|control| !control.contains("\n\n"));
    Ok((
        control.ok_or("it has no control file of one paragraph")?,
        info,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, content: &[u8]) -> Vec<u8> {
        let header = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            0,
            0,
            0,
            644,
            content.len()
        );
        let padding = &b"\n"[..content.len() % 2];
        [header.as_bytes(), content, padding].concat()
    }

    fn tar(files: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            tar.append_data(&mut header, path, content.as_bytes())
                .unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn opened(parts: &[&[u8]]) -> Result<Deb, String> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let blob = store.put(&parts.concat()).unwrap();
        let deb = Deb::open(&blob, "a", &store, Expansion::default());
        deb.map_err(|error| error.to_string())
    }

    const CONTROL: &str = "Package: a\nVersion: 1\nArchitecture: all\nMulti-Arch: same\n";

    #[test]
    fn a_package_says_what_it_is_and_holds() {
        let control = [
            ("./control", CONTROL),
            ("./conffiles", "/etc/a\nremove-on-upgrade /etc/b\n"),
        ];
        let control = member("control.tar", &tar(&control));
        let data = member("data.tar", &tar(&[("./usr/a", "x"), ("./etc/a", "y")]));
        let deb = opened(&[
            b"!<arch>\n",
            &member("debian-binary", b"2.0\n"),
            &control,
            &data,
        ]);
        let deb = deb.unwrap();
        assert_eq!((deb.name(), deb.info_name().as_str()), ("a", "a:all"));
        assert_eq!(deb.conffiles(), ["/etc/a"]);
        let paths: Vec<_> = deb.paths.iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["/usr/a", "/etc/a"]);
    }

    #[test]
    fn what_is_no_package_is_refused() {
        let magic = &b"!<arch>\n"[..];
        let version = member("debian-binary", b"2.0\n");
        let control = |files: &[(&str, &str)]| member("control.tar", &tar(files));
        let good = control(&[("control", CONTROL)]);
        let data = member("data.tar", &tar(&[]));
        let two = format!("{CONTROL}\nPackage: b\n");
        let climbing = {
            let mut bytes = tar(&[("xxxxxx", "x")]);
            bytes[..6].copy_from_slice(b"../../");
            // The checksum of the header goes by its bytes (POSIX, ustar).
            let sum: u32 = (0..512)
                .map(|at| {
                    u32::from(if (148..156).contains(&at) {
                        b' '
                    } else {
                        bytes[at]
                    })
                })
                .sum();
            bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            member("data.tar", &bytes)
        };
        let cut = &data[..data.len() - 600];
        for (parts, expected) in [
            (vec![&b"PK"[..]], "no archive of ar"),
            (vec![magic, &good, &version], "no package of Debian"),
            (
                vec![magic, &member("debian-binary", b"3.0\n")],
                "a kind that nobody knows",
            ),
            (vec![magic, &version, &good], "it has no `data.tar`"),
            (vec![magic, &version, &good, cut], "it is cut off"),
            (
                vec![magic, &version, &good, &[b'x'; 60]],
                "a damaged archive of ar",
            ),
            (
                vec![magic, &version, &control(&[]), &data],
                "no control file",
            ),
            (
                vec![magic, &version, &control(&[("control", &two)]), &data],
                "no control file of one",
            ),
            (
                vec![
                    magic,
                    &version,
                    &control(&[("control", "Package: a\n")]),
                    &data,
                ],
                "lacks what every",
            ),
            (
                vec![magic, &version, &control(&[("a/b", "x")]), &data],
                "it says `a/b` of itself",
            ),
            (vec![magic, &version, &good, &climbing], "is refused"),
        ] {
            let told = opened(&parts).err().unwrap();
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }
}
