// Chance, from everywhere; and addresses, which are chance on most machines.

#include "probe.h"
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

static void read_some(const char *path, int flags) {
    char bytes[16];
    int from = open(path, O_RDONLY | flags);
    long count = from < 0 ? -1 : read(from, bytes, sizeof bytes);
    const char *words = way("%s%s", path, flags & O_CLOEXEC ? ", closed by exec" : "");
    if (count < 0)
        say_result(words, -1);
    else
        say_bytes(words, bytes, count);
    if (from >= 0)
        close(from);
}

static void *of_thread(void *bytes) {
    syscall(SYS_getrandom, bytes, 16, 0);
    return 0;
}

void chance(void) {
    unsigned char bytes[32] = {0};
    const void *first = (const void *)auxiliary(AT_RANDOM);
    say_bytes("AT_RANDOM", first ? first : "", first ? 16 : 0);
#ifdef __x86_64__
    unsigned long guard;
    __asm__("mov %%fs:0x28, %0" : "=r"(guard));
    say("the stack's guard", "%lx", guard);
    __asm__("mov %%fs:0x30, %0" : "=r"(guard));
    say("the pointers' guard", "%lx", guard);
#endif
    for (unsigned flags = 0; flags < 8; flags++) {
        memset(bytes, 0, sizeof bytes);
        say_result(way("getrandom %u, count", flags), syscall(SYS_getrandom, bytes, 16, flags));
        say_bytes(way("getrandom %u", flags), bytes, 16);
    }
    if (getentropy(bytes, 32) == 0)
        say_bytes("getentropy", bytes, 32);
    ssize_t (*own)(void *, size_t, unsigned, void *, size_t) = (ssize_t(*)(void *, size_t, unsigned, void *, size_t))of_vdso("__vdso_getrandom");
    say("getrandom, vDSO, there", "%d", own != 0);
    if (own) {
        struct {
            uint32_t size, protection, flags, reserved[13];
        } wanted = {0};
        long got = own(0, 0, 0, &wanted, ~0ul);
        say_result("getrandom, vDSO, state", got);
        void *state = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(bytes, 0, sizeof bytes);
        got = own(bytes, 16, 0, state, wanted.size);
        say("getrandom, vDSO, count", "%ld", got);
        say_bytes("getrandom, vDSO", bytes, 16);
    }
    static const char *paths[] = {"/dev/random", "/dev/urandom", "/proc/sys/kernel/random/uuid", "/proc/sys/kernel/random/boot_id",
                                  "/dev/hwrng", "/dev/tpm0", "/dev/rtc0"};
    for (size_t at = 0; at < sizeof paths / sizeof *paths; at++) {
        read_some(paths[at], 0);
        read_some(paths[at], O_CLOEXEC);
    }
    pthread_t thread;
    if (pthread_create(&thread, 0, of_thread, bytes) == 0 && pthread_join(thread, 0) == 0)
        say_bytes("getrandom of a thread", bytes, 16);
    char name[] = "file-XXXXXX", folder[] = "folder-XXXXXX";
    int made = mkstemp(name);
    say("mkstemp", "%s", name);
    close(made);
    unlink(name);
    say("mkdtemp", "%s", mkdtemp(folder) ? folder : "");
    rmdir(folder);
    FILE *none = tmpfile();
    char link[64], target[256];
    snprintf(link, sizeof link, "/proc/self/fd/%d", none ? fileno(none) : -1);
    long length = readlink(link, target, sizeof target);
    say_bytes("tmpfile", target, length < 0 ? 0 : length);
    void *word = malloc(8);
    say("what malloc leaves", "%lx", *(volatile unsigned long *)word);
    free(word);
}

static void *of_stack(void *unused) {
    (void)unused;
    volatile uintptr_t here;
    here = (uintptr_t)&here;
    return (void *)here;
}

void addresses(void) {
    int here;
    say("address, stack", "%p", (void *)&here);
    say("address, code", "%p", (void *)(uintptr_t)addresses);
    say("address, libc", "%p", (void *)(uintptr_t)printf);
    say("address, heap", "%p", malloc(64));
    say("address, large heap", "%p", malloc(1 << 20));
    say("address, break", "%p", sbrk(0));
    say("address, mmap", "%p", mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
#ifdef MAP_32BIT
    say("address, low mmap", "%p", mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
#endif
    say("address, vDSO", "%lx", auxiliary(AT_SYSINFO_EHDR));
    say("address, AT_RANDOM", "%lx", auxiliary(AT_RANDOM));
    say("address, AT_EXECFN", "%lx", auxiliary(AT_EXECFN));
    say("address, AT_BASE", "%lx", auxiliary(AT_BASE));
    say("address, AT_PHDR", "%lx", auxiliary(AT_PHDR));
    pthread_t thread;
    void *stack = 0;
    if (pthread_create(&thread, 0, of_stack, 0) == 0)
        pthread_join(thread, &stack);
    say("address, a thread's stack", "%p", stack);
}
