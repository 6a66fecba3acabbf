// The time, by every call and instruction that tells it.

#include "probe.h"
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

static const struct {
    clockid_t id;
    const char *name;
} all[] = {
    {0, "REALTIME"},         {1, "MONOTONIC"},        {2, "PROCESS_CPUTIME_ID"},
    {3, "THREAD_CPUTIME_ID"}, {4, "MONOTONIC_RAW"},    {5, "REALTIME_COARSE"},
    {6, "MONOTONIC_COARSE"}, {7, "BOOTTIME"},         {8, "REALTIME_ALARM"},
    {9, "BOOTTIME_ALARM"},   {10, "SGI_CYCLE"},       {11, "TAI"},
    {16, "AUX0"},            {17, "AUX1"},            {-6, "PROCESS_CPUTIME of itself, by number"},
    {-2, "THREAD_CPUTIME of itself, by number"}, {-8, "PROCESS_CPUTIME of itself, profiled"},
};

typedef int gettime(clockid_t, struct timespec *);

static void tell(const char *how, const char *name, long result, const struct timespec *time) {
    const char *words = way("clock %s, %s", name, how);
    if (result)
        say_result(words, result < 0 ? -1 : result);
    else
        say(words, "%ld.%09ld", (long)time->tv_sec, time->tv_nsec);
}

#ifdef __x86_64__
// A call of 32-bit programs, which those of 64 bits can make, too.
static long narrow(long number, long one, long two) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(one), "c"(two) : "memory", "r8", "r9", "r10", "r11");
    return (int)result;
}

struct narrow_clock {
    long number;
    uint32_t *at;
    long result;
};

static void narrow_gettime(void *with) {
    struct narrow_clock *clock = with;
    clock->result = narrow(clock->number, 0, (long)clock->at);
}

static void narrow_time(void *with) { *(long *)with = narrow(13, 0, 0); }

static void of_32_bits(void) {
    uint32_t *low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    struct narrow_clock old = {265, low, 0}, new = {403, low, 0};
    if (low == MAP_FAILED || !survives(narrow_gettime, &old))
        return say("clock REALTIME, int 0x80", "a signal");
    say("clock REALTIME, int 0x80", "%ld %u.%09u", old.result, low[0], low[1]);
    survives(narrow_gettime, &new);
    say("clock REALTIME, int 0x80 of 64 bits", "%ld %u.%09u", new.result, low[0], low[2]);
    long seconds = 0;
    survives(narrow_time, &seconds);
    say("time, int 0x80", "%ld", seconds);
    struct timespec now = {0, 0};
    long got = syscall(0x40000000 + SYS_clock_gettime, 0, &now);
    tell("x32", "REALTIME", got, &now);
}

static void old_page(void *with) { *(long *)with = ((long (*)(long *))0xffffffffff600400)(0); }

struct counted {
    uint64_t ticks;
    unsigned processor;
};

static void count(void *with) { ((struct counted *)with)->ticks = __rdtsc(); }
static void count_more(void *with) {
    struct counted *counted = with;
    counted->ticks = __rdtscp(&counted->processor);
}
// What the kernel puts next to the descriptors: which processor this is.
static void segment(void *with) {
    long limit = 0;
    __asm__ volatile("lsl %1, %0" : "=r"(limit) : "r"(0x7bL));
    *(long *)with = limit;
}

static void counters(void) {
    struct counted counted = {0, 0};
    int is_alive = survives(count, &counted);
    say("rdtsc", "%d %llu", is_alive, (unsigned long long)counted.ticks);
    is_alive = survives(count_more, &counted);
    say("rdtscp", "%d %llu", is_alive, (unsigned long long)counted.ticks);
    say("rdtscp, processor", "%u", counted.processor);
    long limit = 0;
    survives(segment, &limit);
    say("segment limit, processor", "%lx", limit);
    long seconds = 0;
    is_alive = survives(old_page, &seconds);
    say("time, vsyscall page", "%d %ld", is_alive, seconds);
}
#endif

// The kernel's own numbers behind the vDSO, which its functions reckon with.
struct pages {
    const char *from, *to;
    char found[4096];
};

static void look(void *with) {
    struct pages *pages = with;
    size_t length = 0;
    for (const char *at = pages->from; at < pages->to && length < sizeof pages->found - 64; at += 8) {
        int64_t number = *(const volatile int64_t *)at;
        // What may be seconds of the time of day, in this century's half.
        if (number > 1700000000 && number < 3000000000)
            length += snprintf(pages->found + length, 64, "%s%ld", length ? " " : "", (long)number);
    }
}

static void behind_the_vdso(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    int number = 0;
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        if (!strstr(line, "[vvar") || sscanf(line, "%lx-%lx", &from, &to) != 2)
            continue;
        for (; from < to; from += 4096) {
            struct pages page = {(const char *)from, (const char *)from + 4096, ""};
            int is_alive = survives(look, &page);
            say(way("vvar page %d", number++), "%s", is_alive ? page.found : "a signal");
        }
    }
    if (maps)
        fclose(maps);
}

