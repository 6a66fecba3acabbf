//! System calls that rustix has no safe form of: with those of networks (`sys_network`), of
//! notification (`sys_notify`) and of clocks (`sys_trace`) the only unsafe code of the house.
//!
//! In: plain values. Out: what the kernel gives, as owned descriptors and errors. Each function
//! is safe to call; why is said where `unsafe` stands. [`Alone`] is the proof that makes `fork`
//! sound: in a process of one thread a child may go on with ordinary code.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use rustix::process::{Pid, RawPid};
use rustix::thread::UnshareFlags;

/// Proof that this process has one thread. Nothing that holds it starts another.
#[derive(Debug)]
pub(super) struct Alone(());

impl Alone {
    /// None where there are more threads.
    pub(super) fn check() -> Option<Alone> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let threads = status
            .lines()
            .find_map(|line| line.strip_prefix("Threads:"))?;
        (threads.trim() == "1").then_some(Alone(()))
    }
}

/// What [`fork`] and [`clone`] come back as.
pub(super) enum Forked<T> {
    /// In the parent.
    Parent(T),
    /// In the child, which is alone as well.
    Child(Alone),
}

fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

fn pid(raw: RawPid) -> io::Result<Pid> {
    Pid::from_raw(raw).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}

/// A child that is a copy of this process.
pub(super) fn fork(_: &Alone) -> io::Result<Forked<Pid>> {
    // SAFETY: the process has one thread, so that no lock is held in the child by a thread that
    // isn't there.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child(Alone(()))),
        raw => Ok(Forked::Parent(pid(raw)?)),
    }
}

/// A child in new namespaces, with a descriptor that stands for it.
pub(super) fn clone(_: &Alone, namespaces: UnshareFlags) -> io::Result<Forked<(Pid, OwnedFd)>> {
    let mut descriptor: RawFd = -1;
    // SAFETY: all members of the struct are integers, for which zeroes are values.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = u64::from(namespaces.bits()) | libc::CLONE_PIDFD as u64;
    arguments.pidfd = &raw mut descriptor as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: no memory is shared and no stack given, so this is `fork`, which is sound in a
    // process of one thread; the struct and what it points to outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut arguments,
            size_of::<libc::clone_args>(),
        )
    };
    match checked(result)? {
        0 => Ok(Forked::Child(Alone(()))),
        raw => {
            // SAFETY: the kernel made the descriptor for us, and nobody else knows it.
            let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
            Ok(Forked::Parent((pid(raw as RawPid)?, descriptor)))
        }
    }
}

/// Moves this process to new namespaces.
pub(super) fn unshare(_: &Alone, namespaces: UnshareFlags) -> io::Result<()> {
    // SAFETY: unsound are `CLONE_FILES` and the like alone, where other threads see other
    // descriptors than this; there is no other thread.
    Ok(unsafe { rustix::thread::unshare_unsafe(namespaces) }?)
}

/// Ends the process at once, without what a library would do at its end: the parent does that.
pub(super) fn exit(code: u8) -> ! {
    // SAFETY: it does not come back, and no destructor is owed to anyone.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Takes the socket that this process was given as standard input, and puts `/dev/null` there.
pub(super) fn take_input(_: &Alone) -> io::Result<OwnedFd> {
    let null = std::fs::File::open("/dev/null")?;
    // SAFETY: 0 is open while the process begins; where it isn't, this fails.
    let taken = unsafe { libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3) };
    checked(taken.into())?;
    // SAFETY: the descriptor is new and ours alone.
    let taken = unsafe { OwnedFd::from_raw_fd(taken) };
    // SAFETY: descriptor 0 has no owner in this program; it is replaced in one go.
    checked(unsafe { libc::dup2(null.as_raw_fd(), 0) }.into())?;
    Ok(taken)
}

/// Makes `source` the standard stream `number` (0 to 2).
pub(super) fn put_stream(_: &Alone, source: BorrowedFd<'_>, number: u8) -> io::Result<()> {
    let number = i32::from(number.min(2));
    // SAFETY: the standard streams have no owner in this program; they are replaced in one go.
    checked(unsafe { libc::dup2(source.as_raw_fd(), number) }.into())?;
    Ok(())
}

/// Closes every descriptor but the standard streams when this process executes something.
pub(super) fn close_all_on_exec() -> io::Result<()> {
    // SAFETY: with this flag nothing is closed now, so that all owners keep what they own.
    let result = unsafe {
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, 4 /* CLOEXEC */)
    };
    checked(result)?;
    Ok(())
}

/// Closes every descriptor but the standard streams and `kept`, now.
///
/// Whatever owned the others must neither be used nor dropped any more: this is for a process that
/// goes on from here with what it keeps, and ends by [`exit`] or by executing something.
pub(super) fn close_all_but(_: &Alone, kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<u32> = kept
        .iter()
        .map(|kept| kept.as_raw_fd().cast_unsigned())
        .filter(|&kept| kept >= 3)
        .collect();
    kept.sort_unstable();
    let mut first = 3;
    for end in kept.into_iter().chain([u32::MAX]) {
        // The last is no descriptor's number, so that nothing is lost there.
        if first < end {
            // SAFETY: integers alone; what the owners of those that are closed owe is said above.
            let result = unsafe { libc::syscall(libc::SYS_close_range, first, end - 1, 0) };
            checked(result)?;
        }
        first = end.saturating_add(1);
    }
    Ok(())
}

