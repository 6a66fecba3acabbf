//! System calls by name, and their numbers.
//!
//! In: nothing. Out: [`Call`], for filters and handlers. Another architecture is another column.

/// Makes [`Call`] from rows of a name, its number on x86_64, on aarch64 and on i386 (`-`: it has
/// none). Of i386, whose programs x86_64 runs, only what is answered or denied to them has one.
macro_rules! calls {
    ($($name:ident $x86_64:tt $aarch64:tt $i386:tt;)*) => {
        /// A system call that cairn denies or answers; named as the kernel names it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(dead_code, reason = "rows for who answers more than owners")]
        pub enum Call { $($name),* }

        impl Call {
            /// All of them.
            #[cfg(test)]
            pub const ALL: &[Call] = &[$(Call::$name),*];

            /// Its number on the machine that cairn was built for, where that has it.
            pub const fn number(self) -> Option<u32> {
                match self {
                    $(
                        #[cfg(target_arch = "x86_64")]
                        Call::$name => calls!(@number $x86_64),
                        #[cfg(target_arch = "aarch64")]
                        Call::$name => calls!(@number $aarch64),
                    )*
                    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
                    _ => None,
                }
            }

            /// Its number for 32-bit programs on that machine, where they may run.
            pub const fn number_of_32_bits(self) -> Option<u32> {
                match self {
                    $(
                        #[cfg(target_arch = "x86_64")]
                        Call::$name => calls!(@number $i386),
                    )*
                    #[cfg(not(target_arch = "x86_64"))]
                    _ => None,
                }
            }
        }
    };
    (@number -) => { None };
    (@number $number:tt) => { Some($number) };
}

