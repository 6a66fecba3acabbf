#include <stdio.h>
#include "gen.h"

int one(void), six(void);

int main(void) {
    printf("compiled %s %s from %s\n", __DATE__, __TIME__, __FILE__);
    printf("by %s at %s, %u, %d\n", BUILT_BY, BUILT_AT, BUILT_ID, one() + six());
    return 0;
}
