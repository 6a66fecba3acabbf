//! Tars as others write them, member by member.
//!
//! In: a stream: ustar, PAX (POSIX.1-2017) and GNU headers in any mix. Out: [`Member`]s with their
//! content. The stream is hostile: every length has a limit, and what isn't understood is an
//! error, never skipped. cairn's own reader, because a parser that is lenient where another is
//! strict lets one archive be two trees, and because memory must not grow with a header's claim.

use std::io::{self, Read};

use super::entry::{Device, Meta, Xattrs};
use super::tar::BLOCK;

/// Largest PAX header or GNU long name, in bytes.
const LARGEST_EXTENSION: u64 = 1 << 20;

/// A member of an archive, its names as they stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path, unchecked.
    pub path: Vec<u8>,
    /// What it is; of a link, the target, unchecked.
    pub kind: MemberKind,
    /// Mode, owner, time, xattrs.
    pub meta: Meta,
    /// Bytes of content.
    pub size: u64,
    /// Where its content begins in the stream.
    pub offset: u64,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to that text.
    Symlink(Vec<u8>),
    /// A hard link to that path.
    Hardlink(Vec<u8>),
    /// A character device.
    CharacterDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
}

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream under it.
    #[error("the archive can't be read: {0}")]
    Io(#[from] io::Error),
    /// It ends within a member.
    #[error("the archive ends in the middle, at byte {0}")]
    Truncated(u64),
    /// A block that is no header.
    #[error("there is no valid tar header at byte {0}")]
    Header(u64),
    /// A block of zeroes with something other than a second one behind it. Of the programs that
    /// read tars some stop there, some read on and some refuse: what is behind would be in the
    /// archive for one of them and not for another.
    #[error(
        "the archive has a lone block of zeroes at byte {0}, where one program takes it to end and another reads on\nhint: write it anew, by unpacking and packing it with `tar`"
    )]
    LoneZeroBlock(u64),
    /// A record or long name larger than 1 MiB, or malformed.
    #[error("the extended header at byte {0} is malformed or larger than 1 MiB")]
    Extension(u64),
    /// Sparse files, volume labels and other kinds that no image has.
    #[error("member `{name}` is {what}, which cairn does not read")]
    Unsupported {
        /// Its path.
        name: String,
        /// What it is.
        what: String,
    },
}

/// Reads an archive; [`Read`] gives the content of the member that came last.
pub struct Reader<R> {
    source: R,
    /// Bytes taken from `source`.
    at: u64,
    /// Bytes of the current member's content not yet read.
    left: u64,
    /// NUL bytes behind that content.
    padding: u64,
    global: Pax,
    /// Bytes of all global headers so far.
    global_size: u64,
    is_over: bool,
}

impl<R: Read> Reader<R> {
    /// Reads from the beginning of an archive.
    pub fn new(source: R) -> Reader<R> {
        Reader {
            source,
            at: 0,
            left: 0,
            padding: 0,
            global: Pax::default(),
            global_size: 0,
            is_over: false,
        }
    }

