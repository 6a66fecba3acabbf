//! Who builds: root, a user who has a range of others, a user who has none. The users are made for
//! the tests, and removed again.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::programs::{program, skipped};
use super::{cairn, copy_program, require, run, temp};

/// How many need the users: the first makes them, the last removes them.
static NEEDED: Mutex<u32> = Mutex::new(0);

/// Who builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Whoever runs the tests, which is root where there are the others.
    Me,
    /// With a range of users in `/etc/subuid`.
    Ranged,
    /// With none.
    Single,
}

impl User {
    pub const ALL: [User; 3] = [User::Me, User::Ranged, User::Single];

    /// The name of an account that was made: this process's own.
    fn account(self) -> Option<String> {
        let kind = match self {
            User::Me => return None,
            User::Ranged => "ranged",
            User::Single => "single",
        };
        Some(format!("{PREFIX}{kind}-{}", std::process::id()))
    }
}

/// What the names of accounts begin with.
const PREFIX: &str = "cairn-";

/// The users, and a folder where all of them may build.
pub struct Users {
    folder: tempfile::TempDir,
}

impl Drop for Users {
    fn drop(&mut self) {
        let mut needed = NEEDED.lock().unwrap_or_else(PoisonError::into_inner);
        *needed -= 1;
        if *needed == 0 {
            remove();
        }
    }
}

/// Removes this process's accounts, and those that a process left which is no more.
fn remove() {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
    let names = accounts.lines().filter_map(|line| line.split(':').next());
    for name in names.filter(|name| name.starts_with(PREFIX)) {
        let process = name.rsplit('-').next().unwrap_or_default();
        let is_ours = process == std::process::id().to_string();
        if is_ours || !Path::new("/proc").join(process).exists() {
            // Another process may remove it, too.
            let _ = program("userdel", &[name]).stderr(Stdio::null()).status();
        }
    }
}

fn make() {
    remove();
    let [ranged, single] = [User::Ranged, User::Single].map(|user| user.account().unwrap());
    run(&mut program("useradd", &["-M", "-s", "/bin/sh", &ranged]));
    // A system's user gets no range.
    let arguments = ["-r", "-M", "-s", "/bin/sh", &single];
    run(&mut program("useradd", &arguments));
    let ranges = std::fs::read_to_string("/etc/subuid").unwrap();
    assert!(
        ranges.contains(&ranged) && !ranges.contains(&single),
        "{ranges}"
    );
}

impl Users {
    /// None where such users can't be made.
    pub fn new() -> Option<Users> {
        if !rustix::process::geteuid().is_root() {
            skipped("users can be made by root only");
            return None;
        }
        let programs = ["newuidmap", "setpriv", "useradd", "userdel"];
        if !programs.iter().all(|program| require(program)) {
            return None;
        }
        let mut needed = NEEDED.lock().unwrap_or_else(PoisonError::into_inner);
        if *needed == 0 {
            make();
        }
        *needed += 1;
        let users = Users { folder: temp() };
        run(&mut program("chmod", &["755", &users.text("")]));
        copy_program(&users.path("cairn"));
        Some(users)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Where `user` has the store.
    pub fn store(&self, user: User) -> PathBuf {
        self.path(&format!("home-{user:?}"))
    }

    /// cairn as `user`, with a store of their own.
    pub fn cairn(&self, user: User) -> Command {
        let home = self.store(user);
        std::fs::create_dir_all(&home).unwrap();
        self.give(user, &home);
        let like = cairn(&home);
        let mut command = self.command(user, &self.text("cairn"));
        command.env_clear().stdin(Stdio::null());
        for (name, value) in like.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command
    }

    /// Any program as `user`.
    pub fn command(&self, user: User, path: &str) -> Command {
        let Some(name) = user.account() else {
            return Command::new(path);
        };
        let group = run(&mut program("id", &["-g", &name]));
        let arguments = ["--reuid", &name, "--regid", group.trim(), "--init-groups"];
        let mut command = program("setpriv", &arguments);
        command.arg(path);
        command
    }

    /// Makes `path`, which is theirs already where it is their store, and all in it `user`'s.
    pub fn give(&self, user: User, path: &Path) {
        let Some(name) = user.account() else { return };
        let deep = match path == self.store(user) {
            true => "-h",
            false => "-hR",
        };
        run(&mut program(
            "chown",
            &[deep, &name, path.to_str().unwrap()],
        ));
    }
}
