#include "greet.h"
#include "config.h"

const char *greeting(void) { return "hello from " PACKAGE_STRING " of " __DATE__; }