calls! {
    Acct 163 89 51;
    AddKey 248 217 286;
    Bpf 321 280 357;
    ClockSettime 227 112 264;
    ClockSettime64 - - 404;
    DeleteModule 176 106 129;
    FanotifyInit 300 262 338;
    FinitModule 313 273 350;
    Fsconfig 431 431 431;
    Fsmount 432 432 432;
    Fsopen 430 430 430;
    Fspick 433 433 433;
    GetMempolicy 239 236 275;
    InitModule 175 105 128;
    Ioperm 173 - 101;
    Iopl 172 - 110;
    IoUringEnter 426 426 426;
    IoUringRegister 427 427 427;
    IoUringSetup 425 425 425;
    Kcmp 312 272 349;
    KexecFileLoad 320 294 -;
    KexecLoad 246 104 283;
    Keyctl 250 219 288;
    LookupDcookie 212 18 253;
    LsmGetSelfAttr 459 459 459;
    LsmSetSelfAttr 460 460 460;
    LsmListModules 461 461 461;
    Mbind 237 235 274;
    MigratePages 256 238 294;
    Mount 165 40 21;
    MountSetattr 442 442 442;
    MoveMount 429 429 429;
    MovePages 279 239 317;
    Nfsservctl 180 42 169;
    OpenByHandleAt 304 265 342;
    OpenTree 428 428 428;
    OpenTreeAttr 467 467 467;
    PerfEventOpen 298 241 336;
    PidfdGetfd 438 438 438;
    PivotRoot 155 41 217;
    ProcessMadvise 440 440 440;
    Quotactl 179 60 131;
    QuotactlFd 443 443 443;
    Reboot 169 142 88;
    RequestKey 249 218 287;
    SetMempolicy 238 237 276;
    SetMempolicyHomeNode 450 450 450;
    Setdomainname 171 162 121;
    Sethostname 170 161 74;
    Setns 308 268 346;
    Settimeofday 164 170 79;
    Stime - - 25;
    Swapon 167 224 87;
    Swapoff 168 225 115;
    Sysfs 139 - 135;
    Sysctl 156 - 149;
    Syslog 103 116 103;
    Umount - - 22;
    Umount2 166 39 52;
    Uname 63 160 122;
    Uprobe 336 - -;
    Unshare 272 97 310;
    Uselib 134 - 86;
    Userfaultfd 323 282 374;
    Ustat 136 - 62;
    Vhangup 153 58 111;
    Vserver 236 - 273;
    Clone 56 220 120;
    Clone3 435 435 435;
    Personality 135 92 136;
    Socket 41 198 359;
    Ioctl 16 29 54;
    Prctl 157 167 -;
    Connect 42 203 362;
    Socketcall - - 102;
    Sendto 44 206 -;
    Sendmsg 46 211 -;
    Sendmmsg 307 269 -;
    Bind 49 200 -;
    Getsockopt 55 209 -;
    Setsockopt 54 208 366;
    Execve 59 221 11;
    Execveat 322 281 358;
    Chown 92 - -;
    Fchown 93 55 -;
    Lchown 94 - -;
    Fchownat 260 54 -;
    Stat 4 - -;
    Lstat 6 - -;
    Fstat 5 80 -;
    Newfstatat 262 79 -;
    Statx 332 291 -;
    Setuid 105 146 -;
    Setgid 106 144 -;
    Setreuid 113 145 -;
    Setregid 114 143 -;
    Setresuid 117 147 -;
    Setresgid 119 149 -;
    Setfsuid 122 151 -;
    Setfsgid 123 152 -;
    Setgroups 116 159 -;
    Getuid 102 174 -;
    Geteuid 107 175 -;
    Getgid 104 176 -;
    Getegid 108 177 -;
    Getresuid 118 148 -;
    Getresgid 120 150 -;
    Getgroups 115 158 -;
    Open 2 - -;
    Openat 257 56 -;
    Openat2 437 437 -;
    Creat 85 - -;
    Mkdir 83 - -;
    Mkdirat 258 34 -;
    Mknod 133 - 14;
    Mknodat 259 33 297;
    Symlink 88 - -;
    Symlinkat 266 36 -;
    Chmod 90 - -;
    Fchmod 91 52 -;
    Fchmodat 268 53 -;
    Fchmodat2 452 452 -;
    Utime 132 - -;
    Utimes 235 - -;
    Futimesat 261 - -;
    Utimensat 280 88 -;
    FileGetattr 468 468 468;
    FileSetattr 469 469 469;
    Setrlimit 160 164 -;
    Prlimit64 302 261 -;
    Link 86 - -;
    Linkat 265 37 -;
    Rename 82 - -;
    Renameat 264 38 -;
    Renameat2 316 276 -;
    Setxattr 188 5 226;
    Lsetxattr 189 6 227;
    Fsetxattr 190 7 228;
    Setxattrat 463 463 463;
    Getxattr 191 8 229;
    Lgetxattr 192 9 230;
    Fgetxattr 193 10 231;
    Getxattrat 464 464 464;
    Listxattr 194 11 232;
    Llistxattr 195 12 233;
    Flistxattr 196 13 234;
    Listxattrat 465 465 465;
    Removexattr 197 14 235;
    Lremovexattr 198 15 236;
    Fremovexattr 199 16 237;
    Removexattrat 466 466 466;
    Adjtimex 159 171 124;
    ArchPrctl 158 - 384;
    ClockAdjtime 305 266 343;
    ClockAdjtime64 - - 405;
    ClockGettime 228 113 265;
    ClockGettime64 - - 403;
    ClockNanosleep 230 115 267;
    ClockNanosleep64 - - 407;
    Brk 12 214 45;
    Fork 57 - 2;
    Madvise 28 233 219;
    Mmap 9 222 90;
    Mmap2 - - 192;
    Mprotect 10 226 125;
    Mremap 25 216 163;
    Munmap 11 215 91;
    RestartSyscall 219 128 0;
    RtSigaction 13 134 174;
    RtSigprocmask 14 135 175;
    RtSigreturn 15 139 173;
    Sigreturn - - 119;
    Vfork 58 - 190;
    Futex 202 98 240;
    Futex64 - - 422;
    Getrusage 98 165 77;
    Gettimeofday 96 169 78;
    MqTimedreceive 243 183 280;
    MqTimedreceive64 - - 419;
    MqTimedsend 242 182 279;
    MqTimedsend64 - - 418;
    Nanosleep 35 101 162;
    Ptrace 101 117 26;
    Time 201 - 13;
    Times 100 153 43;
    TimerSettime 223 110 260;
    TimerSettime64 - - 409;
    TimerfdSettime 286 86 325;
    TimerfdSettime64 - - 411;
    Getrandom 318 278 -;
    SchedGetaffinity 204 123 242;
    SchedSetaffinity 203 122 241;
    Fstatfs 138 44 100;
    Fstatfs64 - - 269;
    Getcpu 309 168 318;
    Getdents 78 - -;
    Getdents64 217 61 220;
    Getpriority 140 141 96;
    Setpriority 141 140 97;
    Oldolduname - - 59;
    Olduname - - 109;
    Rseq 334 293 386;
    Statfs 137 43 99;
    Statfs64 - - 268;
    Sysinfo 99 179 116;
    Cachestat 451 451 451;
    Listmount 458 458 458;
    NameToHandleAt 303 264 341;
    Statmount 457 457 457;
}

