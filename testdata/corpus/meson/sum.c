#include <stdio.h>
#include <zlib.h>

unsigned long sum_file(FILE *file) {
    unsigned char block[4096];
    unsigned long sum = crc32(0, NULL, 0);
    size_t got;
    while ((got = fread(block, 1, sizeof block, file)) > 0)
        sum = crc32(sum, block, got);
    return sum;
}
