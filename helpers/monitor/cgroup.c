#define _GNU_SOURCE
#include "monitor/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static ssize_t get(int cgroup, const char *name, char *text, size_t size)
{
    int fd = cgroup < 0 ? -1 : openat(cgroup, name, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = 0;
    return got;
}

static int put(int cgroup, const char *name, const char *text)
{
    int fd = cgroup < 0 ? -1 : openat(cgroup, name, O_WRONLY | O_CLOEXEC);
    ssize_t wrote = fd < 0 ? -1 : write(fd, text, strlen(text));
    if (fd >= 0)
        close(fd);
    return wrote < 0 ? -1 : 0;
}

int cgroup_out_of_memory(int cgroup)
{
    static long before; /* the kernel counts for as long as the cgroup is there, over restarts */
    char text[1024];
    if (get(cgroup, "memory.events", text, sizeof text) <= 0)
        return 0;
    char *at = strstr(text, "oom_kill ");
    long count = at ? atol(at + 9) : 0;
    int more = count > before;
    before = count;
    return more;
}

void cgroup_kill(int cgroup)
{
    char text[4096];
    if (cgroup < 0 || put(cgroup, "cgroup.kill", "1") == 0)
        return;
    /* before kernel 5.14: nothing can fork while it is frozen, and what is frozen can be killed */
    put(cgroup, "cgroup.freeze", "1");
    for (int round = 0; round < 100 && get(cgroup, "cgroup.procs", text, sizeof text) > 0; round++) {
        for (char *at = text, *end; *at; at = end + (*end == '\n')) {
            long pid = strtol(at, &end, 10);
            if (end == at)
                break;
            if (pid > 0)
                kill((pid_t)pid, SIGKILL);
        }
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    put(cgroup, "cgroup.freeze", "0");
}
