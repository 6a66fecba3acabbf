// Reads the clock in every way that there is, and waits by it: `hours WAY...` does each in its turn,
// and prints what came of it.

#define _GNU_SOURCE
#include <errno.h>
#include <mqueue.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long long milliseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

// A deadline of the time of day.
static struct timespec after(long long wait) {
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_nsec += wait * 1000000;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    return end;
}

static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_REALTIME_ALARM, CLOCK_TAI};

static void all(void) {
    struct timespec now;
    struct timeval day;
    for (int at = 0; at < 4; at++) {
        clock_gettime(clocks[at], &now);
        printf("%ld ", (long)now.tv_sec);
        syscall(SYS_clock_gettime, clocks[at], &now);
        printf("%ld ", (long)now.tv_sec);
    }
    gettimeofday(&day, 0);
    printf("%ld ", (long)day.tv_sec);
    syscall(SYS_gettimeofday, &day, 0);
    printf("%ld %ld %ld\n", (long)day.tv_sec, (long)time(0), (long)syscall(SYS_time, 0));
}

#ifdef __x86_64__
// The page of calls at a fixed place, which programs read the clock by that are older than the vDSO.
static void old(void) {
    struct timeval day;
    long (*get)(struct timeval *, void *) = (void *)0xffffffffff600000;
    long (*seconds)(long *) = (void *)0xffffffffff600400;
    get(&day, 0);
    printf("%ld %ld\n", (long)day.tv_sec, seconds(0));
}
#endif

// It never goes back, however it is read.
static void rising(void) {
    struct timespec last = {0, 0}, now;
    for (int at = 0; at < 2000; at++) {
        if (at % 100)
            clock_gettime(CLOCK_REALTIME, &now);
        else
            syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
        if (now.tv_sec < last.tv_sec || (now.tv_sec == last.tv_sec && now.tv_nsec <= last.tv_nsec)) {
            puts("falls");
            return;
        }
        last = now;
    }
    puts("rises");
}

static void monotonic(void) {
    long long clock = milliseconds(CLOCK_MONOTONIC);
    struct timespec raw;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &raw);
    long long apart = raw.tv_sec * 1000LL + raw.tv_nsec / 1000000 - clock;
    puts(apart >= 0 && apart < 60000 ? "real" : "wrong");
}

static void polling(void) {
    time_t end = time(0) + 2;
    while (time(0) < end)
        ;
    puts("ends");
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

// How long something took that was to take WAIT milliseconds, and what it said: at least so long by
// the machine's clock, and over by the step's.
#define WAIT 60
static void waited(const char *what, struct timespec end, long long begin, int said) {
    struct timespec now;
    long long took = milliseconds(CLOCK_MONOTONIC) - begin;
    clock_gettime(CLOCK_REALTIME, &now);
    int is_over = now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec);
    printf("%s %s %s %s\n", what, took < WAIT - 1 ? "short" : "right", is_over ? "over" : "early",
           said ? strerror(said) : "0");
}

