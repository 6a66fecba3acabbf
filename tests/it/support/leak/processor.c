// Which processor it is, and which one of them.

#include "probe.h"
#include <elf.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>

struct number {
    unsigned long long value;
    int is_there;
};

__attribute__((target("rdrnd"))) static void by_chance(void *with) {
    struct number *number = with;
    number->is_there = _rdrand64_step(&number->value);
}

__attribute__((target("rdseed"))) static void by_seed(void *with) {
    struct number *number = with;
    for (int turn = 0; turn < 100 && !number->is_there; turn++)
        number->is_there = _rdseed64_step(&number->value);
}

static void features(void *with) { __asm__ volatile("xgetbv" : "=a"(*(unsigned *)with) : "c"(0) : "edx"); }

static void by_id(void *with) { __asm__ volatile(".byte 0xf3, 0x48, 0x0f, 0xc7, 0xf8" : "=a"(*(unsigned long *)with)); }

static void identify(void) {
    unsigned a, b, c, d;
    char text[49] = "";
    unsigned first[] = {0, 0x80000000, 0x40000000};
    for (int range = 0; range < 3; range++) {
        __cpuid(first[range], a, b, c, d);
        unsigned last = a;
        for (unsigned leaf = first[range]; leaf <= last && leaf < first[range] + 0x30; leaf++)
            for (unsigned sub = 0; sub < (leaf == 4 || leaf == 7 || leaf == 11 || leaf == 13 ? 4u : 1u); sub++) {
                __cpuid_count(leaf, sub, a, b, c, d);
                say(way("cpuid %x.%x", leaf, sub), "%08x %08x %08x %08x", a, b, c, d);
            }
    }
    for (unsigned part = 0; part < 3; part++) {
        __cpuid(0x80000002 + part, a, b, c, d);
        unsigned words[] = {a, b, c, d};
        memcpy(text + part * 16, words, 16);
    }
    say("cpuid, name", "%s", text);
    struct number drawn = {0, 0}, seeded = {0, 0};
    int is_alive = survives(by_chance, &drawn);
    say("rdrand", "%d %d %llx", is_alive, drawn.is_there, drawn.value);
    is_alive = survives(by_seed, &seeded);
    say("rdseed", "%d %d %llx", is_alive, seeded.is_there, seeded.value);
    unsigned state = 0;
    survives(features, &state);
    say("xgetbv", "%x", state);
    unsigned long number = 0;
    is_alive = survives(by_id, &number);
    say("rdpid", "%d %lu", is_alive, number);
    unsigned long mode = 7;
    long got = syscall(SYS_arch_prctl, 0x1011, 0);
    say_result("ARCH_GET_CPUID", got);
    got = syscall(SYS_arch_prctl, 0x1021, &mode);
    say("ARCH_GET_XCOMP_SUPP", "%ld %lx", got, mode);
}
#endif

void processor(void) {
#ifdef __x86_64__
    identify();
#endif
    unsigned processor = 99, node = 99;
    syscall(SYS_getcpu, &processor, &node, 0);
    say("getcpu, call", "%u %u", processor, node);
    say("getcpu, libc", "%d", sched_getcpu());
    long (*own)(unsigned *, unsigned *, void *) = (long (*)(unsigned *, unsigned *, void *))of_vdso("__vdso_getcpu");
    if (own) {
        own(&processor, &node, 0);
        say("getcpu, vDSO, processor", "%u", processor);
        say("getcpu, vDSO, node", "%u", node);
    }
    static char area[32] __attribute__((aligned(32)));
    long got = syscall(334, area, sizeof area, 0, 0x53053053);
    say_result("rseq", got);
    say("rseq, processor", "%d", got ? -1 : *(volatile int *)(area + 4));
    cpu_set_t set;
    CPU_ZERO(&set);
    got = syscall(SYS_sched_getaffinity, 0, sizeof set, &set);
    say("sched_getaffinity", "%ld %d", got, CPU_COUNT(&set));
    say("processors online", "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    say("processors there", "%ld", sysconf(_SC_NPROCESSORS_CONF));
    say("SPECULATION_CTRL", "%d %d %d", prctl(52, 0, 0, 0, 0), prctl(52, 1, 0, 0, 0), prctl(52, 2, 0, 0, 0));
    say_result("membarrier", syscall(324, 0, 0, 0));
    for (unsigned long key = 1; key < 64; key++) {
        int is_address = key == AT_PHDR || key == AT_BASE || key == AT_ENTRY || key == AT_RANDOM || key == AT_EXECFN ||
                         key == AT_PLATFORM || key == AT_BASE_PLATFORM || key == AT_SYSINFO_EHDR;
        if (!is_address && auxiliary(key))
            say(way("getauxval %lu", key), "%lx", auxiliary(key));
    }
    const char *platform = (const char *)auxiliary(AT_PLATFORM);
    say("getauxval, platform", "%s", platform ? platform : "");
}
