//! Files that change while they are read: noticed and named, never packed half old and half new.
//!
//! When to change a file is not left to chance: cairn opens it once to learn its digest, and once
//! to pack it, or where it never built anything like it once for both, and inotify tells when it
//! does. The file is large enough that it is far from read by then.

use std::fs::File;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify;
use rustix::time::Timespec;

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
    // It may have ended.
    let links = std::panic::catch_unwind(|| entries(Path::new(&folder))).unwrap_or_default();
    // Removed ones are shown as such.
    let name = path.to_str().unwrap();
    links
        .iter()
        .filter_map(|link| std::fs::read_link(link).ok())
        .any(|to| to.to_string_lossy().starts_with(name))
}

/// Waits until a file has been opened for the `time`th time; false where the process ended before.
fn wait_until_opened(process: &mut Child, openings: &OwnedFd, time: u32) -> bool {
    let mut room = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(openings, &mut room);
    let mut opened = 0;
    while opened < time {
        let mut waits = [PollFd::new(openings, PollFlags::IN)];
        let wait = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        if poll(&mut waits, Some(&wait)).unwrap() == 0 {
            if process.try_wait().unwrap().is_some() {
                return false;
            }
            continue;
        }
        events.next().unwrap();
        opened += 1;
    }
    true
}

/// Changes the file when it is open for the `time`th time, of a recipe that was built before or
/// wasn't; what became of the build.
#[track_caller]
fn changed_at(was_built: bool, time: u32, change: &dyn Fn(&Path)) -> String {
    // That the change came while the file was open is seen afterwards; else it is tried again.
    for _ in 0..60 {
        let case = Case::new("[[steps]]\ncopy = { paths = [\".\"], to = \"/app\" }\n");
        let path = case.context("large");
        if was_built {
            std::fs::write(&path, "small").unwrap();
            case.must_build();
            std::fs::remove_file(case.path("out/image.tar")).unwrap();
        }
        make_sparse(&path);
        let path = path.canonicalize().unwrap();
        let openings = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&openings, &path, inotify::WatchFlags::OPEN).unwrap();
        let mut command = case.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let is_there = wait_until_opened(&mut process, &openings, time);
        change(&path);
        let was_in_time = is_there && has_open(&process, &path);
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
fn a_change_while_the_file_is_read_once_for_all_is_named() {
    for (name, change) in changes() {
        let text = changed_at(false, 1, &change);
        assert!(text.contains("changed while"), "{name}: {text}");
    }
}

#[test]
fn a_change_while_the_digest_is_read_is_named() {
    for (name, change) in changes() {
        let text = changed_at(true, 1, &change);
        assert!(text.contains("changed while"), "{name}: {text}");
    }
}

#[test]
fn a_change_while_the_layer_is_packed_is_named() {
    for (name, change) in changes() {
        let text = changed_at(true, 2, &change);
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
