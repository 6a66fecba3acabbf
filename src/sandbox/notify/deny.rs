//! What a step may not call, as Docker's default profile has it for a container with Docker's
//! default capabilities. Pure.
//!
//! In: how the step is kept in. Out: [`Rule`]s. Docker lists what is allowed, cairn what is
//! denied: of the calls up to [`super::call::HIGHEST`] that is the same, but for these.
//! `TIOCSTI` and `TIOCLINUX` are denied, which put keys into the terminal of whoever looks on.
//! The calls that no kernel has any more are left to the kernel, which says so.

use super::call::Call;
use super::filter::{Action, Is, Rule};

/// Every `CLONE_NEW*` flag that clone(2) takes.
const NEW_NAMESPACES: u32 = 0x7e02_0000;

/// Denied to every step: what reaches past namespaces (keys, clocks, modules, traces of the
/// kernel) or past this filter's eyes (rings).
const ALWAYS: &[Call] = &[
    Call::AddKey,
    Call::Bpf,
    Call::ClockSettime,
    Call::ClockSettime64,
    Call::DeleteModule,
    Call::FinitModule,
    Call::InitModule,
    Call::IoUringEnter,
    Call::IoUringRegister,
    Call::IoUringSetup,
    Call::KexecFileLoad,
    Call::KexecLoad,
    Call::Keyctl,
    Call::OpenByHandleAt,
    Call::PerfEventOpen,
    Call::Reboot,
    Call::RequestKey,
    Call::Settimeofday,
    Call::Stime,
    Call::Swapoff,
    Call::Swapon,
    Call::Userfaultfd,
];

/// Denied where the recipe doesn't ask for `security=insecure`: namespaces, mounts, what needs a
/// capability that Docker doesn't give.
const SANDBOXED: &[Call] = &[
    Call::Acct,
    Call::FanotifyInit,
    Call::Fsconfig,
    Call::Fsmount,
    Call::Fsopen,
    Call::Fspick,
    Call::GetMempolicy,
    Call::Ioperm,
    Call::Iopl,
    Call::Kcmp,
    Call::LookupDcookie,
    Call::LsmGetSelfAttr,
    Call::LsmListModules,
    Call::LsmSetSelfAttr,
    Call::Mbind,
    Call::MigratePages,
    Call::Mount,
    Call::MountSetattr,
    Call::MoveMount,
    Call::MovePages,
    Call::Nfsservctl,
    Call::OpenTree,
    Call::OpenTreeAttr,
    Call::PidfdGetfd,
    Call::PivotRoot,
    Call::ProcessMadvise,
    Call::Quotactl,
    Call::QuotactlFd,
    Call::SetMempolicy,
    Call::SetMempolicyHomeNode,
    Call::Setdomainname,
    Call::Sethostname,
    Call::Setns,
    Call::Sysctl,
    Call::Sysfs,
    Call::Syslog,
    Call::Umount,
    Call::Umount2,
    Call::Unshare,
    Call::Uprobe,
    Call::Uselib,
    Call::Ustat,
    Call::Vhangup,
    Call::Vserver,
];

/// As if the kernel were older: libc falls back to calls that do the same, and that cairn answers.
const TOO_NEW: &[Call] = &[
    Call::FileGetattr,
    Call::FileSetattr,
    Call::Getxattrat,
    Call::Listxattrat,
    Call::Removexattrat,
    Call::Setxattrat,
];

/// Socket families that nobody builds with, and whose code in kernels is little looked at: old
/// ones, the kernel's ciphers (38), virtual machines' sockets (40).
const FAMILIES: &[u32] = &[12, 19, 20, 23, 25, 34, 37, 38, 40];

/// `SYS_SOCKET` and `SYS_SOCKETPAIR` of `socketcall`, by which old libraries of 32-bit programs make
/// sockets: of what family is in memory, out of a filter's sight.
const OLD_SOCKETS: &[u32] = &[1, 8];

/// What personality(2) may set: nothing, no 64 bits (`PER_LINUX32`), another kernel (`UNAME26`, of which
/// nobody is told), both; and asking. Beside Docker's list: no randomisation (`ADDR_NO_RANDOMIZE`), which
/// commands begin with, and who says so needn't be refused.
const PERSONALITIES: &[u32] = &[0, 8, 0x2_0000, 0x2_0008, 0x4_0000, 0x4_0008, u32::MAX];

