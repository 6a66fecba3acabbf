// How much there is of everything, and what the kernel is able to do.

#include "probe.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// How much memory a process is promised at once: more than there is, it isn't (overcommit).
static unsigned long promised(void) {
    unsigned long least = 1 << 20, most = 1ul << 46;
    while (most - least > 1 << 20) {
        unsigned long size = least + (most - least) / 2;
        void *at = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED)
            most = size;
        else {
            munmap(at, size);
            least = size;
        }
    }
    return least >> 20;
}

static void ability(const char *name, long number, long one, long two, long three, long four) {
    long got = syscall(number, one, two, three, four, 0, 0);
    say(way("call %s", name), "%d %d", got < 0 ? -1 : 0, got < 0 ? errno : 0);
}

void limits(void) {
    for (int which = 0; which < 16; which++) {
        struct rlimit limit = {0, 0};
        getrlimit(which, &limit);
        say(way("limit %d", which), "%lu %lu", (unsigned long)limit.rlim_cur, (unsigned long)limit.rlim_max);
    }
    for (int which = 0; which < 256; which++) {
        errno = 0;
        long value = sysconf(which);
        if (value != -1 || errno == 0)
            say(way("sysconf %d", which), "%ld", value);
    }
    double loads[3] = {9, 9, 9};
    int count = getloadavg(loads, 3);
    say("getloadavg", "%d %f %f %f", count, loads[0], loads[1], loads[2]);
    say("memory that is promised, MiB", "%lu", promised());
    void *huge = mmap(0, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | 0x40000, -1, 0);
    say("huge page", "%d", huge == MAP_FAILED ? errno : 0);
    void *some = mmap(0, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say_result("madvise, huge pages", madvise(some, 8 << 20, 14));
    unsigned char pages[8] = {0};
    if (mincore((void *)((uintptr_t)promised & ~4095ul), 4096 * 4, pages) == 0)
        say("mincore of the program", "%d%d%d%d", pages[0], pages[1], pages[2], pages[3]);
    // Are these there? They fail either way: the arguments are none.
    ability("openat2", 437, -1, 0, 0, 0);
    ability("epoll_pwait2", 441, -1, 0, 0, 0);
    ability("landlock_create_ruleset", 444, 0, 0, 1, 0);
    ability("memfd_secret", 447, ~0l, 0, 0, 0);
    ability("futex_waitv", 449, 0, 0, ~0l, 0);
    ability("cachestat", 451, -1, 0, 0, ~0l);
    ability("fchmodat2", 452, -1, 0, 0, ~0l);
    ability("map_shadow_stack", 453, 0, 0, ~0l, 0);
    ability("futex_wake", 454, 0, 0, 0, ~0l);
    ability("futex_requeue", 456, 0, ~0l, 0, 0);
    ability("statmount", 457, 0, 0, 0, ~0l);
    ability("listmount", 458, 0, 0, 0, ~0l);
    ability("lsm_get_self_attr", 459, 0, 0, 0, ~0l);
    ability("mseal", 462, 1, 1, ~0l, 0);
    ability("setxattrat", 463, -1, 0, ~0l, 0);
    ability("open_tree_attr", 467, -1, 0, ~0l, 0);
    ability("file_getattr", 468, -1, 0, 0, 0);
    ability("listns", 470, 0, 0, 0, ~0l);
    ability("rseq_slice_yield", 471, 0, 0, 0, 0);
    // A landlock of what version.
    say_result("landlock, version", syscall(444, 0, 0, 1));
    static const char *programs[] = {"/proc/config.gz", "/boot", "/lib/modules", "/var/run/docker.sock", "/run/systemd", "/.dockerenv", "/run/.containerenv"};
    for (size_t at = 0; at < sizeof programs / sizeof *programs; at++)
        say_result(way("there, %s", programs[at]), access(programs[at], F_OK));
}
