// Mounts, by the newer calls; and what the kernel keeps of namespaces.

#include "probe.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// `struct mnt_id_req` of statmount(2).
struct asked {
    uint32_t size, none;
    uint64_t mount, what, of;
};

static void newer(void) {
    struct asked asked = {24, 0, ~0ull, 0, 0}; // The root mount.
    uint64_t mounts[64] = {0};
    long count = syscall(458, &asked, mounts, 64, 0);
    say_result("listmount", count);
    say("listmount, numbers", "%lu %lu %lu", (unsigned long)mounts[0], (unsigned long)mounts[1], (unsigned long)mounts[2]);
    for (long at = 0; at < count && at < 64; at++) {
        static char told[1 << 16];
        memset(told, 0, sizeof told);
        asked = (struct asked){24, 0, mounts[at], 0x7f, 0};
        long got = syscall(457, &asked, told, sizeof told, 0);
        say_result(way("statmount %ld", at), got);
        if (got == 0)
            say_bytes(way("statmount %ld, all", at), told, 256);
    }
}

static void spaces(void) {
    static const char *kinds[] = {"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts"};
    for (size_t at = 0; at < sizeof kinds / sizeof *kinds; at++) {
        char path[64], target[64];
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[at]);
        long length = readlink(path, target, sizeof target);
        if (length < 0)
            say_result(way("namespace %s", kinds[at]), -1);
        else
            say_bytes(way("namespace %s", kinds[at]), target, length);
        int space = open(path, O_RDONLY);
        struct stat found = {0};
        fstat(space, &found);
        say(way("namespace %s, inode", kinds[at]), "%lu", (unsigned long)found.st_ino);
        uint64_t number = 0;
        long got = ioctl(space, 0x8008b70d, &number); // NS_GET_ID
        say(way("namespace %s, number", kinds[at]), "%ld %lu", got, (unsigned long)number);
        got = ioctl(space, 0x8008b705, &number); // NS_GET_MNTNS_ID
        say(way("namespace %s, number of mounts", kinds[at]), "%ld %lu", got, (unsigned long)number);
        int parent = ioctl(space, 0xb701); // NS_GET_USERNS
        say(way("namespace %s, owner", kinds[at]), "%d", parent < 0 ? -1 : 0);
        unsigned owner = 7;
        got = ioctl(space, 0xb704, &owner); // NS_GET_OWNER_UID
        say(way("namespace %s, owner's number", kinds[at]), "%ld %u", got, owner);
        close(parent);
        close(space);
    }
    // What is newer than every namespace of its own: all that there are.
    uint64_t request[8] = {64 | 0, 0, 0, 0}, numbers[64] = {0};
    say_result("listns", syscall(470, request, numbers, 64, 0));
}

static void of_process(void) {
    int self = syscall(SYS_pidfd_open, getpid(), 0);
    uint64_t info[16] = {0xff};
    long got = ioctl(self, 0xc040ff0b, info); // PIDFD_GET_INFO
    say("PIDFD_GET_INFO", "%ld mask %lx", got, (unsigned long)info[0]);
    say("PIDFD_GET_INFO, control group", "%lu", (unsigned long)info[1]);
    say_bytes("PIDFD_GET_INFO, the rest", info + 2, 48);
    close(self);
}

void mounts(void) {
    newer();
    spaces();
    of_process();
}