static void waits(void) {
    struct timespec end, copy;
    long long begin;
    int said;
    // As a program does that is woken for nothing: with the same deadline until it has come.
    for (int turn = 0; turn < 2; turn++) {
        begin = milliseconds(CLOCK_MONOTONIC);
        copy = end = after(WAIT);
        pthread_mutex_lock(&mutex);
        said = pthread_cond_timedwait(&condition, &mutex, &copy);
        pthread_mutex_unlock(&mutex);
        waited("condition", end, begin, said);
    }
    pthread_mutex_lock(&mutex);
    said = pthread_cond_timedwait(&condition, &mutex, &copy);
    printf("again %s\n", strerror(said));
    pthread_mutex_unlock(&mutex);

    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    begin = milliseconds(CLOCK_MONOTONIC);
    copy = end = after(WAIT);
    said = sem_timedwait(&semaphore, &copy) ? errno : 0;
    waited("semaphore", end, begin, said);

    begin = milliseconds(CLOCK_MONOTONIC);
    copy = end = after(WAIT);
    said = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &copy, 0);
    waited("sleep", end, begin, said);

    int timer = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC);
    uint64_t count = 0;
    begin = milliseconds(CLOCK_MONOTONIC);
    end = after(WAIT);
    struct itimerspec setting = {{0, 0}, end};
    said = timerfd_settime(timer, TFD_TIMER_ABSTIME, &setting, 0) ? errno : 0;
    if (read(timer, &count, sizeof count) < 0 || count != 1)
        puts("no timer");
    waited("timer", end, begin, said);

    // It is another clock's that comes first.
    timer_t other, alarm;
    struct sigevent signal = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &signals, 0);
    timer_create(CLOCK_MONOTONIC, &signal, &other);
    timer_create(CLOCK_REALTIME, &signal, &alarm);
    begin = milliseconds(CLOCK_MONOTONIC);
    end = after(WAIT);
    setting.it_value = end;
    said = timer_settime(alarm, TIMER_ABSTIME, &setting, 0) ? errno : 0;
    sigwaitinfo(&signals, 0);
    waited("alarm", end, begin, said);

    struct mq_attr room = {.mq_maxmsg = 1, .mq_msgsize = 8};
    mqd_t queue = mq_open("/hours", O_RDWR | O_CREAT, 0600, &room);
    char message[8];
    begin = milliseconds(CLOCK_MONOTONIC);
    copy = end = after(WAIT);
    said = mq_timedreceive(queue, message, sizeof message, 0, &copy) < 0 ? errno : 0;
    waited("queue", end, begin, said);
    mq_unlink("/hours");
}

static void slept(void) {
    time_t before = time(0);
    struct timespec second = {1, 0};
    nanosleep(&second, 0);
    printf("slept %ld\n", (long)(time(0) - before));
}

static void refused(void) {
    struct timex about = {0};
    printf("%s ", adjtimex(&about) < 0 ? strerror(errno) : "told");
    printf("%s ", clock_adjtime(CLOCK_REALTIME, &about) < 0 ? strerror(errno) : "told");
    printf("%s ", ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 ? strerror(errno) : "traced");
    printf("%s\n", syscall(SYS_arch_prctl, 0x2003, 0x10000) < 0 ? strerror(errno) : "mapped");
}

static void *execute(void *what) {
    execl("/proc/self/exe", "hours", (char *)what, (char *)0);
    perror("exec");
    _exit(1);
}

// From another thread than the first, while others run.
static void *forever(void *unused) {
    pause();
    return unused;
}

static void threads(const char *what) {
    pthread_t thread;
    for (int at = 0; at < 3; at++)
        pthread_create(&thread, 0, forever, 0);
    pthread_create(&thread, 0, execute, (void *)what);
    pause();
}

static void children(void) {
    char *arguments[] = {"hours", "seconds", 0};
    pid_t child;
    fflush(stdout);
    if (!posix_spawn(&child, "/proc/self/exe", 0, 0, arguments, environ))
        waitpid(child, 0, 0);
    if (!(child = vfork())) {
        execl("/nowhere", "hours", (char *)0);
        execl("/proc/self/exe", "hours", "seconds", (char *)0);
        _exit(1);
    }
    waitpid(child, 0, 0);
    // A child that executes nothing has its parent's clock.
    time(0);
    if (!(child = fork())) {
        printf("%ld\n", (long)time(0));
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, 0, 0);
}

// Ends while its program begins, or just before, or just after.
static void killed(void) {
    for (int at = 0; at < 200; at++) {
        pid_t child = fork();
        if (!child) {
            execl("/proc/self/exe", "hours", "seconds", "-", (char *)0);
            _exit(1);
        }
        for (volatile int count = 0; count < at * 3000; count++)
            ;
        kill(child, SIGKILL);
        waitpid(child, 0, 0);
    }
    puts("done");
}

