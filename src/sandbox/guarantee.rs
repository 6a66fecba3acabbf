//! What makes a command's result a function of its inputs, where this machine doesn't give it.
//!
//! In: what a session found out. Out: [`Guarantee`]s, in words. A build goes on without one, and says
//! so; or it doesn't, if the caller says that it must have them all.

use super::{Ways, identity, ways};

/// One of the things that commands find the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarantee {
    /// Where a program's code, stack and heap lie.
    Addresses,
    /// In which order a directory's names are read.
    DirectoryOrder,
    /// What getrlimit(2) says.
    Limits,
    /// The numbers of processes.
    Processes,
}

impl Guarantee {
    /// Those that a session doesn't give which does things so.
    pub(super) fn missing(ways: Ways) -> Vec<Guarantee> {
        let all = [
            (ways.randomises_addresses, Guarantee::Addresses),
            (ways.reads_as_stored, Guarantee::DirectoryOrder),
            (ways.has_lower_limits, Guarantee::Limits),
            (ways.shares_proc, Guarantee::Processes),
        ];
        let missing = all.into_iter().filter(|(is_missing, _)| *is_missing);
        missing.map(|(_, guarantee)| guarantee).collect()
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Guarantee::Addresses => "addresses",
            Guarantee::DirectoryOrder => "directory-order",
            Guarantee::Limits => "limits",
            Guarantee::Processes => "processes",
        }
    }

    /// What commands find otherwise each time or on each machine, and why.
    pub fn what(self) -> &'static str {
        match self {
            Guarantee::Addresses => {
                "programs lie at other addresses each time, as personality(2) may not be called"
            }
            Guarantee::DirectoryOrder => {
                "directories are read in the order in which the file system has them, as the kernel breaks off answers when a signal comes"
            }
            Guarantee::Limits => {
                "resource limits are the machine's, as they are below those that commands have elsewhere"
            }
            Guarantee::Processes => {
                "processes have the container's numbers, as its `/proc` is the only one to be had"
            }
        }
    }

    /// The way to it.
    pub fn remedy(self) -> &'static str {
        match self {
            Guarantee::Addresses => identity::NO_FILTER,
            Guarantee::DirectoryOrder => "use Linux 5.19 or newer",
            Guarantee::Limits => super::limits::REMEDY,
            Guarantee::Processes => ways::UNMASK,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_missing() {
        assert_eq!(Guarantee::missing(Ways::default()), []);
        let ways = Ways {
            randomises_addresses: true,
            shares_proc: true,
            ..Ways::default()
        };
        let missing = [Guarantee::Addresses, Guarantee::Processes];
        assert_eq!(Guarantee::missing(ways), missing);
    }
}
