//! Cairns that are ended in the middle of their work.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::Case;
use crate::support::random::Random;
use crate::support::recipes::{checkout, digests, entries};
use crate::support::{cairn, run, temp};

fn start(command: &mut Command) -> Child {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn end(process: &Child, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    // It may have ended by itself.
    let _ = kill_process(id, signal);
}

/// Waits until a folder holds something; false where the process ended before.
fn wait_for_content(process: &mut Child, folder: &Path) -> bool {
    loop {
        if folder.is_dir() && !entries(folder).is_empty() {
            return true;
        }
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_killed_build_leaves_a_store_that_works() {
    let (checkout, store, out) = (checkout(), temp(), temp());
    let mut random = Random::new(7);
    let archive = out.path().join("image.tar");
    let mut was_killed = 0;
    for round in 0..12 {
        let name = ["large", "base", "unpack"][round % 3];
        let mut command = cairn(store.path());
        command.args(checkout.arguments(name));
        let mut build = start(&mut command);
        // Up to what a whole build of it takes.
        let longest = if name == "large" { 600_000 } else { 30_000 };
        let moment = Duration::from_micros(random.below(longest));
        std::thread::sleep(moment);
        end(&build, Signal::KILL);
        was_killed += usize::from(!build.wait().unwrap().success());
        let mut command = cairn(store.path());
        command.args(checkout.arguments(name));
        command
            .arg("-o")
            .arg(format!("type=oci,dest={}", archive.display()));
        assert_eq!(
            run(&mut command).trim_end(),
            digests()[name],
            "killed after {moment:?}"
        );
        assert!(entries(&store.path().join("tmp")).is_empty());
        let list = run(Command::new("tar").arg("-tf").arg(&archive));
        assert!(list.contains("index.json"));
        if round % 4 == 3 {
            std::fs::remove_dir_all(store.path()).unwrap();
        }
    }
    assert!(was_killed >= 4, "{was_killed}");
}

/// Sends a signal when `folder` of the case holds something, and looks at what is left.
fn interrupted(case: &Case, command: &mut Command, folder: &str, signal: Signal) {
    let mut build = start(command);
    assert!(
        wait_for_content(&mut build, &case.path(folder)),
        "it was too fast"
    );
    end(&build, signal);
    let output = build.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = if signal == Signal::INT { 130 } else { 143 };
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text, "interrupted\n");
    assert!(output.stdout.is_empty());
    super::must_be_empty(&case.path("out"));
}

#[test]
fn interrupt_and_terminate_end_a_build_and_leave_nothing_beside_its_output() {
    let case = Case::new("[[steps]]\ncopy = { paths = [\".\"], to = \"/app\" }\n");
    std::fs::File::create(case.context("zeros"))
        .unwrap()
        .set_len(256 << 20)
        .unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        interrupted(&case, &mut case.command(), "store/tmp", signal);
        // What it left in its store would be taken for the work of the next one.
        std::fs::remove_dir_all(case.path("store")).unwrap();
    }
    let mut plain = cairn(&case.path("store"));
    let words = case
        .arguments()
        .into_iter()
        .filter(|word| !word.starts_with("--output"));
    let words: Vec<_> = words.collect();
    run(plain.args(&words));
    // All is there now, and the output takes its time.
    for signal in [Signal::INT, Signal::TERM] {
        let mut command = cairn(&case.path("store"));
        command.args(&words).arg("-o");
        command.arg(format!(
            "type=tar,dest={}",
            case.path("out/files.tar").display()
        ));
        interrupted(&case, &mut command, "out", signal);
    }
    case.must_build();
    std::fs::remove_file(case.path("out/image.tar")).unwrap();
    case.must_be_clean();
}

#[test]
fn a_reader_that_goes_away_ends_a_build() {
    let case = Case::new("[[steps]]\nfile = { path = \"/file\", content = \"x\" }\n");
    let mut command = cairn(&case.path("store"));
    command
        .args(["build", "-f"])
        .arg(case.path("cairn.toml"))
        .arg(case.path("context"));
    command.args(["-o", "type=tar,dest=-"]);
    let mut build = start(&mut command);
    drop(build.stdout.take());
    let output = build.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    // A small tar may have fit into the pipe before it broke.
    assert!([Some(0), Some(1)].contains(&output.status.code()), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    case.must_be_clean();
}
