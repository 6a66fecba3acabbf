#include <stdio.h>
long count_lines(FILE *file);
void print_row(const char *name, long lines);
