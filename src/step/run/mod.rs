//! A command's step: what it runs on put into folders, the command run, what it changed.
//!
//! In: a [`Command`], the layers below, the sources of its mounts. Out: [`Ran`]: a change, whose
//! contents are in the sandbox's hands as long as it lives. A command that fails changes nothing.

mod authority;
mod constants;
mod devices;
mod environment;
mod error;
mod fetching;
mod kept;
mod keys;
mod left;
mod log;
mod mask;
mod normalise;
mod settings;
mod sources;
mod tell;
mod users;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub use authority::Authority;
pub use devices::Devices;
pub use error::{Error, LARGEST_CHANGE};
pub use fetching::Fetching;
pub use settings::CommandSettings;

use super::Change;
use super::diff::Circumstances;
use crate::canon::event::{Events, Work};
use crate::canon::{EntryPath, Epoch, StepKey};
use crate::inputs::{Files, Stack};
use crate::layer::Rootfs;
use crate::layer::codec::Expansion;
use crate::normal::Done;
use crate::normal::keys::Key;
use crate::plan::{Command, command};
use crate::proxy::{Finished, Proxy};
use crate::sandbox::{
    Exit, Identity, Limits, Network, Outcome, Request, Rlimit, Security, Session, Trace,
};
use crate::store::Store;
use keys::Had;
use left::{Judging, Left, difference};
use log::Log;
use sources::absolute;

/// Called with what is left where a command failed.
pub type OnFailure = dyn Fn(&Scene) + Send + Sync;

/// Runs the commands of one build, in one sandbox.
pub struct Runner<'a> {
    settings: &'a CommandSettings,
    on_failure: Option<&'a OnFailure>,
    store: &'a Store,
    events: &'a Events,
    epoch: Epoch,
    expansion: Expansion,
    session: OnceLock<Arc<Session>>,
    /// Whether layers are copied for each command.
    copies: AtomicBool,
    opening: Mutex<()>,
    /// Whether it was said that limits are loose.
    has_told_loose: AtomicBool,
    /// Whether it was said that there are no clocks.
    has_told_clock: AtomicBool,
}

/// The source of a mount.
pub enum Input<'a> {
    /// A file system.
    Layers(&'a Stack),
    /// One source of files.
    Files(&'a Files),
}

/// What a command runs on.
struct Ground<'a> {
    /// What was made of the layers already.
    made: Option<&'a Change>,
    below: &'a Stack,
    /// The sources of its mounts.
    inputs: &'a [Input<'a>],
}

/// What a command is known by.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// What its log is put under: its step's.
    pub log: &'a StepKey,
    /// What its randomness follows from: its step's without what it fetches, as that is asked for with
    /// it.
    pub seed: &'a StepKey,
}

/// What came of a command.
pub struct Ran {
    /// What it changed.
    pub change: Change,
    /// Sockets that it left, which no layer can hold.
    pub sockets: Vec<EntryPath>,
    /// What the normalisers did to what it left, in the order of paths.
    pub normalised: Vec<Done>,
    /// Private keys that it made; none unless these are allowed.
    pub keys: Vec<Key>,
    /// What it fetched, if that was to be recorded.
    pub fetched: Option<Finished>,
    /// What its programs did, if that was to be kept.
    pub trace: Option<Trace>,
}

/// Where a command failed: its file system as it left it.
pub struct Scene {
    session: Arc<Session>,
    request: Request,
    folder: PathBuf,
}

impl Scene {
    /// The command that failed, as one line.
    pub fn command(&self) -> String {
        let line = self.request.arguments.join(" ");
        line.escape_debug().to_string()
    }