    /// The next member; none at the end, after which the source stands behind the last block
    /// that was read.
    pub fn next_member(&mut self) -> Result<Option<Member>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let mut pax = Pax::default();
        let (mut long_name, mut long_link) = (None, None);
        let mut size = 0;
        loop {
            self.skip_content()?;
            let start = self.at;
            let Some(header) = self.header()? else {
                self.is_over = true;
                return Ok(None);
            };
            let header = Header {
                block: header,
                start,
            };
            let kind = header.block[156];
            if matches!(kind, b'x' | b'g' | b'L' | b'K') {
                // Each may be small, and all of them together may not.
                let sum = if kind == b'g' {
                    &mut self.global_size
                } else {
                    &mut size
                };
                *sum = header.size()?.saturating_add(*sum);
                if *sum > LARGEST_EXTENSION {
                    return Err(Error::Extension(start));
                }
            }
            match kind {
                b'x' => pax.add(&self.extension(&header)?, start)?,
                b'g' => {
                    let records = self.extension(&header)?;
                    self.global.add(&records, start)?;
                }
                b'L' => long_name = Some(until_nul(&self.extension(&header)?).to_vec()),
                b'K' => long_link = Some(until_nul(&self.extension(&header)?).to_vec()),
                _ => return self.member(&header, pax, long_name, long_link).map(Some),
            }
        }
    }

    /// The stream under the archive.
    pub fn into_source(self) -> R {
        self.source
    }

    fn member(
        &mut self,
        header: &Header,
        pax: Pax,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Member, Error> {
        // Of the global records only what is needed is copied: they may be long, and members many.
        let global = &self.global;
        let path = pax.path.or_else(|| global.path.clone()).or(long_name);
        let path = path.unwrap_or_else(|| header.name());
        let link = || {
            let link = pax.link.or_else(|| global.link.clone()).or(long_link);
            link.unwrap_or_else(|| until_nul(&header.block[157..257]).to_vec())
        };
        let unsupported = |what: &str| {
            let name = String::from_utf8_lossy(&path).escape_debug().to_string();
            Error::Unsupported {
                name,
                what: what.to_owned(),
            }
        };
        if pax.is_sparse || global.is_sparse {
            return Err(unsupported("a sparse file"));
        }
        let device = || {
            let number = |offset| {
                let number = header.number(offset, 8)?;
                u32::try_from(number)
                    .ok()
                    .filter(|number| *number < 1 << 21)
                    .ok_or(Error::Header(header.start))
            };
            Ok::<_, Error>(Device {
                major: number(329)?,
                minor: number(337)?,
            })
        };
        let kind = match header.block[156] {
            // Before POSIX a directory was a file whose name ends with a slash.
            b'0' | 0 | b'7' if path.ends_with(b"/") && header.block[156] != b'7' => {
                MemberKind::Directory
            }
            b'0' | 0 | b'7' => MemberKind::File,
            b'1' => MemberKind::Hardlink(link()),
            b'2' => MemberKind::Symlink(link()),
            b'3' => MemberKind::CharacterDevice(device()?),
            b'4' => MemberKind::BlockDevice(device()?),
            b'5' => MemberKind::Directory,
            b'6' => MemberKind::Fifo,
            b'S' => return Err(unsupported("a sparse file")),
            other => {
                return Err(unsupported(&format!(
                    "of type `{}`",
                    char::from(other).escape_debug()
                )));
            }
        };
        let id = |said: Option<u64>, offset| {
            let number = match said {
                Some(number) => number,
                None => u64::try_from(header.number(offset, 8)?)
                    .map_err(|_| Error::Header(header.start))?,
            };
            u32::try_from(number).map_err(|_| Error::Header(header.start))
        };
        let mut xattrs = global.xattrs.clone();
        xattrs.extend(pax.xattrs);
        let meta = Meta {
            mode: (header.number(100, 8)? & 0o7777) as u16,
            uid: id(pax.uid.or(global.uid), 108)?,
            gid: id(pax.gid.or(global.gid), 116)?,
            mtime: match pax.mtime.or(global.mtime) {
                Some(mtime) => mtime,
                None => header.number(136, 12)?,
            },
            xattrs: (!xattrs.is_empty()).then(|| Box::new(xattrs)),
        };
        let said = match pax.size.or(global.size) {
            Some(size) => size,
            None => header.size()?,
        };
        // Some writers give links and directories a size and no content (POSIX, ustar, size).
        let size = if kind == MemberKind::File { said } else { 0 };
        self.expect_content(size);
        Ok(Member {
            path,
            kind,
            meta,
            size,
            offset: self.at,
        })
    }

    fn expect_content(&mut self, size: u64) {
        self.left = size;
        // Any size may be claimed, so none may be rounded up.
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    /// The content of a header that speaks of the next one.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, Error> {
        let size = header.size()?;
        if size > LARGEST_EXTENSION {
            return Err(Error::Extension(header.start));
        }
        self.expect_content(size);
        let mut content = Vec::with_capacity(size as usize);
        self.read_to_end(&mut content)?;
        Ok(content)
    }

    fn skip_content(&mut self) -> Result<(), Error> {
        let mut buffer = [0; 16 << 10];
        while self.read(&mut buffer)? > 0 {}
        while self.padding > 0 {
            let want = self.padding.min(buffer.len() as u64) as usize;
            let read = self.source.read(&mut buffer[..want])?;
            // An archive cut within its last padding has lost nothing, but isn't whole either.
            if read == 0 {
                return Err(Error::Truncated(self.at));
            }
            self.at += read as u64;
            self.padding -= read as u64;
        }
        Ok(())
    }

    /// The next header block; none at the archive's end: two blocks of zeroes (POSIX.1-2017, pax,
    /// "ustar Interchange Format"; what follows them is none of the archive's), or one, or none,
    /// where the stream ends between members, as many old writers left it.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, Error> {
        let start = self.at;
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        if block == [0; BLOCK] {
            return match self.block()? {
                Some(second) if second != [0; BLOCK] => Err(Error::LoneZeroBlock(start)),
                _ => Ok(None),
            };
        }
        let sum: i64 = block
            .iter()
            .enumerate()
            .map(|(at, &byte)| {
                if (148..156).contains(&at) {
                    32
                } else {
                    i64::from(byte)
                }
            })
            .sum();
        let header = Header { block, start };
        if header.number(148, 8)? != sum {
            return Err(Error::Header(start));
        }
        Ok(Some(block))
    }

    /// The next block; none where the stream ends.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Error> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.source.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(Error::Truncated(self.at)),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.at += BLOCK as u64;
        Ok(Some(block))
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = self.left.min(buffer.len() as u64) as usize;
        if want == 0 {
            return Ok(0);
        }
        let read = self.source.read(&mut buffer[..want])?;
        if read == 0 {
            let message = format!("the archive ends in the middle, at byte {}", self.at);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

struct Header {
    block: [u8; BLOCK],
    start: u64,
}

impl Header {
    /// A number in octal, with spaces or NUL around it, or in base 256 as GNU tar writes it.
    fn number(&self, offset: usize, length: usize) -> Result<i64, Error> {
        let field = &self.block[offset..offset + length];
        let refuse = || Error::Header(self.start);
        if field[0] & 0x80 != 0 {
            let negative = field[0] & 0x40 != 0;
            let first = i64::from(field[0] & 0x3f) - if negative { 0x40 } else { 0 };
            return field[1..].iter().try_fold(first, |number, &byte| {
                let shifted = number.checked_mul(256).ok_or_else(refuse)?;
                shifted.checked_add(i64::from(byte)).ok_or_else(refuse)
            });
        }
        let digits = until_nul(field).trim_ascii();
        digits.iter().try_fold(0_i64, |number, &byte| match byte {
            b'0'..=b'7' => Ok(number << 3 | i64::from(byte - b'0')),
            _ => Err(refuse()),
        })
    }

    fn size(&self) -> Result<u64, Error> {
        u64::try_from(self.number(124, 12)?).map_err(|_| Error::Header(self.start))
    }

    fn name(&self) -> Vec<u8> {
        let name = until_nul(&self.block[..100]);
        let prefix = until_nul(&self.block[345..500]);
        // GNU tar keeps times where POSIX has the prefix, and says so in its magic.
        if &self.block[257..263] == b"ustar\0" && !prefix.is_empty() {
            [prefix, name].join(&b'/')
        } else {
            name.to_vec()
        }
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    let end = field
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(field.len());
    &field[..end]
}

/// What PAX records say of a member.
#[derive(Debug, Default)]
struct Pax {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<i64>,
    xattrs: Xattrs,
    is_sparse: bool,
}

impl Pax {
    fn add(&mut self, mut records: &[u8], start: u64) -> Result<(), Error> {
        let refuse = || Error::Extension(start);
        while !records.is_empty() {
            let space = records
                .iter()
                .position(|&byte| byte == b' ')
                .ok_or_else(refuse)?;
            let length: usize = parse(&records[..space]).ok_or_else(refuse)?;
            let record = records
                .get(space + 1..length)
                .and_then(|record| record.strip_suffix(b"\n"));
            let record = record.ok_or_else(refuse)?;
            let equals = record
                .iter()
                .position(|&byte| byte == b'=')
                .ok_or_else(refuse)?;
            self.set(&record[..equals], &record[equals + 1..])
                .ok_or_else(refuse)?;
            records = &records[length..];
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(parse(value)?),
            b"uid" => self.uid = Some(parse(value)?),
            b"gid" => self.gid = Some(parse(value)?),
            b"mtime" => self.mtime = Some(whole_seconds(value)?),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.insert(name.into(), value.into());
                }
                self.is_sparse |= key.starts_with(b"GNU.sparse.");
            }
        }
        Some(())
    }
}

fn parse<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A PAX time, rounded down.
fn whole_seconds(value: &[u8]) -> Option<i64> {
    let (whole, fraction) = match value.iter().position(|&byte| byte == b'.') {
        Some(dot) => (&value[..dot], &value[dot + 1..]),
        None => (value, &b""[..]),
    };
    let seconds: i64 = parse(whole)?;
    let rounds_down = value.starts_with(b"-") && fraction.iter().any(|&digit| digit != b'0');
    seconds.checked_sub(i64::from(rounds_down))
}
