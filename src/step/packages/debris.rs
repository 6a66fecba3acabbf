//! What installing leaves that nobody needs: logs, backups, caches and names of the machine.
//!
//! In: a change. Out: the same without it, where it wasn't there before.

use std::sync::Arc;

use super::Error;
use crate::canon::Digest;
use crate::inputs::Origin;
use crate::layer::{Entry, Kind, Rootfs, Tree};
use crate::step::Change;

/// `change` without what is left of installing.
pub fn without(change: Change, base: &Rootfs) -> Result<Change, Error> {
    let Change { tree, origins } = change;
    let entries = tree.entries().iter().cloned().zip(origins);
    let is_kept = |(entry, _): &(Entry, Origin)| {
        base.get(&entry.path).is_some() || !is_debris(entry.path.as_bytes())
    };
    let named = |(mut entry, mut origin): (Entry, Origin)| {
        // Empty, it is made when a machine begins (machine-id(5)): what is random here would be
        // the name of all of them.
        if entry.path.as_bytes() == b"etc/machine-id" && base.get(&entry.path).is_none() {
            let digest = Digest::of(b"");
            entry.kind = Kind::File { size: 0, digest };
            origin = Origin::Bytes(Arc::from(&b""[..]));
        }
        (entry, origin)
    };
    let (entries, origins): (Vec<Entry>, Vec<Origin>) = entries.filter(is_kept).map(named).unzip();
    let tree = Tree::new(entries).map_err(crate::step::Error::from)?;
    Ok(Change { tree, origins })
}

/// Logs, the state before the last change, and what `ldconfig` remembers of inodes and times.
fn is_debris(path: &[u8]) -> bool {
    const LOGS: [&[u8]; 3] = [
        b"var/log/dpkg.log",
        b"var/log/alternatives.log",
        b"var/log/apt/",
    ];
    let is_backup = |folder: &[u8]| {
        let name = path.strip_prefix(folder);
        name.is_some_and(|name| name.ends_with(b"-old") && !name.contains(&b'/'))
    };
    LOGS.iter()
        .any(|log| path == *log || (log.ends_with(b"/") && path.starts_with(log)))
        || path == b"var/cache/ldconfig/aux-cache"
        || path == b"var/lib/dbus/machine-id"
        || is_backup(b"var/lib/dpkg/")
        || is_backup(b"var/cache/debconf/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_installing_leaves_is_debris() {
        for path in [
            "var/log/dpkg.log",
            "var/log/apt/history.log",
            "var/lib/dpkg/status-old",
            "var/cache/debconf/templates.dat-old",
        ] {
            assert!(is_debris(path.as_bytes()), "{path}");
        }
        for path in [
            "var/log/apt",
            "var/log/dpkg.log.d",
            "var/lib/dpkg/status",
            "var/lib/dpkg/info/a-old",
            "etc/passwd-old",
        ] {
            assert!(!is_debris(path.as_bytes()), "{path}");
        }
    }
}