    /// Runs a shell there until it ends, on a terminal of its own that is joined to `input` and
    /// `output`.
    pub fn shell(&self, input: OwnedFd, output: OwnedFd) -> Result<Outcome, Error> {
        let work = self.folder.join("shell");
        std::fs::create_dir(&work).map_err(crate::store::io_error("make", &work))?;
        let request = Request {
            arguments: vec!["/bin/sh".to_owned()],
            work,
            // Whoever looks around has the time that it takes.
            limits: Limits {
                time: None,
                ..self.request.limits
            },
            ..self.request.clone()
        };
        Ok(self.session.interact(&request, input, output)?)
    }
}

impl<'a> Runner<'a> {
    /// Nothing is started before the first command.
    pub fn new(
        settings: &'a CommandSettings,
        on_failure: Option<&'a OnFailure>,
        store: &'a Store,
        events: &'a Events,
        epoch: Epoch,
        expansion: Expansion,
    ) -> Runner<'a> {
        Runner {
            settings,
            on_failure,
            store,
            events,
            epoch,
            expansion,
            session: OnceLock::new(),
            copies: AtomicBool::new(false),
            opening: Mutex::new(()),
            has_told_loose: AtomicBool::new(false),
            has_told_clock: AtomicBool::new(false),
        }
    }

    /// The sandbox, made when the first asks for it.
    fn session(&self) -> Result<Arc<Session>, Error> {
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = self.session.get() {
            return Ok(session.clone());
        }
        let session = Arc::new(Session::open(&self.settings.session)?);
        self.events
            .debug(format!("the sandbox has users: {:?}", session.identity()));
        self.tell_ways(&session)?;
        for (folder, _held) in self.store.abandoned_folders() {
            // What can't be removed hurts nobody.
            let _ = absolute(&folder).map(|folder| session.remove(&folder));
        }
        Ok(self.session.get_or_init(|| session).clone())
    }

    /// What tells apart folders whose files have other owners on disk.
    fn users(&self) -> Result<String, Error> {
        let caller = rustix::process::geteuid().as_raw();
        Ok(match self.session()?.identity() {
            Identity::Whole => "whole".to_owned(),
            Identity::Range { users, groups } => format!("range-{caller}-{users}-{groups}"),
            Identity::Single => format!("single-{caller}"),
        })
    }

    /// What tells apart folders of layers. Where no overlay reads them, their files may say in
    /// another way what is gone.
    fn layout(&self) -> Result<String, Error> {
        let users = self.users()?;
        Ok(match self.copies.load(Ordering::Relaxed) {
            true => format!("{users}-copied"),
            false => users,
        })
    }

    /// Runs `command` on the layers `below`; what it fetches comes from where `fetching` says.
    pub fn run(
        &self,
        command: &Command,
        below: &Stack,
        inputs: &[Input],
        fetching: Fetching<'_>,
        keys: Keys<'_>,
        work: &Work,
    ) -> Result<Ran, Error> {
        let ground = Ground {
            made: None,
            below,
            inputs,
        };
        self.run_over(&ground, command, fetching, keys, work)
    }

    /// Runs `command`, which mounts nothing, where `change` was made to the layers `below` already:
    /// what is given back is both.
    pub fn run_in(
        &self,
        change: &Change,
        command: &Command,
        below: &Stack,
        keys: Keys<'_>,
        work: &Work,
    ) -> Result<Ran, Error> {
        let ground = Ground {
            made: Some(change),
            below,
            inputs: &[],
        };
        self.run_over(&ground, command, Fetching::Forwarded, keys, work)
    }

    fn run_over(
        &self,
        ground: &Ground<'_>,
        command: &Command,
        fetching: Fetching<'_>,
        keys: Keys<'_>,
        work: &Work,
    ) -> Result<Ran, Error> {
        let Ground {
            made,
            below,
            inputs,
        } = *ground;
        let devices = devices::there(command, self.events)?;
        self.check(command, &devices)?;
        self.tell(command, &devices);
        let session = self.session()?;
        let lowers = self.lowers(below)?;
        let rootfs = below.rootfs(self.store, self.expansion)?;
        let held = self.store.temporary_folder()?;
        let folder = absolute(held.0.path())?;
        let kept = self.kept(command, fetching, &folder)?;
        let mounts = self.mounts(command, inputs, kept)?;
        let proxy = self.proxy(command, fetching)?;
        let [upper, work_folder] = ["upper", "work"].map(|name| folder.join(name));
        for path in [&upper, &work_folder] {
            crate::store::make_root(path)?;
        }
        let empty = upper.metadata();
        let empty = empty.map_err(crate::store::io_error("read", &upper))?;
        // The whole second: who copies a time often drops what is below seconds, as useradd does.
        let began = (empty.mtime(), 0);
        let mut left = Left {
            session: session.clone(),
            folder: folder.clone(),
            upper: upper.clone(),
            found: Vec::new(),
            cleaned: BTreeMap::new(),
            rewritten: Default::default(),
            _held: held,
        };
        if let Some(Change { tree, origins }) = made {
            sources::unpack_tree(&session, tree, origins, &left.upper, &lowers)?;
        }
        let request = self.request(command, &rootfs, &lowers, &mounts.env)?;
        let layers = lowers.clone();
        let mut request = Request {
            devices,
            lowers,
            upper,
            work: work_folder,
            mounts: mounts.mounts,
            constants: self.constants(command, ground, fetching, keys.seed)?,
            ..request
        };
        let placed = match self.authority(command, proxy.as_ref()) {
            Some(authority) => Some(self.place(&authority, &rootfs, &folder, &mut request)?),
            None => None,
        };
        let clock = request.constants.map(|constants| constants.instant);
        let outcome = self.command(&session, &request, proxy.as_ref(), keys.log, work);
        if let Err(Error::Failed { .. }) = &outcome
            && let Some(on_failure) = self.on_failure
        {
            on_failure(&Scene {
                session,
                request,
                folder,
            });
        }
        let ended = time_of(&left.folder.join("ended"))?;
        self.free(mounts.caches)?;
        let outcome = outcome?;
        let fetched = proxy.map(Proxy::finish).transpose()?;
        let fetched = fetched.filter(|_| matches!(fetching, Fetching::Recorded { .. }));
        left.found = left.session.list(&left.upper)?;
        left.found.sort_by(|a, b| a.path.cmp(&b.path));
        let circumstances = Circumstances {
            epoch: self.epoch,
            began,
            ended,
            clock,
            stubs: &outcome.stubs,
            is_copy: outcome.is_copy,
        };
        let session = left.session.clone();
        let below = |path: &str| {
            let path = EntryPath::new(path.as_bytes()).ok()?;
            let inode = rootfs.get(&path)?.inode?;
            let file = session
                .read(layers.get(inode.layer as usize)?, &path)
                .ok()?;
            super::owner::read_small(file).ok()
        };
        let judging = Judging {
            circumstances: &circumstances,
            placed: placed.as_ref(),
            without: &self.settings.without,
            below: &below,
            had: &Had {
                rootfs: &rootfs,
                inputs,
                fetching,
                fetched: fetched.as_ref(),
                store: self.store,
                expansion: self.expansion,
            },
        };
        let ran = difference(&rootfs, left, &judging)?;
        for done in &ran.normalised {
            let (path, name, action) = (&done.path, &done.normaliser, done.action);
            self.events.debug(format!("`{path}` {action} by `{name}`"));
        }
        self.settings.judge_keys(&ran.keys)?;
        Ok(Ran {
            fetched,
            trace: outcome.trace,
            ..ran
        })
    }

    /// Runs the command itself.
    fn command(
        &self,
        session: &Session,
        request: &Request,
        proxy: Option<&Proxy>,
        key: &StepKey,
        work: &Work,
    ) -> Result<Outcome, Error> {
        // Where it is looked for from the beginning, so that it is there whatever ends the build.
        let file = self.store.begin_log(key)?;
        let line = |line: &str| work.output(line);
        let secrets = self.settings.secrets.values().map(Vec::as_slice);
        let mut written = Log::new(BufWriter::new(file), &line, secrets);
        let interceptor = proxy.map(Proxy::interceptor);
        let mut output = |stream, bytes: &[u8]| written.write(stream, bytes);
        let outcome = session.run_intercepted(request, interceptor.as_ref(), &mut output);
        let last = written.finish();
        // Where the log can't be written the command was ended for it.
        let path = self.store.log_path(key);
        let last = last.map_err(crate::store::io_error("write", &path))?;
        if let Some(failure) = proxy.and_then(Proxy::failure) {
            return Err(failure.into());
        }
        let outcome = outcome?;
        self.tell_loose(&outcome);
        match outcome.exit {
            Exit::Code(0) => Ok(outcome),
            exit => {
                for note in proxy.map(Proxy::notes).unwrap_or_default() {
                    self.events.note(note);
                }
                Err(Error::Failed {
                    exit,
                    last,
                    log: key.0.hex()[..12].to_owned(),
                    has_opened_shell: self.on_failure.is_some(),
                })
            }
        }
    }

    fn check(&self, command: &Command, devices: &[PathBuf]) -> Result<(), Error> {
        let refused = |what, entitlement| Err(Error::NotAllowed { what, entitlement });
        if command.network == command::Network::Host && !self.settings.allow_host_network {
            return match self.settings.gives_host_network {
                true => Err(Error::HostNetworkNotAllowed),
                false => refused("the host's network", "network.host"),
            };
        }
        if command.security == command::Security::Insecure && !self.settings.allow_insecure {
            return refused("every capability", "security.insecure");
        }
        let allowed = &self.settings.allow_devices;
        match devices.iter().all(|path| allowed.have(path)) {
            true => Ok(()),
            false => refused("a device of the host", "device"),
        }
    }

    /// All of a request but its folders and mounts.
    fn request(
        &self,
        command: &Command,
        rootfs: &Rootfs,
        lowers: &[PathBuf],
        mounted: &[(String, String)],
    ) -> Result<Request, Error> {
        let session = self.session()?;
        let read = |folder: &Path, path: &EntryPath| {
            let file = session.read(folder, path).map_err(io::Error::other)?;
            super::owner::read_small(file)
        };
        let read = |layer: usize, path: &EntryPath| match lowers.get(layer) {
            Some(folder) => read(folder, path),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let user = users::find(command.user.as_deref(), rootfs, &read)?;
        let mut env = command.env.clone();
        env.extend(mounted.iter().cloned());
        let env = environment::of(env, &user.home, self.epoch);
        let rlimit = |limit: &command::Ulimit| Rlimit {
            name: limit.name.clone(),
            soft: limit.soft,
            hard: limit.hard,
        };
        Ok(Request {
            arguments: command.arguments.clone(),
            env,
            proxies: self.settings.proxies.clone(),
            workdir: command.workdir.clone(),
            uid: user.uid,
            gid: user.gid,
            groups: user.groups,
            hostname: command.hostname.clone(),
            hosts: command.hosts.clone(),
            network: match command.network {
                command::Network::Default => Network::Forwarded,
                command::Network::None => Network::None,
                command::Network::Host => Network::Host,
            },
            security: match command.security {
                command::Security::Sandbox => Security::Sandbox,
                command::Security::Insecure => Security::Insecure,
            },
            limits: self.settings.limits,
            trace: self.settings.trace,
            takes_turns: self.settings.takes_turns,
            rlimits: command.ulimits.iter().map(rlimit).collect(),
            shm_size: command.shm_size,
            ..Request::default()
        })
    }
}

/// What the clock of the file system says, by a file made for that.
fn time_of(path: &Path) -> Result<(i64, u32), Error> {
    let made = File::create_new(path).and_then(|file| file.metadata());
    let made = made.map_err(crate::store::io_error("make", path))?;
    Ok((made.mtime(), made.mtime_nsec().try_into().unwrap_or(0)))
}
