//! An image into an engine on this machine, by the engine's own program.
//!
//! In: an image of the store, its names. Out: which engine loaded it: the first of docker, podman
//! and containerd that answers.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use super::archive::{self, Flavour, Sink};
use super::{Error, document};
use crate::canon::Reference;
use crate::canon::event::Events;
use crate::image::manifest::media_type;
use crate::image::{Descriptor, Document};
use crate::store::Store;

struct Engine {
    name: &'static str,
    program: &'static str,
    /// Succeeds where the engine answers.
    probe: &'static [&'static str],
    load: &'static [&'static str],
    /// Whether an archive may hold several platforms.
    takes_index: bool,
}

const ENGINES: [Engine; 3] = [
    Engine {
        name: "docker",
        program: "docker",
        probe: &["version", "--format", "{{.Server.Version}}"],
        load: &["load", "--quiet"],
        takes_index: false,
    },
    Engine {
        name: "podman",
        program: "podman",
        probe: &["version", "--format", "{{.Client.Version}}"],
        load: &["load", "--quiet"],
        takes_index: false,
    },
    Engine {
        name: "containerd",
        program: "ctr",
        probe: &["version"],
        load: &["images", "import", "--all-platforms", "-"],
        takes_index: true,
    },
];

/// Loads the image; its programs are run with this environment and no other.
pub fn load(
    store: &Store,
    descriptor: &Descriptor,
    names: &[Reference],
    environment: &[(std::ffi::OsString, std::ffi::OsString)],
    events: &Events,
) -> Result<&'static str, Error> {
    let mut silent = String::new();
    let is_index = matches!(document(store, &descriptor.digest)?, Document::Index(_));
    for engine in &ENGINES {
        let answer = command(engine, engine.probe, environment)
            .stdin(Stdio::null())
            .output();
        match answer {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                let said = last_line(&output.stderr);
                silent.push_str(&format!("  {}: {said}\n", engine.name));
                continue;
            }
            Err(error) => {
                silent.push_str(&format!("  {}: {error}\n", engine.name));
                continue;
            }
        }
        events.debug(format!("{} answers", engine.name));
        if is_index && !engine.takes_index {
            return Err(Error::Several(engine.name));
        }
        let flavour = if engine.takes_index {
            Flavour::Oci
        } else {
            Flavour::Docker
        };
        feed(engine, store, descriptor, names, flavour, environment)?;
        return Ok(engine.name);
    }
    Err(Error::NoEngine(silent))
}

fn command(
    engine: &Engine,
    arguments: &[&str],
    environment: &[(impl AsRef<OsStr>, impl AsRef<OsStr>)],
) -> Command {
    let mut command = Command::new(engine.program);
    command.args(arguments).env_clear();
    command.envs(
        environment
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref())),
    );
    command
}

fn feed(
    engine: &Engine,
    store: &Store,
    descriptor: &Descriptor,
    names: &[Reference],
    flavour: Flavour,
    environment: &[(std::ffi::OsString, std::ffi::OsString)],
) -> Result<(), Error> {
    let failed = |reason: String| Error::Engine {
        engine: engine.name,
        reason,
    };
    let mut child: Child = command(engine, engine.load, environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let mut written = Ok(Ok(()));
    if let Some(mut input) = child.stdin.take() {
        let mut sink = Sink::Stream(&mut input);
        written = archive::write(store, descriptor, names, flavour, &mut sink);
        if let Ok(Ok(())) = written {
            written = Ok(input.flush());
        }
    }
    let output = child
        .wait_with_output()
        .map_err(|error| failed(error.to_string()))?;
    let written = written?;
    if !output.status.success() {
        let mut reason = last_line(&output.stderr);
        if engine.name == "docker" && has_zstd(store, descriptor)? {
            // 20.10 says `invalid tar header` alone.
            reason +=
                "\nhint: older versions of Docker read no zstd: build with `--compression gzip`";
        }
        return Err(failed(reason));
    }
    written.map_err(|error| failed(error.to_string()))
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
