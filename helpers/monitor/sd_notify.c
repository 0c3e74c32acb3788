#define _GNU_SOURCE
#include "monitor/sd_notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_un target = {.sun_family = AF_UNIX};
static socklen_t target_length;
static int out = -1;
static long long interval, due; /* of the watchdog, in milliseconds */

static long long clock_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

int notify_open(const char *path)
{
    const char *to = getenv("NOTIFY_SOCKET"), *watchdog = getenv("WATCHDOG_USEC");
    size_t length = to ? strlen(to) : 0;
    if (length > 1 && length < sizeof target.sun_path) {
        memcpy(target.sun_path, to, length);
        if (to[0] == '@')
            target.sun_path[0] = 0;
        target_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
        out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        interval = path || !watchdog ? 0 : atoll(watchdog) / 2000;
        due = clock_ms();
    }
    /* programs beside the container have no business with it */
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    if (!path)
        return -1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s", path) >= (int)sizeof address.sun_path)
        return -1;
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* any user of the container may write; on the host the directory above is closed to others */
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || chmod(path, 0666) < 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static void tell(const char *text, size_t length)
{
    if (out >= 0)
        sendto(out, text, length, MSG_NOSIGNAL, (struct sockaddr *)&target, target_length);
}

/* What the container may say about itself.  Not MAINPID=, whose number means something else outside,
 * nor FDSTORE= and NOTIFYACCESS=, by which it would keep descriptors with systemd or let others speak. */
static int allowed(const char *line)
{
    static const char *const known[] = {"READY=", "RELOADING=", "MONOTONIC_USEC=", "STOPPING=", "STATUS=",
                                        "ERRNO=", "BUSERROR=", "WATCHDOG=", "WATCHDOG_USEC=",
                                        "EXTEND_TIMEOUT_USEC=", NULL};
    for (int i = 0; known[i]; i++)
        if (strncmp(line, known[i], strlen(known[i])) == 0)
            return 1;
    return 0;
}

void notify_forward(int fd)
{
    char text[4096], kept[4097];
    ssize_t got;
    /* descriptors in a message are closed by the kernel, which is what a barrier waits for */
    /* a few at a time: a container that floods us keeps nothing else from being done */
    for (int most = 32; most > 0 && (got = recv(fd, text, sizeof text - 1, 0)) > 0; most--) {
        size_t length = 0;
        text[got] = 0;
        char *save = NULL;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
            size_t size = strlen(line);
            if (!allowed(line) || length + size + 1 > sizeof kept)
                continue;
            memcpy(kept + length, line, size);
            length += size;
            kept[length++] = '\n';
        }
        if (length)
            tell(kept, length);
    }
}

int notify_watchdog(void)
{
    if (!interval)
        return -1;
    long long left = due - clock_ms();
    if (left <= 0) {
        tell("WATCHDOG=1\n", 11);
        due = clock_ms() + interval;
        left = interval;
    }
    return (int)left;
}
