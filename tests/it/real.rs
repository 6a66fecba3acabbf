//! Ten Dockerfiles as people write them (`testdata/real`): root, a user with a range of others and
//! one without build them, and their images do their job in podman.
//!
//! The images that they stand on are [`Bases`]: Debian by mmdebstrap from the mirrors that this
//! machine has, the others by cairn on top of it (`testdata/real/bases`), and served in the place
//! of Docker Hub. `check` of each holds lines `$ ARGUMENTS` for the
//! container, as a shell reads them, and below each what it must print.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::support::bases::{Bases, succeeded};
use crate::support::engines::{Containers, drivers};
use crate::support::programs::program;
use crate::support::users::{User, Users};
use crate::support::{require, run};

/// A folder of `testdata/real`, and the images that it stands on besides Debian: the file of
/// `bases` and the name that it is known by.
pub struct Project {
    pub name: &'static str,
    pub bases: &'static [(&'static str, &'static str)],
}

/// Those that take longest come first, so that none is left over at the end.
pub const PROJECTS: &[Project] = &[
    Project {
        name: "node",
        bases: &[("node", "node:18-bookworm-slim")],
    },
    Project {
        name: "go",
        bases: &[("golang", "golang:1.19-bookworm")],
    },
    Project {
        name: "java",
        bases: &[
            ("maven", "maven:3.8-openjdk-17"),
            ("openjdk", "openjdk:17-jre"),
        ],
    },
    Project {
        name: "rust",
        bases: &[("rust", "rust:1.78-bookworm")],
    },
    Project {
        name: "cpp",
        bases: &[],
    },
    Project {
        name: "postgres",
        bases: &[("postgres", "postgres:15-bookworm")],
    },
    Project {
        name: "python",
        bases: &[("python", "python:3.11-slim-bookworm")],
    },
    Project {
        name: "static",
        bases: &[],
    },
    Project {
        name: "php",
        bases: &[("php", "php:8.2-cli-bookworm")],
    },
    Project {
        name: "nginx",
        bases: &[("nginx", "nginx:1.22")],
    },
];

/// The folder of the projects.
pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/real")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Everything that the projects share.
struct Workshop {
    users: Users,
    bases: &'static Bases,
    containers: Containers,
}

impl Workshop {
    fn new() -> Option<Workshop> {
        let (users, bases) = (Users::new()?, Bases::get()?);
        // Copies of images are slow; some machines can do no better.
        let driver = drivers("vfs", "overlay").pop().unwrap();
        let containers = Containers::new("podman", driver, &users.path(""));
        Some(Workshop {
            users,
            bases,
            containers,
        })
    }

    fn cairn(&self, user: User, arguments: &[&str]) -> Command {
        let mut command = self.users.cairn(user);
        command.env("CONTAINERS_REGISTRIES_CONF", self.bases.config());
        command.args(arguments);
        command
    }

    /// Has each user build a project and checks its images; else what is wrong.
    fn check(&self, project: &Project) -> Result<(), String> {
        for (file, name) in project.bases {
            self.bases.base(file, name)?;
        }
        for user in User::ALL {
            let begin = Instant::now();
            let checked = self.check_as(user, project);
            let seconds = begin.elapsed().as_secs();
            let _ = writeln!(
                std::io::stderr(),
                "real: {} as {user:?} {seconds} s",
                project.name
            );
            checked.map_err(|why| format!("as {user:?}: {why}"))?;
        }
        Ok(())
    }

    fn check_as(&self, user: User, project: &Project) -> Result<(), String> {
        let folder = data().join(project.name);
        // Not everybody may go to where the tests are.
        let context = self.users.path(&format!("{}-{user:?}", project.name));
        run(Command::new("cp").arg("-r").args([&folder, &context]));
        self.users.give(user, &context);
        // It is written beside its place, then moved there.
        let out = context.with_extension("out");
        std::fs::create_dir(&out).unwrap();
        self.users.give(user, &out);
        let archive = out.join("image.tar");
        let name = format!("localhost/{}-{user:?}:1", project.name).to_lowercase();
        let output = format!("type=oci,dest={}", text(&archive));
        let arguments = ["build", "-t", &name, "-o", &output, text(&context)];
        succeeded(self.cairn(user, &arguments))?;
        succeeded(
            self.containers
                .command(&["load", "-q", "-i", text(&archive)]),
        )?;
        let checks = std::fs::read_to_string(folder.join("check")).unwrap();
        let checks = format!("\n{checks}");
        let checks: Vec<_> = checks.split("\n$").skip(1).collect();
        assert!(!checks.is_empty(), "`{}` checks nothing", project.name);
        for check in checks {
            let (arguments, expected) = check.split_once('\n').unwrap_or((check, ""));
            let said = succeeded(self.shell(&name, arguments))?;
            if said.trim_end() != expected.trim_end() {
                return Err(format!("`{arguments}` printed `{said}`, not `{expected}`"));
            }
        }
        Ok(())
    }

    /// A container of the image, with arguments as a shell reads them.
    fn shell(&self, image: &str, arguments: &str) -> Command {
        let limits = "--ulimit nofile=1024:1024 --ulimit nproc=1024:1024";
        let run = self
            .containers
            .command(&["--runtime", "runc", "run", "--rm"]);
        let mut shell = program(
            "sh",
            &[
                "-c",
                &format!("exec \"$0\" \"$@\" {limits} --network none {image} {arguments}"),
            ],
        );
        shell.arg(run.get_program()).args(run.get_args());
        shell
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "to try one alone: REAL=go cargo test"
)]
fn real_dockerfiles_build_and_their_images_do_their_job() {
    if !(require("mmdebstrap") && require("podman") && require("runc")) {
        return;
    }
    let only = std::env::var("REAL").unwrap_or_default();
    let chosen = |project: &&Project| only.is_empty() || project.name == only;
    let projects: Vec<_> = PROJECTS.iter().filter(chosen).collect();
    assert!(!projects.is_empty(), "there is no project `{only}`");
    let Some(workshop) = Workshop::new() else {
        return;
    };
    let left = Mutex::new(projects.into_iter());
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        // Two at a time: while one waits for its packages the other compiles.
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(project) = next() {
                    let begin = Instant::now();
                    let checked = workshop.check(project);
                    let seconds = begin.elapsed().as_secs();
                    let _ = writeln!(std::io::stderr(), "real: {} {seconds} s", project.name);
                    if let Err(why) = checked {
                        failures
                            .lock()
                            .unwrap()
                            .push(format!("{}: {why}", project.name));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
