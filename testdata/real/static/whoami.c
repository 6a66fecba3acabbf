/* Says who runs it and where: a static program in an image that holds nothing else. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void) {
    char here[256];
    struct stat home;
    if (!getcwd(here, sizeof here) || stat(here, &home)) return 1;
    printf("%d %s %d %s\n", (int)getuid(), here, (int)home.st_uid,
           access("/bin/sh", F_OK) ? "alone" : "with a shell");
    return 0;
}
