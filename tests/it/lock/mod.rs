//! Locks: what names that move are held to.

mod contradicted;
mod edited;
mod kept;
mod names;
mod policy;
mod provenance;
mod spoilt;
mod tampered;
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use cairn::canon::Digest;
use cairn::store::Store;

use crate::support::repository::{Repository, git_answer};
use crate::support::rude::{Reply, Rude};
use crate::support::served::{Served, named_image};
use crate::support::{cairn, temp};

/// A recipe that names an image, a branch and a URL; all of them can be moved.
struct World {
    folder: tempfile::TempDir,
    served: Served,
    repository: Repository,
    /// What the URL gives, if anything.
    file: Arc<Mutex<Option<String>>>,
    server: Rude,
}

impl World {
    fn new() -> World {
        let folder = temp();
        let served = Served::new(&folder.path().join("registry"));
        let repository = Repository::new(&folder.path().join("repository"), "sha1");
        let file = Arc::new(Mutex::new(None::<String>));
        let given = Arc::clone(&file);
        let root = folder.path().to_owned();
        let server = Rude::new(move |request, _| match &*given.lock().unwrap() {
            _ if request.path.starts_with("/repository/") => git_answer(&root, request),
            Some(text) if request.path == "/dated" => {
                let time = "Thu, 01 Jan 2015 00:00:00 GMT";
                Reply::new(200, text.as_bytes()).with("Last-Modified", time)
            }
            Some(text) => Reply::new(200, text.as_bytes()),
            None => Reply::new(404, ""),
        });
        let world = World {
            folder,
            served,
            repository,
            file,
            server,
        };
        world.move_image("one");
        world.move_branch("one");
        world.move_file(Some("one"));
        let dockerfile = format!(
            "FROM {}\nADD {}#main /git\nADD {} /file\nCOPY Dockerfile /\n",
            world.image(),
            world.repository_url(),
            world.url()
        );
        std::fs::create_dir(world.context()).unwrap();
        world.write("Dockerfile", &dockerfile);
        world
    }

    fn context(&self) -> PathBuf {
        self.folder.path().join("context")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.context().join(name), text).unwrap();
    }

    fn lock(&self) -> String {
        std::fs::read_to_string(self.context().join("cairn.lock")).unwrap()
    }

    fn image(&self) -> String {
        self.served.name("base:1")
    }

    fn repository_url(&self) -> String {
        format!("http://{}/repository/.git", self.server.address)
    }

    fn server_url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    fn url(&self) -> String {
        format!("{}/file", self.server_url())
    }

    fn move_image(&self, text: &str) -> Digest {
        let store = Store::open(&self.folder.path().join("registry")).unwrap();
        named_image(&store, &self.image(), text)
    }

    fn move_branch(&self, text: &str) -> String {
        self.repository.commit(&[("file", text)])
    }

    fn move_file(&self, text: Option<&str>) {
        *self.file.lock().unwrap() = text.map(str::to_owned);
    }

    /// Everything is gone.
    fn end(&mut self) {
        self.served.stop();
        self.move_file(None);
        std::fs::remove_dir_all(&self.repository.0).unwrap();
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn command_in(&self, store: &Path, arguments: &[&str]) -> Command {
        let mut command = cairn(store);
        command.args(arguments).current_dir(self.context());
        command
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_in(&self.store(), arguments)
    }

    /// What the command writes; its progress is not shown if it fails.
    fn run(&self, arguments: &[&str]) -> String {
        crate::support::run(&mut self.command(arguments))
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The exit code, and what was said.
    fn told(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.output(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    }
}
