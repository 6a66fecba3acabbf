//! System calls by name, and their numbers.
//!
//! In: nothing. Out: [`Call`], for filters and handlers. Another architecture is a third column.

/// Makes [`Call`] from rows of a name, its number on x86_64 and on aarch64 (`-` has none).
macro_rules! calls {
    ($($name:ident $x86_64:tt $aarch64:tt;)*) => {
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
        }
    };
    (@number -) => { None };
    (@number $number:tt) => { Some($number) };
}

calls! {
    Acct 163 89;
    AddKey 248 217;
    Bpf 321 280;
    ClockSettime 227 112;
    DeleteModule 176 106;
    FanotifyInit 300 262;
    FileGetattr 468 468;
    FileSetattr 469 469;
    FinitModule 313 273;
    Fsconfig 431 431;
    Fsmount 432 432;
    Fsopen 430 430;
    Fspick 433 433;
    GetMempolicy 239 236;
    InitModule 175 105;
    Ioperm 173 -;
    Iopl 172 -;
    IoUringEnter 426 426;
    IoUringRegister 427 427;
    IoUringSetup 425 425;
    Kcmp 312 272;
    KexecFileLoad 320 294;
    KexecLoad 246 104;
    Keyctl 250 219;
    LookupDcookie 212 18;
    LsmGetSelfAttr 459 459;
    LsmSetSelfAttr 460 460;
    LsmListModules 461 461;
    Mbind 237 235;
    MigratePages 256 238;
    Mount 165 40;
    MountSetattr 442 442;
    MoveMount 429 429;
    MovePages 279 239;
    Nfsservctl 180 42;
    OpenByHandleAt 304 265;
    OpenTree 428 428;
    OpenTreeAttr 467 467;
    PerfEventOpen 298 241;
    PidfdGetfd 438 438;
    PivotRoot 155 41;
    ProcessMadvise 440 440;
    Quotactl 179 60;
    QuotactlFd 443 443;
    Reboot 169 142;
    RequestKey 249 218;
    SetMempolicy 238 237;
    SetMempolicyHomeNode 450 450;
    Setdomainname 171 162;
    Sethostname 170 161;
    Setns 308 268;
    Settimeofday 164 170;
    Swapon 167 224;
    Swapoff 168 225;
    Sysfs 139 -;
    Sysctl 156 -;
    Syslog 103 116;
    Umount2 166 39;
    Uname 63 160;
    Unshare 272 97;
    Uprobe 336 -;
    Uselib 134 -;
    Userfaultfd 323 282;
    Ustat 136 -;
    Vhangup 153 58;
    Vserver 236 -;
    Clone 56 220;
    Clone3 435 435;
    Personality 135 92;
    Socket 41 198;
    Ioctl 16 29;
    Prctl 157 167;
    Connect 42 203;
    Sendto 44 206;
    Sendmsg 46 211;
    Sendmmsg 307 269;
    Bind 49 200;
    Getsockopt 55 209;
    Execve 59 221;
    Execveat 322 281;
    Chown 92 -;
    Fchown 93 55;
    Lchown 94 -;
    Fchownat 260 54;
    Stat 4 -;
    Lstat 6 -;
    Fstat 5 80;
    Newfstatat 262 79;
    Statx 332 291;
    Setuid 105 146;
    Setgid 106 144;
    Setreuid 113 145;
    Setregid 114 143;
    Setresuid 117 147;
    Setresgid 119 149;
    Setfsuid 122 151;
    Setfsgid 123 152;
    Setgroups 116 159;
    Getuid 102 174;
    Geteuid 107 175;
    Getgid 104 176;
    Getegid 108 177;
    Getresuid 118 148;
    Getresgid 120 150;
    Getgroups 115 158;
    Open 2 -;
    Openat 257 56;
    Openat2 437 437;
    Creat 85 -;
    Mkdir 83 -;
    Mkdirat 258 34;
    Mknod 133 -;
    Mknodat 259 33;
    Symlink 88 -;
    Symlinkat 266 36;
    Chmod 90 -;
    Fchmod 91 52;
    Fchmodat 268 53;
    Fchmodat2 452 452;
    Utime 132 -;
    Utimes 235 -;
    Futimesat 261 -;
    Utimensat 280 88;
    Setrlimit 160 164;
    Prlimit64 302 261;
    Link 86 -;
    Linkat 265 37;
    Rename 82 -;
    Renameat 264 38;
    Renameat2 316 276;
    Setxattr 188 5;
    Lsetxattr 189 6;
    Fsetxattr 190 7;
    Setxattrat 463 463;
    Getxattr 191 8;
    Lgetxattr 192 9;
    Fgetxattr 193 10;
    Getxattrat 464 464;
    Listxattr 194 11;
    Llistxattr 195 12;
    Flistxattr 196 13;
    Listxattrat 465 465;
    Removexattr 197 14;
    Lremovexattr 198 15;
    Fremovexattr 199 16;
    Removexattrat 466 466;
    ClockGettime 228 113;
    Gettimeofday 96 169;
    Time 201 -;
    Getrandom 318 278;
    SchedGetaffinity 204 123;
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
            (Call::Getresgid, libc::SYS_getresgid),
            (Call::Ioctl, libc::SYS_ioctl),
            (Call::Mknodat, libc::SYS_mknodat),
            (Call::Setfsuid, libc::SYS_setfsuid),
            (Call::Statx, libc::SYS_statx),
            (Call::Umount2, libc::SYS_umount2),
            (Call::Userfaultfd, libc::SYS_userfaultfd),
        ] {
            assert_eq!(call.number().map(i64::from), Some(number), "{call:?}");
        }
    }

    #[test]
    fn no_number_is_there_twice() {
        let mut numbers: Vec<_> = Call::ALL.iter().filter_map(|call| call.number()).collect();
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
        assert!(numbers.last() <= Some(&HIGHEST));
    }
}
