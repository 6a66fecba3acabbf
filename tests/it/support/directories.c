/* Reads directories in every way that programs have: `directories FOLDER` makes folders there and prints
 * a line for each way, by which the order of names and what is told to whom can be seen. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 3000 };

static void fill(const char *folder, int count, int step) {
    char path[256];
    mkdir(folder, 0755);
    for (int at = 0; at < count; at++) {
        snprintf(path, sizeof path, "%s/name-%05d", folder, (int)((long)at * step % count));
        /* A file of its own may take a file system as long as a thousand names. */
        link("one", path);
    }
}

/* The names that are left, and what they make in their order. */
static int rest(DIR *from, unsigned *sum) {
    int count = 0;
    for (struct dirent *entry; (entry = readdir(from)); count++)
        for (const char *at = entry->d_name; *at; at++)
            *sum = *sum * 31 + (unsigned char)*at;
    return count;
}

static int is_sorted(const char *folder) {
    DIR *from = opendir(folder);
    char last[256] = "";
    int sorted = 1, at = 0;
    for (struct dirent *entry; (entry = readdir(from)); at++) {
        if (at < 2)
            sorted &= strcmp(entry->d_name, at ? ".." : ".") == 0;
        else
            sorted &= strcmp(last, entry->d_name) < 0;
        strcpy(last, entry->d_name);
    }
    closedir(from);
    return sorted;
}

static unsigned order(const char *folder) {
    unsigned sum = 0;
    DIR *from = opendir(folder);
    rest(from, &sum);
    closedir(from);
    return sum;
}

/* Every place that was told is where the same name follows again. */
static int places(const char *folder) {
    static long told[MANY + 2];
    static char names[MANY + 2][32];
    DIR *from = opendir(folder);
    int count = 0, right = 0;
    for (;;) {
        long place = telldir(from);
        struct dirent *entry = readdir(from);
        if (!entry)
            break;
        told[count] = place;
        snprintf(names[count++], sizeof names[0], "%.31s", entry->d_name);
    }
    for (int at = 0; at < count; at += 7) {
        int which = (int)((long)at * 1009 % count);
        seekdir(from, told[which]);
        struct dirent *entry = readdir(from);
        right += entry && strcmp(entry->d_name, names[which]) == 0;
    }
    closedir(from);
    return right == (count + 6) / 7;
}

/* Few at a time, by the calls themselves: names, and those that were removed meanwhile. */
static int removing(const char *folder, long number) {
    char buffer[200];
    int from = open(folder, O_RDONLY | O_DIRECTORY), count = 0;
    for (;;) {
        long got = syscall(number, from, buffer, sizeof buffer);
        if (got <= 0)
            break;
        for (long at = 0; at < got;) {
            unsigned short length;
            memcpy(&length, buffer + at + 16, sizeof length);
            const char *name = buffer + at + (number == SYS_getdents64 ? 19 : 18);
            if (name[0] != '.')
                count += unlinkat(from, name, 0) == 0;
            at += length;
        }
    }
    close(from);
    return count;
}

static void *in_a_thread(void *folder) {
    static unsigned sum;
    sum = order(folder);
    return &sum;
}

/* What the errors are, where there is nothing to read. */
static void errors(const char *folder) {
    char buffer[4096], path[256];
    int from = open(folder, O_RDONLY | O_DIRECTORY);
    printf("no room: %d", syscall(SYS_getdents64, from, buffer, 8) < 0 ? errno : 0);
    printf(" no memory: %d", syscall(SYS_getdents64, from, (void *)8, 4096) < 0 ? errno : 0);
    printf(" then: %d", syscall(SYS_getdents64, from, buffer, sizeof buffer) > 0);
    close(from);
    printf(" closed: %d", syscall(SYS_getdents64, from, buffer, sizeof buffer) < 0 ? errno : 0);
    from = open(folder, O_PATH);
    printf(" only named: %d", syscall(SYS_getdents64, from, buffer, sizeof buffer) < 0 ? errno : 0);
    close(from);
    snprintf(path, sizeof path, "%s/name-00000", folder);
    from = open(path, O_RDWR);
    lseek(from, 77, SEEK_SET);
    printf(" file: %d", syscall(SYS_getdents64, from, buffer, sizeof buffer) < 0 ? errno : 0);
    printf(" at: %ld\n", (long)lseek(from, 0, SEEK_CUR));
    close(from);
}

int main(int count, char **arguments) {
    if (count < 2 || chdir(arguments[1]))
        return 1;
    close(open("one", O_CREAT | O_WRONLY, 0644));
    fill("up", MANY, 1);
    fill("down", MANY, MANY - 1);
    fill("few", 3, 2);
    mkdir("empty", 0755);
    printf("sorted: %d %d %d %d\n", is_sorted("up"), is_sorted("down"), is_sorted("few"), is_sorted("empty"));
    printf("same: %d\n", order("up") == order("down"));
    DIR *from = opendir("up");
    unsigned sum = 0, again = 0;
    printf("all: %d", rest(from, &sum));
    close(open("up/new", O_CREAT | O_WRONLY, 0644));
    printf(" and no more: %d", rest(from, &again));
    rewinddir(from);
    again = 0;
    printf(" and the new one: %d", rest(from, &again));
    unlink("up/new");
    rewinddir(from);
    again = 0;
    rest(from, &again);
    printf(" and as before: %d\n", sum == again);
    closedir(from);
    printf("places: %d %d\n", places("up"), places("few"));
    /* A child reads on where its parent was, and the parent where the child was. */
    char buffer[400];
    int shared = open("down", O_RDONLY | O_DIRECTORY), copy = dup(shared), read = 0, status;
    for (long got = 1; got > 0; read++) {
        pid_t child = fork();
        if (child == 0)
            _exit(syscall(SYS_getdents64, read % 2 ? shared : copy, buffer, sizeof buffer) > 0 ? 0 : 1);
        waitpid(child, &status, 0);
        if (status)
            break;
        got = syscall(SYS_getdents64, copy, buffer, sizeof buffer);
    }
    /* 32 bytes a name, of which 12 go in. */
    printf("shared: %d\n", read == (MANY + 2 + 23) / 24);
    pthread_t thread;
    void *found;
    pthread_create(&thread, NULL, in_a_thread, "down");
    pthread_join(thread, &found);
    printf("in a thread: %d\n", *(unsigned *)found == order("down"));
    errors("few");
    printf("removed: %d", removing("up", SYS_getdents64));
#ifdef SYS_getdents
    printf(" %d\n", removing("down", SYS_getdents));
#else
    printf(" %d\n", removing("down", SYS_getdents64));
#endif
    printf("gone: %d %d\n", rmdir("up"), rmdir("down"));
    int gone = open("empty", O_RDONLY | O_DIRECTORY);
    rmdir("empty");
    printf("of a removed one: %ld\n", syscall(SYS_getdents64, gone, buffer, sizeof buffer));
    return 0;
}
