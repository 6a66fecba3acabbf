//! Calls that tell of the machine's disks and mounts, and that programs do without: refused, as a kernel
//! or a file system would that doesn't have them. Pure.
//!
//! Out: [`Rule`]s. What a disk answers to ioctl(2) is another thing on each kind: flags (`chattr`), where
//! on it a file lies, its generation, the disk's own UUID. All have ways around, as file systems in
//! memory mostly have none of it. In a command's layer nothing of it would be.

use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Is, Rule};

/// Newer than the kernel that commands are told of (`super::RELEASE`): what of files is in memory;
/// mounts, by numbers of their own.
const TOO_NEW: [Call; 3] = [Call::Cachestat, Call::Listmount, Call::Statmount];

/// Requests of ioctl(2) to a file system (linux/fs.h): get and set flags, generation, those of XFS; by
/// their numbers in programs of 32 bits, too.
const ATTRIBUTES: [u32; 10] = [
    0x8008_6601,
    0x8004_6601,
    0x4008_6602,
    0x4004_6602,
    0x8008_7601,
    0x8004_7601,
    0x4008_7602,
    0x4004_7602,
    0x801c_581f,
    0x401c_5820,
];
/// The same: the disk's label, UUID and place in `/sys`; a file's block (`FIBMAP`).
const DISKS: [u32; 5] = [1, 0x8100_9431, 0x4100_9432, 0x8011_1500, 0x8081_1501];
/// The same: places on the disk (`FIEMAP`), and sharing them (`FICLONE`, `FICLONERANGE`, `FIDEDUPERANGE`),
/// which copy_file_range(2) does where it can.
const EXTENTS: [u32; 4] = [0xc020_660b, 0x4004_9409, 0x4020_940d, 0xc018_9436];

/// What is refused.
pub fn rules() -> Vec<Rule> {
    let missing = TOO_NEW.map(|call| Rule::always(call, Action::Deny(libc::ENOSYS)));
    let requests = |requests: Vec<u32>, error| {
        Rule::when(Call::Ioctl, 1, !0, Is::OneOf(requests), Action::Deny(error))
    };
    let mut rules = missing.to_vec();
    rules.extend([
        requests([&ATTRIBUTES[..], &DISKS].concat(), libc::ENOTTY),
        requests(EXTENTS.to_vec(), libc::EOPNOTSUPP),
        // It holds numbers of the disk's, and nobody may open a file by it.
        Rule::always(Call::NameToHandleAt, Action::Deny(libc::EOPNOTSUPP)),
    ]);
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_those_of_the_headers() {
        // A direction, a length, a letter and a number (asm-generic/ioctl.h).
        let request = |direction: u32, length: u32, letter: u8, number: u32| {
            direction << 30 | length << 16 | u32::from(letter) << 8 | number
        };
        let (set, get, both) = (1, 2, 3);
        let mut attributes = Vec::new();
        for (letter, number) in [(b'f', 1), (b'v', 1)] {
            for (direction, number) in [(get, number), (set, number + 1)] {
                attributes.extend([8, 4].map(|size| request(direction, size, letter, number)));
            }
        }
        attributes.extend([request(get, 28, b'X', 31), request(set, 28, b'X', 32)]);
        assert_eq!(ATTRIBUTES[..], attributes);
        let of_disk = [
            request(0, 0, 0, 1),
            request(get, 256, 0x94, 49),
            request(set, 256, 0x94, 50),
            request(get, 17, 0x15, 0),
            request(get, 129, 0x15, 1),
        ];
        assert_eq!(DISKS, of_disk);
        let extents = [
            request(both, 32, b'f', 11),
            request(set, 4, 0x94, 9),
            request(set, 32, 0x94, 13),
            request(both, 24, 0x94, 54),
        ];
        assert_eq!(EXTENTS, extents);
    }
}
