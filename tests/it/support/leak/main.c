// Runs the groups, each in a process of its own, so that one which a signal ends leaves the others.
// `probe OUT FOLDER` writes to OUT, and works in FOLDER, which it makes and removes.

#include "probe.h"
#include <elf.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void say_bytes(const char *way, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    printf("%s: ", way);
    for (size_t index = 0; index < count; index++) {
        unsigned char byte = at[index];
        if (byte == '\n')
            fputs("\\n", stdout);
        else if (byte < ' ' || byte > '~' || byte == '\\')
            printf("\\x%02x", byte);
        else
            putchar(byte);
    }
    putchar('\n');
}

static char text[1 << 20];

void say(const char *way, const char *format, ...) {
    va_list more;
    va_start(more, format);
    int length = vsnprintf(text, sizeof text, format, more);
    va_end(more);
    say_bytes(way, text, length < 0 ? 0 : (size_t)length);
}

#include <errno.h>
void say_result(const char *way, long result) {
    if (result < 0)
        say(way, "error %d", errno);
    else
        say(way, "%ld", result);
}

const char *way(const char *format, ...) {
    // One may be made of another.
    static char words[4][1024];
    static unsigned next;
    char *here = words[next++ % 4];
    va_list more;
    va_start(more, format);
    vsnprintf(here, sizeof words[0], format, more);
    va_end(more);
    return here;
}

unsigned long auxiliary(unsigned long key) { return getauxval(key); }

void *of_vdso(const char *name) {
    const char *base = (const char *)auxiliary(AT_SYSINFO_EHDR);
    if (!base)
        return 0;
    const Elf64_Ehdr *head = (const void *)base;
    const Elf64_Phdr *part = (const void *)(base + head->e_phoff);
    const Elf64_Dyn *dynamic = 0;
    intptr_t shift = 0;
    for (int at = 0; at < head->e_phnum; at++) {
        if (part[at].p_type == PT_LOAD && !shift)
            shift = (intptr_t)base + part[at].p_offset - part[at].p_vaddr;
        if (part[at].p_type == PT_DYNAMIC)
            dynamic = (const void *)(base + part[at].p_offset);
    }
    const char *strings = 0;
    const Elf64_Sym *symbols = 0;
    for (; dynamic && dynamic->d_tag; dynamic++) {
        if (dynamic->d_tag == DT_STRTAB)
            strings = (const void *)(shift + dynamic->d_un.d_ptr);
        if (dynamic->d_tag == DT_SYMTAB)
            symbols = (const void *)(shift + dynamic->d_un.d_ptr);
    }
    // The names' table lies behind the symbols' in every vDSO so far.
    for (const Elf64_Sym *at = symbols; at && (const char *)at < strings; at++)
        if (at->st_shndx && strcmp(strings + at->st_name, name) == 0)
            return (void *)(shift + at->st_value);
    return 0;
}

static sigjmp_buf back;

static void jump(int number) { siglongjmp(back, number); }

int survives(void (*probe)(void *), void *with) {
    static const int numbers[] = {SIGSEGV, SIGILL, SIGBUS, SIGTRAP, SIGSYS};
    struct sigaction before[5], now = {.sa_handler = jump};
    for (int at = 0; at < 5; at++)
        sigaction(numbers[at], &now, &before[at]);
    int number = sigsetjmp(back, 1);
    if (number == 0)
        probe(with);
    for (int at = 0; at < 5; at++)
        sigaction(numbers[at], &before[at], 0);
    return number == 0;
}

static const struct {
    const char *name;
    void (*run)(void);
} groups[] = {
    {"clocks", clocks},   {"waits", waits},     {"processor", processor}, {"chance", chance}, {"addresses", addresses},
    {"files", files},     {"names", names},     {"mounts", mounts},       {"queues", queues}, {"network", network},
    {"links", links},     {"process", process}, {"limits", limits},       {"proc", proc},     {"refused", refused},
};

int main(int count, char **arguments) {
    if (count != 3 || !freopen(arguments[1], "w", stdout) || mkdir(arguments[2], 0755) || chdir(arguments[2]))
        return 1;
    for (size_t at = 0; at < sizeof groups / sizeof *groups; at++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            groups[at].run();
            fflush(stdout);
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        say(way("group %s", groups[at].name), "%x", status);
    }
    fflush(stdout);
    return chdir("/") || rmdir(arguments[2]);
}
