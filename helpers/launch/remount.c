#define _GNU_SOURCE
#include "launch/remount.h"

#include "launch/mount_api.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

enum { BIND_REMOUNT = 32 | 4096, NOATIME = 1024, NODIRATIME = 2048, RELATIME = 1 << 21, STRICTATIME = 1 << 24,
       RECURSIVE = 16384 };

/* statvfs(3)'s flag, mount(2)'s flag, attribute */
static const struct { unsigned long has, flag, attribute; } table[] = {
    {1, 1, MOUNT_ATTR_RDONLY}, {2, 2, MOUNT_ATTR_NOSUID}, {4, 4, MOUNT_ATTR_NODEV}, {8, 8, MOUNT_ATTR_NOEXEC},
    {8192, 256, MOUNT_ATTR_NOSYMFOLLOW},
};

/* mount(2)'s flags are all of the new ones: what is there and not taken back is said again, because in
 * a user namespace none of it may be lost.  The way of access times stays if none is named. */
static unsigned long flags_of(unsigned long now, unsigned long set, unsigned long clear)
{
    unsigned long flags = BIND_REMOUNT;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (set & table[i].attribute || (now & table[i].has && !(clear & table[i].attribute)))
            flags |= table[i].flag;
    if (!((set | clear) & (MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME)))
        return flags;
    if (set & MOUNT_ATTR_NODIRATIME || (now & 2048 && !(clear & MOUNT_ATTR_NODIRATIME)))
        flags |= NODIRATIME;
    unsigned long way = set & MOUNT_ATTR__ATIME;
    if (!((set | clear) & MOUNT_ATTR__ATIME))
        way = now & 1024 ? MOUNT_ATTR_NOATIME : now & 4096 ? 0 : MOUNT_ATTR_STRICTATIME;
    return flags | (way == MOUNT_ATTR_NOATIME ? NOATIME : way == MOUNT_ATTR_STRICTATIME ? STRICTATIME : RELATIME);
}

/* By the descriptor: what its name means by now does not matter. */
static int change(int fd, unsigned long flags)
{
    struct stat status;
    char name[32];
    if (fstat(fd, &status) < 0)
        return -1;
    if (!S_ISDIR(status.st_mode)) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        return mount(NULL, name, NULL, flags, NULL);
    }
    if (fchdir(fd) < 0)
        return -1;
    int failed = mount(NULL, ".", NULL, flags, NULL), saved = errno;
    if (chdir("/") < 0 && !failed)
        return -1;
    errno = saved;
    return failed;
}

static int one(int fd, unsigned long set, unsigned long clear)
{
    struct statvfs now;
    return fstatvfs(fd, &now) < 0 ? -1 : change(fd, flags_of(now.f_flag, set, clear));
}

static unsigned long id_of(int fd)
{
    /* struct statx, which not every C library has: the mask is its first word, stx_mnt_id its 18th */
    uint64_t found[32] = {0};
    uint32_t mask;
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_MNT_ID, found) < 0)
        return 0;
    memcpy(&mask, found, sizeof mask);
    return mask & STATX_MNT_ID ? (unsigned long)found[18] : 0;
}

/* \040 and the like, as proc_pid_mountinfo(5) writes them */
static void unescape(char *text)
{
    char *to = text;
    for (; *text; to++)
        if (text[0] == '\\' && text[1] && text[2] && text[3]) {
            *to = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
            text += 4;
        } else {
            *to = *text++;
        }
    *to = 0;
}

/* The mount with this id, if it is the one that is seen at its place.  No link is followed: a name
 * may be another's by now. */
static int open_mount(const char *path, unsigned long id)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (fd >= 0 && id_of(fd) != id) {
        close(fd);
        return -1;
    }
    return fd;
}

static FILE *open_list(void)
{
    struct statfs status;
    FILE *list = fopen("/proc/self/mountinfo", "re");
    if (list && (fstatfs(fileno(list), &status) < 0 || status.f_type != PROC_SUPER_MAGIC)) {
        fclose(list);
        list = NULL;
    }
    if (!list)
        errno = ENOSYS; /* nothing is known of what lies below */
    return list;
}

struct known { unsigned long *id; size_t count, room; };

static int add(struct known *k, unsigned long id)
{
    if (k->count == k->room) {
        unsigned long *more = realloc(k->id, (k->room = 2 * k->room + 64) * sizeof *more);
        if (!more)
            return -1;
        k->id = more;
    }
    k->id[k->count++] = id;
    return 0;
}

static int has(const struct known *k, unsigned long id)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->id[i] == id)
            return 1;
    return 0;
}

/* One line: a mount on one that is known.  1: it was new; 0: not ours; -1: failed. */
static int take(char *line, struct known *k, unsigned long set, unsigned long clear)
{
    char *rest;
    unsigned long id = strtoul(line, &rest, 10), parent = strtoul(rest, &rest, 10);
    if (!has(k, parent) || has(k, id))
        return 0;
    char *place = rest;
    for (int field = 0; field < 2 && place; field++)
        place = strchr(place + 1, ' ');
    if (!place || add(k, id) < 0)
        return -1;
    place[1 + strcspn(place + 1, " ")] = 0;
    unescape(place + 1);
    int fd = open_mount(place + 1, id);
    if (fd < 0)
        return 1;
    int failed = one(fd, set, clear), saved = errno;
    close(fd);
    errno = saved;
    return failed ? -1 : 1;
}

static int below(int fd, unsigned long set, unsigned long clear)
{
    struct known k = {NULL, 0, 0};
    int found = add(&k, id_of(fd)) < 0 || !k.id[0] ? -1 : 1;
    /* again until nothing new is found: a list in no order that is promised */
    while (found > 0) {
        FILE *list = open_list();
        char *line = NULL;
        size_t room = 0;
        found = list ? 0 : -1;
        while (found >= 0 && getline(&line, &room, list) > 0) {
            int taken = take(line, &k, set, clear);
            found = taken < 0 ? -1 : found + taken;
        }
        int saved = errno;
        free(line);
        if (list)
            fclose(list);
        errno = saved;
    }
    free(k.id);
    return found;
}

int remount(int fd, int recursive, unsigned long set, unsigned long clear, unsigned long propagation)
{
    if ((set | clear) && (one(fd, set, clear) < 0 || (recursive && below(fd, set, clear) < 0)))
        return -1;
    return propagation ? change(fd, propagation | (recursive ? RECURSIVE : 0)) : 0;
}
