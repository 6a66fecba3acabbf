//! Other people's programs.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Whether `program` can be run. Where it can't, the test that asks is [`skipped`].
#[expect(clippy::disallowed_methods, reason = "programs are found in PATH")]
pub fn require(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !is_there {
        skipped(&format!("`{program}` is not installed"));
    }
    is_there
}

/// Says, past the harness that swallows what tests print, why one is skipped; fails in CI, where
/// nothing may be.
#[expect(clippy::disallowed_methods, reason = "CI says so in the environment")]
pub fn skipped(why: &str) {
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "CI skips nothing: {why}");
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// A program that talks to registries on this machine alone, whatever proxy the machine has.
pub fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments);
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        command.env_remove(variable);
    }
    command
}

/// Makes a program of a C source that lies here.
pub fn make(source: &str, at: &Path, arguments: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support");
    let mut cc = Command::new("cc");
    run(cc
        .args(arguments)
        .arg("-o")
        .arg(at)
        .arg(folder.join(source)));
}

/// Makes the program of `tries.c`, which makes system calls one at a time.
pub fn make_tries(at: &Path) {
    make("tries.c", at, &["-static", "-pthread"]);
}

/// Makes the program of `narrow.c`, of 32 bits; not where the compiler makes none.
pub fn make_narrow(at: &Path, defined: &[String]) -> bool {
    make_of_32_bits("narrow.c", at, defined)
}

/// Makes the program of `narrow_hours.c`, as [`make_narrow`] does.
pub fn make_narrow_hours(at: &Path) -> bool {
    make_of_32_bits("narrow_hours.c", at, &[])
}

/// Makes the program of `narrow_facts.c`, as [`make_narrow`] does.
pub fn make_narrow_facts(at: &Path) -> bool {
    make_of_32_bits("narrow_facts.c", at, &[])
}

fn make_of_32_bits(source: &str, at: &Path, defined: &[String]) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support");
    let source = folder.join(source);
    let alone = "-m32 -nostdlib -static -ffreestanding -fno-pic -no-pie -fno-stack-protector -O1 \
                 -s -Wl,-N,--build-id=none -o";
    let mut cc = Command::new("cc");
    cc.args(defined).args(alone.split_whitespace());
    let output = cc.arg(at).arg(source).output();
    let is_made = output.is_ok_and(|output| output.status.success());
    if !is_made {
        skipped("the compiler makes no programs of 32 bits");
    }
    is_made
}

/// Runs a command that must succeed, and gives its standard output.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
