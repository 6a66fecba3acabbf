//! System calls of `clock`: following a thread through an exec, as ptrace(2) has it; and the code that
//! reads the clock in a step's programs.
//!
//! In: plain values. Out: plain values; every error is the kernel's. All `unsafe` of `clock` is
//! here.

#![allow(unsafe_code, reason = "system calls that rustix has not")]

use std::mem::size_of;

use rustix::io::Errno;

/// What a thread that is followed begins with, once it has executed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Its stack pointer.
    pub stack: u64,
    /// Whether the program is of 32 bits.
    pub is_of_32_bits: bool,
}

fn last<T>() -> Result<T, Errno> {
    let error = std::io::Error::last_os_error().raw_os_error();
    Err(Errno::from_raw_os_error(error.unwrap_or(libc::EIO)))
}

/// A request of ptrace(2) whose address is none.
fn request(request: libc::c_long, thread: u32, data: usize) -> Result<(), Errno> {
    let thread = thread.cast_signed();
    // SAFETY: of the requests that are made here none takes `data` for a pointer.
    match unsafe { libc::syscall(libc::SYS_ptrace, request, thread, 0_usize, data) } {
        -1 => last(),
        _ => Ok(()),
    }
}

/// Follows a thread: it stops when it has executed something, and dies with this process.
pub fn seize(thread: u32) -> Result<(), Errno> {
    let options = libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL;
    request(libc::PTRACE_SEIZE.into(), thread, options as usize)
}

/// Stops a thread that is followed before it runs on.
pub fn interrupt(thread: u32) -> Result<(), Errno> {
    request(libc::PTRACE_INTERRUPT.into(), thread, 0)
}

/// Lets a stopped thread go, with a signal or 0.
pub fn detach(thread: u32, signal: i32) -> Result<(), Errno> {
    let signal = usize::try_from(signal).unwrap_or(0);
    request(libc::PTRACE_DETACH.into(), thread, signal)
}

/// Whether a thread is the first of its process, whose number is the process's.
pub fn is_leader(thread: u32) -> bool {
    let thread = thread.cast_signed();
    // SAFETY: integers alone; signal 0 is none.
    unsafe { libc::syscall(libc::SYS_tgkill, thread, thread, 0) == 0 }
}

/// Where a thread begins that has just executed something.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub fn start(thread: u32) -> Result<Start, Errno> {
    // SAFETY: all members are integers, for which zeroes are values.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    let mut vector = libc::iovec {
        iov_base: (&raw mut registers).cast(),
        iov_len: size_of::<libc::user_regs_struct>(),
    };
    // SAFETY: the kernel writes no more than the vector's length to the registers, and to the vector
    // how much that was; both outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_ptrace,
            libc::c_long::from(libc::PTRACE_GETREGSET),
            thread.cast_signed(),
            libc::NT_PRSTATUS as usize,
            &raw mut vector,
        )
    };
    if result == -1 {
        return last();
    }
    #[cfg(target_arch = "x86_64")]
    let (stack, of_32_bits) = (registers.rsp, 17 * 4);
    #[cfg(target_arch = "aarch64")]
    let (stack, of_32_bits) = (registers.sp, 18 * 4);
    if vector.iov_len == size_of::<libc::user_regs_struct>() {
        return Ok(Start {
            stack,
            is_of_32_bits: false,
        });
    }
    if vector.iov_len != of_32_bits {
        return Err(Errno::NOSYS);
    }
    // The registers of 32 bits lie where those of 64 would, each half as long: on i386 `esp` is the
    // 16th (`struct user_regs_struct32`), on arm `sp` is the 14th (`struct pt_regs`).
    let at = match cfg!(target_arch = "x86_64") {
        true => 15,
        false => 13,
    };
    let registers = (&raw const registers).cast::<u32>();
    // SAFETY: the struct has room for more than 18 such words, and the kernel wrote as many.
    let stack = unsafe { registers.add(at).read() };
    Ok(Start {
        stack: stack.into(),
        is_of_32_bits: true,
    })
}

/// Where a thread begins that has just executed something.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn start(_: u32) -> Result<Start, Errno> {
    Err(Errno::NOSYS)
}

/// What reads the clock in a program, in place of the kernel's own functions of its vDSO: code that
/// runs wherever it lies.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    /// All of it. It begins with the [`Cell`], whose members but the first are to be filled in.
    pub bytes: &'static [u8],
    /// Where in it is what takes the place of clock_gettime(2).
    pub clock_gettime: usize,
    /// Of gettimeofday(2).
    pub gettimeofday: usize,
    /// Of time(2).
    pub time: usize,
}

/// What the code knows, eight bytes each: a mark, these, and where the kernel's own function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Where its process keeps what it read last, as eight bytes: nanoseconds since 1970. While that is
    /// 0 it asks cairn.
    pub read: u64,
    /// Since when its patience counts: nanoseconds of the monotonic clock, or less than 0. Once it has
    /// waited for long it asks cairn, too.
    pub since: i64,
}

