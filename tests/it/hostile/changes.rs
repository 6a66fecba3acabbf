//! Files that change while they are read: noticed and named, never packed half old and half new.
//!
//! When to change a file is not left to chance: cairn opens it once to learn its digest, and once
//! to pack it, and /proc tells when it does. The file is large enough that it is far from read by
//! then.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Stdio};

use super::{Case, UNAVAILABLE};
use crate::support::recipes::entries;

const SIZE: u64 = 384 << 20;

/// A file of zeros that takes no room, with an old time.
fn make_sparse(path: &Path) {
    File::create(path).unwrap().set_len(SIZE).unwrap();
}

/// Whether the process has `path` open now.
fn has_open(process: &Child, path: &Path) -> bool {
    let folder = format!("/proc/{}/fd", process.id());
    let Ok(_) = std::fs::metadata(&folder) else {
        return false;
    };
    let links = std::panic::catch_unwind(|| entries(Path::new(&folder))).unwrap_or_default();
    links
        .iter()
        .any(|link| std::fs::read_link(link).is_ok_and(|to| to == path))
}

/// Waits until `is_so`; false where the process ended before.
fn wait_until(process: &mut Child, is_so: impl Fn(&Child) -> bool) -> bool {
    loop {
        if is_so(process) {
            return true;
        }
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
}

/// Changes the file when it is open for the `time`th time; what became of the build.
#[track_caller]
fn changed_at(time: u32, change: &dyn Fn(&Path)) -> String {
    // That the change came while the file was open is seen afterwards; else it is tried again.
    for _ in 0..60 {
        let case = Case::new("[[steps]]\ncopy = { paths = [\".\"], to = \"/app\" }\n");
        let path = case.context("large");
        make_sparse(&path);
        let path = path.canonicalize().unwrap();
        let mut command = case.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut is_there = wait_until(&mut process, |process| has_open(process, &path));
        for _ in 1..time {
            is_there &= wait_until(&mut process, |process| !has_open(process, &path));
            is_there &= wait_until(&mut process, |process| has_open(process, &path));
        }
        change(&path);
        let folder = format!("/proc/{}/fd", process.id());
        let still = std::panic::catch_unwind(|| entries(Path::new(&folder))).unwrap_or_default();
        let name = path.to_string_lossy().into_owned();
        // Removed ones are shown as such.
        let is_it = |link: &std::path::PathBuf| {
            std::fs::read_link(link).is_ok_and(|to| to.to_string_lossy().starts_with(&name))
        };
        let was_in_time = is_there && still.iter().any(is_it);
        let output = process.wait_with_output().unwrap();
        if was_in_time {
            let text = super::must_be_clear(&output, UNAVAILABLE, &["large"]);
            case.must_be_clean();
            return text;
        }
    }
    panic!("the change never came in time");
}

/// A way to change a file.
type Change = fn(&Path);

/// Several of them.
fn changes() -> [(&'static str, Change); 6] {
    fn append(path: &Path) {
        File::options()
            .append(true)
            .open(path)
            .unwrap()
            .write_all(b"more")
            .unwrap();
    }
    fn beginning(path: &Path) {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .write_at(b"x", 0)
            .unwrap();
    }
    fn end(path: &Path) {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .write_at(b"x", SIZE - 1)
            .unwrap();
    }
    fn truncate(path: &Path) {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(SIZE / 2)
            .unwrap();
    }
    fn rewrite(path: &Path) {
        // Same length, same content at the end, and the time set back.
        let file = File::options().write(true).open(path).unwrap();
        let time = file.metadata().unwrap().modified().unwrap();
        file.write_at(b"x", 0).unwrap();
        file.write_at(b"\0", 0).unwrap();
        file.set_modified(time).unwrap();
    }
    fn replace(path: &Path) {
        let other = path.with_file_name("other");
        make_sparse(&other);
        #[expect(clippy::disallowed_methods, reason = "as an editor does")]
        std::fs::rename(&other, path).unwrap();
    }
    [
        ("append", append),
        ("beginning", beginning),
        ("end", end),
        ("truncate", truncate),
        ("rewrite", rewrite),
        ("replace", replace),
    ]
}

#[test]
fn a_change_while_the_digest_is_read_is_named() {
    for (name, change) in changes() {
        let text = changed_at(1, &change);
        assert!(text.contains("changed while"), "{name}: {text}");
    }
}

#[test]
fn a_change_while_the_layer_is_packed_is_named() {
    for (name, change) in changes() {
        let text = changed_at(2, &change);
        let words = ["changed while", "ended", "longer than it was"];
        assert!(
            words.iter().any(|word| text.contains(word)),
            "{name}: {text}"
        );
    }
}

#[test]
fn a_writer_that_never_stops_is_noticed() {
    let case = Case::new("[[steps]]\ncopy = { paths = [\".\"], to = \"/app\" }\n");
    let path = case.context("log");
    std::fs::write(&path, vec![b'x'; 8 << 20]).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = File::options().write(true).open(&path).unwrap();
            let mut number = 0_u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                number += 1;
                file.write_at(&number.to_be_bytes(), number % 1000 * 8000)
                    .unwrap();
                std::thread::yield_now();
            }
        });
        let output = case.command().output().unwrap();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        super::must_be_clear(&output, UNAVAILABLE, &["/log", "changed"]);
    });
    case.must_be_clean();
    // And when it has stopped, nothing of it is remembered wrongly.
    case.must_build();
    let list = case.must_list();
    assert!(list.contains("app/log"), "{list}");
    let files = std::fs::read(case.path("out/files.tar")).unwrap();
    let content = std::fs::read(&path).unwrap();
    assert!(
        files
            .windows(512)
            .step_by(512)
            .any(|block| block == &content[..512])
    );
}