/// Executes the file that `path` names; comes back only with why it couldn't.
pub(super) fn execute(path: &CString, arguments: &[CString], env: &[CString]) -> io::Error {
    let pointers = |texts: &[CString]| {
        let pointers = texts.iter().map(|text| text.as_ptr());
        pointers
            .chain([std::ptr::null()])
            .collect::<Vec<*const libc::c_char>>()
    };
    let (arguments, env) = (pointers(arguments), pointers(env));
    // SAFETY: both arrays end with a null pointer, and all that they point to lives as long as
    // the call.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Executes the file that `file` is open on, as [`execute`] does.
pub(super) fn execute_file(file: BorrowedFd<'_>, arguments: &[CString]) -> io::Error {
    let pointers = arguments.iter().map(|text| text.as_ptr());
    let pointers: Vec<_> = pointers.chain([std::ptr::null()]).collect();
    let env = [std::ptr::null::<libc::c_char>()];
    // SAFETY: as in `execute`; the path is a literal that ends with NUL.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            pointers.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

/// Makes the mount that `mount` is a descriptor of read-only, and those below it.
pub(super) fn make_read_only(mount: BorrowedFd<'_>) -> io::Result<()> {
    set_mount_attributes(mount, libc::MOUNT_ATTR_RDONLY)
}

/// As [`make_read_only`], with set-id bits and devices off.
pub(super) fn make_plain(mount: BorrowedFd<'_>) -> io::Result<()> {
    set_mount_attributes(mount, libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV)
}

/// As [`make_read_only`], with set-id bits and programs off: what stands there can't be changed,
/// but a device is as it was for whoever reads and writes it.
pub(super) fn make_device(mount: BorrowedFd<'_>) -> io::Result<()> {
    let flags = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
    set_mount_attributes(mount, flags)
}

/// As [`make_read_only`], with devices off.
pub(super) fn make_deviceless(mount: BorrowedFd<'_>) -> io::Result<()> {
    set_mount_attributes(mount, libc::MOUNT_ATTR_NODEV)
}

fn set_mount_attributes(mount: BorrowedFd<'_>, set: u64) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: set,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the path is a literal, the struct outlives the call, and its size is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    checked(result)?;
    Ok(())
}

/// Gives this process a session keyring that nobody else has, so that the caller's is out of
/// reach (keyctl(2), `KEYCTL_JOIN_SESSION_KEYRING`).
pub(super) fn new_keyring() -> io::Result<()> {
    // SAFETY: integers and a null pointer, which means "without a name".
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    };
    checked(result)?;
    Ok(())
}

/// Has the kernel call itself a version 2.6 before this process and all that it starts (personality(2),
/// `UNAME26`).
pub(super) fn take_old_name() -> io::Result<()> {
    // SAFETY: an integer; it changes what uname(2) tells alone.
    let result = unsafe { libc::personality(libc::UNAME26 as libc::c_ulong) };
    checked(result.into())?;
    Ok(())
}

/// Has the kernel put what this process executes at the same addresses each time (personality(2),
/// `ADDR_NO_RANDOMIZE`).
pub(super) fn fix_addresses() -> io::Result<()> {
    // SAFETY: an integer; it is of use to who executes something alone.
    let result = unsafe { libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong) };
    checked(result.into())?;
    Ok(())
}

/// Has the kernel schedule this process as any other, however its parent is (sched_setscheduler(2)).
pub(super) fn schedule_as_usual() -> io::Result<()> {
    let usual = libc::sched_param { sched_priority: 0 };
    // SAFETY: the struct outlives the call, which reads it.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const usual) };
    checked(result.into())?;
    Ok(())
}

/// Brings up the loopback of this process's network namespace.
pub(super) fn raise_loopback() -> io::Result<()> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: all members are integers, for which zeroes are values.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request is what this call reads, and outlives it.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    checked(result.into())?;
    Ok(())
}

/// Makes a child of the caller's session the terminal's owner: a new session, its terminal.
pub(super) fn take_terminal(terminal: BorrowedFd<'_>) -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(rustix::process::ioctl_tiocsctty(terminal)?)
}

/// Signals, all of them, wait until they are asked for.
pub(super) fn hold_signals() {
    // SAFETY: the set is written before it is read; the call knows no other failure than an
    // unknown `how`.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
}

/// Every signal is as a new program expects it: not blocked, with its own effect.
pub(super) fn reset_signals() {
    // SAFETY: as in `hold_signals`; the default effect needs no handler of ours.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// The next of the signals that are held, and whether it came from outside of this process's
/// pid namespace.
pub(super) fn next_signal() -> io::Result<(i32, bool)> {
    // SAFETY: the set is written before it is read, and the kernel fills in the struct, all
    // members of which are plain values; the sender's number is one that each signal has.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        let mut about: libc::siginfo_t = std::mem::zeroed();
        let signal = libc::sigwaitinfo(&raw const all, &raw mut about);
        checked(signal.into())?;
        Ok((signal, about.si_pid() == 0))
    }
}

/// Sends a signal to a process.
pub(super) fn signal(to: Pid, signal: i32) {
    // SAFETY: integers alone; a process that isn't there any more is no harm.
    unsafe { libc::kill(to.as_raw_pid(), signal) };
}

/// Kills every process of this pid namespace but the caller.
pub(super) fn kill_all_others() {
    // SAFETY: integers alone. Only called by the first process of a pid namespace.
    if rustix::process::getpid().as_raw_pid() == 1 {
        unsafe { libc::kill(-1, libc::SIGKILL) };
    }
}
