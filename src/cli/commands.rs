//! What the commands of a recipe are run with.
//!
//! In: the arguments, the environment, files and sockets that they name. Out:
//! [`CommandSettings`], and the shell that opens where a command failed. None of it is in a key.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::arguments::{Commands, Dockerfile, Network};
use super::environment::Environment;
use super::exit::{Code, Failure};
use super::flags::secret::SecretSource;
use super::flags::{Allow, Resources, Secret, Ssh};
use super::print;
use crate::canon::Problem;
use crate::canon::event::Events;
use crate::sandbox::Limits;
use crate::step::run::{CommandSettings, Devices, OnFailure, Scene};

/// Largest secret, in bytes: BuildKit's.
const LARGEST_SECRET: u64 = 500 << 10;

/// Docker's predefined arguments (Dockerfile reference, "Predefined ARGs"), in upper case.
const PROXIES: [&str; 5] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

/// What `commands` and the arguments of `dockerfile` say. Reads the secrets.
pub fn settings(
    commands: &Commands,
    dockerfile: &Dockerfile,
    environment: &Environment,
    events: &Events,
) -> Result<CommandSettings, Failure> {
    let mut secrets = BTreeMap::new();
    for given in &commands.secret {
        if let Some(secret) = secret(given, environment)? {
            secrets.insert(given.id.clone(), secret);
        }
    }
    let agents = commands.ssh.iter().map(|given| {
        let socket = agent(given, environment)?;
        Ok((given.id.clone(), socket))
    });
    let named = commands.allow.iter().filter_map(|allow| match allow {
        Allow::Device(name) => name.clone(),
        _ => None,
    });
    Ok(CommandSettings {
        limits: limits(commands),
        caches: commands.cache_size,
        proxies: proxies(dockerfile, environment, events),
        secrets,
        ssh: agents.collect::<Result<_, Failure>>()?,
        gives_host_network: dockerfile.network == Some(Network::Host),
        allow_host_network: commands.allow.contains(&Allow::HostNetwork),
        allow_insecure: commands.allow.contains(&Allow::Insecure),
        allow_devices: match commands.allow.contains(&Allow::Device(None)) {
            true => Devices::All,
            false => Devices::Named(named.collect()),
        },
        requires_hermetic: commands.require_hermetic,
        trace: false,
        allow_keys: commands.allow_keys,
        takes_turns: commands.strict,
        without: commands.no_normalise.iter().cloned().collect(),
        ..CommandSettings::default()
    })
}

fn limits(commands: &Commands) -> Limits {
    let Resources { memory } = commands.resource.unwrap_or_default();
    Limits {
        memory: commands.memory.or(memory),
        processes: commands.processes,
        time: commands.timeout,
    }
}

/// The caller's proxies, in both spellings: some programs know the one, some the other (BuildKit,
/// `proxyEnvList`). Arguments go before the environment, and that before docker's config.json;
/// what is said to be empty is said to be none.
fn proxies(
    dockerfile: &Dockerfile,
    environment: &Environment,
    events: &Events,
) -> Vec<(String, String)> {
    let of_docker = environment.docker_proxies().unwrap_or_else(|error| {
        events.warn(format!("docker's proxies are not used: {error}"));
        Vec::new()
    });
    let argument = |name: &str| {
        let mut arguments = dockerfile.build_arg.iter().rev();
        let argument = arguments.find(|(other, _)| other == name);
        let value = argument.and_then(|(_, value)| value.clone());
        value.or_else(|| argument.and(environment.variable(name)))
    };
    let mut all = Vec::new();
    for upper in PROXIES {
        // Where both are there, the lower case counts.
        let lower = upper.to_lowercase();
        let said = argument(&lower).or_else(|| argument(upper));
        let said = said.or_else(|| environment.variable(&lower));
        let said = said.or_else(|| environment.variable(upper));
        let docker = of_docker.iter().find(|(name, _)| *name == upper);
        let value = said.or_else(|| docker.map(|(_, value)| value.clone()));
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            all.push((upper.to_owned(), value.clone()));
            all.push((lower, value));
        }
    }
    all
}

