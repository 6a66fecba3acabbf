#include <stdio.h>

int main(void) {
    puts("built " __DATE__);
    return 0;
}
