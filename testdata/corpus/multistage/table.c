#include "count.h"

void print_row(const char *name, long lines) { printf("%8ld %s\n", lines, name); }
