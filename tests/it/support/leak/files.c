// What files tell: times, numbers, devices, the file system below.

#include "probe.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

// `struct statx` of statx(2).
struct more {
    uint32_t mask, block;
    uint64_t attributes;
    uint32_t links, owner, group;
    uint16_t mode, none;
    uint64_t number, size, blocks, known;
    struct {
        int64_t seconds;
        uint32_t rest;
        int32_t none;
    } read, born, changed, written;
    uint32_t device_major, device_minor, on_major, on_minor;
    uint64_t mount;
    uint32_t memory, offset;
    uint64_t volume;
    uint64_t rest[12];
};

static void tell(const char *what, const char *path, int at) {
    struct stat found;
    int got = path ? lstat(path, &found) : fstat(at, &found);
    if (got)
        return say_result(way("stat, %s", what), -1);
    say(way("inode, %s", what), "%lu", (unsigned long)found.st_ino);
    say(way("device, %s", what), "%u:%u", major(found.st_dev), minor(found.st_dev));
    say(way("mode and owner, %s", what), "%o %u:%u %x", found.st_mode, found.st_uid, found.st_gid, (unsigned)found.st_rdev);
    say(way("links, %s", what), "%lu", (unsigned long)found.st_nlink);
    // Its own text's length is that of all values.
    if (path || at != 1) {
        say(way("size, %s", what), "%ld", (long)found.st_size);
        say(way("blocks, %s", what), "%ld of %ld", (long)found.st_blocks, (long)found.st_blksize);
    }
    say(way("mtime, %s", what), "%ld.%09ld", (long)found.st_mtim.tv_sec, found.st_mtim.tv_nsec);
    say(way("ctime, %s", what), "%ld.%09ld", (long)found.st_ctim.tv_sec, found.st_ctim.tv_nsec);
    say(way("atime, %s", what), "%ld.%09ld", (long)found.st_atim.tv_sec, found.st_atim.tv_nsec);
    struct more more;
    memset(&more, 0, sizeof more);
    got = syscall(SYS_statx, path ? AT_FDCWD : at, path ? path : "", path ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH, 0x5fff, &more);
    if (got)
        return say_result(way("statx, %s", what), -1);
    say(way("statx times, %s", what), "%ld.%09u %ld.%09u %ld.%09u", (long)more.read.seconds, more.read.rest,
        (long)more.changed.seconds, more.changed.rest, (long)more.written.seconds, more.written.rest);
    say(way("birth, %s", what), "%ld.%09u", (long)more.born.seconds, more.born.rest);
    say(way("statx number and device, %s", what), "%lu %u:%u", (unsigned long)more.number, more.on_major, more.on_minor);
    say(way("statx mask, %s", what), "%x", more.mask);
    say(way("statx attributes, %s", what), "%lx of %lx", (unsigned long)more.attributes, (unsigned long)more.known);
    say(way("statx mount, %s", what), "%lu", (unsigned long)more.mount);
    say(way("statx more, %s", what), "%u %u %lu %lx %lx %lx", more.memory, more.offset, (unsigned long)more.volume,
        (unsigned long)more.rest[0], (unsigned long)more.rest[1], (unsigned long)more.rest[2]);
    memset(&more, 0, sizeof more);
    // The mount's number that is never given out again.
    syscall(SYS_statx, path ? AT_FDCWD : at, path ? path : "", path ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH, 0x4000, &more);
    say(way("statx unique mount, %s", what), "%lu", (unsigned long)more.mount);
}

static void disk(const char *path) {
    struct statfs found;
    struct statvfs other;
    if (statfs(path, &found) || statvfs(path, &other))
        return say_result(way("statfs %s", path), -1);
    say(way("statfs %s, kind", path), "%lx %ld %ld %lx", (long)found.f_type, (long)found.f_bsize, (long)found.f_namelen, (long)found.f_flags);
    say(way("statfs %s, size", path), "%lu %lu", (unsigned long)found.f_blocks, (unsigned long)found.f_files);
    say(way("statfs %s, free", path), "%lu %lu %lu", (unsigned long)found.f_bfree, (unsigned long)found.f_bavail, (unsigned long)found.f_ffree);
    int numbers[2];
    memcpy(numbers, &found.f_fsid, sizeof numbers);
    say(way("statfs %s, id", path), "%x %x %lx", numbers[0], numbers[1], (long)other.f_fsid);
    int at = open(path, O_RDONLY);
    if (at >= 0 && fstatfs(at, &found) == 0)
        say(way("fstatfs %s", path), "%lx %lu %lu", (long)found.f_type, (unsigned long)found.f_blocks, (unsigned long)found.f_bfree);
    if (at >= 0)
        close(at);
}

