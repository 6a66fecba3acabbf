#include <stdio.h>
unsigned long sum_file(FILE *file);

int main(int argc, char **argv) {
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : stdin;
    if (!file)
        return 1;
    printf("%08lx\n", sum_file(file));
    return 0;
}
