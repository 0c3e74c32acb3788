/* The program of the image rootless/hello: says what a container is, by looking at itself. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *bold = "", *dim = "", *plain = "";

static void row(const char *name, const char *text)
{
    printf("  %s%-10s%s %s\n", bold, name, plain, text);
}

static const char *chosen(const char *name, const char *otherwise)
{
    const char *text = getenv(name);
    return text && *text ? text : otherwise;
}

static void ids(void)
{
    char line[256], text[256];
    unsigned long inside, outside, size, count = 0, own = 0;
    FILE *file = fopen("/proc/self/uid_map", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%lu %lu %lu", &inside, &outside, &size) == 3) {
            count += size;
            if (getuid() >= inside && getuid() < inside + size)
                own = outside + getuid() - inside;
        }
    if (file)
        fclose(file);
    snprintf(text, sizeof text, "inside uid %u, outside uid %lu; %lu id%s mapped", getuid(), own, count,
             count == 1 ? " is" : "s are");
    row("ids", text);
    row("", chosen("ROOTLESS_HELLO_IDS", ""));
}

int main(void)
{
    char host[65] = "";
    if (isatty(1) && !getenv("NO_COLOR")) {
        bold = "\033[1m";
        dim = "\033[2m";
        plain = "\033[0m";
    }
    gethostname(host, sizeof host - 1);
    printf("\n%sHello from a container that needed no root and no daemon.%s\n\n", bold, plain);
    printf("This program is process %d in its own world, on a host named %s.\n"
           "Outside it is an ordinary process of yours, beside all the others.\n\n", getpid(), host);
    ids();
    row("files", chosen("ROOTLESS_HELLO_DRIVER", "unknown"));
    row("network", chosen("ROOTLESS_HELLO_NETWORK", "unknown"));
    row("limits", chosen("ROOTLESS_HELLO_CGROUP", "unknown"));
    row("runtime", chosen("ROOTLESS_HELLO_RUNTIME", "unknown"));
    printf("\n%sTo go on:%s\n", bold, plain);
    printf("  rootless run -it debian bash   %sa shell in Debian%s\n", dim, plain);
    printf("  rootless doctor                %swhat this host can do%s\n", dim, plain);
    printf("  rootless explain CONTAINER     %swhat a container is, process by process%s\n\n", dim, plain);
    return 0;
}