// What a file system says of a file of its own.
static void inner(const char *what, const char *path) {
    int at = open(path, O_RDONLY);
    if (at < 0)
        return say_result(way("open %s", what), -1);
    long value = 0;
    int got = ioctl(at, 0x80087601, &value);
    say(way("FS_IOC_GETVERSION, %s", what), "%d %ld", got, value);
    value = 0;
    got = ioctl(at, 0x80086601, &value);
    say(way("FS_IOC_GETFLAGS, %s", what), "%d %lx", got, value);
    unsigned extended[7] = {0};
    got = ioctl(at, 0x801c581f, extended);
    say(way("FS_IOC_FSGETXATTR, %s", what), "%d %x %x", got, extended[0], extended[1]);
    // From 0 on, everything, once it is written; one extent, whose place on the disk is the sixth number.
    uint64_t map[32] = {0, ~0ull, 1, 1};
    got = ioctl(at, 0xc020660b, map);
    say(way("FS_IOC_FIEMAP, %s", what), "%d %u %lx", got, ((uint32_t *)map)[5], (unsigned long)map[5]);
    int block = 0;
    got = ioctl(at, 1, &block);
    say(way("FIBMAP, %s", what), "%d %d", got, block);
    got = ioctl(at, 2, &block);
    say(way("FIGETBSZ, %s", what), "%d %d", got, block);
    unsigned char name[256] = {0};
    got = ioctl(at, 0x80111500, name);
    say_bytes(way("FS_IOC_GETFSUUID, %s", what), name, got ? 0 : 17);
    memset(name, 0, sizeof name);
    got = ioctl(at, 0x80811501, name);
    say_bytes(way("FS_IOC_GETFSSYSFSPATH, %s", what), name, got ? 0 : 40);
    memset(name, 0, sizeof name);
    got = ioctl(at, 0x81009431, name);
    say_bytes(way("FS_IOC_GETFSLABEL, %s", what), name, got ? 0 : 40);
    struct {
        unsigned length;
        int kind;
        unsigned char bytes[128];
    } handle = {128, 0, {0}};
    int mount = 0;
    got = syscall(SYS_name_to_handle_at, AT_FDCWD, path, &handle, &mount, 0);
    say(way("name_to_handle_at, %s", what), "%d %u %d", got, got ? 0 : handle.length, got ? 0 : handle.kind);
    say_bytes(way("name_to_handle_at, %s, handle", what), handle.bytes, got ? 0 : handle.length);
    say(way("name_to_handle_at, %s, mount", what), "%d", mount);
    say(way("hole of %s", what), "%ld", (long)lseek(at, 0, SEEK_HOLE));
    char names[1024];
    long length = listxattr(path, names, sizeof names);
    say_bytes(way("listxattr %s", what), names, length < 0 ? 0 : length);
    struct {
        uint64_t from, length;
    } range = {0, 0};
    uint64_t pages[5] = {0};
    got = syscall(451, at, &range, pages, 0);
    say(way("cachestat, %s", what), "%d %lu %lu %lu", got, (unsigned long)pages[0], (unsigned long)pages[1], (unsigned long)pages[2]);
    close(at);
}

static void abilities(void) {
    int at = open("able", O_RDWR | O_CREAT, 0644), other = open("other", O_RDWR | O_CREAT, 0644);
    say_result("ability, fallocate", fallocate(at, 0, 0, 1 << 16));
    say_result("ability, punch a hole", fallocate(at, 3, 0, 4096));
    say_result("ability, clone", ioctl(other, 0x40049409, at));
    say_result("ability, user's attribute", fsetxattr(at, "user.probe", "x", 1, 0));
    say_result("ability, lease", fcntl(at, F_SETLEASE, F_WRLCK));
    fcntl(at, F_SETLEASE, F_UNLCK);
    long flags = 0x40; // No dump.
    say_result("ability, flags", ioctl(at, 0x40086602, &flags));
    int direct = open("able", O_RDWR | O_DIRECT);
    say_result("ability, without cache", direct < 0 ? -1 : 0);
    int none = open(".", O_TMPFILE | O_RDWR, 0600);
    say_result("ability, a file without name", none < 0 ? -1 : 0);
    say_result("ability, whiteout", syscall(SYS_renameat2, AT_FDCWD, "other", AT_FDCWD, "another", 4));
    struct stat found;
    fstat(at, &found);
    say("blocks of a hole", "%ld", (long)found.st_blocks);
    close(at);
    close(other);
    close(direct);
    close(none);
    unlink("able");
    unlink("other");
    unlink("another");
}

