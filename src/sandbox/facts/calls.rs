//! The calls that tell of the machine: uname(2), sysinfo(2), sched_getaffinity(2), statfs(2) and the
//! like.
//!
//! In: a step's calls. Out: answers, in the caller's form, from the constants.

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::CapabilitySet;

use super::affinity::{self, Affinity};
use super::disk::Disk;
use super::{DOMAIN, FREE, MEMORY, RELEASE, SYSTEM, UP, VERSION};
use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Is, Rule};
use crate::sandbox::notify::resolve::{self, Way};
use crate::sandbox::notify::rights::{Rights, Users};
use crate::sandbox::notify::{Answer, Caller, Handler};
use crate::sandbox::{Request, Source, etc, mounts};

/// Bytes of each text of uname(2), its end included.
const LENGTH: usize = 65;
/// Of personality(2): whoever has it is told of a machine of 32 bits (`PER_LINUX32`).
const OF_32_BITS: u32 = 8;
/// Bytes of a set of processors, as the kernel has it for so few.
const SET: usize = 8;
/// `PRIO_PROCESS`.
const PROCESS: u32 = 0;
/// `struct compat_statfs64` of the kernel.
const STATFS_64: u64 = 84;

/// The machine of one step.
#[derive(Debug)]
pub struct Facts {
    /// Of the host and of the domain.
    names: [Vec<u8>; 2],
    affinity: Affinity,
    /// Bytes of file systems in memory that the request gives a size.
    sizes: Vec<u64>,
    users: Users,
    /// How nice this process is, and so the step's first.
    nice: i32,
}

impl Facts {
    /// Of a step whose user namespace has such users.
    pub fn new(request: &Request, users: Users) -> Facts {
        let mounted = request
            .mounts
            .iter()
            .filter_map(|mount| match mount.source {
                Source::Tmpfs { size, .. } => size,
                _ => None,
            });
        let mut sizes: Vec<u64> = mounted.collect();
        sizes.push(request.shm_size.unwrap_or(mounts::SHM_SIZE));
        Facts {
            names: [etc::hostname(request), DOMAIN].map(|name| name.as_bytes().to_vec()),
            affinity: Affinity::default(),
            sizes,
            users,
            nice: rustix::process::getpriority_process(None).unwrap_or(0),
        }
    }

    fn tell(&mut self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        match call {
            Call::Uname => {
                let is_of_32_bits = personality(caller)? & 0xff == OF_32_BITS;
                caller.write(caller.argument(0), &self.uname(is_of_32_bits))?;
            }
            Call::Sethostname => self.name(0, caller)?,
            Call::Setdomainname => self.name(1, caller)?,
            Call::Sysinfo => {
                caller.write(caller.argument(0), &sysinfo(caller.is_of_32_bits()))?;
            }
            Call::Getcpu => {
                for place in [caller.argument(0), caller.argument(1)] {
                    if place != 0 {
                        caller.write(place, &[0; 4])?;
                    }
                }
            }
            Call::SchedGetaffinity => return self.affinity(caller),
            Call::SchedSetaffinity => self.set_affinity(caller)?,
            Call::Getpriority | Call::Setpriority => return self.priority(call, caller),
            _ => self.disk(call, caller)?,
        }
        Ok(Answer::Value(0))
    }

    /// `struct new_utsname`.
    fn uname(&self, is_of_32_bits: bool) -> Vec<u8> {
        let machine = match (is_of_32_bits, std::env::consts::ARCH) {
            (true, "x86_64") => "i686",
            (true, "aarch64") => "armv8l",
            (_, machine) => machine,
        };
        let [host, domain] = &self.names;
        let [system, release, version, machine] =
            [SYSTEM, RELEASE, VERSION, machine].map(str::as_bytes);
        let texts = [system, host, release, version, machine, domain];
        let padded = texts.iter().flat_map(|text| {
            let text = text.iter().take(LENGTH - 1).copied();
            text.chain(std::iter::repeat(0)).take(LENGTH)
        });
        padded.collect()
    }

    /// Takes another name, as the kernel does from who may do everything.
    fn name(&mut self, which: usize, caller: &Caller<'_>) -> Result<(), Errno> {
        if !Rights::of(caller, Users::One)?.has(CapabilitySet::SYS_ADMIN) {
            return Err(Errno::PERM);
        }
        let length = usize::try_from(caller.int(1)).map_err(|_| Errno::INVAL)?;
        if length >= LENGTH {
            return Err(Errno::INVAL);
        }
        let mut name = vec![0; length];
        caller.read(caller.argument(0), &mut name)?;
        let end = name.iter().position(|byte| *byte == 0);
        name.truncate(end.unwrap_or(length));
        self.names[which] = name;
        Ok(())
    }

    fn affinity(&self, caller: &Caller<'_>) -> Result<Answer, Errno> {
        let word = match caller.is_of_32_bits() {
            true => 4,
            false => SET,
        };
        let room = usize::try_from(caller.word(1)).map_err(|_| Errno::INVAL)?;
        if room == 0 || !room.is_multiple_of(word) {
            return Err(Errno::INVAL);
        }
        let thread = caller.named(caller.word(0))?;
        let set = self.affinity.of(thread, affinity::look);
        let written = room.min(SET);
        caller.write(caller.argument(2), &set.to_le_bytes()[..written])?;
        Ok(Answer::Value(
            i64::try_from(written).map_err(|_| Errno::INVAL)?,
        ))
    }