// A function that doesn't stand where its name says: the code's own bytes, wherever they lie.
static void code(void) {
    const char *base = (const char *)auxiliary(AT_SYSINFO_EHDR);
    uint64_t sum = 1469598103934665603u;
    for (int at = 0; base && at < 4096; at++)
        sum = (sum ^ (unsigned char)base[at]) * 1099511628211u;
    say("vDSO, its bytes", "%016llx", (unsigned long long)sum);
}

void clocks(void) {
    gettime *own = (gettime *)of_vdso("__vdso_clock_gettime"), *resolution = (gettime *)of_vdso("__vdso_clock_getres");
    for (size_t at = 0; at < sizeof all / sizeof *all; at++) {
        struct timespec now = {0, 0};
        int got = clock_gettime(all[at].id, &now);
        tell("libc", all[at].name, got, &now);
        got = syscall(SYS_clock_gettime, all[at].id, &now);
        tell("call", all[at].name, got, &now);
        if (own) {
            got = own(all[at].id, &now);
            tell("vDSO", all[at].name, got, &now);
        }
        got = syscall(SYS_clock_getres, all[at].id, &now);
        tell("resolution", all[at].name, got, &now);
        if (resolution) {
            got = resolution(all[at].id, &now);
            tell("resolution by vDSO", all[at].name, got, &now);
        }
    }
    struct timeval day = {0, 0};
    struct timezone zone = {77, 77};
    gettimeofday(&day, 0);
    say("gettimeofday, libc", "%ld.%06ld", (long)day.tv_sec, (long)day.tv_usec);
    syscall(SYS_gettimeofday, &day, &zone);
    say("gettimeofday, call", "%ld.%06ld %d %d", (long)day.tv_sec, (long)day.tv_usec, zone.tz_minuteswest, zone.tz_dsttime);
    int (*of_day)(struct timeval *, void *) = (int (*)(struct timeval *, void *))of_vdso("__vdso_gettimeofday");
    if (of_day) {
        of_day(&day, &zone);
        say("gettimeofday, vDSO", "%ld.%06ld %d", (long)day.tv_sec, (long)day.tv_usec, zone.tz_minuteswest);
    }
    say("time, libc", "%ld", (long)time(0));
#ifdef SYS_time
    say("time, call", "%ld", syscall(SYS_time, 0));
#endif
    long (*seconds)(long *) = (long (*)(long *))of_vdso("__vdso_time");
    if (seconds)
        say("time, vDSO", "%ld", seconds(0));
    time_t now = time(0);
    struct tm *local = localtime(&now);
    say("local time", "%s %ld %d", local->tm_zone, local->tm_gmtoff, local->tm_isdst);
    struct timex state;
    memset(&state, 0, sizeof state);
    long got = adjtimex(&state);
    say("adjtimex", "%ld %ld.%06ld %ld %ld", got, (long)state.time.tv_sec, (long)state.time.tv_usec, (long)state.freq, (long)state.offset);
    memset(&state, 0, sizeof state);
    got = syscall(SYS_clock_adjtime, 0, &state);
    say("clock_adjtime", "%ld %ld.%06ld", got, (long)state.time.tv_sec, (long)state.time.tv_usec);
    struct tms spent;
    clock_t ticks = times(&spent);
    say("times, since boot", "%ld", (long)ticks);
    say("times, spent", "%ld %ld %ld %ld", spent.tms_utime, spent.tms_stime, spent.tms_cutime, spent.tms_cstime);
    say("clock()", "%ld", (long)clock());
    struct rusage usage;
    for (int who = -1; who < 2; who++) {
        memset(&usage, 0, sizeof usage);
        getrusage(who, &usage);
        say(way("getrusage %d, time", who), "%ld.%06ld %ld.%06ld", (long)usage.ru_utime.tv_sec, (long)usage.ru_utime.tv_usec,
            (long)usage.ru_stime.tv_sec, (long)usage.ru_stime.tv_usec);
        say(way("getrusage %d, memory", who), "%ld", usage.ru_maxrss);
        say(way("getrusage %d, faults", who), "%ld %ld", usage.ru_minflt, usage.ru_majflt);
        say(way("getrusage %d, blocks", who), "%ld %ld", usage.ru_inblock, usage.ru_oublock);
        say(way("getrusage %d, switches", who), "%ld %ld", usage.ru_nvcsw, usage.ru_nivcsw);
    }
    struct sysinfo info;
    memset(&info, 0, sizeof info);
    sysinfo(&info);
    say("sysinfo, up", "%ld", info.uptime);
    say("sysinfo, load", "%lu %lu %lu", info.loads[0], info.loads[1], info.loads[2]);
    say("sysinfo, memory", "%lu %lu %lu %lu %lu %lu %u", info.totalram, info.freeram, info.sharedram, info.bufferram, info.totalswap,
        info.freeswap, info.mem_unit);
    say("sysinfo, processes", "%d", info.procs);
#ifdef __x86_64__
    of_32_bits();
    counters();
#endif
    behind_the_vdso();
    code();
}
