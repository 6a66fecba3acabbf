//! Logs: all that commands wrote, as they wrote it.
//!
//! In: bytes. Out: a file by step key, of all that the command wrote until it or the build ended; and
//! the list of the last build's commands.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Error, Store, io_error, publish};
use crate::canon::StepKey;
use crate::canon::event::Outcome;

/// A command of the last build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// Its step's key, by which its log is found.
    pub key: StepKey,
    /// Its step's name, for people.
    pub name: String,
    /// What came of it; none where the build ended before it did.
    pub outcome: Option<Outcome>,
}

/// Largest list of commands that is read, in bytes.
const LARGEST_LIST: u64 = 16 << 20;

impl Store {
    /// The commands of the last build, in its order; none where there was none, or the list is
    /// damaged: it is for people alone.
    pub fn last_commands(&self) -> Vec<Logged> {
        let mut text = Vec::new();
        let file = File::open(self.last_path());
        let read = file.and_then(|file| file.take(LARGEST_LIST).read_to_end(&mut text));
        let list = read.ok().and_then(|_| serde_json::from_slice(&text).ok());
        list.unwrap_or_default()
    }

    /// Keeps the commands of a build, in place of those of the one before.
    pub fn put_last_commands(&self, commands: &[Logged]) -> Result<(), Error> {
        let mut file = self.temporary()?;
        let text = serde_json::to_vec(commands).unwrap_or_default();
        file.write_all(&text)
            .map_err(io_error("write", file.path()))?;
        publish(file, &self.last_path())
    }

    fn last_path(&self) -> PathBuf {
        self.root.join("logs").join("last.json")
    }

    /// Where the log of the step is, or would be.
    pub fn log_path(&self, key: &StepKey) -> PathBuf {
        self.root.join("logs").join(key.0.hex())
    }

    /// A new log in place of the step's last one, to be written to.
    pub fn begin_log(&self, key: &StepKey) -> Result<File, Error> {
        let log = self.temporary()?;
        let file = log.reopen().map_err(io_error("write", log.path()))?;
        publish(log, &self.log_path(key))?;
        Ok(file)
    }

    /// The keys of the steps that have a log, the last written first.
    pub fn logs(&self) -> Vec<StepKey> {
        #[expect(clippy::disallowed_methods, reason = "sorted below")]
        let Ok(found) = std::fs::read_dir(self.root.join("logs")) else {
            return Vec::new();
        };
        let dated = found.flatten().filter_map(|file| {
            let key = crate::canon::Digest::from_hex(file.file_name().to_str()?).ok()?;
            let time = file.metadata().ok()?.modified().ok()?;
            Some((std::cmp::Reverse(time), key))
        });
        let mut dated: Vec<_> = dated.collect();
        dated.sort();
        dated.into_iter().map(|(_, key)| StepKey(key)).collect()
    }
}
