// What a process knows of itself, and of those that it begins.

#include "probe.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;

static void *number(void *at) {
    *(long *)at = syscall(SYS_gettid);
    return 0;
}

static void numbers(void) {
    say("getpid", "%d %d %d %d %ld", getpid(), getppid(), getpgrp(), getsid(0), syscall(SYS_gettid));
    char text[256] = "";
    for (int count = 0; count < 5; count++) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        snprintf(text + strlen(text), 20, "%d ", child);
        waitpid(child, 0, 0);
    }
    say("processes begun", "%s", text);
    text[0] = 0;
    for (int count = 0; count < 5; count++) {
        pthread_t thread;
        long own = 0;
        if (pthread_create(&thread, 0, number, &own) == 0)
            pthread_join(thread, 0);
        snprintf(text + strlen(text), 20, "%ld ", own);
    }
    say("threads begun", "%s", text);
    // Several at once, and who ends first.
    pid_t all[4];
    for (int at = 0; at < 4; at++)
        if ((all[at] = fork()) == 0) {
            for (volatile int turn = 0; turn < 1000; turn++) {
            }
            _exit(at);
        }
    text[0] = 0;
    for (int at = 0; at < 4; at++) {
        int status = 0;
        wait(&status);
        snprintf(text + strlen(text), 20, "%d ", WEXITSTATUS(status));
    }
    say("order in which processes end", "%s", text);
}

static void who(void) {
    unsigned ids[3] = {0};
    syscall(SYS_getresuid, ids, ids + 1, ids + 2);
    say("users", "%u %u %u", ids[0], ids[1], ids[2]);
    syscall(SYS_getresgid, ids, ids + 1, ids + 2);
    say("groups", "%u %u %u", ids[0], ids[1], ids[2]);
    gid_t more[64] = {0};
    say("more groups", "%d", getgroups(64, more));
    say("first of more groups", "%d", (int)more[0]);
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {{0}};
    syscall(SYS_capget, &head, sets);
    say("capabilities", "%x %x %x %x", sets[0].effective, sets[0].permitted, sets[0].inheritable, sets[1].effective);
    unsigned long bounding = 0;
    for (int at = 0; at < 64; at++)
        bounding |= prctl(PR_CAPBSET_READ, at) == 1 ? 1ul << at : 0;
    say("bounding set", "%lx", bounding);
    say("last capability", "%d %d", prctl(PR_CAPBSET_READ, 40), prctl(PR_CAPBSET_READ, 41));
}

static void settings(void) {
    static const struct {
        int number;
        const char *name;
    } gets[] = {{3, "DUMPABLE"}, {7, "KEEPCAPS"}, {13, "TIMING"}, {21, "SECCOMP"}, {27, "SECUREBITS"}, {30, "TIMERSLACK"}, {34, "MCE_KILL"},
                {39, "NO_NEW_PRIVS"}, {42, "THP_DISABLE"}, {58, "IO_FLUSHER"}, {66, "MDWE"}, {68, "MEMORY_MERGE"}};
    for (size_t at = 0; at < sizeof gets / sizeof *gets; at++)
        say_result(way("prctl %s", gets[at].name), prctl(gets[at].number, 0, 0, 0, 0));
    int value = 0;
    prctl(25, &value);
    say("prctl TSC", "%d", value);
    char name[17] = "";
    prctl(PR_GET_NAME, name);
    say("prctl NAME", "%s", name);
    unsigned long sizes[4] = {0};
    say("seccomp, sizes", "%ld %lx", syscall(SYS_seccomp, 3, 0, sizes), sizes[0]);
    unsigned asked = 0x7fc00000;
    say_result("seccomp, answers", syscall(SYS_seccomp, 2, 0, &asked));
    say("personality", "%lx", syscall(SYS_personality, 0xffffffff));
    say("nice", "%d", getpriority(PRIO_PROCESS, 0));
    unsigned attributes[16] = {0};
    syscall(SYS_sched_getattr, 0, attributes, sizeof attributes, 0);
    say("sched_getattr", "%u %x %d", attributes[1], attributes[2], (int)attributes[4]);
    struct timespec slice = {0, 0};
    sched_rr_get_interval(0, &slice);
    say("sched_rr_get_interval", "%ld.%09ld", (long)slice.tv_sec, slice.tv_nsec);
    say_result("ioprio_get", syscall(SYS_ioprio_get, 1, 0));
    mode_t mask = umask(0);
    umask(mask);
    say("umask", "%o", mask);
    sigset_t held;
    sigprocmask(SIG_SETMASK, 0, &held);
    char text[256] = "";
    for (int at = 1; at < 65; at++) {
        struct sigaction action = {0};
        sigaction(at, 0, &action);
        snprintf(text + at - 1, 2, "%d", (action.sa_handler == SIG_IGN) * 2 + (sigismember(&held, at) == 1));
    }
    say("signals", "%s", text);
}

static void surroundings(void) {
    struct utsname name;
    uname(&name);
    say("uname", "%s %s %s %s %s", name.sysname, name.nodename, name.release, name.version, name.machine);
    char here[4096] = "", domain[256] = "";
    say("getcwd", "%s", getcwd(here, sizeof here) ? here : "");
    if (getdomainname(domain, sizeof domain) == 0)
        say("getdomainname", "%s", domain);
    for (char **at = environ; *at; at++) {
        char *end = strchr(*at, '=');
        if (end)
            say(way("environment %.*s", (int)(end - *at), *at), "%s", end + 1);
    }
    for (int at = 0; at < 3; at++) {
        struct winsize size = {0};
        struct termios state;
        const char *tty = ttyname(at);
        int got = ioctl(at, TIOCGWINSZ, &size);
        say(way("terminal %d", at), "%d %d %s %d %u %u", isatty(at), tcgetattr(at, &state), tty ? tty : "", got, size.ws_row, size.ws_col);
    }
    say("controlling terminal", "%d", open("/dev/tty", O_RDWR) < 0 ? errno : 0);
    char text[512] = "";
    for (int at = 0; at < 64; at++)
        if (fcntl(at, F_GETFD) >= 0)
            snprintf(text + strlen(text), 30, "%d/%x ", at, fcntl(at, F_GETFL));
    say("open files", "%s", text);
    const char *login = getlogin();
    say("getlogin", "%s", login ? login : "");
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    unsigned number = 99;
    ioctl(master, TIOCGPTN, &number);
    say("number of a new terminal", "%u", number);
    close(master);
    int ends[2];
    if (pipe(ends) == 0)
        say("room of a pipe", "%d", fcntl(ends[0], F_GETPIPE_SZ));
}

void process(void) {
    numbers();
    who();
    settings();
    surroundings();
}
