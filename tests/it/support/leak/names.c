// In which order names are read, and by what numbers events are told.

#include "probe.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct entry {
    uint64_t number, offset;
    uint16_t length;
    uint8_t kind;
    char name[];
};

static void read_folder(const char *path) {
    static char bytes[1 << 16], order[1 << 16], numbers[1 << 16], offsets[1 << 16];
    size_t here = 0, of_numbers = 0, of_offsets = 0;
    int from = open(path, O_RDONLY | O_DIRECTORY);
    for (long count; from >= 0 && (count = syscall(SYS_getdents64, from, bytes, sizeof bytes)) > 0;)
        for (long at = 0; at < count;) {
            const struct entry *entry = (const void *)(bytes + at);
            at += entry->length;
            // Processes come and go outside.
            if (strcmp(path, "/proc") == 0 && entry->name[0] >= '0' && entry->name[0] <= '9')
                continue;
            if (here < sizeof order - 300)
                here += snprintf(order + here, 300, "%s/%d ", entry->name, entry->kind);
            if (of_numbers < sizeof numbers - 50)
                of_numbers += snprintf(numbers + of_numbers, 50, "%lu ", (unsigned long)entry->number);
            if (of_offsets < sizeof offsets - 50)
                of_offsets += snprintf(offsets + of_offsets, 50, "%lx ", (unsigned long)entry->offset);
        }
    if (from >= 0)
        close(from);
    say_bytes(way("names of %s", path), order, here);
    say_bytes(way("inodes of names of %s", path), numbers, of_numbers);
    say_bytes(way("offsets of names of %s", path), offsets, of_offsets);
}

static void watch(void) {
    int watcher = inotify_init();
    say_result("inotify, watch", inotify_add_watch(watcher, ".", IN_ALL_EVENTS));
    int made = open("one", O_RDWR | O_CREAT, 0644);
    if (write(made, "x", 1) != 1 || rename("one", "two"))
        say("rename", "failed");
    close(made);
    unlink("two");
    union {
        struct inotify_event first;
        char bytes[4096];
    } read_here;
    char text[4096];
    int length = 0;
    unsigned cookie = 0;
    long count = read(watcher, &read_here, sizeof read_here);
    for (long at = 0; at < count;) {
        const struct inotify_event *event = (const void *)(read_here.bytes + at);
        length += snprintf(text + length, 100, "%x %s ", event->mask, event->len ? event->name : "");
        cookie = event->cookie ? event->cookie : cookie;
        at += sizeof *event + event->len;
    }
    say_bytes("inotify, events", text, length);
    say("inotify, cookie", "%u", cookie);
    close(watcher);
}

void names(void) {
    mkdir("many", 0755);
    for (int number = 0; number < 60; number++) {
        char name[64];
        snprintf(name, sizeof name, "many/%08x", (unsigned)number * 2654435761u);
        close(open(name, O_CREAT | O_WRONLY, 0644));
    }
    static const char *folders[] = {"many", "/", "/dev", "/dev/shm", "/dev/pts", "/proc", "/proc/self", "/proc/self/fd", "/proc/sys", "/proc/net",
                                    "/sys", "/sys/class/net", "/sys/devices/system/cpu", "/tmp", "/etc"};
    for (size_t at = 0; at < sizeof folders / sizeof *folders; at++)
        read_folder(folders[at]);
    for (int number = 0; number < 60; number++) {
        char name[64];
        snprintf(name, sizeof name, "many/%08x", (unsigned)number * 2654435761u);
        unlink(name);
    }
    rmdir("many");
    watch();
}
