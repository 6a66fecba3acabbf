//! What git's index remembers of the file system that its files lay on.
//!
//! In: an index (gitformat-index(5)), versions 2 to 4. Out: the same without the numbers of files and
//! devices, and the times at which what is told of the files last changed. Git compares them with what
//! it finds, and reads a file anew where they differ: in an image they always do.
//!
//! An index that doesn't end with the sum of all that is before stays as it is.

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use super::File;

const MAGIC: &[u8] = b"DIRC";
/// Magic, version, how many entries.
const HEAD: usize = 12;
/// Of an entry: two times, device, number, mode, user, group, size.
const FIXED: usize = 40;
/// What is left out of them: the first time, and the two numbers.
const LEFT_OUT: [std::ops::Range<usize>; 2] = [0..8, 16..24];
/// What an index ends with, of all before.
type Sum = fn(&[u8]) -> Vec<u8>;
/// That two more bytes of flags follow, from version 3.
const IS_EXTENDED: u16 = 0x4000;

pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Without what the file system alone knew.
pub(super) fn cleared(file: &File<'_>) -> Option<Vec<u8>> {
    let content = file.content;
    if !begins(content) {
        return None;
    }
    let sums: [Sum; 2] = [
        |body| Sha1::digest(body).to_vec(),
        |body| Sha256::digest(body).to_vec(),
    ];
    sums.into_iter().find_map(|sum| {
        let length = sum(b"").len();
        let (body, end) = content.split_at_checked(content.len().checked_sub(length)?)?;
        if sum(body) != end {
            return None;
        }
        let mut body = body.to_vec();
        clear(&mut body, length)?;
        body.extend(sum(&body));
        Some(body)
    })
}

/// Clears the entries of an index whose objects are named by so many bytes; none where there are not
/// as many as it says.
fn clear(body: &mut [u8], name: usize) -> Option<()> {
    let number = |at: usize, body: &[u8]| Some(u32::from_be_bytes(*body.get(at..)?.first_chunk()?));
    let (version, entries) = (number(4, body)?, number(8, body)?);
    if !(2..=4).contains(&version) {
        return None;
    }
    let mut at = HEAD;
    for _ in 0..entries {
        let entry = body.get_mut(at..)?;
        let fixed = entry.get_mut(..FIXED)?;
        for part in LEFT_OUT {
            fixed[part].fill(0);
        }
        let flags = entry.get(FIXED + name..)?.first_chunk()?;
        let is_extended = version >= 3 && u16::from_be_bytes(*flags) & IS_EXTENDED != 0;
        let path = FIXED + name + if is_extended { 4 } else { 2 };
        // From version 4 on it is what is other than in the path before, behind a number whose last byte
        // alone is below 128: the number may hold NULs.
        let behind = match version {
            4 => path + entry.get(path..)?.iter().position(|byte| *byte < 128)? + 1,
            _ => path,
        };
        let end = behind + entry.get(behind..)?.iter().position(|byte| *byte == 0)? + 1;
        at += match version {
            4 => end,
            _ => end.next_multiple_of(8),
        };
    }
    (at <= body.len()).then_some(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::normal::times::tests::judged;

    /// An index of two files as git writes it, in a repository of such a kind, whose files were last
    /// changed at other times and have other numbers each time it is made; none where there is no git.
    fn index(arguments: &[&str], version: &str) -> Option<(tempfile::TempDir, Vec<u8>)> {
        let folder = tempfile::tempdir().unwrap();
        let git = |words: &[&str]| {
            let mut command = Command::new("git");
            command.env_clear().env("HOME", folder.path());
            command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
            command.arg("-C").arg(folder.path()).args(words);
            let output = command.output().ok()?;
            assert!(output.status.success(), "{output:?}");
            Some(output)
        };
        git(&[&["init", "-q"], arguments].concat())?;
        for name in [
            "a",
            "a-long-name-that-is-cut/into",
            "a-long-name-that-is-cut/pieces",
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, name).unwrap();
            let touch = ["-d", "@1500000000"];
            let touched = Command::new("touch").args(touch).arg(path).status();
            assert!(touched.unwrap().success());
        }
        git(&["update-index", "--index-version", version])?;
        git(&["add", "a", "a-long-name-that-is-cut"])?;
        // A flag that version 3 was made for.
        if version != "2" {
            git(&["update-index", "--skip-worktree", "a"])?;
        }
        let content = std::fs::read(folder.path().join(".git/index")).unwrap();
        Some((folder, content))
    }

    #[test]
    fn what_git_wrote_twice_is_the_same_and_git_reads_it() {
        for (arguments, version) in [
            (&[][..], "2"),
            (&[], "3"),
            (&[], "4"),
            (&["--object-format=sha256"], "2"),
            (&["--object-format=sha256"], "4"),
        ] {
            let Some((folder, one)) = index(arguments, version) else {
                return;
            };
            let (_other, two) = index(arguments, version).unwrap();
            assert_ne!(one, two);
            let cleared = judged(cleared, &one).unwrap();
            assert_eq!(Some(&cleared), judged(super::cleared, &two).as_ref());
            assert_eq!(judged(super::cleared, &cleared), None);
            std::fs::write(folder.path().join(".git/index"), &cleared).unwrap();
            for (words, expected) in [
                (
                    &["ls-files"][..],
                    "a\na-long-name-that-is-cut/into\na-long-name-that-is-cut/pieces\n",
                ),
                (&["fsck", "--strict"], ""),
                (&["diff", "--name-only"], ""),
            ] {
                let mut git = Command::new("git");
                let output = git
                    .arg("-C")
                    .arg(folder.path())
                    .args(words)
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{output:?}");
                assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
            }
        }
    }

    #[test]
    fn what_is_cut_off_or_has_another_sum_stays() {
        let Some((_folder, whole)) = index(&[], "2") else {
            return;
        };
        for length in 0..whole.len() {
            assert_eq!(judged(cleared, &whole[..length]), None);
        }
        let mut other = whole;
        other[HEAD] ^= 1;
        assert_eq!(judged(cleared, &other), None);
    }

    #[test]
    fn an_index_that_says_more_than_it_holds_stays() {
        let summed = |body: &[u8]| [body, &Sha1::digest(body)].concat();
        for body in [
            &b"DIRC\0\0\0\x02\0\0\0\x01"[..],
            b"DIRC\0\0\0\x05\0\0\0\0",
            &[b"DIRC\0\0\0\x02\0\0\0\x01", &[1; FIXED + 20 + 2][..]].concat(),
            &[b"DIRC\0\0\0\x04\0\0\0\x01", &[0xff; FIXED + 20 + 9][..]].concat(),
        ] {
            assert_eq!(judged(cleared, &summed(body)), None, "{body:x?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_entries_make_it_panic(
            version in 2..5_u32,
            entries in 0..4_u32,
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        ) {
            let head = [MAGIC, &version.to_be_bytes(), &entries.to_be_bytes()].concat();
            let body = [head, bytes].concat();
            let whole = [&body[..], &Sha1::digest(&body)].concat();
            if let Some(cleared) = judged(cleared, &whole) {
                assert_eq!(cleared.len(), whole.len());
            }
        }
    }
}
