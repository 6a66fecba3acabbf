//! Trees that try everything a layer can hold, each made from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use cairn::canon::{Digest, EntryPath};
use cairn::layer::chunk::KnownChunks;
use cairn::layer::entry::{Device, Xattrs};
use cairn::layer::pack::{Contents, Packed, Packing, pack};
use cairn::layer::{Codec, Entry, Kind, Meta, Tree};

/// SplitMix64 (Steele et al., "Fast splittable pseudorandom number generators", 2014): the same
/// numbers for a seed, whatever the versions of other libraries.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    /// `length` bytes of those in `alphabet`.
    pub fn text(&mut self, alphabet: &[u8], length: usize) -> Vec<u8> {
        std::iter::repeat_with(|| *self.one_of(alphabet))
            .take(length)
            .collect()
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// A tree and what its files hold, by digest.
pub struct Sample {
    pub tree: Tree,
    pub contents: BTreeMap<Digest, Vec<u8>>,
}

impl Contents for Sample {
    fn open(&self, _: usize, entry: &Entry) -> io::Result<Box<dyn Read + '_>> {
        let Kind::File { digest, .. } = &entry.kind else {
            return Err(io::Error::other("only files have content"));
        };
        Ok(Box::new(&self.contents[digest][..]))
    }
}

/// No chunk was ever compressed before.
pub struct NoneKnown;

impl KnownChunks for NoneKnown {
    fn get(&self, _: &Digest) -> Option<cairn::layer::chunk::Compressed> {
        None
    }
}

impl Sample {
    /// The blob.
    pub fn packed(
        &self,
        codec: Codec,
        known: &dyn KnownChunks,
        threads: usize,
    ) -> (Packed, Vec<u8>) {
        let mut blob = Vec::new();
        let packing = Packing {
            codec,
            known,
            previous: None,
            threads,
            moved: &|_| {},
        };
        let packed = pack(&self.tree, self, &packing, &mut blob).unwrap();
        (packed, blob)
    }

    /// The archive, not compressed.
    pub fn tar(&self) -> (Packed, Vec<u8>) {
        self.packed(Codec::None, &NoneKnown, 1)
    }
}

/// What a sample may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// Files of some kilobytes, with content.
    Small,
    /// Sizes that no test can pack; without content.
    Huge,
}

/// Names that stand before, at and behind `/` and `.` in ASCII, so that an order by whole paths
/// or by names with `.wh.` in front is another than by components.
const TRAPS: [&[u8]; 24] = [
    b"a", b"a-b", b"a.b", b"a b", b"a\x01", b"a!", b"a0", b"aa", b"A", b".a", b"..a", b"...",
    b".w", b".wi", b"-", b" ", b"\x01", b"\x7f", b"~", b"a\n", b"=", b"%2F", b"\\", b".wg.x",
];
/// What is and what is no UTF-8: letters of two to four bytes, a surrogate, an overlong slash, a
/// torn letter, Latin-1, one beyond Unicode's end.
const LETTERS: [&[u8]; 9] = [
    "\u{fc}".as_bytes(),
    "\u{65e5}\u{672c}".as_bytes(),
    "\u{1f5ff}".as_bytes(),
    "\u{85}".as_bytes(),
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\xe6\x97",
    b"\xfc",
    b"\xf4\x90\x80\x80",
];
/// Around what a header's fields and a path's components hold.
const LENGTHS: [usize; 15] = [
    1, 2, 49, 50, 54, 55, 96, 97, 99, 100, 101, 154, 155, 156, 255,
];
const TOTALS: [usize; 16] = [
    99, 100, 101, 102, 155, 156, 157, 200, 254, 255, 256, 257, 258, 1000, 4094, 4095,
];
const IDS: [u32; 9] = [0, 0, 0, 1, 1000, 65534, 2_097_151, 2_097_152, u32::MAX];
const TIMES: [i64; 12] = [
    0,
    1,
    -1,
    -2,
    315_532_800,
    1_700_000_000,
    8_589_934_591,
    8_589_934_592,
    -62_135_596_800,
    253_402_300_800,
    i64::MAX,
    i64::MIN,
];
const HUGE: [u64; 5] = [
    8_589_934_591,
    8_589_934_592,
    1 << 40,
    i64::MAX as u64,
    u64::MAX,
];

struct Maker {
    random: Random,
    sizes: Sizes,
    directories: Vec<EntryPath>,
    used: BTreeSet<EntryPath>,
    entries: Vec<Entry>,
    contents: BTreeMap<Digest, Vec<u8>>,
}

/// The tree of `seed`; one in thirty is empty.
pub fn sample(seed: u64, sizes: Sizes) -> Sample {
    let mut maker = Maker {
        random: Random::new(seed),
        sizes,
        directories: vec![EntryPath::root()],
        used: BTreeSet::from([EntryPath::root()]),
        entries: Vec::new(),
        contents: BTreeMap::new(),
    };
    if !maker.random.once_in(30) {
        maker.fill();
    }
    Sample {
        tree: Tree::new(maker.entries).unwrap(),
        contents: maker.contents,
    }
}

