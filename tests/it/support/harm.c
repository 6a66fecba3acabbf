// What a command of a build must not be able to do. `harm all` tries everything and prints a line
// for each thing that it could do; it ends with 1 then. `harm NAME ARGUMENT` does one thing.
// Where it is not in a sandbox of cairn's it does nothing: it would harm the machine.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_clone3
#define SYS_clone3 435
#endif

static long ptraced(void) { return ptrace(PTRACE_ATTACH, 1, 0, 0); }
static long seized(void) { return ptrace(PTRACE_SEIZE, 1, 0, 0); }

static long read_memory(void) {
    char here[8];
    struct iovec to = {here, sizeof here}, from = {(void *)0x400000, sizeof here};
    return syscall(SYS_process_vm_readv, 1, &to, 1, &from, 1, 0);
}

static long opened(const char *path, int flags) {
    int file = open(path, flags | O_CLOEXEC);
    if (file >= 0)
        close(file);
    return file;
}

static long memory_of_first(void) { return opened("/proc/1/mem", O_RDWR); }
static long root_of_first(void) { return opened("/proc/1/root/", O_RDONLY | O_DIRECTORY); }
static long kernel_memory(void) { return read(open("/proc/kcore", O_RDONLY), (char[1]){0}, 1) - 1; }
static long message_log(void) { return opened("/dev/kmsg", O_RDONLY); }
static long trigger(void) { return opened("/proc/sysrq-trigger", O_WRONLY); }
static long core_pattern(void) { return opened("/proc/sys/kernel/core_pattern", O_WRONLY); }

static long enter(void) {
    int file = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return file;
    return setns(file, 0);
}

static long descriptor_of_first(void) {
    int first = syscall(SYS_pidfd_open, 1, 0);
    if (first < 0)
        return first;
    return syscall(SYS_pidfd_getfd, first, 0, 0);
}

static long keys_added(void) { return syscall(SYS_add_key, "user", "harm", "x", 1, -3 /* session */); }
static long keys_asked(void) { return syscall(SYS_request_key, "user", "harm", 0, -3); }
static long keyring(void) { return syscall(SYS_keyctl, 0 /* get id */, -5 /* user session */, 1); }

static long mounted(void) { return mount("none", "/tmp", "tmpfs", 0, 0); }
static long bound(void) { return mount("/", "/tmp", 0, MS_BIND | MS_REC, 0); }
static long remounted(void) { return mount("none", "/proc/sys", 0, MS_REMOUNT | MS_BIND, 0); }
static long unmounted(void) { return umount2("/proc/sys", MNT_DETACH); }
static long context_opened(void) { return syscall(430 /* fsopen */, "tmpfs", 0); }
static long tree_opened(void) { return syscall(428 /* open_tree */, AT_FDCWD, "/", 1 /* clone */); }
static long attributes_set(void) { return syscall(442 /* mount_setattr */, AT_FDCWD, "/", 0, &(uint64_t[4]){0}, 32); }
static long pivoted(void) { return syscall(SYS_pivot_root, "/tmp", "/tmp"); }

static long attributes_got(void) { return syscall(468 /* file_getattr */, AT_FDCWD, "/tmp", &(uint64_t[3]){0}, 24, 0); }

static long apart(void) { return unshare(CLONE_NEWUSER); }
static long mounts_apart(void) { return unshare(CLONE_NEWNS); }

static long cloned(unsigned long flags) {
    long child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    if (child > 0)
        waitpid(child, 0, 0);
    return child;
}

static long user_cloned(void) { return cloned(CLONE_NEWUSER); }
static long processes_cloned(void) { return cloned(CLONE_NEWPID); }

static long newly_cloned(void) {
    uint64_t arguments[8] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
    long child = syscall(SYS_clone3, arguments, sizeof arguments);
    if (child == 0)
        _exit(0);
    if (child > 0)
        waitpid(child, 0, 0);
    return child;
}

static long device_read(void) {
    char byte;
    dev_t disk = makedev(1, 1 /* /dev/mem */);
    unlink("/tmp/mem");
    if (mknod("/tmp/mem", S_IFCHR | 0600, disk) < 0)
        return -1;
    int file = open("/tmp/mem", O_RDONLY | O_CLOEXEC);
    return file < 0 ? file : read(file, &byte, 1) - 1;
}

static long typed(void) {
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    return ioctl(terminal < 0 ? 0 : terminal, TIOCSTI, "x");
}

static long programmed(void) { return syscall(SYS_bpf, 5 /* load */, &(char[120]){0}, 120); }
static long traced(void) { return syscall(SYS_perf_event_open, &(char[112]){0, 0, 0, 0, 112}, 0, -1, -1, 0); }
static long faults(void) { return syscall(SYS_userfaultfd, 1 /* of this process alone */); }
static long rings(void) { return syscall(425 /* io_uring_setup */, 1, &(char[120]){0}); }
static long handle(void) { return syscall(SYS_open_by_handle_at, AT_FDCWD, &(uint32_t[8]){8, 1}, O_RDONLY); }
static long module(void) { return syscall(SYS_init_module, "", 0, "") < 0 && errno == ENOEXEC ? 0 : -1; }
static long rebooted(void) { return syscall(SYS_reboot, 0xfee1dead, 672274793, 0 /* Ctrl-Alt-Del off */, 0); }
static long logged(void) { return syscall(SYS_syslog, 3 /* read all */, &(char[16]){0}, 16); }
static long accounted(void) { return acct("/tmp/acct"); }
static long swapped(void) { return syscall(SYS_swapon, "/tmp/none", 0) < 0 && errno == ENOENT ? 0 : -1; }
static long named(void) { return sethostname("evil", 4); }
static long domain_named(void) { return setdomainname("evil", 4); }
static long raced(void) { return syscall(SYS_kcmp, 1, getpid(), 0, 0, 0); }
static long quota(void) { return syscall(SYS_quotactl, 0x800005 << 8, 0, 0, 0); }

