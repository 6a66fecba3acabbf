//! What may be otherwise in a rebuild.
//!
//! In: names. Out: [`Variation`]s. A rebuild that comes out the same although these were otherwise
//! shows that the image doesn't depend on them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One thing that is otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variation {
    /// File times of the context lie years back. That the rebuild is later than the build is always so.
    Time,
    /// One processor instead of all.
    Cores,
    /// Who owns what is built on disk: one user alone, whose owners cairn keeps by itself. Nothing changes for
    /// who has no other users anyway.
    Uid,
    /// Where the context lies.
    Path,
    /// The caller's language and time zone.
    Locale,
    /// The machine's name.
    Hostname,
    /// The order in which the context's files were made, and directories may list them.
    FsOrder,
    /// Memory that commands may use: half of the machine's.
    Memory,
    /// What the kernel calls itself to cairn; commands are told one name everywhere.
    KernelName,
    /// Processes that use all processors meanwhile.
    Load,
    /// The numbers of processes.
    Pid,
}

/// All of them.
const ALL: [(Variation, &str); 11] = [
    (Variation::Time, "time"),
    (Variation::Cores, "cores"),
    (Variation::Uid, "uid"),
    (Variation::Path, "path"),
    (Variation::Locale, "locale"),
    (Variation::Hostname, "hostname"),
    (Variation::FsOrder, "fs-order"),
    (Variation::Memory, "memory"),
    (Variation::KernelName, "kernel-name"),
    (Variation::Load, "load"),
    (Variation::Pid, "pid"),
];

impl Variation {
    /// All of them, in the order in which they are named.
    pub fn all() -> impl Iterator<Item = Variation> {
        ALL.iter().map(|(variation, _)| *variation)
    }
}

impl fmt::Display for Variation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = ALL.iter().find(|(variation, _)| variation == self);
        f.write_str(named.map_or("", |(_, name)| name))
    }
}

impl FromStr for Variation {
    type Err = String;

    fn from_str(text: &str) -> Result<Variation, String> {
        let named = ALL.iter().find(|(_, name)| *name == text);
        named.map(|(variation, _)| *variation).ok_or_else(|| {
            let names: Vec<_> = ALL.iter().map(|(_, name)| *name).collect();
            format!("it is one of `all`, `{}`", names.join("`, `"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_which_is_also_its_name_in_json() {
        for variation in Variation::all() {
            let name = variation.to_string();
            assert_eq!(name.parse(), Ok(variation));
            assert_eq!(serde_json::to_value(variation).unwrap(), name.as_str());
        }
        assert!(
            "clock"
                .parse::<Variation>()
                .unwrap_err()
                .contains("`fs-order`")
        );
    }
}