impl Maker {
    fn fill(&mut self) {
        if self.random.once_in(2) {
            let meta = self.meta();
            self.add(EntryPath::root(), Kind::Directory, meta);
        }
        for _ in 0..=self.random.below(32) {
            let Some(path) = self.new_path() else {
                continue;
            };
            let kind = self.kind(&path);
            let meta = match kind {
                Kind::Whiteout => Meta::WHITEOUT,
                _ => self.meta(),
            };
            self.add(path, kind, meta);
        }
        for _ in 0..self.random.below(6) {
            self.link();
        }
    }

    fn add(&mut self, path: EntryPath, kind: Kind, meta: Meta) {
        self.entries.push(Entry { path, kind, meta });
    }

    /// A path that isn't taken, below a directory; now and then of a length that is a border.
    fn new_path(&mut self) -> Option<EntryPath> {
        let mut path = self.random.one_of(&self.directories).clone();
        if self.random.once_in(10) {
            let total = *self.random.one_of(&TOTALS);
            while total > path.as_bytes().len() + 1 {
                let taken = path.as_bytes().len() + usize::from(!path.is_root());
                let left = total - taken;
                let mut length = (*self.random.one_of(&LENGTHS)).min(left);
                if left == length + 1 {
                    // Not a slash and nothing behind it.
                    length = if length == 255 { 254 } else { length + 1 };
                }
                let is_ascii = !self.random.once_in(3);
                let name = self.name_of(length, is_ascii);
                let next = path.join(&EntryPath::new(&name).ok()?).ok()?;
                if next.as_bytes().len() < total && self.used.insert(next.clone()) {
                    self.directories.push(next.clone());
                    // A directory that hasn't changed is not in the layer, what is in it may be.
                    if self.random.once_in(2) {
                        let meta = self.meta();
                        self.add(next.clone(), Kind::Directory, meta);
                    }
                } else if next.as_bytes().len() < total && !self.directories.contains(&next) {
                    return None;
                }
                path = next;
            }
        } else {
            let name = self.name();
            path = path.join(&EntryPath::new(&name).ok()?).ok()?;
        }
        let is_free = path.name().is_some_and(|name| !name.starts_with(b".wh."));
        (is_free && self.used.insert(path.clone())).then_some(path)
    }

    fn name(&mut self) -> Vec<u8> {
        match self.random.below(8) {
            0..=3 => self.random.one_of(&TRAPS).to_vec(),
            4 => {
                let length = 1 + self.random.below(12);
                self.name_of(length, true)
            }
            5 => {
                let length = *self.random.one_of(&LENGTHS);
                self.name_of(length, false)
            }
            6 => (*self.random.one_of(&LETTERS)).repeat(1 + self.random.below(60)),
            _ => {
                let length = 1 + self.random.below(30);
                let mut name = self.random.bytes(length);
                name.retain(|&byte| byte != 0 && byte != b'/');
                name.push(b'x');
                name
            }
        }
    }

    /// A component of that many bytes.
    fn name_of(&mut self, length: usize, is_ascii: bool) -> Vec<u8> {
        let mut name = self.random.text(b"abcdefgh \x01\x7f-_%=", length);
        if !is_ascii {
            let letter = *self.random.one_of(&LETTERS);
            let at = self.random.below(length);
            for (place, byte) in name[at..].iter_mut().zip(letter) {
                *place = *byte;
            }
        }
        name
    }

    fn kind(&mut self, path: &EntryPath) -> Kind {
        match self.random.below(12) {
            0..=3 => self.file(),
            4 | 5 => {
                self.directories.push(path.clone());
                Kind::Directory
            }
            6 | 7 => {
                let target = match self.random.below(4) {
                    0 => b"../a b/\x01".to_vec(),
                    1 => {
                        let length = *self.random.one_of(&[99, 100, 101, 255, 4095]);
                        self.random.text(b"ab/.", length)
                    }
                    2 => self.random.one_of(&LETTERS).repeat(30),
                    _ => self.name(),
                };
                Kind::Symlink(target.into())
            }
            8 => Kind::CharacterDevice(self.device()),
            9 => {
                let device = self.device();
                if self.random.once_in(2) {
                    Kind::BlockDevice(device)
                } else {
                    Kind::Fifo
                }
            }
            _ => Kind::Whiteout,
        }
    }

    fn file(&mut self) -> Kind {
        if self.sizes == Sizes::Huge {
            let size = *self.random.one_of(&HUGE);
            let digest = Digest::of(&size.to_le_bytes());
            return Kind::File { size, digest };
        }
        let random = self.random.below(3000);
        let length = *self.random.one_of(&[0, 1, 511, 512, 513, 1024, random]);
        let content = self.random.bytes(length);
        let digest = Digest::of(&content);
        self.contents.insert(digest, content);
        let size = length as u64;
        Kind::File { size, digest }
    }

