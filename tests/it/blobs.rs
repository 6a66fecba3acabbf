//! Blobs: standard to everybody's programs, the same on any number of cores, and no chunk of them
//! compressed twice.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use cairn::canon::{Digest, EntryPath};
use cairn::layer::chunk::{Compressed, KnownChunks};
use cairn::layer::pack::Packed;
use cairn::layer::{Codec, Entry, Kind, Meta, Tree};

use crate::support::programs::{program, run};
use crate::support::trees::{NoneKnown, Random, Sample};
use crate::support::{require, temp};

/// Digests of [`large`]'s blobs. Made once by cairn itself, so they say nothing about what is
/// right, but that it stays: they may change only with the format (src/canon/format.rs).
const GOLDEN: [(Codec, &str); 2] = [
    (
        Codec::Gzip,
        "8dc50cd12f7e21b8a7e533755b830b2e6a1746805cc4058517e244b576e8d6a2",
    ),
    (
        Codec::Zstd,
        "e2a4f0e5497a67f420f3a29c801fc6da13dd8e565a7775cf5f5c4630785c8152",
    ),
];

/// Some megabytes: a few large files, many small ones, of text and of what doesn't compress.
fn large() -> Sample {
    let mut random = Random::new(1);
    let (mut entries, mut contents) = (Vec::new(), BTreeMap::new());
    let mut add = |path: String, kind, mode, mtime| {
        let path = EntryPath::new(path.as_bytes()).unwrap();
        let meta = Meta::plain(mode, mtime);
        entries.push(Entry { path, kind, meta });
    };
    add(String::new(), Kind::Directory, 0o755, 315_532_800);
    for folder in 0..12_i64 {
        let mode = if folder == 3 { 0o1777 } else { 0o755 };
        add(
            format!("d{folder}"),
            Kind::Directory,
            mode,
            1_000_000_000 + folder,
        );
        for number in 0..40 {
            let length = match (folder, number) {
                (0..=3, 0) => 1_500_000,
                _ => random.below(9000),
            };
            let content = match number % 3 {
                0 => random.bytes(length),
                1 => random.text(b"etaoin shrdlu\n", length),
                _ => b"the same line again\n".repeat(length / 20),
            };
            let digest = Digest::of(&content);
            let size = content.len() as u64;
            contents.insert(digest, content);
            let name = format!("d{folder}/f\u{fc}r {number}");
            let mode = if number == 7 { 0o4755 } else { 0o644 };
            add(
                name.clone(),
                Kind::File { size, digest },
                mode,
                1_600_000_000 + number,
            );
            if number == 5 {
                let target = EntryPath::new(name.as_bytes()).unwrap();
                add(
                    format!("d{folder}/link"),
                    Kind::Hardlink(target),
                    mode,
                    1_600_000_000 + number,
                );
            }
        }
        let target = "x".repeat(folder as usize * 20 + 1);
        add(
            format!("d{folder}/symlink"),
            Kind::Symlink(target.as_bytes().into()),
            0o777,
            7,
        );
        add(format!("d{folder}/pipe"), Kind::Fifo, 0o600, 8);
    }
    Sample {
        tree: Tree::new(entries).unwrap(),
        contents,
    }
}

/// Counts the chunks that nobody compressed before.
struct Cache {
    chunks: BTreeMap<Digest, Compressed>,
    missed: AtomicUsize,
}

impl KnownChunks for Cache {
    fn get(&self, key: &Digest) -> Option<Compressed> {
        let found = self.chunks.get(key).cloned();
        self.missed
            .fetch_add(usize::from(found.is_none()), Ordering::Relaxed);
        found
    }
}

/// All chunks of a blob.
fn cache(packed: &Packed, blob: &[u8]) -> Cache {
    let chunks = packed.chunks.iter().map(|place| {
        let bytes = blob[place.offset as usize..][..place.size as usize].to_vec();
        let (key, raw_size, crc) = (place.key, place.raw_size, place.crc);
        (
            key,
            Compressed {
                key,
                raw_size,
                crc,
                bytes,
                is_new: false,
            },
        )
    });
    Cache {
        chunks: chunks.collect(),
        missed: AtomicUsize::new(0),
    }
}

