//! What sees the calls of a traced command.
//!
//! In: calls, before anybody answers them. Out: a [`Trace`]. Nothing is answered here.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::io::Errno;

use super::place::{self, Inherited};
use super::{Asked, Program, Touched, Trace, arguments, counter};
use crate::canon::path::escape;
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Is, Rule};
use crate::sandbox::notify::{Answer, Caller, Handler};
use crate::sandbox::random;
use crate::sandbox::request::{Mount, Source};
use crate::sandbox::{Request, Security};

/// Most programs, files and readers of one that are kept: all of it is one message
/// ([`crate::sandbox::channel`]).
const PROGRAMS: usize = 40_000;
const FILES: usize = 100_000;
const READERS: usize = 1000;

/// The clocks that tell the time of day, and those that count from the machine's begin
/// (clock_gettime(2)).
const TIMES_OF_DAY: [u32; 4] = [0, 5, 8, 11];
const DURATIONS: [u32; 4] = [1, 4, 6, 7];
/// Files that have chance.
const CHANCE: [&[u8]; 3] = [
    b"/dev/urandom",
    b"/dev/random",
    b"/proc/sys/kernel/random/uuid",
];
/// Files of a process in `/proc` that are another each time.
const OF_PROCESS: [&[u8]; 8] = [
    b"stat",
    b"statm",
    b"status",
    b"schedstat",
    b"sched",
    b"io",
    b"smaps",
    b"mountinfo",
];

/// Keeps what a step's programs do.
#[derive(Debug)]
pub struct Tracer {
    trace: Trace,
    /// Which program a process is, by the process's number.
    processes: BTreeMap<u32, usize>,
    /// Whether time and chance are the step's own.
    has_constants: bool,
    /// Below which paths what outlives the build is.
    caches: Vec<Vec<u8>>,
    /// Whether a program reads the processor's counter, by its path.
    counters: BTreeMap<Vec<u8>, bool>,
    /// Programs that have not set up glibc's malloc yet, as far as was seen.
    fresh: BTreeSet<usize>,
    /// Pipes that all programs were given: what the step writes to who watches.
    streams: BTreeSet<u64>,
}

impl Tracer {
    /// Of a request that asks for it.
    pub fn of(request: &Request) -> Option<Tracer> {
        let is_cache = |mount: &&Mount| {
            matches!(
                mount.source,
                Source::Bind {
                    read_only: false,
                    ..
                }
            )
        };
        let caches = request.mounts.iter().filter(is_cache);
        let caches = caches.map(|mount| [b"/", mount.target.as_bytes()].concat());
        (request.trace && request.security == Security::Sandbox).then(|| Tracer {
            trace: Trace::default(),
            processes: BTreeMap::new(),
            has_constants: request.constants.is_some(),
            caches: caches.collect(),
            counters: BTreeMap::new(),
            fresh: BTreeSet::new(),
            streams: BTreeSet::new(),
        })
    }

    /// What the programs did.
    pub fn into_trace(self) -> Trace {
        self.trace
    }

    fn add(&mut self, program: Program) -> usize {
        if self.trace.programs.len() >= PROGRAMS {
            self.trace.is_cut = true;
            return PROGRAMS - 1;
        }
        self.trace.programs.push(program);
        self.trace.programs.len() - 1
    }

    /// The program that calls.
    fn program(&mut self, caller: &Caller<'_>) -> Result<usize, Errno> {
        let process = caller.process()?;
        if let Some(&program) = self.processes.get(&process) {
            return Ok(program);
        }
        let line = random::command_line(process)?;
        let parent: Option<u32> = caller.status("PPid")?.parse().ok();
        let parent = parent.and_then(|parent| self.processes.get(&parent).copied());
        let number = self.add(Program {
            command: arguments::of_bytes(&line),
            parent,
            asked: BTreeSet::new(),
            pipes: BTreeSet::new(),
        });
        self.processes.insert(process, number);
        let open = place::inherited(process, true);
        match parent {
            Some(_) => self.finds(number, open),
            None => self
                .streams
                .extend(open.into_iter().filter_map(|open| match open {
                    Inherited::Pipe(pipe) => Some(pipe),
                    Inherited::File(..) => None,
                })),
        }
        Ok(number)
    }

