#define _GNU_SOURCE
#include "lib/events.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LIMIT (8 << 20) /* rootless/engine/events/writer.py has the same */

static int directory = -1;
static char name[64], *pending;
static size_t used, size;

void events_open(const char *path)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, name, sizeof name - 8);
    if (fd >= 0)
        close(fd);
    name[got > 0 ? got : 0] = 0;
    name[strcspn(name, "\n")] = 0;
    directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

void events_close(void)
{
    if (directory >= 0)
        close(directory);
    directory = -1;
}

void event_add(const char *action, const char *fields, const char *more)
{
    struct timespec now;
    if (directory < 0 || !fields)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    size_t wanted = used + strlen(fields) + strlen(more) + strlen(action) + 96;
    if (wanted > size) {
        char *larger = realloc(pending, wanted * 2);
        if (!larger)
            return;
        pending = larger;
        size = wanted * 2;
    }
    used += (size_t)snprintf(pending + used, size - used, "{\"time\":%lld,\"action\":\"%s\",%s%s}}\n",
                             now.tv_sec * 1000000000LL + now.tv_nsec, action, fields, more);
}

/* The file makes room for a new one.  Two may come to do it: only the one that still finds under the
 * name what it wrote to renames it, so that none renames the other's new file over the old one. */
static void rotate(int file)
{
    struct stat mine, there;
    char old[72];
    snprintf(old, sizeof old, "%s.1", name);
    if (flock(directory, LOCK_EX) < 0)
        return;
    if (fstat(file, &mine) == 0 && fstatat(directory, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        mine.st_ino == there.st_ino && mine.st_dev == there.st_dev)
        renameat(directory, name, directory, old);
    flock(directory, LOCK_UN);
}

void events_flush(void)
{
    if (!used)
        return;
    int fd = directory < 0 || !name[0] ? -1
        : openat(directory, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) {
        /* one write: the kernel appends it whole, however many write; a full disk loses it */
        if (write(fd, pending, used) == (ssize_t)used && lseek(fd, 0, SEEK_CUR) > LIMIT)
            rotate(fd);
        close(fd);
    }
    used = 0;
}
