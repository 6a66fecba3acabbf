//! What ninja remembers of its last build.
//!
//! In: `.ninja_log` (versions 5 to 7) or `.ninja_deps` (version 4). Out: the same without how long
//! each command took, with the whole second of each time, and in the order of the names: what is built
//! beside each other ends in any order. Of an output the last record stays, which alone counts. Where
//! files are as old as the epoch, whatever ninja noted is newer, so that it builds nothing again.

use std::collections::BTreeMap;

use super::File;

const LOG: [&str; 3] = ["# ninja log v5", "# ninja log v6", "# ninja log v7"];
const DEPS: &[u8] = b"# ninjadeps\n\x04\0\0\0";
/// Of a record's length: that it has what an output was made of.
const HAS_DEPS: u32 = 1 << 31;
const SECOND: i64 = 1_000_000_000;

/// A log without durations.
pub(super) fn log(file: &File<'_>) -> Option<Vec<u8>> {
    let text = str::from_utf8(file.content).ok()?;
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let head = lines.next().filter(|head| LOG.contains(head))?;
    let mut by_output = BTreeMap::new();
    for line in lines {
        let mut columns = line.split('\t');
        let mut next = || columns.next();
        let (_, _, time, output, hash) = (next()?, next()?, next()?, next()?, next()?);
        let time = whole(time.parse().ok()?, file);
        if columns.next().is_some() {
            return None;
        }
        by_output.insert(output, format!("0\t0\t{time}\t{output}\t{hash}\n"));
    }
    let lines: String = by_output.into_values().collect();
    Some(format!("{head}\n{lines}").into_bytes())
}

/// What outputs were made of, by name.
pub(super) fn deps(file: &File<'_>) -> Option<Vec<u8>> {
    let mut rest = file.content.strip_prefix(DEPS)?;
    let mut paths: Vec<&[u8]> = Vec::new();
    let mut by_output: BTreeMap<&[u8], (i64, Vec<&[u8]>)> = BTreeMap::new();
    while !rest.is_empty() {
        let length = number(rest)?;
        let size = usize::try_from(length & !HAS_DEPS).ok()?;
        let (record, behind) = rest.get(4..)?.split_at_checked(size)?;
        rest = behind;
        if length & HAS_DEPS == 0 {
            let (path, sum) = record.split_at_checked(record.len().checked_sub(4)?)?;
            let end = path.iter().rposition(|byte| *byte != 0)? + 1;
            let path = path.get(..end)?;
            // The complement of the path's own number: a file that was cut off is known by it.
            if number(sum)? != !u32::try_from(paths.len()).ok()? {
                return None;
            }
            paths.push(path);
            continue;
        }
        let (words, odd) = record.as_chunks();
        let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let [output, low, high, inputs @ ..] = &words[..] else {
            return None;
        };
        let path = |id: &u32| paths.get(usize::try_from(*id).ok()?).copied();
        let inputs: Option<Vec<_>> = inputs.iter().map(path).collect();
        let time = (u64::from(*high) << 32 | u64::from(*low)).cast_signed();
        if !odd.is_empty() {
            return None;
        }
        by_output.insert(path(output)?, (whole(time, file), inputs?));
    }
    Some(written(&by_output))
}

/// A file that says so: each path stands before what it is first named in.
fn written(by_output: &BTreeMap<&[u8], (i64, Vec<&[u8]>)>) -> Vec<u8> {
    let mut content = DEPS.to_vec();
    let mut numbers: BTreeMap<&[u8], u32> = BTreeMap::new();
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    for (output, (time, inputs)) in by_output {
        let mut ids = Vec::new();
        for path in [output].into_iter().chain(inputs) {
            let next = size(numbers.len());
            let id = numbers.entry(path).or_insert_with(|| {
                let padded = path.len().next_multiple_of(4);
                content.extend(size(padded + 4).to_le_bytes());
                content.extend(*path);
                content.resize(content.len() + padded - path.len(), 0);
                content.extend((!next).to_le_bytes());
                next
            });
            ids.push(id.to_le_bytes());
        }
        let record = (size(4 * ids.len() + 8) | HAS_DEPS).to_le_bytes();
        let (output, inputs) = ids.split_at(1);
        let time = time.to_le_bytes();
        content.extend([&record, output.as_flattened(), &time, inputs.as_flattened()].concat());
    }
    content
}

