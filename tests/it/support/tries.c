// Calls that cairn answers, one at a time: `tries CALL ARGUMENT...` prints what came of it, and ends
// with 1 where it failed. `tries as ID CAPABILITIES CALL ...` makes it as another user, with these
// capabilities of root's (a hexadecimal mask).

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static int become(const char *id, const char *capabilities) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    uint32_t mask = strtoul(capabilities, 0, 16);
    struct __user_cap_data_struct sets[2] = {{mask, mask, 0}};
    int number = atoi(id);
    if (prctl(PR_SET_KEEPCAPS, 1) || setresgid(number, number, number) || setresuid(number, number, number))
        return -1;
    return syscall(SYS_capset, &header, sets);
}

// A name that another thread changes between two looks at it.
static volatile char racing[] = "user.xairn.owner";
static volatile int is_over;

static void *change(void *unused) {
    while (!is_over)
        racing[5] ^= 'c' ^ 'x';
    return unused;
}

static long race(const char *path, const char *value) {
    pthread_t other;
    if (pthread_create(&other, 0, change, 0))
        return -1;
    for (int turn = 0; turn < 1000; turn++)
        setxattr(path, (const char *)racing, value, strlen(value), 0);
    is_over = 1;
    return pthread_join(other, 0);
}

static long get(const char *path, const char *name) {
    char value[256];
    long length = getxattr(path, name, value, sizeof value);
    if (length >= 0)
        printf("%.*s\n", (int)length, value);
    return length;
}

static long list(const char *path) {
    char names[4096];
    long length = listxattr(path, names, sizeof names);
    for (long at = 0; at < length; at += strlen(names + at) + 1)
        puts(names + at);
    return length;
}

static long opened(const char *path, int flags) { return open(path, flags | O_CLOEXEC, 0666); }

static long tried(char **with) {
    const char *call = with[0], *path = with[1], *more = with[2];
    if (!strcmp(call, "mknod"))
        return mknod(path, strtoul(more, 0, 8), makedev(atoi(with[3]), atoi(with[4])));
    if (!strcmp(call, "setxattr"))
        return setxattr(path, more, with[3], strlen(with[3]), 0);
    if (!strcmp(call, "lsetxattr"))
        return lsetxattr(path, more, with[3], strlen(with[3]), 0);
    if (!strcmp(call, "fsetxattr"))
        return fsetxattr(opened(path, O_RDONLY), more, with[3], strlen(with[3]), 0);
    if (!strcmp(call, "setxattrat")) {
        struct { const char *value; uint64_t length; } arguments = {with[3], strlen(with[3])};
        return syscall(463, AT_FDCWD, path, 0, more, &arguments, sizeof arguments);
    }
    if (!strcmp(call, "race"))
        return race(path, more);
    if (!strcmp(call, "getxattr"))
        return get(path, more);
    if (!strcmp(call, "listxattr"))
        return list(path);
    if (!strcmp(call, "removexattr"))
        return removexattr(path, more);
    if (!strcmp(call, "removexattrat"))
        return syscall(466, AT_FDCWD, path, 0, more);
    if (!strcmp(call, "exchange"))
        return renameat2(AT_FDCWD, path, AT_FDCWD, more, RENAME_EXCHANGE);
    if (!strcmp(call, "link-empty"))
        return linkat(opened(path, O_PATH | O_NOFOLLOW), "", AT_FDCWD, more, AT_EMPTY_PATH);
    if (!strcmp(call, "link"))
        return link(path, more);
    if (!strcmp(call, "rename"))
        return rename(path, more);
    if (!strcmp(call, "mkdir"))
        return mkdir(path, 0777);
    if (!strcmp(call, "symlink"))
        return symlink("x", path);
    if (!strcmp(call, "create"))
        return opened(path, O_WRONLY | O_CREAT);
    if (!strcmp(call, "chown"))
        return chown(path, atoi(more), -1);
    if (!strcmp(call, "stat")) {
        struct stat found;
        return stat(path, &found);
    }
    if (!strcmp(call, "exec")) {
        execl(path, path, (char *)0);
        printf("still %d\n", geteuid());
        return -1;
    }
    if (!strcmp(call, "fchmod"))
        return fchmod(opened(path, O_RDONLY | O_NONBLOCK), strtoul(more, 0, 8));
    if (!strcmp(call, "futimens"))
        return futimens(opened(path, O_RDONLY | O_NONBLOCK), 0);
    if (!strcmp(call, "write"))
        return write(opened(path, O_RDWR | O_NONBLOCK), "x", 1);
    errno = EINVAL;
    return -1;
}

int main(int count, char **with) {
    with++;
    if (count > 4 && !strcmp(with[0], "as")) {
        if (become(with[1], with[2]) < 0) {
            printf("as: %s\n", strerror(errno));
            return 1;
        }
        with += 3;
    }
    if (!with[0] || !with[1])
        return 2;
    long result = tried(with);
    printf("%s: %s\n", with[0], result < 0 ? strerror(errno) : "done");
    return result < 0;
}