    /// A program begins with that open.
    fn finds(&mut self, number: usize, open: Vec<Inherited>) {
        for open in open {
            match open {
                Inherited::Pipe(pipe) if self.streams.contains(&pipe) => {}
                Inherited::Pipe(pipe) => {
                    if let Some(program) = self.trace.programs.get_mut(number) {
                        program.pipes.insert(pipe);
                    }
                }
                Inherited::File(path, true) => self.writes(number, &path),
                Inherited::File(path, false) => self.reads(number, &path),
            }
        }
    }

    fn asks(&mut self, program: usize, asked: Asked) {
        if let Some(program) = self.trace.programs.get_mut(program) {
            program.asked.insert(asked);
        }
    }

    fn touched(&mut self, path: &[u8]) -> Option<&mut Touched> {
        let path = escape(path.strip_prefix(b"/")?);
        if self.trace.files.len() >= FILES && !self.trace.files.contains_key(&path) {
            self.trace.is_cut = true;
            return None;
        }
        Some(self.trace.files.entry(path).or_default())
    }

    fn writes(&mut self, program: usize, path: &[u8]) {
        if [&b"/dev/"[..], b"/proc/", b"/sys/"]
            .iter()
            .any(|of| path.starts_with(of))
        {
            return;
        }
        if let Some(touched) = self.touched(path) {
            touched.writers.retain(|it| *it != program);
            touched.writers.push(program);
        }
    }