/// What a cell begins with.
pub const MARK: [u8; 8] = *b"cairnclk";

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    // Read only here: what runs is a copy in the vDSO of another process.
    ".pushsection .rodata.cairn_clock, \"a\", @progbits",
    ".balign 16",
    ".globl cairn_clock_begin, cairn_clock_gettime, cairn_clock_gettimeofday, cairn_clock_time, cairn_clock_end",
    ".hidden cairn_clock_begin, cairn_clock_gettime, cairn_clock_gettimeofday, cairn_clock_time, cairn_clock_end",
    "cairn_clock_begin:",
    "    .ascii \"cairnclk\"",
    "2:  .quad 0",                      // read
    "3:  .quad 0",                      // since
    "4:  .quad 0",                      // the kernel's own clock_gettime
    // The time in rax: nanoseconds since 1970; or less than 0 for an error.
    "5:  sub rsp, 24",
    "    mov rcx, [rip + 2b]",
    "    cmp qword ptr [rcx], 0",
    "    je 6f",
    // It asks, too, once it has run for long.
    "    mov edi, 6",                   // CLOCK_MONOTONIC_COARSE
    "    mov rsi, rsp",
    "    call qword ptr [rip + 4b]",
    "    imul rax, qword ptr [rsp], 1000000000",
    "    add rax, [rsp + 8]",
    "    sub rax, [rip + 3b]",
    "    movabs rdx, {patience}",
    "    cmp rax, rdx",
    "    jge 6f",
    "    mov rcx, [rip + 2b]",
    "    mov rax, [rcx]",
    "8:  test rax, rax",
    "    jz 6f",
    "    lea rdx, [rax + {tick}]",
    "    lock cmpxchg [rcx], rdx",      // else rax is what is there
    "    jne 8b",
    "    mov rax, rdx",
    "    add rsp, 24",
    "    ret",
    // It asks cairn.
    "6:  xor edi, edi",
    "    mov rsi, rsp",
    "    mov eax, 228",                 // clock_gettime
    "    syscall",
    "    test eax, eax",
    "    jnz 7f",
    "    imul rax, qword ptr [rsp], 1000000000",
    "    add rax, [rsp + 8]",
    "    add rsp, 24",
    "    ret",
    "7:  movsxd rax, eax",
    "    add rsp, 24",
    "    ret",
    "    .balign 16",
    "cairn_clock_gettime:",
    "    endbr64",
    "    cmp edi, 11",
    "    ja 8f",
    "    mov eax, 0x821",               // CLOCK_REALTIME, _REALTIME_COARSE, _TAI
    "    bt eax, edi",
    "    jnc 8f",
    "    push rsi",
    "    call 5b",
    "    pop rsi",
    "    test rax, rax",
    "    js 9f",
    "    xor edx, edx",
    "    mov ecx, 1000000000",
    "    div rcx",
    "    mov [rsi], rax",
    "    mov [rsi + 8], rdx",
    "    xor eax, eax",
    "9:  ret",
    "8:  jmp qword ptr [rip + 4b]",
    "    .balign 16",
    "cairn_clock_gettimeofday:",
    "    endbr64",
    "    push rdi",
    "    push rsi",
    "    sub rsp, 8",
    "    call 5b",
    "    add rsp, 8",
    "    pop rsi",
    "    pop rdi",
    "    test rax, rax",
    "    js 9f",
    "    test rdi, rdi",
    "    jz 8f",
    "    xor edx, edx",
    "    mov ecx, 1000000000",
    "    div rcx",
    "    mov [rdi], rax",
    "    mov eax, edx",
    "    xor edx, edx",
    "    mov ecx, 1000",
    "    div ecx",
    "    mov [rdi + 8], rax",
    "8:  test rsi, rsi",
    "    jz 8f",
    "    mov qword ptr [rsi], 0",       // UTC
    "8:  xor eax, eax",
    "9:  ret",
    "    .balign 16",
    "cairn_clock_time:",
    "    endbr64",
    "    push rdi",
    "    call 5b",
    "    pop rdi",
    "    test rax, rax",
    "    js 9f",
    "    xor edx, edx",
    "    mov ecx, 1000000000",
    "    div rcx",
    "    test rdi, rdi",
    "    jz 9f",
    "    mov [rdi], rax",
    "9:  ret",
    "cairn_clock_end:",
    ".popsection",
    tick = const super::clock::pace::TICK,
    patience = const super::clock::patience::PATIENCE,
);

/// The code for this processor; none where there is none.
#[cfg(target_arch = "x86_64")]
pub fn code() -> Option<Code> {
    unsafe extern "C" {
        static cairn_clock_begin: u8;
        static cairn_clock_gettime: u8;
        static cairn_clock_gettimeofday: u8;
        static cairn_clock_time: u8;
        static cairn_clock_end: u8;
    }
    let begin = &raw const cairn_clock_begin;
    let offset = |place: *const u8| place.addr() - begin.addr();
    // SAFETY: from its begin to its end it is one piece of this program, which nothing writes to.
    let bytes = unsafe { std::slice::from_raw_parts(begin, offset(&raw const cairn_clock_end)) };
    Some(Code {
        bytes,
        clock_gettime: offset(&raw const cairn_clock_gettime),
        gettimeofday: offset(&raw const cairn_clock_gettimeofday),
        time: offset(&raw const cairn_clock_time),
    })
}

/// The code for this processor; none where there is none.
#[cfg(not(target_arch = "x86_64"))]
pub fn code() -> Option<Code> {
    None
}
