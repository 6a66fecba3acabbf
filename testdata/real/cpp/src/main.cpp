// Prints the CRC-32 of each argument.
#include "sum.hpp"
#include <cstdio>

int main(int count, char **arguments) {
    for (int i = 1; i < count; i++) std::printf("%08x\n", sum(arguments[i]));
}
