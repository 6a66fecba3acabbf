//! Caches after a command: how large they are, and which have to go.
//!
//! In: the caches that a command used, a limit. Out: sizes noted in the store; a cache less where
//! all hold more than the limit: those go first that were not used for longest.

use std::collections::BTreeMap;

use super::Runner;
use super::error::Error;
use super::sources::absolute;
use crate::store::Cache;

impl Runner<'_> {
    /// Frees the caches that a command used.
    pub(super) fn free(&self, caches: BTreeMap<String, Cache>) -> Result<(), Error> {
        if caches.is_empty() {
            return Ok(());
        }
        let session = self.session()?;
        for cache in caches.values() {
            // Who shares it may change it meanwhile: then the next to use it tells its size.
            if let Ok(size) = session.measure(&absolute(&cache.folder())?) {
                cache.measured(size)?;
            }
        }
        drop(caches);
        let mut kept = self.store.caches();
        let mut all: u64 = kept.iter().filter_map(|kept| kept.size).sum();
        kept.sort_by_key(|kept| kept.used);
        for oldest in kept {
            if all <= self.settings.caches {
                break;
            }
            let remove = |folder: &std::path::Path| Ok(session.remove(&absolute(folder)?)?);
            let removed = match oldest.remove::<Error>(remove) {
                Ok(removed) => removed,
                // What can't go now hurts nobody: the command is done.
                Err(error) => {
                    self.events
                        .note(format!("a cache can't be removed: {error}"));
                    false
                }
            };
            if removed {
                let freed = oldest.size.unwrap_or(0);
                all -= freed;
                let (id, limit) = (oldest.id.escape_debug(), self.settings.caches);
                self.events.note(format!(
                    "removed the cache `{id}` of {freed} bytes: all may hold {limit} (`--cache-size`)"
                ));
            }
        }
        Ok(())
    }
}
