//! What whole-program tests share: the program itself, folders, ports, other people's tools.

pub mod archive;
pub mod based;
pub mod bases;
pub mod engines;
pub mod http;
pub mod load;
pub mod programs;
pub mod random;
pub mod recipes;
pub mod registry;
pub mod repository;
pub mod rude;
pub mod sample;
pub mod served;
pub mod tars;
pub mod tree;
pub mod trees;
pub mod users;
pub mod zip;

pub use programs::{require, run};

use std::path::Path;
use std::process::{Command, Stdio};

/// An empty folder that goes when the test ends.
pub fn temp() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The program, with its store in `home` and nothing from the environment but what it needs to
/// find other programs.
#[expect(
    clippy::disallowed_methods,
    reason = "helpers of the program are found by PATH"
)]
pub fn cairn(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command
        .env_clear()
        .env("CAIRN_HOME", home)
        .env("HOME", home);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.stdin(Stdio::null());
    command
}

/// Puts a copy of the program at `place`, for users who may not be let to where cargo puts it.
///
/// `cp` writes it and not this process: a child that another test forks meanwhile would hold the
/// file open for writing until it executes, and nobody could run it (ETXTBSY).
pub fn copy_program(place: &Path) {
    run(programs::program("cp", &[env!("CARGO_BIN_EXE_cairn")]).arg(place));
}

/// A port of the loopback that nobody listens on: free when asked, so bind it soon.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn the_program_runs() {
    let home = temp();
    assert!(
        cairn(home.path())
            .arg("--version")
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_free_port_can_be_bound() {
    std::net::TcpListener::bind(("127.0.0.1", free_port())).unwrap();
}

#[test]
fn what_is_installed_is_found() {
    assert!(require("cargo"));
}