static long clock_set(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return clock_settime(CLOCK_REALTIME, &now);
}

static long machine_socket(void) { return socket(AF_VSOCK, SOCK_STREAM, 0); }
static long cipher_socket(void) { return socket(AF_ALG, SOCK_SEQPACKET, 0); }

static long others(const char *what) {
#if defined(__x86_64__)
    // The same calls by other numbers: those of 32 bits, and of x32.
    long result;
    if (!strcmp(what, "32"))
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(310 /* unshare */), "b"(CLONE_NEWUSER) : "memory");
    else
        result = syscall(0x40000000 + SYS_unshare, CLONE_NEWUSER);
    return result < 0 ? -1 : result;
#else
    (void)what;
    return -1;
#endif
}

static long of_32_bits(void) { return others("32"); }
static long of_x32(void) { return others("x32"); }

static long capable(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct has[2];
    if (syscall(SYS_capget, &header, has) < 0)
        return -1;
    // Docker's: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap,
    // net_bind_service, net_raw, sys_chroot, mknod, audit_write, setfcap.
    uint32_t more = (has[0].permitted & ~0xa80425fbu) | has[1].permitted;
    return more ? 0 : -1;
}

static const struct {
    const char *name;
    long (*attempt)(void);
} HARMS[] = {
    {"ptrace-attach", ptraced}, {"ptrace-seize", seized}, {"process-vm-readv", read_memory},
    {"proc-1-mem", memory_of_first}, {"proc-1-root", root_of_first}, {"kcore", kernel_memory},
    {"kmsg", message_log}, {"sysrq-trigger", trigger}, {"core-pattern", core_pattern}, {"setns", enter},
    {"pidfd-getfd", descriptor_of_first}, {"add-key", keys_added}, {"request-key", keys_asked},
    {"keyctl", keyring}, {"mount", mounted}, {"bind-mount", bound}, {"remount", remounted},
    {"umount", unmounted}, {"fsopen", context_opened}, {"open-tree", tree_opened},
    {"mount-setattr", attributes_set}, {"file-getattr", attributes_got}, {"pivot-root", pivoted}, {"unshare-user", apart},
    {"unshare-mounts", mounts_apart}, {"clone-user", user_cloned}, {"clone-processes", processes_cloned},
    {"clone3-user", newly_cloned}, {"mknod", device_read}, {"tiocsti", typed}, {"bpf", programmed},
    {"perf-event-open", traced}, {"userfaultfd", faults}, {"io-uring", rings}, {"open-by-handle-at", handle},
    {"init-module", module}, {"reboot", rebooted}, {"syslog", logged}, {"acct", accounted},
    {"swapon", swapped}, {"sethostname", named}, {"setdomainname", domain_named}, {"kcmp", raced},
    {"quotactl", quota}, {"clock-settime", clock_set}, {"vsock", machine_socket}, {"alg", cipher_socket},
    {"unshare-by-int80", of_32_bits}, {"unshare-by-x32", of_x32}, {"capabilities", capable},
};

// Connects to the abstract socket of that name.
static int reach(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int here = socket(AF_UNIX, SOCK_STREAM, 0);
    memcpy(address.sun_path + 1, name, strlen(name));
    socklen_t length = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
    return connect(here, (struct sockaddr *)&address, length);
}

// Says something to the socket of that path, and hears it again.
static int ask(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char said[8] = "", *end = said;
    int here = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    if (connect(here, (struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    if (write(here, "echo", 4) != 4 || shutdown(here, SHUT_WR) < 0)
        return -1;
    for (ssize_t got; end < said + sizeof said - 1; end += got)
        if ((got = read(here, end, said + sizeof said - 1 - end)) <= 0)
            break;
    return strcmp(said, "echo");
}

// Opens a path beyond the root, as who may chroot(2) could where a root is nothing more.
static int leave(const char *path) {
    int here = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (chroot("/tmp") < 0 || fchdir(here) < 0)
        return -1;
    for (int depth = 0; depth < 100; depth++)
        if (chdir("..") < 0)
            return -1;
    if (chroot(".") < 0)
        return -1;
    return opened(path, O_RDONLY);
}

int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "all";
    char name[64] = "";
    gethostname(name, sizeof name - 1);
    if (strcmp(name, "cairn")) {
        puts("this is no sandbox");
        return 2;
    }
    // Holds on to whatever it can; the argument is what it is known by.
    if (!strcmp(what, "stay")) {
        for (int signal = 1; signal < 32; signal++)
            sigaction(signal, &(struct sigaction){.sa_handler = SIG_IGN}, 0);
        setsid();
        for (;;)
            pause();
    }
    if (!strcmp(what, "reach"))
        return count > 2 && reach(arguments[2]) == 0 ? 0 : 1;
    if (!strcmp(what, "ask"))
        return count > 2 && ask(arguments[2]) == 0 ? 0 : 1;
    if (!strcmp(what, "leave"))
        return count > 2 && leave(arguments[2]) >= 0 ? 0 : 1;
    if (!strcmp(what, "kill-all"))
        return kill(-1, SIGKILL) == 0 ? 0 : 1;
    int could = 0;
    for (size_t number = 0; number < sizeof HARMS / sizeof *HARMS; number++) {
        // Each by itself, as what one could do changes what the next can.
        pid_t child = fork();
        if (child == 0)
            _exit(HARMS[number].attempt() < 0);
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            printf("could: %s\n", HARMS[number].name);
            could = 1;
        }
    }
    return could;
}
