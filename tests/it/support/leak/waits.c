// What waiting tells of the time: what is left of timers, how often they come, who is first.

#include "probe.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

// Seconds that a timer is set to, from now.
#define LONG 1000

static void tell(const char *name, long seconds, long nanoseconds) {
    say(way("%s, what is left", name), "%ld.%09ld", seconds, nanoseconds);
    say(way("%s, what is left in seconds", name), "%ld", seconds + (nanoseconds + 500000000) / 1000000000);
}

static void read_all(const char *words, const char *path) {
    char text[4096];
    int from = open(path, O_RDONLY);
    long count = from < 0 ? -1 : read(from, text, sizeof text);
    if (count < 0)
        say_result(words, -1);
    else
        say_bytes(words, text, count);
    if (from >= 0)
        close(from);
}

static void by_file(int clock, int is_absolute) {
    char name[64], path[64];
    snprintf(name, sizeof name, "timerfd of clock %d%s", clock, is_absolute ? ", absolute" : "");
    int timer = timerfd_create(clock, 0);
    if (timer < 0)
        return say_result(name, -1);
    struct itimerspec set = {{0, 0}, {LONG, 0}}, left;
    if (is_absolute) {
        clock_gettime(clock, &set.it_value);
        set.it_value.tv_sec += LONG;
    }
    timerfd_settime(timer, is_absolute ? TFD_TIMER_ABSTIME : 0, &set, 0);
    timerfd_gettime(timer, &left);
    tell(name, left.it_value.tv_sec, left.it_value.tv_nsec);
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", timer);
    if (clock == CLOCK_REALTIME)
        read_all(way("fdinfo of %s", name), path);
    close(timer);
}

static void by_number(int clock) {
    struct sigevent none;
    memset(&none, 0, sizeof none);
    none.sigev_notify = SIGEV_NONE;
    timer_t timer;
    const char *name = "timer_create";
    if (timer_create(clock, &none, &timer))
        return say_result(name, -1);
    struct itimerspec set = {{0, 0}, {0, 0}}, left;
    clock_gettime(clock, &set.it_value);
    set.it_value.tv_sec += LONG;
    timer_settime(timer, TIMER_ABSTIME, &set, 0);
    timer_gettime(timer, &left);
    tell(name, left.it_value.tv_sec, left.it_value.tv_nsec);
    read_all("timer_create, /proc/self/timers", "/proc/self/timers");
    timer_delete(timer);
}

static volatile sig_atomic_t alarms;

static void count(int number) {
    (void)number;
    alarms++;
}

static volatile int is_over;
static volatile unsigned long turns;

static void *turn(void *unused) {
    while (!is_over)
        turns++;
    return unused;
}

// Two that are begun at once, and note who came first.
static pthread_barrier_t line;
static char order[256];
static volatile int places;

static void *run(void *name) {
    pthread_barrier_wait(&line);
    for (int at = 0; at < 64; at++)
        order[__sync_fetch_and_add(&places, 1) & 255] = *(const char *)name;
    return 0;
}

static void races(void) {
    pthread_t counter, one, two;
    if (pthread_create(&counter, 0, turn, 0) == 0) {
        struct timespec little = {0, 2000000};
        nanosleep(&little, 0);
        is_over = 1;
        pthread_join(counter, 0);
    }
    say("turns of a thread while another sleeps", "%lu", turns);
    pthread_barrier_init(&line, 0, 2);
    if (pthread_create(&one, 0, run, "a") == 0 && pthread_create(&two, 0, run, "b") == 0) {
        pthread_join(one, 0);
        pthread_join(two, 0);
    }
    say_bytes("order of two threads", order, 128);
}

void waits(void) {
    int kinds[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
    for (int at = 0; at < 3; at++) {
        by_file(kinds[at], 0);
        by_file(kinds[at], 1);
    }
    by_number(CLOCK_REALTIME);
    struct itimerval interval = {{0, 0}, {LONG, 0}}, left;
    setitimer(ITIMER_REAL, &interval, 0);
    getitimer(ITIMER_REAL, &left);
    tell("setitimer", left.it_value.tv_sec, left.it_value.tv_usec * 1000);
    alarm(LONG);
    say("alarm, what is left in seconds", "%u", alarm(0));
    struct timeval soon = {LONG, 0};
    int ends[2];
    if (pipe(ends) == 0 && write(ends[1], "x", 1) == 1) {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(ends[0], &set);
        // The kernel tells what is left; libc may not.
        struct timespec rest = {LONG, 0};
        syscall(SYS_pselect6, ends[0] + 1, &set, 0, 0, &rest, 0);
        tell("pselect", rest.tv_sec, rest.tv_nsec);
        select(ends[0] + 1, &set, 0, 0, &soon);
        tell("select", soon.tv_sec, soon.tv_usec * 1000);
        struct pollfd one = {ends[0], POLLIN, 0};
        rest = (struct timespec){LONG, 0};
        syscall(SYS_ppoll, &one, 1, &rest, 0, 8);
        tell("ppoll", rest.tv_sec, rest.tv_nsec);
    }
    struct sigaction counting = {.sa_handler = count};
    sigaction(SIGALRM, &counting, 0);
    struct itimerval quick = {{0, 500}, {0, 500}};
    setitimer(ITIMER_REAL, &quick, 0);
    for (volatile long at = 0; at < 3000000; at++) {
    }
    memset(&quick, 0, sizeof quick);
    setitimer(ITIMER_REAL, &quick, 0);
    say("alarms within so many turns", "%d", (int)alarms);
    // A sleep that an alarm ends: what is left of it, and what has passed on the clock.
    // Again and again: the first may come before the sleep.
    struct itimerval once = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    struct timespec before, after, sleep = {LONG, 0}, rest = {0, 0};
    clock_gettime(CLOCK_REALTIME, &before);
    setitimer(ITIMER_REAL, &once, 0);
    nanosleep(&sleep, &rest);
    clock_gettime(CLOCK_REALTIME, &after);
    setitimer(ITIMER_REAL, &never, 0);
    tell("a sleep that ends early", rest.tv_sec, rest.tv_nsec);
    say("the clock after a sleep that ends early", "%ld.%09ld", (long)(after.tv_sec - before.tv_sec), after.tv_nsec - before.tv_nsec);
    sleep = (struct timespec){0, 2000000};
    clock_gettime(CLOCK_REALTIME, &before);
    nanosleep(&sleep, 0);
    clock_gettime(CLOCK_REALTIME, &after);
    say("the clock after a sleep", "%ld.%09ld", (long)(after.tv_sec - before.tv_sec), after.tv_nsec - before.tv_nsec);
    races();
}