    /// Nothing but what is told changes by it, so that whoever asks may.
    fn set_affinity(&mut self, caller: &Caller<'_>) -> Result<(), Errno> {
        let room = usize::try_from(caller.word(1)).map_err(|_| Errno::INVAL)?;
        let mut bytes = [0; SET];
        caller.read(caller.argument(2), &mut bytes[..room.min(SET)])?;
        let thread = caller.named(caller.word(0))?;
        let set = u64::from_le_bytes(bytes);
        match self.affinity.set(thread, set, affinity::look) {
            true => Ok(()),
            false => Err(Errno::INVAL),
        }
    }

    /// How much nicer a process is than the step's first.
    fn priority(&self, call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
        let is_of_itself = caller.word(1) == 0;
        if self.nice == 0 || (call == Call::Setpriority && !is_of_itself) {
            return Ok(Answer::Continue);
        }
        let thread = caller.named(caller.word(1))?;
        let pid = Pid::from_raw(thread.cast_signed()).ok_or(Errno::SRCH)?;
        match call {
            Call::Setpriority => {
                let nice = caller.int(2).clamp(-20, 19).saturating_add(self.nice);
                rustix::process::setpriority_process(Some(pid), nice.clamp(-20, 19))?;
                Ok(Answer::Value(0))
            }
            _ => {
                let nice = rustix::process::getpriority_process(Some(pid))? - self.nice;
                // The call itself never gives a negative number.
                Ok(Answer::Value(i64::from(20 - nice).clamp(1, 40)))
            }
        }
    }

    fn disk(&self, call: Call, caller: &Caller<'_>) -> Result<(), Errno> {
        let (is_wide, place) = match call {
            Call::Statfs64 | Call::Fstatfs64 => (true, caller.argument(2)),
            _ => (false, caller.argument(1)),
        };
        if is_wide && caller.argument(1) != STATFS_64 {
            return Err(Errno::INVAL);
        }
        let file = match call {
            Call::Statfs | Call::Statfs64 => {
                let rights = Rights::of(caller, self.users)?;
                let way = Way::plain(true);
                resolve::file(caller, &rights, libc::AT_FDCWD, caller.argument(0), way)?
            }
            _ => caller.descriptor(caller.int(0))?,
        };
        let disk = Disk::of(&rustix::fs::fstatfs(&file)?, &self.sizes);
        caller.write(place, &disk.bytes(call, caller.is_of_32_bits()))
    }
}

impl Handler for Facts {
    fn rules() -> Vec<Rule> {
        let missing = Action::Deny(libc::ENOSYS);
        let mut rules = vec![
            // What was there before uname(2), and says less.
            Rule::always(Call::Olduname, missing),
            Rule::always(Call::Oldolduname, missing),
            // The kernel writes down there which processor a thread is on. libc goes without.
            Rule::always(Call::Rseq, missing),
        ];
        for call in [
            Call::Fstatfs,
            Call::Fstatfs64,
            Call::Getcpu,
            Call::SchedGetaffinity,
            Call::SchedSetaffinity,
            Call::Setdomainname,
            Call::Sethostname,
            Call::Statfs,
            Call::Statfs64,
            Call::Sysinfo,
            Call::Uname,
        ] {
            rules.push(Rule::always(call, Action::Notify));
        }
        for call in [Call::Getpriority, Call::Setpriority] {
            let process = Is::OneOf(vec![PROCESS]);
            rules.push(Rule::when(call, 0, !0, process, Action::Notify));
        }
        rules
    }

    fn answer(&mut self, call: Call, caller: &Caller<'_>) -> Answer {
        self.tell(call, caller).into()
    }
}

fn personality(caller: &Caller<'_>) -> Result<u32, Errno> {
    let text = std::fs::read_to_string(format!("/proc/{}/personality", caller.pid()));
    let text = text.map_err(|_| Errno::SRCH)?;
    caller.check()?;
    u32::from_str_radix(text.trim(), 16).map_err(|_| Errno::SRCH)
}

/// `struct sysinfo`.
fn sysinfo(is_of_32_bits: bool) -> Vec<u8> {
    // What no 32 bits can count is counted in pages.
    let unit: u64 = match is_of_32_bits {
        true => 4096,
        false => 1,
    };
    let number = |value: u64| {
        let bytes = value.to_le_bytes();
        bytes[..if is_of_32_bits { 4 } else { 8 }].to_vec()
    };
    let up = UP.cast_unsigned();
    // Up, loads, memory: all, free, shared, of buffers; swap: all, free.
    let begin = [up, 0, 0, 0, MEMORY / unit, FREE / unit, 0, 0, 0, 0];
    let mut bytes: Vec<u8> = begin.into_iter().flat_map(number).collect();
    // One process, and what the compiler fills up with.
    bytes.extend([1, 0, 0, 0]);
    if !is_of_32_bits {
        bytes.extend([0; 4]);
    }
    // High memory: all, free.
    bytes.extend([0, 0].into_iter().flat_map(number));
    bytes.extend((unit as u32).to_le_bytes());
    bytes.extend(vec![0; if is_of_32_bits { 8 } else { 4 }]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_kernels_form() {
        let facts = Facts::new(&Request::default(), Users::Many);
        let answer = facts.uname(false);
        assert_eq!(answer.len(), size_of::<libc::utsname>());
        let texts: Vec<_> = answer.chunks(LENGTH).map(<[u8]>::to_vec).collect();
        assert!(texts[0].starts_with(b"Linux\0") && texts[1].starts_with(b"cairn\0"));
        assert!(texts[5].starts_with(b"(none)\0"));
        let narrow = facts.uname(true);
        assert_ne!(texts[4], narrow[4 * LENGTH..5 * LENGTH]);
        assert_eq!(sysinfo(false).len(), size_of::<libc::sysinfo>());
        // `struct compat_sysinfo` of the kernel.
        assert_eq!(sysinfo(true).len(), 64);
    }
}