/// The deny list.
pub fn rules(insecure: bool) -> Vec<Rule> {
    let deny = Action::Deny(libc::EPERM);
    let keys = vec![0x5412, 0x541c]; // TIOCSTI, TIOCLINUX
    let mut rules: Vec<Rule> = ALWAYS
        .iter()
        .map(|call| Rule::always(*call, deny))
        .collect();
    rules.push(Rule::when(Call::Ioctl, 1, !0, Is::OneOf(keys), deny));
    let missing = Action::Deny(libc::ENOSYS);
    rules.extend(TOO_NEW.iter().map(|call| Rule::always(*call, missing)));
    if !insecure {
        rules.extend(SANDBOXED.iter().map(|call| Rule::always(*call, deny)));
        rules.push(Rule::when(Call::Clone, 0, NEW_NAMESPACES, Is::Set, deny));
        // Its flags are in memory, out of a filter's sight: libc falls back to clone.
        rules.push(Rule::always(Call::Clone3, missing));
        let set = Is::NoneOf(PERSONALITIES.to_vec());
        rules.push(Rule::when(Call::Personality, 0, !0, set, deny));
        let families = Is::OneOf(FAMILIES.to_vec());
        rules.push(Rule::when(Call::Socket, 0, !0, families, deny));
        let sockets = Is::OneOf(OLD_SOCKETS.to_vec());
        rules.push(Rule::when(Call::Socketcall, 0, !0, sockets, missing));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insecure_is_the_shorter_list() {
        let calls = |insecure| -> std::collections::BTreeSet<Call> {
            rules(insecure).iter().map(|rule| rule.call).collect()
        };
        assert!(calls(true).is_subset(&calls(false)));
        assert!(!calls(true).contains(&Call::Mount));
        assert!(calls(true).contains(&Call::Keyctl));
    }

    /// What Docker's default profile refuses whatever the arguments are, to a container with
    /// Docker's default capabilities: by x86_64's numbers, worked out from `seccomp/default.json`
    /// of github.com/moby/profiles, as it was in 2026 for Linux up to 6.17.
    #[cfg(target_arch = "x86_64")]
    const DOCKER: &[u32] = &[
        103, 134, 136, 139, 153, 155, 156, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173,
        174, 175, 176, 177, 178, 179, 180, 181, 182, 183, 184, 185, 212, 227, 236, 237, 238, 239,
        246, 248, 249, 250, 256, 272, 279, 298, 300, 304, 308, 312, 313, 320, 321, 323, 336, 425,
        426, 427, 428, 429, 430, 431, 432, 433, 435, 438, 440, 442, 443, 450, 459, 460, 461, 467,
        468, 469,
    ];

    /// Those that no kernel has any more, from create_module(2) to security(2).
    #[cfg(target_arch = "x86_64")]
    const GONE: &[u32] = &[174, 177, 178, 181, 182, 183, 184, 185];

    /// From setxattrat(2) to removexattrat(2), which Docker allows: [`TOO_NEW`].
    #[cfg(target_arch = "x86_64")]
    const ATTRIBUTES: std::ops::RangeInclusive<u32> = 463..=466;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn what_docker_refuses_is_denied_and_nothing_else() {
        let is_denied =
            |rule: &Rule| rule.when.is_empty() && matches!(rule.action, Action::Deny(_));
        let rules = rules(false).into_iter().filter(is_denied);
        let numbers = rules.filter_map(|rule| rule.call.number());
        let mut denied: Vec<_> = numbers
            .filter(|number| !ATTRIBUTES.contains(number))
            .collect();
        denied.sort_unstable();
        let refused = DOCKER.iter().filter(|number| !GONE.contains(number));
        assert_eq!(denied, refused.copied().collect::<Vec<_>>());
        // Of sockets the profile names the families that it allows, all of those to 45 but these.
        assert_eq!(FAMILIES, [12, 19, 20, 23, 25, 34, 37, 38, 40]);
    }

    #[test]
    fn what_is_denied_is_denied_to_programs_of_32_bits() {
        // What they don't have at all.
        let unknown = [Call::KexecFileLoad, Call::Uprobe];
        for Rule { call, .. } in rules(false) {
            let is_known = cfg!(not(target_arch = "x86_64")) || call.number_of_32_bits().is_some();
            assert!(is_known || unknown.contains(&call), "{call:?}");
        }
    }

    #[test]
    fn no_call_is_listed_twice() {
        let mut calls: Vec<Call> = rules(false).iter().map(|rule| rule.call).collect();
        let count = calls.len();
        calls.sort_unstable();
        calls.dedup();
        assert_eq!(calls.len(), count);
    }
}
