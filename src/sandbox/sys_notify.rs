//! System calls of `notify`: seccomp's listener, other processes' memory, limits and files.
//!
//! In: plain values and descriptors. Out: plain values; every error is the kernel's. All `unsafe`
//! of `notify` is here. Layouts: `linux/seccomp.h`.

#![allow(unsafe_code, reason = "system calls that rustix has not")]

use std::ffi::{CStr, c_void};
use std::mem::{offset_of, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::notify::bpf::Word;

/// A call that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub struct Notification {
    /// What the answer names.
    pub id: u64,
    /// The thread, by its number in this process's own namespace; 0 if it has none there.
    pub pid: u32,
    /// Of which architecture the call's number is (`AUDIT_ARCH_*`).
    pub architecture: u32,
    /// The call's number.
    pub number: u32,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// How a call ends.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    /// The kernel carries it out.
    Continue,
    /// It gives this.
    Value(i64),
    /// It fails.
    Error(Errno),
}

const RECEIVE: libc::c_ulong = 0xc050_2100;
const SEND: libc::c_ulong = 0xc018_2101;
const ID_VALID: libc::c_ulong = 0x4008_2102;
const ADD_DESCRIPTOR: libc::c_ulong = 0x4018_2103;
const SET_FLAGS: libc::c_ulong = 0x4008_2104;
/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`, since Linux 5.19.
const WAIT_KILLABLE: libc::c_ulong = 1 << 5;

fn last<T>() -> Result<T, Errno> {
    let error = std::io::Error::last_os_error().raw_os_error();
    Err(Errno::from_raw_os_error(error.unwrap_or(libc::EIO)))
}

fn done(result: libc::c_int) -> Result<(), Errno> {
    match result {
        -1 => last(),
        _ => Ok(()),
    }
}

/// Puts this thread, and what it will start, under `program`; gives the listener that answers its
/// notified calls. Allocates nothing.
///
/// Needs `CAP_SYS_ADMIN` in the user namespace, so that `no_new_privs` can stay off.
pub fn install(program: &[Word]) -> Result<OwnedFd, Errno> {
    const {
        assert!(size_of::<Word>() == size_of::<libc::sock_filter>());
        assert!(offset_of!(Word, k) == offset_of!(libc::sock_filter, k));
        assert!(offset_of!(Word, jt) == offset_of!(libc::sock_filter, jt));
        assert!(offset_of!(Word, jf) == offset_of!(libc::sock_filter, jf));
    }
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| Errno::TOOBIG)?,
        filter: program.as_ptr().cast_mut().cast(),
    };
    let listen = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    for flags in [listen | WAIT_KILLABLE, listen] {
        // SAFETY: the program lives until the call returns, and the kernel only reads it.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const program,
            )
        };
        if result >= 0 {
            let listener = i32::try_from(result).map_err(|_| Errno::BADF)?;
            // SAFETY: the kernel made it for this process; nobody else has it.
            return Ok(unsafe { OwnedFd::from_raw_fd(listener) });
        }
        if flags == listen {
            break;
        }
    }
    last()
}

/// Has the kernel run who waits where the other has just begun to wait, on the same processor: a call
/// and its answer take turns, and one that is woken elsewhere is woken late. Kernels before 6.6 can't,
/// and are as right without.
pub fn take_turns(listener: BorrowedFd<'_>) {
    let flags: libc::c_ulong = 1; // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
    // SAFETY: the kernel takes the flags by value.
    unsafe { libc::ioctl(listener.as_raw_fd(), SET_FLAGS, flags) };
}

/// Whether the kernel lets a call wait whatever signals come, once it was received. It looks at the
/// flags first, and at the program, which is none, then (seccomp(2)).
pub fn waits_for_answers() -> bool {
    // SAFETY: the kernel checks the address, which is none.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | WAIT_KILLABLE,
            std::ptr::null::<libc::sock_fprog>(),
        )
    };
    result == -1 && last::<()>() == Err(Errno::FAULT)
}

/// The next call that waits; none if it ended meanwhile.
pub fn receive(listener: BorrowedFd<'_>) -> Result<Option<Notification>, Errno> {
    const { assert!(size_of::<libc::seccomp_notif>() == 0x50) }
    // SAFETY: all bit patterns are values of it, and the kernel wants zeros.
    let mut raw: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one such struct there.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE, &raw mut raw) };
    match done(result) {
        Ok(()) => Ok(Some(Notification {
            id: raw.id,
            pid: raw.pid,
            architecture: raw.data.arch,
            number: raw.data.nr.cast_unsigned(),
            arguments: raw.data.args,
        })),
        Err(Errno::NOENT | Errno::INTR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Ends the call `id`. That it has ended already is fine.
pub fn reply(listener: BorrowedFd<'_>, id: u64, reply: Reply) -> Result<(), Errno> {
    const { assert!(size_of::<libc::seccomp_notif_resp>() == 0x18) }
    // SAFETY: all bit patterns are values of it.
    let mut raw: libc::seccomp_notif_resp = unsafe { std::mem::zeroed() };
    raw.id = id;
    match reply {
        Reply::Continue => raw.flags = 1, // SECCOMP_USER_NOTIF_FLAG_CONTINUE
        Reply::Value(value) => raw.val = value,
        Reply::Error(error) => raw.error = -error.raw_os_error(),
    }
    // SAFETY: the kernel only reads it.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), SEND, &raw mut raw) };
    match done(result) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Whether the call `id` still waits: what was opened by the number of its thread is then its own.
pub fn is_waiting(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel only reads the number.
    unsafe { libc::ioctl(listener.as_raw_fd(), ID_VALID, &raw const id) == 0 }
}

/// The process at the other end of a Unix socket (`SO_PEERCRED`), as this one sees it; none where there is none
/// that it sees.
pub fn peer(socket: BorrowedFd<'_>) -> Result<Option<u32>, Errno> {
    let mut told = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes no more than `length` says, of numbers alone; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut told).cast(),
            &raw mut length,
        )
    };
    done(result)?;
    Ok(u32::try_from(told.pid).ok().filter(|pid| *pid != 0))
}

/// Ends the call `id` with a descriptor of its own for `file` (since Linux 5.14).
pub fn reply_descriptor(
    listener: BorrowedFd<'_>,
    id: u64,
    file: BorrowedFd<'_>,
    close_on_exec: bool,
) -> Result<(), Errno> {
    const { assert!(size_of::<libc::seccomp_notif_addfd>() == 0x18) }
    // SAFETY: all bit patterns are values of it.
    let mut raw: libc::seccomp_notif_addfd = unsafe { std::mem::zeroed() };
    raw.id = id;
    raw.flags = 1 << 1; // SECCOMP_ADDFD_FLAG_SEND
    raw.srcfd = file.as_raw_fd().cast_unsigned();
    raw.newfd_flags = if close_on_exec {
        libc::O_CLOEXEC.cast_unsigned()
    } else {
        0
    };
    // SAFETY: the kernel only reads it.
    match unsafe { libc::ioctl(listener.as_raw_fd(), ADD_DESCRIPTOR, &raw const raw) } {
        -1 => last(),
        _ => Ok(()),
    }
}

fn vectors(buffer: *mut c_void, address: u64, length: usize) -> Option<[libc::iovec; 2]> {
    let remote = usize::try_from(address).ok()? as *mut c_void;
    Some([buffer, remote].map(|base| libc::iovec {
        iov_base: base,
        iov_len: length,
    }))
}

/// Bytes of a process's memory, as many as there are, at least one.
pub fn read_memory(pid: u32, address: u64, into: &mut [u8]) -> Result<usize, Errno> {
    let buffer = into.as_mut_ptr().cast();
    let [local, remote] = vectors(buffer, address, into.len()).ok_or(Errno::FAULT)?;
    // SAFETY: the kernel writes no more than `into` holds, and checks the other process's side.
    let read = unsafe {
        libc::process_vm_readv(
            pid.cast_signed(),
            &raw const local,
            1,
            &raw const remote,
            1,
            0,
        )
    };
    match usize::try_from(read) {
        Ok(0) => Err(Errno::FAULT),
        Ok(read) => Ok(read),
        Err(_) => last(),
    }
}

/// Writes all of `bytes` to a process's memory.
pub fn write_memory(pid: u32, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    let buffer = bytes.as_ptr().cast_mut().cast();
    let [local, remote] = vectors(buffer, address, bytes.len()).ok_or(Errno::FAULT)?;
    // SAFETY: the kernel only reads `bytes`, and checks the other process's side.
    let written = unsafe {
        libc::process_vm_writev(
            pid.cast_signed(),
            &raw const local,
            1,
            &raw const remote,
            1,
            0,
        )
    };
    match usize::try_from(written) {
        Ok(written) if written == bytes.len() => Ok(()),
        Ok(_) => Err(Errno::FAULT),
        Err(_) => last(),
    }
}

/// The soft limit `RLIMIT_LOCKS` of a process, which the kernel has not looked at since 2.4; set
/// to `new` first, if there is one.
pub fn locks_limit(pid: u32, new: Option<u64>) -> Result<u64, Errno> {
    let mut old = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let pid = pid.cast_signed();
    // SAFETY: the kernel writes one such struct.
    let read = unsafe { libc::prlimit(pid, libc::RLIMIT_LOCKS, std::ptr::null(), &raw mut old) };
    done(read)?;
    if let Some(new) = new {
        let limit = libc::rlimit {
            rlim_cur: new,
            ..old
        };
        // SAFETY: the kernel only reads it.
        done(unsafe {
            libc::prlimit(
                pid,
                libc::RLIMIT_LOCKS,
                &raw const limit,
                std::ptr::null_mut(),
            )
        })?;
    }
    Ok(old.rlim_cur)
}

/// Makes the kernel take this thread for such a user and group when it reaches for files.
pub fn set_file_ids(uid: u32, gid: u32) -> Result<(), Errno> {
    // SAFETY: integers alone, and of this thread alone. They say who it was before, and with a
    // number that nobody has they change nothing.
    let (uid_now, gid_now) = unsafe {
        libc::setfsgid(gid);
        libc::setfsuid(uid);
        (libc::setfsuid(u32::MAX), libc::setfsgid(u32::MAX))
    };
    match (uid_now.cast_unsigned(), gid_now.cast_unsigned()) == (uid, gid) {
        true => Ok(()),
        false => Err(Errno::PERM),
    }
}

/// What the kernel says of an open file, in the layout that processes get: `struct stat`.
pub fn stat_bytes(file: BorrowedFd<'_>) -> Result<[u8; size_of::<libc::stat>()], Errno> {
    stat_of(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH)
}

/// As [`stat_bytes`], of a file by its absolute path.
pub fn stat_bytes_at(path: &CStr) -> Result<[u8; size_of::<libc::stat>()], Errno> {
    stat_of(libc::AT_FDCWD, path, 0)
}

fn stat_of(
    folder: i32,
    path: &CStr,
    flags: libc::c_int,
) -> Result<[u8; size_of::<libc::stat>()], Errno> {
    let mut bytes = [0; size_of::<libc::stat>()];
    // SAFETY: the kernel reads the path to its end and writes one `struct stat`, and C's library has the
    // kernel's layout here.
    let result = unsafe {
        libc::syscall(
            libc::SYS_newfstatat,
            folder,
            path.as_ptr(),
            bytes.as_mut_ptr(),
            flags,
        )
    };
    match result {
        0 => Ok(bytes),
        _ => last(),
    }
}

/// As [`stat_bytes`], `struct statx`.
pub fn statx_bytes(
    file: BorrowedFd<'_>,
    flags: i32,
    mask: u32,
) -> Result<[u8; size_of::<libc::statx>()], Errno> {
    let mut bytes = [0; size_of::<libc::statx>()];
    // SAFETY: the kernel writes one `struct statx`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_statx,
            file.as_raw_fd(),
            c"".as_ptr(),
            flags | libc::AT_EMPTY_PATH,
            mask,
            bytes.as_mut_ptr(),
        )
    };
    match result {
        0 => Ok(bytes),
        _ => last(),
    }
}

/// Lets `command` call `prepare` in its process, just before the program.
///
/// `prepare` must not allocate or lock: other threads' locks are held forever there.
#[cfg(test)]
pub fn before_exec(
    command: &mut std::process::Command,
    prepare: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static,
) {
    use std::os::unix::process::CommandExt;
    // SAFETY: as the documentation asks of callers.
    unsafe { command.pre_exec(prepare) };
}

/// Moves this process into a new user namespace, for tests.
#[cfg(test)]
pub fn new_user_namespace() -> std::io::Result<()> {
    // SAFETY: takes no pointers.
    match unsafe { libc::unshare(libc::CLONE_NEWUSER) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
