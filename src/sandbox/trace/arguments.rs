//! The command line of what a thread is about to execute.
//!
//! In: a call of execve(2) or execveat(2). Out: its arguments as one line.

use rustix::io::Errno;

use crate::sandbox::notify::Caller;
use crate::sandbox::notify::call::Call;

/// Most arguments that are read, and most bytes of each.
const MOST: usize = 64;
const LONGEST: usize = 512;
/// Most characters of a line.
const LINE: usize = 512;

/// The arguments, each parted from the next by a space; what is no text is escaped.
pub fn line(call: Call, caller: &Caller<'_>) -> Result<String, Errno> {
    let at = match call {
        Call::Execve => 1,
        _ => 2,
    };
    let width = match caller.is_of_32_bits() {
        true => 4,
        false => 8,
    };
    let mut words = Vec::new();
    let mut address = caller.argument(at);
    while words.len() < MOST && address != 0 {
        let mut pointer = [0; 8];
        caller.read(address, &mut pointer[..width])?;
        match u64::from_le_bytes(pointer) {
            0 => return Ok(cut(words.join(" "))),
            text => words.push(word(caller, text)?),
        }
        address = address.checked_add(width as u64).ok_or(Errno::FAULT)?;
    }
    words.push("…".to_owned());
    Ok(cut(words.join(" ")))
}

fn cut(line: String) -> String {
    match line.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn word(caller: &Caller<'_>, address: u64) -> Result<String, Errno> {
    let mut bytes = [0; LONGEST];
    let read = caller.glance(address, &mut bytes)?;
    let end = bytes[..read].iter().position(|byte| *byte == 0);
    let text = String::from_utf8_lossy(&bytes[..end.unwrap_or(read)]);
    Ok(match end {
        Some(_) => text.into_owned(),
        None => format!("{text}…"),
    })
}

/// A command line as `/proc/PID/cmdline` has it.
pub fn of_bytes(line: &[u8]) -> String {
    let words = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty());
    let words = words.take(MOST).map(String::from_utf8_lossy);
    cut(words.collect::<Vec<_>>().join(" "))
}
