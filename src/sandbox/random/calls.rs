//! The calls that ask for chance.
//!
//! In: a step's calls. Out: answers, each from the stream of the process that asks.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use rustix::fs::{Access, AtFlags};
use rustix::io::Errno;

use super::names;
use super::pool::Pool;
use super::streams::Own;
use super::{Seed, Shared};
use crate::sandbox::Error;
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Is, Rule};
use crate::sandbox::notify::{self, Answer, Caller, Handler, reading};

/// Flags of getrandom(2): `GRND_NONBLOCK`, `GRND_RANDOM`, `GRND_INSECURE`; of the last two one only.
const FLAGS: u32 = 7;
const EITHER: u32 = 6;
/// Most bytes that one call gives, as the kernel has it.
const MOST: u64 = (32 << 20) - 1;
/// Bytes that are written to a process at once.
const PIECE: usize = 64 << 10;
/// Bytes of a command line that tell it from others: more than the kernel takes of arguments (execve(2)).
const LONGEST_LINE: u64 = 8 << 20;
/// Flags of open(2) by which mkstemp(3) makes a file, and those that are looked at.
const MAKING: i32 = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
const MAKING_BITS: i32 = libc::O_CREAT | libc::O_EXCL | libc::O_ACCMODE;
/// Permissions by which mkdtemp(3) makes a folder, and those that are looked at.
const OF_FOLDER: u32 = 0o700;
const PERMISSIONS: u32 = 0o777;
/// Bytes of the longest path that is looked for, its end included.
const LONGEST: usize = UUID.len() + 1;
const DEVICES: [&[u8]; 2] = [b"/dev/urandom", b"/dev/random"];
const UUID: &[u8] = b"/proc/sys/kernel/random/uuid";

/// The randomness of one step.
#[derive(Debug)]
pub struct Random {
    seed: Seed,
    shared: Shared,
    pool: Pool,
}

impl Random {
    /// From the streams that [`crate::sandbox::clock`] begins with each program.
    pub fn new(seed: Seed, shared: Shared) -> Random {
        Random {
            seed,
            shared,
            pool: Pool::default(),
        }
    }

    /// Whether everybody got what was asked for.
    pub fn finish(self) -> Result<(), Error> {
        self.pool.finish()
    }

    /// Has the caller's own streams.
    fn with_own<T>(
        &self,
        caller: &Caller<'_>,
        then: impl FnOnce(&mut Own) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let process = caller.process()?;
        let mut streams = self.shared.streams();
        if let Some(own) = streams.get(process) {
            return then(own);
        }
        let command = command_line(process)?;
        caller.check()?;
        then(streams.begin(process, &command, is_there))
    }

    fn give(&self, caller: &Caller<'_>) -> Result<Answer, Errno> {
        let (address, flags) = (caller.argument(0), caller.word(2));
        if flags & !FLAGS != 0 || flags & EITHER == EITHER {
            return Err(Errno::INVAL);
        }
        let length = caller.argument(1).min(MOST);
        self.with_own(caller, |own| {
            let mut bytes = [0; PIECE];
            let mut done = 0;
            while done < length {
                let piece = usize::try_from(length - done).map_or(PIECE, |left| left.min(PIECE));
                own.bytes.fill(&mut bytes[..piece]);
                match caller.write(address.wrapping_add(done), &bytes[..piece]) {
                    Ok(()) => done += piece as u64,
                    Err(_) if done > 0 => break,
                    Err(error) => return Err(error),
                }
            }
            Ok(Answer::Value(done.cast_signed()))
        })
    }

    /// Has what the caller is about to make another name, where it made one up by a clock that runs. It is
    /// written where the caller has it and reads it again.
    fn name(&self, call: Call, caller: &Caller<'_>) -> Result<(), Errno> {
        let address = match call {
            Call::Open | Call::Mkdir => caller.argument(0),
            _ => caller.argument(1),
        };
        let path = caller.path(address)?;
        let arguments = command_line(caller.pid())?;
        let Some(places) = names::made_up(&path, &arguments) else {
            return Ok(());
        };
        let mut letters = vec![0; places.len()];
        self.with_own(caller, |own| {
            own.names.fill(&mut letters);
            Ok(())
        })?;
        for letter in &mut letters {
            *letter = names::LETTERS[usize::from(*letter) % names::LETTERS.len()];
        }
        caller.write(address.wrapping_add(places.start as u64), &letters)
    }

