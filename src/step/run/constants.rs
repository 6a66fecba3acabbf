//! What a command sees in place of the machine's time and chance.
//!
//! In: where its network leads, what it runs on, its key. Out: [`Constants`]; none for a command that
//! reaches the world as it is today: whose certificates and lists are of today, and who must be able to
//! keep a secret from it.

use super::{Error, Fetching, Ground, Input, Runner};
use crate::canon::{EntryPath, StepKey};
use crate::inputs::Stack;
use crate::layer::Entry;
use crate::plan::Command;
use crate::plan::command::Network;
use crate::sandbox::{Constants, Seed};

/// 2100-01-01, in seconds since 1970: what an image has of later times is no reason for a clock.
const LATEST: i64 = 4_102_444_800;

impl Runner<'_> {
    /// For `command` on `ground`; its randomness follows from `seed`.
    pub(super) fn constants(
        &self,
        command: &Command,
        ground: &Ground<'_>,
        fetching: Fetching<'_>,
        seed: &StepKey,
    ) -> Result<Option<Constants>, Error> {
        let seed = Seed(*seed.0.bytes());
        let instant = match command.network {
            Network::Default => fetching.instant(),
            Network::Host => None,
            // Where no command can have a clock, those that need none run as they can.
            Network::None if self.tell_clock()? => Some(self.behind_all(ground)?),
            Network::None => None,
        };
        Ok(instant.map(|instant| Constants { instant, seed }))
    }

    /// The second after the newest file that the command finds: what it makes is newer than what it
    /// makes it of, as `make` and its kin want it.
    fn behind_all(&self, ground: &Ground<'_>) -> Result<i64, Error> {
        let rootfs = |stack: &Stack| stack.rootfs(self.store, self.expansion);
        let root = EntryPath::root();
        let mut newest = self.epoch.seconds();
        let mut see = |time: i64| {
            if time < LATEST {
                newest = newest.max(time);
            }
        };
        let mut see_all = |entries: &[Entry]| entries.iter().for_each(|it| see(it.meta.mtime));
        if let Some(made) = ground.made {
            see_all(made.tree.entries());
        }
        let mut stacks = vec![ground.below];
        for input in ground.inputs {
            match input {
                Input::Layers(stack) => stacks.push(stack),
                Input::Files(files) => {
                    let trees = files.picks.iter().map(|pick| pick.tree.entries());
                    trees.for_each(&mut see_all);
                }
            }
        }
        for stack in stacks {
            let rootfs = rootfs(stack)?;
            rootfs
                .below(&root)
                .for_each(|(_, node)| see(node.meta.mtime));
        }
        Ok(newest + 1)
    }
}
