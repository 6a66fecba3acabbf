//! The caller's end of the sandbox.
//!
//! In: [`SessionSettings`], then [`Request`]s from any thread. Out: what the agent answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::pipe::PipeFlags;
use serde::{Deserialize, Serialize};

use super::channel::{self, Channel};
use super::error::{Doing as _, Told};
use super::network::Interceptor;
use super::network::carried::Carried;
use super::notify::Links;
use super::protocol::{Clock, Ended, Hello, Operation, Overlay, Ready};
use super::pump::{self, Output};
use super::sockets::Relay;
use super::{
    ClockWay, Error, Found, Guarantee, Layers, NoOverlay, Outcome, Request, Security, Ways, agent,
    ways,
};
use crate::canon::EntryPath;

/// How a session is made.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// The program that becomes the agent: cairn itself.
    pub program: PathBuf,
    /// Whose users it is to have.
    pub identity: Wanted,
}

impl Default for SessionSettings {
    fn default() -> SessionSettings {
        SessionSettings {
            program: PathBuf::from("/proc/self/exe"),
            identity: Wanted::default(),
        }
    }
}

/// Which [`Identity`] is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Wanted {
    /// The best that the machine gives.
    #[default]
    Best,
    /// [`Identity::Single`], as if the machine gave no more.
    Single,
}

/// Which users there are in a session's user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// All that cairn's own namespace has, each as itself: cairn is root there.
    Whole,
    /// The caller as root, and as many others as `/etc/subuid` and `/etc/subgid` give, from 1 on.
    Range {
        /// How many users, root among them.
        users: u32,
        /// How many groups, root's among them.
        groups: u32,
    },
    /// The caller as root, and nobody else: owners are emulated, kept in the extended attribute
    /// `user.cairn.owner`.
    Single,
}

/// Where a command wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// One user namespace, with the process that keeps it. Whoever drops it ends all that runs there.
#[derive(Debug)]
pub struct Session {
    identity: Identity,
    /// Channels whose workers wait for the next file to open.
    readers: Mutex<Vec<Channel>>,
    agent: Agent,
    /// By the upper folder: owners that its files can't say.
    links: Mutex<BTreeMap<PathBuf, Links>>,
    ways: Ways,
    /// By device: whether overlays can be mounted there.
    overlays: Mutex<BTreeMap<u64, Option<NoOverlay>>>,
    /// Held while a command runs that sees the `/proc` of all: commands are in one user namespace,
    /// where they might look into each other.
    turn: Mutex<()>,
    /// Upper folders that hold a copy of their layers.
    copies: Mutex<BTreeSet<PathBuf>>,
    /// How a command's clock is set, once that was tried.
    clock: Mutex<Option<ClockWay>>,
}

/// The agent's process, and the socket that it lives by.
#[derive(Debug)]
struct Agent {
    /// None when it is to end.
    socket: Option<Channel>,
    process: Child,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.socket = None;
        // It ends by itself; this is for one that is stopped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Session {
    /// Starts the agent. Where the machine gives no other users, and
    /// [`Wanted::Best`] was asked for, the session is [`Identity::Single`].
    pub fn open(settings: &SessionSettings) -> Result<Session, Error> {
        match Session::start(settings, settings.identity) {
            Err(Error::Unsupported { .. }) if settings.identity == Wanted::Best => {
                Session::start(settings, Wanted::Single)
            }
            other => other,
        }
    }

    fn start(settings: &SessionSettings, wanted: Wanted) -> Result<Session, Error> {
        let (socket, theirs) = Channel::pair().map_err(Error::Start)?;
        let mut command = Command::new(&settings.program);
        command.arg(agent::ARGUMENT).env_clear().current_dir("/");
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
        let process = command.spawn().map_err(Error::Start)?;
        // It holds the other end of the socket.
        drop(command);
        let agent = Agent {
            socket: Some(socket),
            process,
        };
        let speak = || -> std::io::Result<Ready> {
            let socket = agent.socket()?;
            socket.send(&Hello { wanted }, &[])?;
            socket.receive_plain()
        };
        let (identity, ways) = speak().map_err(Error::Start)?.map_err(Error::from)?;
        Ok(Session {
            identity,
            readers: Mutex::default(),
            agent,
            links: Mutex::default(),
            ways,
            overlays: Mutex::default(),
            turn: Mutex::default(),
            copies: Mutex::default(),
            clock: Mutex::default(),
        })
    }

