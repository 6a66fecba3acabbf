//! What a crash of the machine may leave: nothing is named before it is on the disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::support::recipes::checkout;
use crate::support::{cairn, require, run, temp};

/// What `strace -y` says of one call that matters here.
#[derive(Debug, PartialEq)]
enum Call {
    /// A file or folder is on the disk.
    Sync(String),
    /// A file has another name.
    Rename(String, String),
}

/// A call that succeeded: `fsync(4</a/b>) = 0`, `rename("/a", "/b") = 0`.
fn call(text: &str) -> Option<Call> {
    let call = text.strip_suffix(" = 0")?.trim_end();
    if call.starts_with("fsync(") || call.starts_with("fdatasync(") {
        let (_, path) = call.strip_suffix(">)")?.split_once('<')?;
        return Some(Call::Sync(path.to_owned()));
    }
    let names: Vec<_> = call.split('"').skip(1).step_by(2).collect();
    match names[..] {
        [from, to] => Some(Call::Rename(from.to_owned(), to.to_owned())),
        _ => None,
    }
}

/// The calls of a trace, in the order in which they ended. Of one in which another thread called
/// there are two lines: `1 fsync(4</a/b> <unfinished ...>` and `1 <... fsync resumed>) = 0`.
fn calls(trace: &str) -> Vec<Call> {
    let (mut calls, mut begun) = (Vec::new(), BTreeMap::new());
    for (thread, text) in trace.lines().filter_map(|line| line.split_once(' ')) {
        let text = text.trim_start();
        if let Some(beginning) = text.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, beginning);
        } else if let Some((_, end)) = text.split_once(" resumed>") {
            calls.extend(call(&[begun.remove(thread).unwrap(), end].concat()));
        } else {
            calls.extend(call(text));
        }
    }
    calls
}

/// The calls by which a program and its threads sync and rename, in order.
fn traced(program: &Command, trace: &Path) -> Vec<Call> {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "--seccomp-bpf", "-e"]);
    strace.arg("trace=fsync,fdatasync,rename,renameat,renameat2");
    strace.arg("-o").arg(trace).arg(program.get_program());
    strace.args(program.get_args()).env_clear();
    for (name, value) in program.get_envs() {
        strace.env(name, value.unwrap());
    }
    run(&mut strace);
    calls(&std::fs::read_to_string(trace).unwrap())
}

#[test]
fn blobs_and_their_folder_are_synced_before_the_index_names_them() {
    if !require("strace") {
        return;
    }
    let (checkout, folder) = (checkout(), temp());
    let store = folder.path().join("store");
    let mut command = cairn(&store);
    command.args(checkout.arguments("base"));
    let calls = traced(&command, &folder.path().join("trace"));
    let at = |name: &str| store.join(name).to_str().unwrap().to_owned();
    let blobs = at("blobs/sha256");
    let (mut synced, mut unsynced_names, mut count) = (Vec::new(), false, 0);
    let mut is_named = false;
    for call in calls {
        match call {
            Call::Sync(path) if path == blobs => unsynced_names = false,
            Call::Sync(path) => synced.push(path),
            Call::Rename(from, to) if to.starts_with(&blobs) => {
                assert!(synced.contains(&from), "{to}");
                (unsynced_names, count) = (true, count + 1);
            }
            Call::Rename(from, to) if to == at("index.json") => {
                assert!(synced.contains(&from));
                assert!(count > 3 && !unsynced_names);
                is_named = true;
                synced.clear();
            }
            Call::Rename(..) => {}
        }
    }
    assert!(is_named && synced.contains(&at("").trim_end_matches('/').to_owned()));
}
