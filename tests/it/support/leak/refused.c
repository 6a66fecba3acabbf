// Calls by which one would look past everything: all are to fail. Last, as some change the process.

#include "probe.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *name, long result) {
    say(way("refused, %s", name), "%d", result < 0 ? errno : 0);
    // What was opened all the same.
    if (result > 2)
        close(result);
}

void refused(void) {
    struct perf_event_attr counted;
    memset(&counted, 0, sizeof counted);
    counted.type = PERF_TYPE_SOFTWARE;
    counted.size = sizeof counted;
    counted.config = PERF_COUNT_SW_CPU_CLOCK;
    tell("perf_event_open", syscall(SYS_perf_event_open, &counted, 0, -1, -1, 0));
    uint64_t nothing[32] = {0};
    tell("io_uring_setup", syscall(425, 4, nothing));
    memset(nothing, 0, sizeof nothing);
    ((uint32_t *)nothing)[0] = 2;
    ((uint32_t *)nothing)[1] = 8;
    ((uint32_t *)nothing)[2] = 8;
    ((uint32_t *)nothing)[3] = 1;
    tell("bpf", syscall(SYS_bpf, 0, nothing, 72));
    tell("userfaultfd", syscall(SYS_userfaultfd, 1));
    tell("keyctl", syscall(SYS_keyctl, 0, -3, 0));
    tell("add_key", syscall(SYS_add_key, "user", "cairn-probe", "x", 1, -1));
    tell("request_key", syscall(SYS_request_key, "user", "cairn-probe", 0, 0));
    tell("kcmp", syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 1));
    tell("quotactl", syscall(SYS_quotactl, 0x80000700, "/dev/none", 0, 0));
    tell("syslog", syscall(SYS_syslog, 10, 0, 0));
    tell("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, nothing, 0));
    tell("get_mempolicy", syscall(SYS_get_mempolicy, 0, 0, 0, 0, 0));
    tell("fanotify_init", syscall(SYS_fanotify_init, 0, 0));
#ifdef SYS_ustat
    tell("ustat", syscall(SYS_ustat, 0x800, nothing));
#endif
#ifdef SYS_sysfs
    tell("sysfs", syscall(SYS_sysfs, 3));
#endif
    char byte = 0;
    struct iovec here = {&byte, 1}, there = {&here, 1};
    tell("process_vm_readv of the parent", syscall(SYS_process_vm_readv, getppid(), &here, 1, &there, 1, 0));
    tell("memory of the parent", open("/proc/1/mem", O_RDONLY));
    tell("io_setup", syscall(SYS_io_setup, 1, nothing));
    pid_t child = fork();
    if (child == 0)
        _exit(ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 ? errno : 0);
    int status = 0;
    waitpid(child, &status, 0);
    say("refused, ptrace", "%d", WEXITSTATUS(status));
    // Whoever says so isn't told the processor's ticks any more, and whoever says the other thing is.
    say("PR_SET_TSC", "%d", prctl(26, 1));
}