const CODECS: [Codec; 2] = [Codec::Gzip, Codec::Zstd];

#[test]
fn bytes_are_pinned_and_do_not_depend_on_threads() {
    let sample = large();
    for (codec, golden) in GOLDEN {
        let (packed, blob) = sample.packed(codec, &NoneKnown, 1);
        assert!(packed.chunks.len() > 4, "{}", packed.chunks.len());
        assert_eq!(Digest::of(&blob).hex(), golden, "{codec:?}");
        for threads in [2, 5] {
            assert!((packed.clone(), blob.clone()) == sample.packed(codec, &NoneKnown, threads));
        }
    }
}

#[test]
fn no_chunk_is_compressed_twice() {
    let sample = large();
    let sizes: Vec<_> = sample
        .contents
        .iter()
        .map(|(key, content)| (*key, content.len()))
        .collect();
    for codec in CODECS {
        let (packed, blob) = sample.packed(codec, &NoneKnown, 2);
        let known = cache(&packed, &blob);
        let (again, same) = sample.packed(codec, &known, 2);
        assert!(blob == same && packed.diff_id == again.diff_id);
        assert!(again.chunks.iter().all(|chunk| !chunk.is_new));
        assert_eq!(known.missed.into_inner(), 0, "{codec:?}");
    }
    let (packed, blob) = sample.packed(Codec::Gzip, &NoneKnown, 2);
    let large = sizes.iter().filter(|(_, size)| *size >= 1_400_000);
    let small = sizes.iter().filter(|(_, size)| (1..1000).contains(size));
    let mut changed = 0;
    for (key, size) in large.chain(small.take(6)) {
        let known = cache(&packed, &blob);
        let (_, other) = with_change(&sample, key, size / 2).packed(Codec::Gzip, &known, 2);
        assert!(other != blob);
        let missed = known.missed.into_inner();
        assert!(
            (1..=3).contains(&missed),
            "{missed} of {}",
            packed.chunks.len()
        );
        changed += 1;
    }
    assert_eq!(changed, 10);
}

/// The sample with another byte at `at` of the files that hold `content`.
fn with_change(sample: &Sample, content: &Digest, at: usize) -> Sample {
    let mut contents = sample.contents.clone();
    let mut bytes = contents.remove(content).unwrap();
    bytes[at] ^= 1;
    let changed = Digest::of(&bytes);
    contents.insert(changed, bytes);
    let mut entries = sample.tree.entries().to_vec();
    for entry in &mut entries {
        match &mut entry.kind {
            Kind::File { digest, .. } if digest == content => *digest = changed,
            _ => {}
        }
    }
    Sample {
        tree: Tree::new(entries).unwrap(),
        contents,
    }
}

/// A content that isn't what its digest says gets no other content's chunk.
#[test]
fn a_wrong_digest_takes_no_chunk_of_the_right_one() {
    let mut sample = large();
    let (packed, blob) = sample.packed(Codec::Gzip, &NoneKnown, 2);
    let known = cache(&packed, &blob);
    for content in sample.contents.values_mut().filter(|it| it.len() > 2000) {
        content[1000] ^= 1;
    }
    let (plain, expected) = sample.packed(Codec::Gzip, &NoneKnown, 2);
    let (with_known, got) = sample.packed(Codec::Gzip, &known, 2);
    assert!(got == expected && with_known.diff_id == plain.diff_id);
    assert!(plain.diff_id != packed.diff_id);
}

