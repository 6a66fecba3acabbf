#include <stdio.h>

int main(void) {
    puts("hello, since " __DATE__ " " __TIME__);
    return 0;
}