    /// Which users there are inside.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Why commands whose folders are beside `folder`, which is empty, have their layers copied; none
    /// where they don't. It is tried once on each file system.
    pub fn no_overlay(&self, folder: &Path) -> Result<Option<NoOverlay>, Error> {
        absolute([folder])?;
        let stat = rustix::fs::stat(folder);
        let stat = stat.doing(|| format!("look at `{}`", folder.display()))?;
        let mut overlays = self.overlays.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = overlays.get(&stat.st_dev) {
            return Ok(known.clone());
        }
        let channel = self.ask(&Operation::TryOverlay(folder.to_owned()), &[])?;
        let tried = channel.receive_plain::<Overlay>();
        let tried = tried.map_err(|_| Error::Ended)?.map_err(Error::from)?;
        overlays.insert(stat.st_dev, tried.clone());
        Ok(tried)
    }

    /// How a command is made to read a clock of its own. It is tried once.
    pub fn clock_way(&self) -> Result<ClockWay, Error> {
        let mut known = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = *known {
            return Ok(known);
        }
        let channel = self.ask(&Operation::TryClock, &[])?;
        let tried = channel.receive_plain::<Clock>();
        let tried = tried.map_err(|_| Error::Ended)?.map_err(Error::from)?;
        *known = Some(tried);
        Ok(tried)
    }

    /// What commands don't find the same here as everywhere.
    pub fn missing(&self) -> Vec<Guarantee> {
        Guarantee::missing(self.ways)
    }

    /// How it does things on this machine, but for the layers and the clock.
    pub fn ways(&self) -> Ways {
        self.ways
    }

