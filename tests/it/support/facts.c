/* Prints what a command is told of its machine, and of whoever began it: the same everywhere, or
 * something leaks. `facts FILE` writes it there; `facts` to standard output; `facts addresses`
 * prints addresses alone, as its children do. Left out is what belongs to one run by its nature: numbers of
 * processes, inodes, times. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void addresses(const char *who) {
    int here;
    void *small = malloc(64), *large = malloc(1 << 22);
    void *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("%s: stack %p heap %p break %p large %p map %p code %p libc %p vdso %lx\n", who,
           (void *)&here, small, sbrk(0), large, map, (void *)&addresses, (void *)&strtoul,
           getauxval(AT_SYSINFO_EHDR));
    fflush(stdout);
}

/* As a shell and as Python begin programs. */
static void children(void) {
    char *arguments[] = {"/proc/self/exe", "addresses", NULL};
    pid_t child = vfork();
    if (child == 0) {
        execv(arguments[0], arguments);
        _exit(127);
    }
    waitpid(child, NULL, 0);
    child = fork();
    if (child == 0) {
        addresses("forked");
        _exit(0);
    }
    waitpid(child, NULL, 0);
    if (posix_spawn(&child, arguments[0], NULL, NULL, arguments, environ) == 0)
        waitpid(child, NULL, 0);
}

static void file(const char *path) {
    char text[65536];
    int from = open(path, O_RDONLY);
    if (from < 0) {
        printf("%s: %s\n", path, strerror(errno));
        return;
    }
    ssize_t size = read(from, text, sizeof text - 1);
    close(from);
    printf("== %s\n%.*s", path, size < 0 ? 0 : (int)size, text);
}

/* What it says of processors. */
static void status(const char *path) {
    char line[4096];
    FILE *from = fopen(path, "r"); /* Not to be closed by an exec. */
    printf("== %s\n", path);
    while (from && fgets(line, sizeof line, from))
        if (strstr(line, "_allowed"))
            fputs(line, stdout);
    if (from)
        fclose(from);
}

static void disk(const char *path) {
    struct statfs at, open_at;
    int from = open(path, O_RDONLY | O_DIRECTORY);
    if (statfs(path, &at) || fstatfs(from, &open_at)) {
        printf("%s: %s\n", path, strerror(errno));
        return;
    }
    close(from);
    printf("%s: type %lx block %ld blocks %lu %lu %lu files %lu %lu name %ld flags %lx %s\n", path,
           (long)at.f_type, (long)at.f_bsize, at.f_blocks, at.f_bfree, at.f_bavail, at.f_files,
           at.f_ffree, (long)at.f_namelen, (long)at.f_flags,
           memcmp(&at, &open_at, sizeof at) ? "or not" : "twice");
}

