#include <stdio.h>
#include "count.h"

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "r");
        if (!file) {
            perror(argv[i]);
            return 1;
        }
        print_row(argv[i], count_lines(file));
        fclose(file);
    }
    return 0;
}