    fn device(&mut self) -> Device {
        const NUMBERS: [u32; 7] = [0, 1, 7, 8, 255, 4095, 2_097_151];
        let (major, minor) = (*self.random.one_of(&NUMBERS), *self.random.one_of(&NUMBERS));
        Device { major, minor }
    }

    /// A hard link that stands behind its file.
    fn link(&mut self) {
        let is_file = |entry: &&Entry| matches!(entry.kind, Kind::File { .. });
        let files: Vec<_> = self.entries.iter().filter(is_file).cloned().collect();
        if files.is_empty() {
            return;
        }
        let file = self.random.one_of(&files).clone();
        let Some(path) = self.new_path().filter(|path| *path > file.path) else {
            return;
        };
        self.add(path, Kind::Hardlink(file.path), file.meta);
    }

    fn meta(&mut self) -> Meta {
        let random = self.random.next();
        let mode = *self.random.one_of(&[
            0o644,
            0o755,
            0,
            0o7777,
            0o4755,
            0o2755,
            0o1777,
            (random & 0o7777) as u16,
        ]);
        let mtime = *self.random.one_of(&TIMES);
        Meta {
            mode,
            uid: *self.random.one_of(&IDS),
            gid: *self.random.one_of(&IDS),
            mtime: if self.random.once_in(8) {
                (random as i64) >> self.random.below(60)
            } else {
                mtime
            },
            xattrs: self.xattrs().map(Box::new),
        }
    }

    fn xattrs(&mut self) -> Option<Xattrs> {
        if !self.random.once_in(6) {
            return None;
        }
        const NAMES: [&[u8]; 8] = [
            b"security.capability",
            b"user.x",
            b"user.a b",
            b"user.\n",
            b"user.\xff",
            "user.\u{fc}".as_bytes(),
            b"trusted.overlay.opaque",
            b"user.%3D",
        ];
        let mut xattrs = Xattrs::new();
        for _ in 0..=self.random.below(4) {
            let name = *self.random.one_of(&NAMES);
            // With the record's other bytes these cross 99, 100, 999 and 1000 in LENGTH.
            let length = match self.random.below(4) {
                0 => self.random.below(4),
                1 => 60 + self.random.below(25),
                2 => 955 + self.random.below(35),
                _ if self.random.once_in(100) => 70_000,
                _ => *self.random.one_of(&[20, 40, 300]),
            };
            let value = self.random.bytes(length);
            xattrs.insert(name.into(), value.into());
        }
        Some(xattrs)
    }
}

/// Paths whose slashes stand where ustar's `name` and `prefix` begin and end, as entries of each
/// type; the last slash too, as the hundredth byte of a name that a PAX record holds.
pub fn borders(is_ascii: bool) -> Sample {
    let mut paths = BTreeSet::new();
    for before in [1, 50, 98, 99, 100, 101, 153, 154, 155, 156, 157, 200] {
        for behind in [1, 2, 95, 96, 97, 98, 99, 100, 101, 102] {
            paths.insert((before, behind));
        }
    }
    let mut entries = Vec::new();
    for (number, (before, behind)) in paths.into_iter().enumerate() {
        for (at, letter) in b"fdlhpw".iter().enumerate() {
            // Each pair has a folder of its own name, so that no file is another's parent.
            let mut folder = format!("{number:03}").into_bytes();
            folder.resize(before, b'x');
            folder.truncate(before);
            if before < 3 {
                folder = vec![b'A' + (number % 26) as u8; before];
            }
            let mut name = vec![*letter; behind];
            if !is_ascii && behind > 1 {
                name[behind - 2..].copy_from_slice("\u{fc}".as_bytes());
            }
            if before > 120 {
                folder[60] = b'/';
            }
            let path = [&folder[..], &name].join(&b'/');
            let path = EntryPath::new(&path).unwrap();
            let kind = match at {
                0 => Kind::File {
                    size: 0,
                    digest: Digest::of(b""),
                },
                1 => Kind::Directory,
                2 => Kind::Symlink(path.as_bytes().into()),
                3 => {
                    let mut target = path.as_bytes().to_vec();
                    target[before + 1..]
                        .iter_mut()
                        .filter(|byte| **byte == b'h')
                        .for_each(|byte| *byte = b'f');
                    Kind::Hardlink(EntryPath::new(&target).unwrap())
                }
                4 => Kind::Fifo,
                _ => Kind::Whiteout,
            };
            let meta = if at == 5 {
                Meta::WHITEOUT
            } else {
                Meta::plain(0o644, 1)
            };
            entries.push(Entry { path, kind, meta });
        }
    }
    entries.sort_by(Entry::order);
    entries.dedup_by(|a, b| a.path == b.path);
    Sample {
        tree: Tree::new(entries).unwrap(),
        contents: BTreeMap::from([(Digest::of(b""), Vec::new())]),
    }
}