    /// Waits until the command may run: no two at a time see the `/proc` of all.
    fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        let turn = || self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.ways.shares_proc.then(turn)
    }

    /// The request as it can be served here.
    fn possible(&self, request: &Request) -> Result<Request, Error> {
        check(request)?;
        if self.ways.shares_proc && request.security == Security::Insecure {
            return Err(ways::insecure_beside_others());
        }
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        let layers = match self.no_overlay(&request.work)? {
            None => Layers::Mounted,
            Some(_) if copies.insert(request.upper.clone()) => Layers::Copied,
            Some(_) => Layers::There,
        };
        let clock = match request.constants {
            // What a caller asks for who knows better, as tests do.
            Some(_) if request.ways.clock == ClockWay::Hidden => ClockWay::Hidden,
            Some(_) => self.clock_way().map(|way| match request.trace {
                // What is read by a call is seen.
                true => ClockWay::Hidden,
                false => way,
            })?,
            None if request.trace && self.clock_way().is_ok() => ClockWay::Hidden,
            None => ClockWay::default(),
        };
        let ways = Ways {
            layers,
            clock,
            ..self.ways
        };
        Ok(Request {
            ways,
            ..request.clone()
        })
    }

    /// The agent's process id.
    pub fn process(&self) -> u32 {
        self.agent.process.id()
    }

    /// Unpacks a layer's tar (not compressed) into `folder`, which must be there and empty, as a
    /// [`Request::lowers`] wants it. Nothing is written outside of `folder`, whatever the tar
    /// holds.
    ///
    /// In an overlay the highest folder that has a directory says what that is like, and a layer
    /// need not tell of directories that hold what it changed: those are made as `lowers`, the
    /// layers below (the lowest first), have them. So a folder is good for one chain of layers.
    pub fn unpack(
        &self,
        tar: &mut dyn Read,
        folder: &Path,
        lowers: &[PathBuf],
    ) -> Result<(), Error> {
        absolute(lowers.iter().map(PathBuf::as_path).chain([folder]))?;
        let (theirs, ours) =
            rustix::pipe::pipe_with(PipeFlags::CLOEXEC).doing(|| "make a pipe".to_owned())?;
        let operation = Operation::Unpack(folder.to_owned(), lowers.to_owned());
        let channel = self.ask(&operation, &[theirs.as_fd()])?;
        drop(theirs);
        let mut ours = File::from(ours);
        let copied = std::io::copy(tar, &mut ours);
        drop(ours);
        let told = channel.receive_plain::<Result<(), Told>>();
        match (told, copied) {
            // A reader that refuses the tar doesn't read the rest.
            (Ok(Err(told)), _) => Err(Error::from(told)),
            (Ok(Ok(())), Ok(_)) => Ok(()),
            (_, Err(source)) if source.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(source).doing(|| "read the layer".to_owned())
            }
            // What is behind the end of a tar is none of its.
            (Ok(Ok(())), Err(_)) => Ok(()),
            (Err(_), _) => Err(Error::Ended),
        }
    }

    /// Runs a command to its end; every process that it began is gone then. `output` gets what it
    /// writes, as it comes, and ends the command where it can't take that.
    pub fn run(&self, request: &Request, output: &mut Output<'_>) -> Result<Outcome, Error> {
        self.run_intercepted(request, None, output)
    }

    /// As [`Session::run`]; what a command with [`super::Network::Forwarded`] says to the network
    /// goes to `interceptor` instead, which may end it.
    pub fn run_intercepted(
        &self,
        request: &Request,
        interceptor: Option<&Arc<dyn Interceptor>>,
        output: &mut Output<'_>,
    ) -> Result<Outcome, Error> {
        let mut asked = self.possible(request)?;
        let _turn = self.turn();
        let pipe =
            || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).doing(|| "make a pipe".to_owned());
        let (out, their_out) = pipe()?;
        let (err, their_err) = pipe()?;
        let (_carried, control) = Carried::start(&mut asked, interceptor.cloned())?;
        let (_relay, sockets) = Relay::start(&asked)?.unzip();
        let (streams, rest) = ([&their_out, &their_err], control.iter().chain(&sockets));
        let ends = streams.into_iter().chain(rest);
        let descriptors: Vec<_> = ends.map(|end| end.as_fd()).collect();
        let channel = self.ask(&Operation::Run(Box::new(asked)), &descriptors)?;
        drop((their_out, their_err, control, sockets));
        let mut pumps = [(Stream::Output, Some(out)), (Stream::Error, Some(err))];
        let stop = interceptor.map(|interceptor| interceptor.ended());
        if let Err(source) = pump::until_said(&channel, &mut pumps, stop, output) {
            // The worker ends the command when nobody asks any more, and says so when it is gone.
            drop(pumps);
            let _ = rustix::net::shutdown(&channel, rustix::net::Shutdown::Write);
            let _ = channel.receive_plain::<Ended>();
            return Err(source).doing(|| "take the output".to_owned());
        }
        let ended = channel.receive_plain::<Ended>().map_err(|_| Error::Ended)?;
        // Everything that wrote is gone, so that nothing more comes.
        pump::rest(pumps, output).doing(|| "take the output".to_owned())?;
        self.ended(request, ended)
    }

    /// Keeps what only this session knows.
    fn ended(&self, request: &Request, ended: Ended) -> Result<Outcome, Error> {
        let (outcome, links) = ended.map_err(Error::from)?;
        let mut all = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(request.upper.clone()).or_default();
        known.retain(|(inode, _)| !links.iter().any(|(other, _)| other == inode));
        known.extend(links);
        if known.is_empty() {
            all.remove(&request.upper);
        }
        Ok(outcome)
    }

    /// As [`Session::run`], with a terminal of the sandbox's own, which is joined to the caller's:
    /// `input` and `output` are its ends.
    pub fn interact(
        &self,
        request: &Request,
        input: OwnedFd,
        output: OwnedFd,
    ) -> Result<Outcome, Error> {
        let mut asked = self.possible(request)?;
        let _turn = self.turn();
        let (_carried, control) = Carried::start(&mut asked, None)?;
        let (_relay, sockets) = Relay::start(&asked)?.unzip();
        let ends = control.iter().chain(&sockets);
        let descriptors: Vec<_> = ends.map(|end| end.as_fd()).collect();
        let channel = self.ask(&Operation::Interact(Box::new(asked)), &descriptors)?;
        drop((control, sockets));
        let (begun, descriptors) = channel
            .receive::<Result<Option<Outcome>, Told>>()
            .map_err(|_| Error::Ended)?;
        begun.map_err(Error::from)?;
        let master = descriptors.into_iter().next().ok_or(Error::Ended)?;
        let joined = pump::join(&channel, &master, &input, &output);
        joined.doing(|| "speak to the terminal".to_owned())?;
        let ended = channel.receive_plain::<Ended>().map_err(|_| Error::Ended)?;
        self.ended(request, ended)
    }

    /// All that `folder` holds, itself first, in the order of paths.
    pub fn list(&self, folder: &Path) -> Result<Vec<Found>, Error> {
        absolute([folder])?;
        let links = {
            let all = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(folder).cloned().unwrap_or_default()
        };
        let channel = self.ask(&Operation::List(folder.to_owned(), links), &[])?;
        let mut all = Vec::new();
        loop {
            let batch = channel.receive_plain::<Result<Vec<Found>, Told>>();
            let batch = batch.map_err(|_| Error::Ended)?.map_err(Error::from)?;
            if batch.is_empty() {
                return Ok(all);
            }
            all.extend(batch);
        }
    }

    /// Opens a regular file in `folder` for reading; no symlink in `path` is followed.
    pub fn read(&self, folder: &Path, path: &EntryPath) -> Result<File, Error> {
        absolute([folder])?;
        let operation = Operation::Read(folder.to_owned(), path.clone());
        // A process for each file would take longer than most files.
        let readers = || self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = readers().pop();
        let channel = match idle {
            Some(channel) => {
                let asked = channel.send(&operation, &[]);
                asked.map_err(|_| Error::Ended)?;
                channel
            }
            None => self.ask(&operation, &[])?,
        };
        let (told, descriptors) = channel
            .receive::<Result<(), Told>>()
            .map_err(|_| Error::Ended)?;
        readers().push(channel);
        told.map_err(Error::from)?;
        let file = descriptors.into_iter().next().ok_or(Error::Ended)?;
        Ok(File::from(file))
    }

    /// How many bytes `folder` and all that it holds take up on disk.
    pub fn measure(&self, folder: &Path) -> Result<u64, Error> {
        absolute([folder])?;
        let channel = self.ask(&Operation::Measure(folder.to_owned()), &[])?;
        let told = channel.receive_plain::<Result<u64, Told>>();
        told.map_err(|_| Error::Ended)?.map_err(Error::from)
    }

    /// Removes `folder` and all that it holds, whoever owns it. It is none if it isn't there.
    pub fn remove(&self, folder: &Path) -> Result<(), Error> {
        absolute([folder])?;
        let channel = self.ask(&Operation::Remove(folder.to_owned()), &[])?;
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.remove(folder);
        drop(links);
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        copies.retain(|upper| !upper.starts_with(folder));
        drop(copies);
        let told = channel.receive_plain::<Result<(), Told>>();
        told.map_err(|_| Error::Ended)?.map_err(Error::from)
    }

    /// Opens a channel for one operation.
    fn ask(&self, operation: &Operation, descriptors: &[BorrowedFd<'_>]) -> Result<Channel, Error> {
        let ask = || -> std::io::Result<Channel> {
            let (channel, theirs) = Channel::pair()?;
            let socket = self.agent.socket()?;
            channel::send_bytes(socket.as_fd(), &[0], &[theirs.as_fd()])?;
            drop(theirs);
            channel.send(operation, descriptors)?;
            Ok(channel)
        };
        ask().map_err(|_| Error::Ended)
    }
}

impl Agent {
    fn socket(&self) -> std::io::Result<&Channel> {
        self.socket
            .as_ref()
            .ok_or(std::io::ErrorKind::NotConnected.into())
    }
}

fn check(request: &Request) -> Result<(), Error> {
    if request.arguments.is_empty() {
        return Err(Error::Refused("there is no command to run".to_owned()));
    }
    let own = request.lowers.iter().chain([&request.upper, &request.work]);
    absolute(own.map(PathBuf::as_path))
}

/// The agent has another working directory.
fn absolute<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<(), Error> {
    match paths.into_iter().find(|path| !path.is_absolute()) {
        None => Ok(()),
        Some(path) => Err(Error::Refused(format!(
            "the folder `{}` is not absolute",
            path.display()
        ))),
    }
}