// As another user, a program that is root's.
static void user(void) {
    if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
        perror("user");
    execl("/tmp/roots", "hours", "who", (char *)0);
    perror("exec");
}

// Follows another process until it ends.
static void follow(const char *process) {
    int status;
    pid_t pid = atoi(process);
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0) {
        perror("seize");
        return;
    }
    puts("follows");
    fflush(stdout);
    while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
        ptrace(PTRACE_CONT, pid, 0, WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status));
}

static volatile sig_atomic_t counted;
static void count_one(int signal) {
    (void)signal;
    counted++;
}

// Signals that come while it executes, or tries to, reach it all; and it stops and goes on.
static void signals(void) {
    struct sigaction action = {.sa_handler = count_one, .sa_flags = SA_RESTART};
    sigaction(SIGRTMIN, &action, 0);
    pid_t sender = fork();
    if (!sender) {
        for (int at = 0; at < 1000; at++)
            while (sigqueue(getppid(), SIGRTMIN, (union sigval){0}) < 0)
                ;
        _exit(0);
    }
    int status;
    while (waitpid(sender, &status, WNOHANG) == 0)
        execl("/nowhere", "hours", (char *)0);
    printf("%d\n", (int)counted);
    fflush(stdout);
    pid_t runner = fork();
    if (!runner) {
        for (int at = 0; at < 300; at++) {
            execl("/nowhere", "hours", (char *)0);
            pid_t child = vfork();
            if (!child) {
                execl("/nowhere", "hours", (char *)0);
                execl("/proc/self/exe", "hours", "seconds", "-", (char *)0);
                _exit(1);
            }
            if (waitpid(child, &status, 0) != child || status)
                _exit(1);
        }
        _exit(0);
    }
    for (int at = 0; at < 2000; at++)
        kill(runner, at % 2 ? SIGCONT : SIGSTOP);
    waitpid(runner, &status, 0);
    printf("%s\n", status ? "wrong" : "done");
}

// How long a million reads take, in milliseconds.
static void speed(clockid_t clock) {
    struct timespec now;
    long long begin = milliseconds(CLOCK_MONOTONIC);
    for (int at = 0; at < 1000000; at++)
        clock_gettime(clock, &now);
    printf("%lld\n", milliseconds(CLOCK_MONOTONIC) - begin);
}

int main(int count, char **ways) {
    for (int at = 1; at < count; at++) {
        const char *way = ways[at];
        if (!strcmp(way, "all"))
            all();
#ifdef __x86_64__
        else if (!strcmp(way, "old"))
            old();
#endif
        else if (!strcmp(way, "rising"))
            rising();
        else if (!strcmp(way, "monotonic"))
            monotonic();
        else if (!strcmp(way, "polling"))
            polling();
        else if (!strcmp(way, "waits"))
            waits();
        else if (!strcmp(way, "slept"))
            slept();
        else if (!strcmp(way, "refused"))
            refused();
        else if (!strcmp(way, "threads"))
            threads("seconds");
        else if (!strcmp(way, "children"))
            children();
        else if (!strcmp(way, "killed"))
            killed();
        else if (!strcmp(way, "signals"))
            signals();
        else if (!strcmp(way, "user"))
            user();
        else if (!strcmp(way, "who"))
            printf("%d %ld\n", geteuid(), (long)time(0));
        else if (!strcmp(way, "follow") && ways[at + 1])
            follow(ways[++at]);
        else if (!strcmp(way, "speed"))
            speed(CLOCK_REALTIME);
        else if (!strcmp(way, "speed-monotonic"))
            speed(CLOCK_MONOTONIC);
        else if (!strcmp(way, "seconds")) {
            long now = time(0);
            if (!ways[at + 1])
                printf("%ld\n", now);
        } else if (strcmp(way, "-") && !atoi(way))
            return 2;
        fflush(stdout);
    }
    return 0;
}