/// Writes the sample's blobs: their codec, the program that knows it, and where they are.
fn written(folder: &Path, sample: &Sample) -> [(Codec, &'static str, PathBuf); 2] {
    let programs = [(Codec::Gzip, "gzip"), (Codec::Zstd, "zstd")];
    programs.map(|(codec, name)| {
        let path = folder.join(format!("layer.tar.{name}"));
        std::fs::write(&path, sample.packed(codec, &NoneKnown, 2).1).unwrap();
        (codec, name, path)
    })
}

#[test]
fn gzip_pigz_and_zstd_unpack_the_archive() {
    let (folder, sample) = (temp(), large());
    let (_, tar) = sample.tar();
    for (_, name, path) in written(folder.path(), &sample) {
        let others = ["pigz", "bsdcat"]
            .into_iter()
            .filter(|other| name == "gzip" || *other != "pigz");
        for other in [name].into_iter().chain(others) {
            if !require(other) {
                continue;
            }
            if other != "bsdcat" {
                run(program(other, &["-t"]).arg(&path));
            }
            let arguments: &[&str] = if other == "bsdcat" { &[] } else { &["-dc"] };
            let output = program(other, arguments).arg(&path).output().unwrap();
            assert!(output.stdout == tar, "{other} {path:?}");
        }
    }
}

#[test]
fn gnu_tar_and_bsdtar_unpack_the_tree() {
    let (folder, sample) = (temp(), large());
    for (_, name, path) in written(folder.path(), &sample) {
        for other in ["tar", "bsdtar"] {
            if !require(other) || !require(name) {
                continue;
            }
            let to = folder.path().join(format!("{other}-{name}"));
            std::fs::create_dir(&to).unwrap();
            let mut command = program(other, &["-x", "-p", "--numeric-owner", "-f"]);
            run(command
                .arg(&path)
                .arg("-C")
                .arg(&to)
                .env("LC_ALL", "C.UTF-8"));
            // bsdtar leaves alone the time of the folder that it unpacks into.
            assert_unpacked(&to, &sample, other == "tar");
        }
    }
}

/// Whether `folder` holds all that the table says, and nothing else.
fn assert_unpacked(folder: &Path, sample: &Sample, root_has_time: bool) {
    let is_root = rustix::process::geteuid().is_root();
    for entry in sample.tree.entries() {
        let path = folder.join(std::str::from_utf8(entry.path.as_bytes()).unwrap());
        let found = path.symlink_metadata().unwrap();
        let kind = match &entry.kind {
            Kind::File { digest, .. } => {
                assert_eq!(
                    Digest::of(&std::fs::read(&path).unwrap()),
                    *digest,
                    "{path:?}"
                );
                0o100_000
            }
            Kind::Hardlink(target) => {
                let target = folder.join(std::str::from_utf8(target.as_bytes()).unwrap());
                assert_eq!(found.ino(), target.metadata().unwrap().ino(), "{path:?}");
                0o100_000
            }
            Kind::Directory => 0o040_000,
            Kind::Symlink(target) => {
                let found = std::fs::read_link(&path).unwrap();
                assert_eq!(found.as_os_str().as_encoded_bytes(), &target[..]);
                0o120_000
            }
            _ => 0o010_000,
        };
        assert_eq!(
            found.permissions().mode(),
            kind | u32::from(entry.meta.mode),
            "{path:?}"
        );
        if root_has_time || !entry.path.is_root() {
            assert_eq!(found.mtime(), entry.meta.mtime, "{path:?}");
        }
        if is_root {
            assert_eq!((found.uid(), found.gid()), (0, 0), "{path:?}");
        }
    }
    let all = walk(folder);
    assert_eq!(all, sample.tree.entries().len());
}

/// How much there is, the folder itself counted.
#[expect(clippy::disallowed_methods, reason = "counting needs no order")]
fn walk(path: &Path) -> usize {
    if !path.symlink_metadata().unwrap().is_dir() {
        return 1;
    }
    let below = std::fs::read_dir(path).unwrap();
    1 + below
        .map(|entry| walk(&entry.unwrap().path()))
        .sum::<usize>()
}
