// All that there is to read below /proc, /sys and /dev: in files, by their names, and what links name.

#include "probe.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Bytes of a file that are read at most.
#define BYTES (1 << 16)
// How many files may still be read in a folder's tree: outside there are many.
static int left;

// What isn't read: it waits, is huge, or acts.
static const char *const never[] = {
    "/proc/kmsg", "/proc/kcore", "/proc/sysrq-trigger", "/proc/self/mem", "/proc/self/task", "/proc/self/cwd", "/proc/self/root",
    "/proc/self/map_files", "/proc/self/clear_refs", "/proc/self/net", "/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup",
    "/proc/kallsyms", "/proc/self/fd", "/proc/self/pagemap", "/proc/thread-self", "/proc/bus", "/proc/irq", "/proc/fs", "/proc/driver",
    "/proc/tty", "/proc/acpi", "/proc/scsi", "/proc/sys/fs/binfmt_misc", "/proc/sys/kernel/random/uuid", "/proc/sys/kernel/random/boot_id",
    "/proc/sys/net", "/proc/sys/dev", "/proc/sys/vm/stat_refresh", "/proc/sys/vm/drop_caches", "/proc/sys/vm/compact_memory",
};

// Whose lines, or words, are told one by one.
static int by_line(const char *path) {
    const char *name = strrchr(path, '/') + 1;
    return !strcmp(name, "status") || !strcmp(name, "sched") || !strcmp(name, "io") || !strcmp(name, "meminfo") || !strcmp(name, "smaps_rollup");
}

static int by_word(const char *path) {
    const char *name = strrchr(path, '/') + 1;
    return (!strcmp(name, "stat") && strcmp(path, "/proc/stat")) || !strcmp(name, "statm") || !strcmp(name, "schedstat");
}

// Places, and apart from them what numbers the files there have.
static void tell_maps(const char *words, const char *path, char *text) {
    static char places[BYTES], files[BYTES];
    size_t of_places = 0, of_files = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(0, "\n")) {
        char range[64], rights[8], offset[32], device[32], number[32], name[256] = "";
        if (sscanf(line, "%63s %7s %31s %31s %31s %255s", range, rights, offset, device, number, name) < 5 || of_places > BYTES - 512)
            continue;
        of_places += snprintf(places + of_places, 512, "%s %s %s %s\n", range, rights, offset, name);
        of_files += snprintf(files + of_files, 128, "%s %s\n", device, number);
    }
    (void)path;
    char copy[512];
    snprintf(copy, sizeof copy, "%s", words);
    say_bytes(way("%s, addresses", copy), places, of_places);
    say_bytes(way("%s, devices and inodes", copy), files, of_files);
}

static void tell(const char *path, int flags) {
    static char text[BYTES + 1];
    char words[512];
    snprintf(words, sizeof words, "%s%s", path, flags & O_CLOEXEC ? ", closed by exec" : "");
    int from = open(path, O_RDONLY | O_NONBLOCK | flags);
    if (from < 0)
        return say_result(words, -1);
    long count = 0, got;
    while (count < BYTES && (got = read(from, text + count, BYTES - count)) > 0)
        count += got;
    int error = errno;
    close(from);
    if (count == 0 && got < 0)
        return say(words, "error %d", error);
    text[count] = 0;
    if (!strcmp(path, "/proc/self/maps"))
        return tell_maps(words, path, text);
    if (by_line(path)) {
        for (char *line = strtok(text, "\n"); line; line = strtok(0, "\n")) {
            char *end = strchr(line, ':');
            if (!end)
                continue;
            for (char *last = end; last > line && (last[-1] == ' ' || last[-1] == '\t'); last--)
                last[-1] = 0;
            *end = 0;
            say(way("%s, %s", words, line), "%s", end + 1 + strspn(end + 1, " \t"));
        }
        return;
    }
    if (by_word(path)) {
        int number = 1;
        for (char *word = strtok(text, " \n"); word; word = strtok(0, " \n"))
            say(way("%s, word %d", words, number++), "%s", word);
        return;
    }
    say_bytes(words, text, count);
}

static int order(const void *one, const void *other) { return strcmp(*(char *const *)one, *(char *const *)other); }

static void walk(const char *path) {
    for (size_t at = 0; at < sizeof never / sizeof *never; at++)
        if (strcmp(path, never[at]) == 0)
            return;
    struct stat found;
    if (lstat(path, &found) || left <= 0)
        return;
    if (S_ISLNK(found.st_mode)) {
        char target[512];
        long length = readlink(path, target, sizeof target);
        say_bytes(way("link %s", path), target, length < 0 ? 0 : length);
        if (strcmp(path, "/proc/self") != 0 && strcmp(path, "/proc/net") != 0)
            return;
    } else if (!S_ISDIR(found.st_mode)) {
        left--;
        if (S_ISREG(found.st_mode)) {
            tell(path, 0);
            tell(path, O_CLOEXEC);
        }
        return;
    }
    DIR *folder = opendir(path);
    char *names[4096];
    size_t count = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder)) && count < 4096;) {
        const char *name = entry->d_name;
        // Of other processes there are others each time; these are walked by themselves.
        int is_process = !strcmp(path, "/proc") && ((name[0] >= '0' && name[0] <= '9') || !strcmp(name, "self") || !strcmp(name, "net"));
        if (!is_process && strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            names[count++] = strdup(entry->d_name);
    }
    if (folder)
        closedir(folder);
    qsort(names, count, sizeof *names, order);
    for (size_t at = 0; at < count; at++) {
        char below[512];
        snprintf(below, sizeof below, "%s/%s", path, names[at]);
        walk(below);
        free(names[at]);
    }
}

static void link_of(const char *path) {
    char target[512];
    long length = readlink(path, target, sizeof target);
    if (length < 0)
        return say_result(way("link %s", path), -1);
    say_bytes(way("link %s", path), target, length);
}

void proc(void) {
    int ends[2];
    if (pipe(ends))
        return;
    static const struct {
        const char *path;
        int most;
    } roots[] = {{"/proc/self", 200}, {"/proc/net", 200}, {"/proc", 1500}, {"/sys/devices/system/cpu", 100},
                 {"/sys/kernel/mm", 50}, {"/sys/fs/cgroup", 50}, {"/sys", 50}, {"/dev", 1}};
    for (size_t at = 0; at < sizeof roots / sizeof *roots; at++) {
        left = roots[at].most;
        walk(roots[at].path);
    }
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    link_of(path);
    link_of("/proc/self/fd/0");
    link_of("/proc/self/fd/1");
    link_of("/proc/self/cwd");
    link_of("/proc/self/root");
    static const char *others[] = {"/proc/1/status", "/proc/1/stat", "/proc/1/cmdline", "/proc/1/environ", "/proc/1/comm", "/proc/1/sched", "/proc/1/uid_map"};
    for (size_t at = 0; at < sizeof others / sizeof *others; at++)
        tell(others[at], 0);
    static const char *of_image[] = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/localtime", "/etc/timezone"};
    for (size_t at = 0; at < sizeof of_image / sizeof *of_image; at++)
        tell(of_image[at], 0);
}