/// A time in nanoseconds, to the second; the moment in which the command really ran is the epoch.
fn whole(time: i64, file: &File<'_>) -> i64 {
    let seconds = time.div_euclid(SECOND);
    match (file.times.leaked(seconds), file.times.made(seconds)) {
        (true, _) => file.times.epoch.saturating_mul(SECOND),
        (_, true) => seconds.saturating_mul(SECOND),
        _ => time,
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::normal::times::tests::judged;

    /// Three files, each made beside the others of two, which ninja learns from the compiler.
    const BUILD: &str = "\
rule copy
  command = sleep $wait; cp $in $out && echo $out: other a-name > $out.d
  depfile = $out.d
  deps = gcc
build one: copy a
  wait = FIRST
build deep/two: copy a
  wait = 0.05
build three-and-more: copy a
  wait = LAST
";

    fn ninja(folder: &Path, arguments: &[&str]) -> Option<String> {
        let output = Command::new("ninja")
            .arg("-C")
            .arg(folder)
            .args(arguments)
            .output()
            .ok()?;
        assert!(output.status.success(), "{output:?}");
        Some(String::from_utf8(output.stdout).unwrap())
    }

    fn touch(folder: &Path, time: &str) {
        let files = ["a", "a-name", "other", "one", "deep/two", "three-and-more"];
        let mut touch = Command::new("touch");
        touch
            .current_dir(folder)
            .args(["-c", "-d", time])
            .args(files);
        assert!(touch.status().unwrap().success());
    }

    /// What ninja left of a build; none where there is none.
    fn built(first: &str, last: &str) -> Option<(tempfile::TempDir, [Vec<u8>; 2])> {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        let build = BUILD.replace("FIRST", first).replace("LAST", last);
        std::fs::write(place.join("build.ninja"), build).unwrap();
        for name in ["a", "a-name", "other"] {
            std::fs::write(place.join(name), name).unwrap();
        }
        ninja(place, &["-j", "4"])?;
        // What is built again has two records.
        std::fs::remove_file(place.join("deep/two")).unwrap();
        ninja(place, &["-j", "4"])?;
        let read = |name| std::fs::read(place.join(name)).unwrap();
        let left = [".ninja_log", ".ninja_deps"].map(read);
        Some((folder, left))
    }

    fn now(content: &[u8], rewrite: fn(&File<'_>) -> Option<Vec<u8>>) -> Vec<u8> {
        let times = crate::normal::Times {
            epoch: 315_532_800,
            ran: 0..=i64::MAX,
            own: None,
        };
        rewrite(&File {
            content,
            below: None,
            times: &times,
        })
        .unwrap()
    }

    #[test]
    fn what_ninja_left_twice_is_the_same_and_it_builds_nothing_again() {
        let Some((folder, one)) = built("0.01", "0.1") else {
            return;
        };
        let (_other, two) = built("0.01", "0.1").unwrap();
        assert_ne!(one, two);
        let rewritten = |[log, deps]: &[Vec<u8>; 2]| [now(log, super::log), now(deps, super::deps)];
        let first = rewritten(&one);
        assert_eq!(first, rewritten(&two));
        for (name, content) in [".ninja_log", ".ninja_deps"].iter().zip(&first) {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        touch(folder.path(), "@315532800");
        assert!(ninja(folder.path(), &[]).unwrap().contains("no work to do"));
        let known = ninja(folder.path(), &["-t", "deps", "deep/two"]).unwrap();
        assert!(
            known.contains("#deps 2") && known.contains("VALID"),
            "{known}"
        );
        // What changes afterwards is still built.
        std::fs::write(folder.path().join("a-name"), "other").unwrap();
        touch(folder.path(), "@4000000000");
        let told = ninja(folder.path(), &["-n"]).unwrap();
        assert!(!told.contains("no work to do"), "{told}");
    }

    #[test]
    fn names_are_in_order_whichever_ended_first() {
        let (Some((_one, one)), Some((_two, two))) = (built("0.01", "0.1"), built("0.1", "0.01"))
        else {
            return;
        };
        assert_eq!(now(&one[1], deps), now(&two[1], deps));
    }

    #[test]
    fn what_is_cut_off_or_of_another_version_stays() {
        let log = b"# ninja log v5\n3\t7\t1790000001500000000\tout\tabc\n";
        let expected = b"# ninja log v5\n0\t0\t315532800000000000\tout\tabc\n";
        assert_eq!(judged(super::log, log).unwrap(), expected);
        let own = b"# ninja log v6\n0\t0\t1000000001500000000\tout\tabc\n";
        let expected = b"# ninja log v6\n0\t0\t1000000001000000000\tout\tabc\n";
        assert_eq!(judged(super::log, own).unwrap(), expected);
        for length in 16..log.len() {
            assert_eq!(judged(super::log, &log[..length]), None);
        }
        for other in [
            &b"# ninja log v4\n"[..],
            b"# ninja log v5\n1\t2\t3\ta\tb\tc\n",
        ] {
            assert_eq!(judged(super::log, other), None);
        }
        let path = |name: &[u8; 4], id: u32| {
            [&8_u32.to_le_bytes()[..], name, &(!id).to_le_bytes()].concat()
        };
        let whole = [DEPS, &path(b"a\0\0\0", 0), &path(b"bcde", 1)].concat();
        assert_eq!(judged(deps, &whole).unwrap(), DEPS);
        let wrong = [DEPS, &path(b"a\0\0\0", 0), &path(b"bcde", 2)].concat();
        assert_eq!(judged(deps, &wrong), None);
        for length in DEPS.len() + 1..whole.len() {
            let kept = judged(deps, &whole[..length]);
            assert_eq!(kept.is_some(), length == DEPS.len() + 12, "{length}");
        }
    }
}
