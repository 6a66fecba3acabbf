//! A process's own clock, in its memory.
//!
//! In: a process. Out: where its cell is ([`Cell`]), and what that says.

use super::patience::Since;
use super::vdso::{self, Patch};
use crate::sandbox::processes;
use crate::sandbox::sys_notify;
use crate::sandbox::sys_trace::Cell;

/// `AT_SYSINFO_EHDR`.
const VDSO: u64 = 33;

/// The cell of a process.
#[derive(Debug, Clone, Copy)]
pub struct Own {
    /// What it says.
    pub cell: Cell,
    at: u64,
}

impl Own {
    /// That of a process, if it has one.
    pub fn of(patch: &Patch, process: u32) -> Option<Own> {
        let vector = std::fs::read(format!("/proc/{process}/auxv")).ok()?;
        let word = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_le_bytes);
        let mut entries = vector.chunks_exact(16);
        let entry = entries.find(|entry| word(&entry[..8]) == Some(VDSO))?;
        let at = patch.cell(word(&entry[8..])?);
        let mut bytes = [0; 24];
        let read = sys_notify::read_memory(process, at, &mut bytes);
        let cell = (read == Ok(bytes.len())).then(|| vdso::cell(&bytes))??;
        Some(Own { cell, at })
    }

    /// Changes since when its patience counts; whether that may be.
    pub fn set_since(&self, process: u32, since: Since) -> bool {
        processes::write_over(process, self.at + 16, &since.kept().to_le_bytes()).is_ok()
    }
}