    fn reads(&mut self, program: usize, path: &[u8]) {
        let is_below = |folder: &Vec<u8>| {
            let rest = path.strip_prefix(folder.as_slice());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        if self.caches.iter().any(is_below) {
            self.asks(program, Asked::Cache);
        }
        let Some(name) = path.strip_prefix(b"/") else {
            return;
        };
        // Of what the step didn't write everybody has the same.
        if let Some(touched) = self.trace.files.get_mut(&escape(name))
            && !touched.readers.contains(&program)
        {
            match touched.readers.len() < READERS {
                true => touched.readers.push(program),
                false => self.trace.is_cut = true,
            }
        }
    }

    /// A thread is about to execute something; where that fails, it does so again or ends.
    fn executes(&mut self, call: Call, caller: &Caller<'_>) -> Result<(), Errno> {
        let before = self.program(caller)?;
        let (start, address, follow) = match call {
            Call::Execve => (libc::AT_FDCWD, caller.argument(0), true),
            _ => {
                let follow = caller.int(4) & libc::AT_SYMLINK_NOFOLLOW == 0;
                (caller.int(0), caller.argument(1), follow)
            }
        };
        let Some(program) = place::there(caller, start, address, follow) else {
            return Ok(());
        };
        let command = arguments::line(call, caller)?;
        let process = caller.process()?;
        let open = place::inherited(process, false);
        let reads_counter = match self.counters.get(&program) {
            Some(&known) => known,
            None => {
                // By the caller's root, as the path is.
                let file = format!("/proc/{}/root", caller.pid());
                let name = OsStr::from_bytes(program.strip_prefix(b"/").unwrap_or(&program));
                let reads = counter::is_read_by(&Path::new(&file).join(name));
                self.counters.insert(program.clone(), reads);
                reads
            }
        };
        caller.check()?;
        let command = match command.is_empty() {
            true => String::from_utf8_lossy(&program).into_owned(),
            false => command,
        };
        let number = self.add(Program {
            command,
            parent: Some(before),
            ..Program::default()
        });
        self.processes.insert(process, number);
        self.fresh.insert(number);
        self.reads(number, &program);
        self.finds(number, open);
        if reads_counter {
            self.asks(number, Asked::Counter);
        }
        Ok(())
    }

    fn opens(&mut self, call: Call, caller: &Caller<'_>) -> Result<(), Errno> {
        let (start, address, flags) = match call {
            Call::Open => (libc::AT_FDCWD, 0, caller.int(1)),
            Call::Creat => (libc::AT_FDCWD, 0, libc::O_CREAT | libc::O_WRONLY),
            Call::Openat => (caller.int(0), 1, caller.int(2)),
            _ => {
                let mut flags = [0; 8];
                caller.read(caller.argument(2), &mut flags)?;
                let flags = u64::from_ne_bytes(flags) & 0xffff_ffff;
                (caller.int(0), 1, (flags as u32).cast_signed())
            }
        };
        if flags & libc::O_PATH != 0 {
            return Ok(());
        }
        let address = caller.argument(address);
        let follow = flags & libc::O_NOFOLLOW == 0;
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || flags & libc::O_CREAT != 0;
        let program = self.program(caller)?;
        if writes {
            // A file without a name is named by a link.
            if flags & libc::O_TMPFILE != libc::O_TMPFILE
                && let Some(path) = place::made(caller, start, address, follow)
            {
                self.writes(program, &path);
            }
            return Ok(());
        }
        let path = caller.path(address)?;
        if CHANCE.contains(&path.as_slice()) {
            if !self.has_constants {
                self.asks(program, Asked::Chance);
            }
        } else if is_of_process(&path) {
            self.asks(program, Asked::Process);
        } else if let Some(path) = place::there(caller, start, address, follow) {
            self.reads(program, &path);
        }
        Ok(())
    }

    /// What makes a name, or changes what has one.
    fn names(&mut self, call: Call, caller: &Caller<'_>) -> Result<(), Errno> {
        let here = libc::AT_FDCWD;
        let long = |at| caller.argument(at);
        let program = self.program(caller)?;
        let (start, address, follow) = match call {
            Call::Mkdir | Call::Mknod => (here, long(0), false),
            Call::Mkdirat | Call::Mknodat => (caller.int(0), long(1), false),
            Call::Symlink => (here, long(1), false),
            Call::Symlinkat => (caller.int(1), long(2), false),
            Call::Utime | Call::Utimes => (here, long(0), true),
            Call::Futimesat => (caller.int(0), long(1), true),
            _ if long(1) == 0 => {
                if let Some(path) = place::of_descriptor(caller, caller.int(0)) {
                    self.writes(program, &path);
                }
                return Ok(());
            }
            _ => {
                let follow = caller.int(3) & libc::AT_SYMLINK_NOFOLLOW == 0;
                (caller.int(0), long(1), follow)
            }
        };
        if let Some(path) = place::made(caller, start, address, follow) {
            self.writes(program, &path);
        }
        Ok(())
    }

    /// What has a name gets another: who wrote it wrote what is there now. Where that fails, nothing
    /// was.
    fn moves(&mut self, call: Call, caller: &Caller<'_>) -> Result<(), Errno> {
        let here = libc::AT_FDCWD;
        let long = |at| caller.argument(at);
        let program = self.program(caller)?;
        let (from, to) = match call {
            Call::Rename | Call::Link => ((here, long(0)), (here, long(1))),
            _ => ((caller.int(0), long(1)), (caller.int(2), long(3))),
        };
        let is_link = matches!(call, Call::Link | Call::Linkat);
        let follow = call == Call::Linkat && caller.int(4) & libc::AT_SYMLINK_FOLLOW != 0;
        let to = place::made(caller, to.0, to.1, false);
        let from = place::there(caller, from.0, from.1, follow);
        let Some(to) = to else {
            return Ok(());
        };
        let (Some(from), true) = (from, self.trace.files.len() < FILES) else {
            // A file that had no name.
            self.writes(program, &to);
            return Ok(());
        };
        let [from, to] = [&from, &to].map(|path| escape(path.strip_prefix(b"/").unwrap_or(path)));
        let below = format!("{from}/");
        let first = self
            .trace
            .files
            .get(&from)
            .map(|it| (to.clone(), it.clone()));
        let inside = self.trace.files.range(below.clone()..);
        let inside = inside.take_while(|(path, _)| path.starts_with(&below));
        let inside =
            inside.map(|(path, it)| (format!("{to}/{}", &path[below.len()..]), it.clone()));
        let moved: Vec<_> = match is_link {
            true => first.into_iter().collect(),
            false => first.into_iter().chain(inside).collect(),
        };
        if moved.is_empty() {
            self.writes(program, format!("/{to}").as_bytes());
        }
        self.trace.files.extend(moved);
        Ok(())
    }

    fn asks_by(&mut self, call: Call, caller: &Caller<'_>) -> Result<(), Errno> {
        let asked = match call {
            Call::ClockGettime | Call::ClockGettime64 => match caller.word(0) {
                clock if TIMES_OF_DAY.contains(&clock) => Asked::Clock,
                clock if DURATIONS.contains(&clock) => Asked::Duration,
                _ => return Ok(()),
            },
            Call::Gettimeofday | Call::Time => Asked::Clock,
            Call::Getrandom => Asked::Chance,
            // `AF_INET`, `AF_INET6`.
            _ => {
                let mut family = [0; 2];
                caller.read(caller.argument(1), &mut family)?;
                match i32::from(u16::from_ne_bytes(family)) {
                    libc::AF_INET | libc::AF_INET6 => Asked::Network,
                    _ => return Ok(()),
                }
            }
        };
        if self.has_constants && matches!(asked, Asked::Clock | Asked::Chance) {
            return Ok(());
        }
        let program = self.program(caller)?;
        // Each program of glibc does so once, for a mark that nobody sees.
        let is_of_malloc = (caller.argument(1), caller.word(2)) == (8, libc::GRND_NONBLOCK);
        if asked == Asked::Chance && is_of_malloc && self.fresh.remove(&program) {
            return Ok(());
        }
        self.asks(program, asked);
        Ok(())
    }
}

/// Whether that is a file of a process that is another each time.
fn is_of_process(path: &[u8]) -> bool {
    let Some(below) = path.strip_prefix(b"/proc/") else {
        return false;
    };
    let name = below.rsplit(|byte| *byte == b'/').next().unwrap_or(below);
    let is_process = below.starts_with(b"self/")
        || below.starts_with(b"thread-self/")
        || below.first().is_some_and(u8::is_ascii_digit);
    is_process && OF_PROCESS.contains(&name)
}

impl Handler for Tracer {
    fn rules() -> Vec<Rule> {
        let told = Is::OneOf([&TIMES_OF_DAY[..], &DURATIONS].concat());
        let clocks = [Call::ClockGettime, Call::ClockGettime64];
        let clocks = clocks.map(|call| Rule::when(call, 0, !0, told.clone(), Action::Notify));
        let always = [
            Call::Execve,
            Call::Execveat,
            Call::Open,
            Call::Openat,
            Call::Openat2,
            Call::Creat,
            Call::Mkdir,
            Call::Mkdirat,
            Call::Mknod,
            Call::Mknodat,
            Call::Symlink,
            Call::Symlinkat,
            Call::Utime,
            Call::Utimes,
            Call::Futimesat,
            Call::Utimensat,
            Call::Rename,
            Call::Renameat,
            Call::Renameat2,
            Call::Link,
            Call::Linkat,
            Call::Gettimeofday,
            Call::Time,
            Call::Getrandom,
            Call::Connect,
        ];
        let always = always.map(|call| Rule::always(call, Action::Notify));
        clocks.into_iter().chain(always).collect()
    }

    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer {
        // Of what can't be read nothing is kept: its caller is killed, or the call fails.
        let _ = match call {
            Call::Execve | Call::Execveat => self.executes(call, caller),
            Call::Open | Call::Openat | Call::Openat2 | Call::Creat => self.opens(call, caller),
            Call::Rename | Call::Renameat | Call::Renameat2 | Call::Link | Call::Linkat => {
                self.moves(call, caller)
            }
            Call::ClockGettime
            | Call::ClockGettime64
            | Call::Gettimeofday
            | Call::Time
            | Call::Getrandom
            | Call::Connect => self.asks_by(call, caller),
            _ => self.names(call, caller),
        };
        Answer::Continue
    }
}
