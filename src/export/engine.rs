//! An image into an engine on this machine, by the engine's own program.
//!
//! In: an image of the store, its names. Out: the image in the first of docker, podman and
//! containerd that answers.

use std::ffi::OsString;
use std::io::{self, Read};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::process::Pid;

use super::archive::{self, Flavour, Sink};
use super::{Error, document};
use crate::canon::Reference;
use crate::canon::event::Events;
use crate::image::Descriptor;
use crate::image::manifest::media_type;
use crate::store::Store;

struct Program {
    name: &'static str,
    program: &'static str,
    /// Succeeds where the engine answers.
    probe: &'static [&'static str],
    load: &'static [&'static str],
    /// Whether an archive may hold several platforms.
    takes_index: bool,
}

const PROGRAMS: [Program; 3] = [
    Program {
        name: "docker",
        program: "docker",
        probe: &["version", "--format", "{{.Server.Version}}"],
        load: &["load", "--quiet"],
        takes_index: false,
    },
    Program {
        name: "podman",
        program: "podman",
        probe: &["version", "--format", "{{.Client.Version}}"],
        load: &["load", "--quiet"],
        takes_index: false,
    },
    Program {
        name: "containerd",
        program: "ctr",
        probe: &["version"],
        load: &["images", "import", "--all-platforms", "-"],
        takes_index: true,
    },
];

/// How long an engine may take to answer at all.
const PATIENCE: Duration = Duration::from_secs(20);

type Variables = Vec<(OsString, OsString)>;

/// An engine that answers.
pub struct Engine {
    program: &'static Program,
    environment: Variables,
}

impl Engine {
    /// The first that answers; its programs are run with this environment and no other.
    pub fn find(
        has_several: bool,
        environment: Variables,
        events: &Events,
    ) -> Result<Engine, Error> {
        let mut silent = String::new();
        for program in &PROGRAMS {
            let probe = command(program, program.probe, &environment);
            if let Err(said) = answer(probe, PATIENCE) {
                silent.push_str(&format!("  {}: {said}\n", program.name));
                continue;
            }
            events.debug(format!("{} answers", program.name));
            if has_several && !program.takes_index {
                return Err(Error::Several(program.name));
            }
            return Ok(Engine {
                program,
                environment,
            });
        }
        Err(Error::NoEngine(silent))
    }

    /// What people call it.
    pub fn name(&self) -> &'static str {
        self.program.name
    }

    /// Loads the image.
    pub fn load(
        &self,
        store: &Store,
        descriptor: &Descriptor,
        names: &[Reference],
    ) -> Result<(), Error> {
        let flavour = match self.program.takes_index {
            true => Flavour::Oci,
            false => Flavour::Docker,
        };
        let command = command(self.program, self.program.load, &self.environment);
        let fed = feed(command, |input| {
            archive::write(store, descriptor, names, flavour, &mut Sink::Stream(input))
        })?;
        let mut reason = match fed {
            Ok(()) => return Ok(()),
            Err(reason) => reason,
        };
        if self.name() == "docker" && has_zstd(store, descriptor)? {
            // 20.10 says `invalid tar header` alone.
            reason +=
                "\nhint: older versions of Docker read no zstd: build with `--compression gzip`";
        }
        Err(Error::Engine {
            engine: self.name(),
            reason,
        })
    }
}

fn command(program: &Program, arguments: &[&str], environment: &[(OsString, OsString)]) -> Command {
    let mut command = Command::new(program.program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

/// Whether a program succeeds within `patience`; else why not.
fn answer(mut command: Command, patience: Duration) -> Result<(), String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| error.to_string())?;
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(patience) {
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => Err(last_line(&output.stderr)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => {
            // Nobody has waited for it yet, so the number is still its own.
            if let Some(id) = id {
                let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
            }
            Err(format!("it doesn't answer within {patience:?}"))
        }
    }
}

/// Runs a program that reads what `write` writes; the inner error is what it said. It has ended
/// when this comes back, whatever went wrong.
fn feed(
    mut command: Command,
    write: impl FnOnce(&mut ChildStdin) -> Result<io::Result<()>, Error>,
) -> Result<Result<(), String>, Error> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let (mut input, stderr) = (child.stdin.take(), child.stderr.take());
    let (written, said) = std::thread::scope(|scope| {
        // Beside the writing: a program that waits until it is heard reads nothing.
        let said = scope.spawn(move || stderr.map(end_of).unwrap_or_default());
        let written = input.as_mut().map_or(Ok(Ok(())), write);
        if written.is_err() {
            // Before its input ends, so that half an image isn't taken for one. It may just have
            // ended by itself.
            let _ = child.kill();
        }
        drop(input);
        (written, said.join().unwrap_or_default())
    });
    let status = child.wait();
    let written = written?;
    Ok(match status {
        Ok(status) if !status.success() => Err(last_line(&said)),
        Ok(_) => written.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    })
}

/// Reads all of it, and keeps the end.
fn end_of(mut stream: impl Read) -> Vec<u8> {
    const KEPT: usize = 64 << 10;
    let (mut end, mut buffer) = (Vec::new(), [0; 4 << 10]);
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        end.extend_from_slice(&buffer[..read]);
        end.drain(..end.len().saturating_sub(KEPT));
    }
    end
}

fn has_zstd(store: &Store, descriptor: &Descriptor) -> Result<bool, Error> {
    let document = document(store, &descriptor.digest)?;
    let mut parts = document.descriptors().into_iter();
    Ok(parts.any(|part| part.media_type == media_type::LAYER_ZSTD))
}

fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it says nothing");
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn an_engine_that_hangs_is_not_waited_for() {
        let started = std::time::Instant::now();
        let said = answer(shell("exec sleep 1000"), Duration::from_millis(20)).unwrap_err();
        assert!(said.contains("20ms"), "{said}");
        assert!(started.elapsed() < Duration::from_secs(500));
        let patient = Duration::from_secs(500);
        assert_eq!(answer(shell("exit 0"), patient), Ok(()));
        let said = answer(shell("echo a >&2; echo b >&2; exit 1"), patient);
        assert_eq!(said, Err("b".to_owned()));
    }

    #[test]
    fn an_engine_ends_when_its_image_can_not_be_read() {
        let lost = || Error::Store(crate::store::Error::Missing("blob".to_owned()));
        let folder = tempfile::tempdir().unwrap();
        let loaded = folder.path().join("loaded");
        // Were it left alone, it would take the end of its input for that of the image.
        let script = format!("cat >/dev/null; touch '{}'", loaded.display());
        let fed = feed(shell(&script), |_| Err(lost()));
        assert!(fed.is_err() && !loaded.exists());
    }

    #[test]
    fn an_engine_that_talks_first_is_heard() {
        let script = "head -c 1000000 /dev/zero >&2; echo; cat >/dev/null; echo no >&2; exit 1";
        let fed = feed(shell(script), |input| {
            Ok(io::Write::write_all(input, &vec![0; 1_000_000]))
        });
        assert_eq!(fed.unwrap(), Err("no".to_owned()));
    }
}