/// A secret's content; none where it was to be in a variable that isn't set: the recipe says
/// whether it is required.
fn secret(given: &Secret, environment: &Environment) -> Result<Option<Vec<u8>>, Failure> {
    let id = &given.id;
    let path = match &given.source {
        SecretSource::Variable(name) => return Ok(environment.secret_variable(name)),
        SecretSource::ByName => match environment.secret_variable(id) {
            Some(secret) => return Ok(Some(secret)),
            None => Path::new(id),
        },
        SecretSource::File(path) => path,
    };
    let unreadable = |why: String| {
        let problem = Problem::new(format!("the secret `{id}`: {why}"));
        let hint = format!("name a file that is there: `--secret id={id},src=FILE`");
        Failure::message(Code::Unavailable, problem.hint(hint))
    };
    let mut content = Vec::new();
    let file = File::open(environment.absolute(path));
    let read = file.and_then(|file| file.take(LARGEST_SECRET + 1).read_to_end(&mut content));
    read.map_err(|error| unreadable(format!("can't read `{}`: {error}", path.display())))?;
    match content.len() as u64 > LARGEST_SECRET {
        true => Err(unreadable(format!(
            "`{}` is larger than 500 KiB",
            path.display()
        ))),
        false => Ok(Some(content)),
    }
}

/// The socket of an agent.
fn agent(given: &Ssh, environment: &Environment) -> Result<PathBuf, Failure> {
    let id = &given.id;
    let unavailable = |message: String, hint: &str| {
        let problem = Problem::new(format!("the SSH agent `{id}`: {message}"));
        Failure::message(Code::Unavailable, problem.hint(hint))
    };
    let path = match &given.paths[..] {
        [] => match environment.variable("SSH_AUTH_SOCK") {
            Some(path) if !path.is_empty() => PathBuf::from(path),
            _ => {
                return Err(unavailable(
                    "SSH_AUTH_SOCK names none".to_owned(),
                    "start one: `eval $(ssh-agent); ssh-add`, or name its socket: `--ssh default=SOCKET`",
                ));
            }
        },
        [path] => environment.absolute(path),
        [..] => return Err(keys_alone(id)),
    };
    match path.metadata() {
        Ok(found) if found.file_type().is_socket() => Ok(path),
        Ok(_) => Err(keys_alone(id)),
        Err(error) => Err(unavailable(
            format!("can't reach `{}`: {error}", path.display()),
            "name the socket of an agent that runs: `echo $SSH_AUTH_SOCK`",
        )),
    }
}

fn keys_alone(id: &str) -> Failure {
    Failure::usage(
        format!("`--ssh {id}=…` names a key, and cairn reads none: it hands on an agent"),
        &format!("give it to an agent: `ssh-add KEY`, and say `--ssh {id}`"),
    )
}

/// What `--debug-shell` does; refused where there is no terminal to do it on.
pub fn debug_shell(
    commands: &Commands,
    events: &Events,
) -> Result<Option<Box<OnFailure>>, Failure> {
    if !commands.debug_shell {
        return Ok(None);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::usage(
            "`--debug-shell` needs a terminal, and standard input or standard error is none",
            "leave it out, or run cairn from a terminal",
        ));
    }
    let events = events.clone();
    Ok(Some(Box::new(move |scene| {
        // The shell has the terminal for itself, and one shell at a time.
        let _silence = events.hold();
        if let Err(error) = shell(scene) {
            print::to_stderr(&format!("no shell can be opened there: {error}"));
        }
    })))
}

fn shell(scene: &Scene) -> Result<(), Box<dyn std::error::Error>> {
    let input = std::io::stdin().as_fd().try_clone_to_owned()?;
    let output = std::io::stderr().as_fd().try_clone_to_owned()?;
    print::to_stderr(&format!(
        "\nthe command failed: {}\nthis is a shell in its file system; `exit` ends it, and the build",
        scene.command()
    ));
    scene.shell(input, output)?;
    Ok(())
}
