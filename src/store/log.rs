//! Logs: all that commands wrote, as they wrote it.
//!
//! In: bytes. Out: a file by step key, whole, also where the command failed.

use std::path::PathBuf;

use super::{Error, Store, publish};
use crate::canon::StepKey;

impl Store {
    /// Where the log of the step is, or would be.
    pub fn log_path(&self, key: &StepKey) -> PathBuf {
        self.root.join("logs").join(key.0.hex())
    }

    /// Puts a log that was written into a [`Store::temporary`] file to where it is looked for.
    pub fn put_log(&self, log: tempfile::NamedTempFile, key: &StepKey) -> Result<(), Error> {
        publish(log, &self.log_path(key))
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
