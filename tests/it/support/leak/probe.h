// What the parts of the probe share. It tries every way to learn what time it is, what chance gives, or on
// which machine it runs, and prints a line for each: `way: value`.

#ifndef PROBE_H
#define PROBE_H

#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>

// Prints what a way gives: one line, whatever is in it.
void say(const char *way, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The same of bytes: text as it is, all else escaped.
void say_bytes(const char *way, const void *bytes, size_t count);

// The same of a call that gives a number, or fails: the number, or what is wrong.
void say_result(const char *way, long result);

// A way of so many words, for the next call of `say`.
const char *way(const char *format, ...) __attribute__((format(printf, 1, 2)));

// The value of AT_... of this process, 0 without one.
unsigned long auxiliary(unsigned long key);

// A function of the vDSO, found by its name in the page's own table.
void *of_vdso(const char *name);

// Runs `probe`; false where it is ended by a signal.
int survives(void (*probe)(void *), void *with);

// The groups of ways.
void clocks(void);
void waits(void);
void processor(void);
void chance(void);
void addresses(void);
void files(void);
void names(void);
void mounts(void);
void queues(void);
void network(void);
void links(void);
void process(void);
void limits(void);
void refused(void);
void proc(void);

#endif