/// What seccomp calls this architecture (`AUDIT_ARCH_*` of `linux/audit.h`).
#[cfg(target_arch = "x86_64")]
pub const ARCHITECTURE: u32 = 0xc000_003e;
/// What seccomp calls this architecture (`AUDIT_ARCH_*` of `linux/audit.h`).
#[cfg(target_arch = "aarch64")]
pub const ARCHITECTURE: u32 = 0xc000_00b7;
/// None that is known: every call of a filtered process fails.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub const ARCHITECTURE: u32 = 0;

/// What seccomp calls the architecture of 32-bit programs (`AUDIT_ARCH_I386`), where they may run.
pub const ARCHITECTURE_OF_32_BITS: Option<u32> = match cfg!(target_arch = "x86_64") {
    true => Some(0x4000_0003),
    false => None,
};

/// The last number that this table was written for (`file_setattr` of Linux 6.17). What a newer
/// kernel adds is not there for a step, as on an older kernel; x32's numbers are above it, too.
pub const HIGHEST: u32 = 469;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_libc() {
        for (call, number) in [
            (Call::AddKey, libc::SYS_add_key),
            (Call::Clone3, libc::SYS_clone3),
            (Call::Connect, libc::SYS_connect),
            (Call::Execve, libc::SYS_execve),
            (Call::Fchownat, libc::SYS_fchownat),
            (Call::Fstatfs, libc::SYS_fstatfs),
            (Call::Getcpu, libc::SYS_getcpu),
            (Call::Getdents64, libc::SYS_getdents64),
            (Call::Getresgid, libc::SYS_getresgid),
            (Call::Ioctl, libc::SYS_ioctl),
            (Call::Brk, libc::SYS_brk),
            (Call::Mprotect, libc::SYS_mprotect),
            (Call::RestartSyscall, libc::SYS_restart_syscall),
            (Call::RtSigreturn, libc::SYS_rt_sigreturn),
            (Call::Mknodat, libc::SYS_mknodat),
            (Call::Rseq, libc::SYS_rseq),
            (Call::SchedSetaffinity, libc::SYS_sched_setaffinity),
            (Call::Setfsuid, libc::SYS_setfsuid),
            (Call::Setpriority, libc::SYS_setpriority),
            (Call::Statfs, libc::SYS_statfs),
            (Call::Statx, libc::SYS_statx),
            (Call::Sysinfo, libc::SYS_sysinfo),
            (Call::Getrusage, libc::SYS_getrusage),
            (Call::Times, libc::SYS_times),
            (Call::Umount2, libc::SYS_umount2),
            (Call::Userfaultfd, libc::SYS_userfaultfd),
        ] {
            assert_eq!(call.number().map(i64::from), Some(number), "{call:?}");
        }
    }

    #[test]
    fn no_number_is_there_twice() {
        for number in [Call::number, Call::number_of_32_bits] {
            let mut numbers: Vec<_> = Call::ALL.iter().filter_map(|call| number(*call)).collect();
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), count);
            assert!(numbers.last() <= Some(&HIGHEST));
        }
    }
}