static void written(void) {
    struct timeval old[2] = {{1000, 1}, {2000, 2}};
    struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}}, set[2] = {{11, 12}, {13, 14}};
    int at = open("set", O_RDWR | O_CREAT, 0644);
    say_result("utimensat of a moment", utimensat(AT_FDCWD, "set", set, 0));
    tell("set to a moment", "set", -1);
    say_result("utimensat of now", utimensat(AT_FDCWD, "set", now, 0));
    tell("set to now", "set", -1);
    utimes("set", old);
    tell("set by utimes", "set", -1);
    utime("set", 0);
    tell("set by utime", "set", -1);
    futimens(at, 0);
    tell("set by futimens", 0, at);
    chmod("set", 0600);
    tell("of another mode", "set", -1);
    rename("set", "renamed");
    tell("of another name", "renamed", -1);
    unlink("renamed");
    tell("removed", 0, at);
    close(at);
}

void files(void) {
    int at = open("new", O_RDWR | O_CREAT, 0644);
    if (write(at, "text\n", 5) != 5)
        say("write", "failed");
    fsync(at);
    tell("new file", "new", -1);
    tell("new file, open", 0, at);
    inner("new file", "new");
    mkdir("folder", 0755);
    tell("new folder", "folder", -1);
    inner("new folder", "folder");
    if (symlink("new", "link") || link("new", "second") || mkfifo("fifo", 0644))
        say("links", "failed");
    tell("new symlink", "link", -1);
    tell("new hard link", "second", -1);
    tell("new fifo", "fifo", -1);
    struct sockaddr_un name = {AF_UNIX, "socket"};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), ends[2], pair[2];
    if (bind(listener, (struct sockaddr *)&name, sizeof name) || pipe(ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        say("sockets", "failed");
    tell("new socket file", "socket", -1);
    tell("socket", 0, listener);
    tell("pipe", 0, ends[0]);
    sigset_t none;
    sigemptyset(&none);
    tell("signalfd", 0, signalfd(-1, &none, 0));
    tell("eventfd", 0, eventfd(0, 0));
    tell("epoll", 0, epoll_create(1));
    tell("memfd", 0, syscall(SYS_memfd_create, "probe", 0));
    tell("pidfd", 0, syscall(SYS_pidfd_open, getpid(), 0));
    tell("standard input", 0, 0);
    tell("standard output", 0, 1);
    tell("standard error", 0, 2);
    static const char *known[] = {"/", "/proc", "/proc/self", "/proc/self/stat", "/proc/version", "/proc/sys", "/sys", "/dev", "/dev/null",
                                  "/dev/shm", "/dev/pts", "/dev/ptmx", "/dev/tty", "/dev/urandom", "/etc/hosts", "/etc/hostname", "/tmp", "/input"};
    for (size_t index = 0; index < sizeof known / sizeof *known; index++)
        tell(known[index], known[index], -1);
    char text[64];
    int input = open("/input", O_RDONLY);
    say_result("read of an input", read(input, text, sizeof text));
    close(input);
    tell("an input that was read", "/input", -1);
    inner("an input", "/input");
    int memory = open("/dev/shm/probe", O_RDWR | O_CREAT | O_EXCL, 0644);
    tell("new file in memory", "/dev/shm/probe", -1);
    inner("new file in memory", "/dev/shm/probe");
    close(memory);
    unlink("/dev/shm/probe");
    written();
    abilities();
    static const char *disks[] = {"/", ".", "/proc", "/dev", "/dev/shm", "/dev/pts", "/dev/mqueue", "/sys", "/etc/hosts", "/dev/null", "/proc/sys"};
    for (size_t index = 0; index < sizeof disks / sizeof *disks; index++)
        disk(disks[index]);
    static const char *made[] = {"new", "link", "second", "fifo", "socket"};
    for (size_t index = 0; index < sizeof made / sizeof *made; index++)
        unlink(made[index]);
    rmdir("folder");
}
