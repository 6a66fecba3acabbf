//! What statfs(2) says. Pure.
//!
//! In: what the kernel says of a file system. Out: the same of the machine that every command is on,
//! as bytes in the caller's form.

use crate::sandbox::notify::call::Call;

/// `OVERLAYFS_SUPER_MAGIC`.
const OVERLAY: u64 = 0x794c_7630;
/// `TMPFS_MAGIC`.
const MEMORY: u64 = 0x0102_1994;
/// File systems that a step's own namespaces have: proc, devpts, mqueue, control groups of both
/// kinds, sysfs.
const OWN: [u64; 6] = [
    0x9fa0,
    0x1cd1,
    0x1980_0202,
    0x0027_e0eb,
    0x6367_7270,
    0x6265_6572,
];
/// Bytes of a block.
const BLOCK: u64 = 4096;
/// Blocks, and those that are free: of 1 TiB. More than 2^32 an old call has no room for.
const BLOCKS: (u64, u64) = (1 << 28, 1 << 27);
/// The same of files.
const FILES: (u64, u64) = (1 << 26, 1 << 25);
/// How a mount may be: `ST_RDONLY`, `ST_NOSUID`, `ST_NODEV`, `ST_NOEXEC`.
const FLAGS: u64 = 0xf;
/// `ST_VALID` and `ST_RELATIME`, as every mount of cairn's has them.
const ALWAYS: u64 = 0x1020;
/// Bytes of a name.
const NAME: u64 = 255;

/// File systems of the kernel's own that belong to nobody: proc, files without names, processes',
/// namespaces'.
const NOBODYS: [u64; 4] = [0x9fa0, 0x0904_1934, 0x5049_4446, 0x6e73_6673];

/// Whether what is there belongs to the kernel, so that who isn't the machine's root finds nobody to be
/// its owner.
pub fn is_nobodys(real: &rustix::fs::StatFs) -> bool {
    NOBODYS.contains(&(real.f_type.cast_unsigned() & 0xffff_ffff))
}

/// Whether it is one of processes.
pub fn is_proc(real: &rustix::fs::StatFs) -> bool {
    real.f_type.cast_unsigned() & 0xffff_ffff == OWN[0]
}

/// What a command is told of the length of a file and of the room that it takes, in blocks of 512 bytes:
/// what the one file system would say that is told of. Directories are as large as everybody's way of
/// keeping them has it, and room is given out by more, or by less. What has holes has them everywhere.
pub fn room(is_directory: bool, (size, blocks): (u64, u64)) -> (u64, u64) {
    let in_block = BLOCK / 512;
    if is_directory {
        return (BLOCK, in_block);
    }
    let has_holes = blocks.saturating_mul(512) < size;
    match has_holes {
        true => (size, blocks),
        false => (size, size.div_ceil(BLOCK) * in_block),
    }
}

/// What a command is told of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    kind: u64,
    blocks: (u64, u64),
    files: (u64, u64),
    flags: u64,
}

impl Disk {
    /// From what the kernel says. What is in memory, and as large as the request says, is told as it
    /// is: `sizes` are bytes.
    pub fn of(real: &rustix::fs::StatFs, sizes: &[u64]) -> Disk {
        let kind = real.f_type.cast_unsigned() & 0xffff_ffff;
        let flags = real.f_flags.cast_unsigned() & FLAGS | ALWAYS;
        if OWN.contains(&kind) {
            let (blocks, files) = ((0, 0), (0, 0));
            return Disk {
                kind,
                blocks,
                files,
                flags,
            };
        }
        let size = real.f_blocks.saturating_mul(real.f_bsize.cast_unsigned());
        let is_given = |given: &u64| given.next_multiple_of(BLOCK) == size;
        let blocks = match kind == MEMORY && sizes.iter().any(is_given) {
            true => (real.f_blocks, real.f_bfree),
            false => BLOCKS,
        };
        let kind = match kind {
            MEMORY => MEMORY,
            // What a step is given of the host's disks looks like its root.
            _ => OVERLAY,
        };
        Disk {
            kind,
            blocks,
            files: FILES,
            flags,
        }
    }

    /// In the form that `call` gives it: of a program of 32 bits, if it is one.
    pub fn bytes(&self, call: Call, is_of_32_bits: bool) -> Vec<u8> {
        let (blocks, files) = (self.blocks, self.files);
        let counts = [blocks.0, blocks.1, blocks.1, files.0, files.1];
        let ends = [NAME, BLOCK, self.flags];
        // Bytes of what says how large something is, and of all else.
        let (large, small) = match call {
            Call::Statfs64 | Call::Fstatfs64 => (8, 4),
            _ if is_of_32_bits => (4, 4),
            _ => (8, 8),
        };
        let mut bytes = Vec::new();
        let mut add = |numbers: &[u64], length: usize| {
            for number in numbers {
                bytes.extend_from_slice(&number.to_le_bytes()[..length]);
            }
        };
        add(&[self.kind, BLOCK], small);
        add(&counts, large);
        // `f_fsid`: two numbers of 32 bits everywhere.
        add(&[0, 0], 4);
        add(&ends, small);
        add(&[0; 4], small);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(kind: u64, blocks: u64) -> rustix::fs::StatFs {
        let mut real = rustix::fs::statfs("/proc").unwrap();
        real.f_type = kind.cast_signed();
        real.f_bsize = 4096;
        real.f_blocks = blocks;
        real.f_bfree = blocks / 3;
        real
    }

    #[test]
    fn disks_are_one_and_memory_is_as_large_as_was_asked() {
        let told = |kind, blocks, sizes: &[u64]| Disk::of(&real(kind, blocks), sizes);
        let root = told(0xef53, 1000, &[]);
        assert_eq!((root.kind, root.blocks), (OVERLAY, BLOCKS));
        assert_eq!(root, told(0x9123_683e, 77, &[77 * 4096]));
        assert_eq!(told(MEMORY, 9, &[]).blocks, BLOCKS);
        assert_eq!(told(MEMORY, 9, &[1, 8 * 4096 + 1]).blocks, (9, 3));
        assert_eq!(told(0x9fa0, 0, &[]).blocks, (0, 0));
    }

    #[test]
    fn room_is_that_of_one_file_system() {
        // In memory, on ext4, on btrfs.
        for directory in [(40, 0), (4096, 8), (61_440, 120), (0, 0)] {
            assert_eq!(room(true, directory), (4096, 8));
        }
        // What some keep more for, as it grows.
        assert_eq!(room(false, (5, 8)), (5, 8));
        assert_eq!(room(false, (70_000, 256)), (70_000, 144));
        assert_eq!(room(false, (0, 8)), (0, 0));
        // A hole.
        assert_eq!(room(false, (1 << 30, 8)), (1 << 30, 8));
    }

    #[test]
    fn each_call_has_its_form() {
        let disk = Disk::of(&real(0xef53, 1000), &[]);
        let length = |call, narrow| disk.bytes(call, narrow).len();
        assert_eq!(length(Call::Statfs, false), size_of::<libc::statfs>());
        // `struct compat_statfs`, `struct compat_statfs64` of the kernel.
        assert_eq!(length(Call::Fstatfs, true), 64);
        assert_eq!(length(Call::Statfs64, true), 84);
        // All that is counted has room in the smallest.
        assert!([BLOCKS.0, FILES.0].iter().all(|&count| count < 1 << 32));
    }
}