int main(int count, char **arguments) {
    if (count > 1 && strcmp(arguments[1], "addresses") == 0) {
        addresses("executed");
        return 0;
    }
    if (count > 1 && !freopen(arguments[1], "w", stdout))
        return 1;
    struct utsname name;
    uname(&name);
    printf("uname: %s %s %s %s %s %s\n", name.sysname, name.nodename, name.release, name.version,
           name.machine, name.domainname);
    char host[256] = "";
    gethostname(host, sizeof host);
    printf("host: %s\n", host);
    cpu_set_t set;
    CPU_ZERO(&set);
    long got = syscall(SYS_sched_getaffinity, 0, sizeof set, &set);
    printf("processors: affinity %ld %d online %ld %d there %ld %d\n", got, CPU_COUNT(&set),
           sysconf(_SC_NPROCESSORS_ONLN), get_nprocs(), sysconf(_SC_NPROCESSORS_CONF),
           get_nprocs_conf());
    unsigned processor = 99, node = 99;
    got = syscall(SYS_getcpu, &processor, &node, NULL);
    printf("on: %ld %u %u\n", got, processor, node);
    struct sysinfo info;
    memset(&info, 0, sizeof info);
    sysinfo(&info);
    printf("sysinfo: up %ld loads %lu %lu %lu ram %lu %lu %lu %lu swap %lu %lu processes %hu high %lu %lu unit %u\n",
           info.uptime, info.loads[0], info.loads[1], info.loads[2], info.totalram, info.freeram,
           info.sharedram, info.bufferram, info.totalswap, info.freeswap, info.procs,
           info.totalhigh, info.freehigh, info.mem_unit);
    double loads[3] = {9, 9, 9};
    getloadavg(loads, 3);
    printf("load: %f %f %f\n", loads[0], loads[1], loads[2]);
    printf("sysconf: pages %ld %ld files %ld children %ld\n", sysconf(_SC_PHYS_PAGES),
           sysconf(_SC_AVPHYS_PAGES), sysconf(_SC_OPEN_MAX), sysconf(_SC_CHILD_MAX));
    for (int which = 0; which < RLIM_NLIMITS; which++) {
        struct rlimit limit;
        getrlimit(which, &limit);
        printf("limit %d: %lu %lu\n", which, limit.rlim_cur, limit.rlim_max);
    }
    printf("nice: %d %ld\n", getpriority(PRIO_PROCESS, 0), syscall(SYS_getpriority, 0, getpid()));
    /* Counted from where it began. */
    int changed = setpriority(PRIO_PROCESS, 0, 3);
    printf("nicer: %d %d\n", changed, getpriority(PRIO_PROCESS, 0));
    printf("scheduled: %d %d\n", sched_getscheduler(0), prctl(PR_GET_TIMERSLACK));
    mode_t mask = umask(0);
    umask(mask);
    char place[4096] = "";
    printf("mask: %o in: %s\n", mask, getcwd(place, sizeof place));
    gid_t groups[64];
    int known = getgroups(64, groups);
    printf("user: %d %d %d %d groups: %d\n", getuid(), geteuid(), getgid(), getegid(), known);
    printf("personality: %x\n", personality(0xffffffff));
    sigset_t held;
    sigprocmask(SIG_SETMASK, NULL, &held);
    for (int number = 1; number < 32; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0)
            printf("%s%d:%d%d", number == 1 ? "signals: " : " ", number,
                   action.sa_handler == SIG_IGN, sigismember(&held, number));
    }
    puts("");
    for (int number = 0; number < 64; number++)
        if (fcntl(number, F_GETFD) >= 0)
            printf("open: %d\n", number);
    for (char **variable = environ; *variable; variable++)
        printf("env: %s\n", *variable);
    for (int at = 0; at < count; at++)
        printf("argument: %s\n", arguments[at]);
    static const char *disks[] = {"/", "/tmp", "/proc", "/sys", "/dev", "/dev/shm", "/proc/sys", "/dev/pts"};
    for (size_t at = 0; at < sizeof disks / sizeof *disks; at++)
        disk(disks[at]);
    static const char *files[] = {
        "/proc/version", "/proc/cpuinfo", "/proc/meminfo", "/proc/loadavg", "/proc/uptime",
        "/proc/stat", "/proc/vmstat", "/proc/diskstats", "/proc/swaps", "/proc/partitions",
        "/proc/interrupts", "/proc/softirqs", "/proc/filesystems", "/proc/modules", "/proc/cmdline",
        "/proc/devices", "/proc/misc", "/proc/cgroups", "/proc/crypto", "/proc/buddyinfo",
        "/proc/zoneinfo", "/proc/locks", "/proc/iomem", "/proc/pressure/cpu", "/proc/tty/drivers",
        "/proc/fs/ext4", "/proc/self/cgroup", "/proc/1/cgroup", "/proc/self/mountinfo",
        "/proc/self/mountstats", "/proc/mounts", "/proc/self/mounts", "/proc/self/limits", "/proc/self/oom_score_adj",
        "/proc/sys/kernel/ostype", "/proc/sys/kernel/osrelease", "/proc/sys/kernel/version",
        "/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname", "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/threads-max", "/proc/sys/kernel/random/boot_id",
        "/proc/sys/kernel/random/entropy_avail", "/proc/sys/kernel/random/poolsize",
        "/proc/sys/net/ipv4/ip_local_port_range", "/proc/sys/kernel/pid_max", "/proc/sys/fs/file-max",
        "/proc/sys/fs/file-nr", "/proc/sys/vm/min_free_kbytes", "/proc/sys/vm/overcommit_memory",
        "/sys/devices/system/cpu/online", "/sys/devices/system/cpu/possible",
        "/sys/devices/system/cpu/present", "/sys/class/net", "/etc/hosts", "/etc/hostname",
        "/etc/resolv.conf"};
    for (size_t at = 0; at < sizeof files / sizeof *files; at++)
        file(files[at]);
    status("/proc/self/status");
    status("/proc/thread-self/status");
    fflush(stdout);
    addresses("began");
    children();
    return 0;
}