    fn open(&mut self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        let flags = caller.int(reading::flags_at(call).into());
        if flags & MAKING_BITS == MAKING {
            self.name(call, caller)?;
            return Ok(Answer::Continue);
        }
        let mut buffer = [0; LONGEST];
        let Some(path) = reading::path(call, caller, &mut buffer)? else {
            return Ok(Answer::Continue);
        };
        let is_uuid = path == UUID;
        if !is_uuid && !DEVICES.contains(&path) {
            return Ok(Answer::Continue);
        }
        // In a root of its own there may be none.
        rustix::fs::accessat(
            &caller.root()?,
            &path[1..],
            Access::READ_OK,
            AtFlags::empty(),
        )?;
        // From here on nothing else will do.
        Ok(self.chance(caller, is_uuid).into())
    }

    fn chance(&mut self, caller: &Caller<'_>, is_uuid: bool) -> Result<Answer, Errno> {
        let place = self.with_own(caller, |own| Ok(own.bytes.take()))?;
        let file = match is_uuid {
            true => uuid(place),
            false => self.pool.open(&self.seed, place),
        };
        match file {
            Ok(file) => Ok(Answer::Descriptor {
                file,
                close_on_exec: false,
            }),
            Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::NOMEM)),
        }
    }
}

impl Handler for Random {
    fn rules() -> Vec<Rule> {
        // What is to be new and nobody else's: as names that are made up are.
        let making = |call| {
            let is = Is::OneOf(vec![MAKING.cast_unsigned()]);
            let bits = MAKING_BITS.cast_unsigned();
            Rule::when(call, reading::flags_at(call), bits, is, Action::Notify)
        };
        let folder = |call, argument| {
            let is = Is::OneOf(vec![OF_FOLDER]);
            Rule::when(call, argument, PERMISSIONS, is, Action::Notify)
        };
        let mut rules = reading::rules().to_vec();
        rules.extend([
            Rule::always(Call::Getrandom, Action::Notify),
            making(Call::Open),
            making(Call::Openat),
            folder(Call::Mkdir, 1),
            folder(Call::Mkdirat, 2),
        ]);
        rules
    }

    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer {
        match call {
            Call::Getrandom => self.give(caller).into(),
            // Whatever goes wrong on the way goes wrong in the kernel, too, which says it better.
            Call::Mkdir | Call::Mkdirat => {
                let mode = if call == Call::Mkdir { 1 } else { 2 };
                if caller.word(mode) & PERMISSIONS == OF_FOLDER {
                    let _ = self.name(call, caller);
                }
                Answer::Continue
            }
            _ => self.open(call, caller).unwrap_or(Answer::Continue),
        }
    }
}

/// A random uuid (RFC 9562, section 5.4), as the kernel writes it.
pub fn uuid_text(bytes: [u8; 16]) -> String {
    let number = u128::from_be_bytes(bytes) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let part = |from: u32, bits: u32| number >> from & ((1 << bits) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}\n",
        part(96, 32),
        part(80, 16),
        part(64, 16),
        part(48, 16),
        part(0, 48)
    )
}

fn uuid(bytes: [u8; 16]) -> std::io::Result<OwnedFd> {
    notify::text_file("uuid", uuid_text(bytes).as_bytes())
}

/// The command line of a process: its arguments, each with its end, as far as they go into a buffer.
pub fn command_line(process: u32) -> Result<Vec<u8>, Errno> {
    let read = File::open(format!("/proc/{process}/cmdline")).and_then(|file| {
        let mut line = Vec::new();
        file.take(LONGEST_LINE).read_to_end(&mut line)?;
        Ok(line)
    });
    read.map_err(|error| match Errno::from_io_error(&error) {
        // It has ended.
        Some(Errno::NOENT) | None => Errno::SRCH,
        Some(error) => error,
    })
}

/// Whether there is a process of that number.
pub fn is_there(process: u32) -> bool {
    rustix::fs::stat(format!("/proc/{process}")).is_ok()
}
