#define _GNU_SOURCE
#include "launch/mount_api.h"

#include "launch/remount.h"
#include "lib/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif

int open_tree(int at, const char *path, unsigned flags)
{
    return (int)syscall(SYS_open_tree, at, path, flags);
}

int move_mount(int from, int to)
{
    return (int)syscall(SYS_move_mount, from, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* mount(2)'s flags and the attributes that are the same; bits that differ are listed */
static const struct { unsigned long flag, attribute; const char *word; } table[] = {
    {1, MOUNT_ATTR_RDONLY, "ro"}, {2, MOUNT_ATTR_NOSUID, NULL}, {4, MOUNT_ATTR_NODEV, NULL},
    {8, MOUNT_ATTR_NOEXEC, NULL}, {16, 0, "sync"}, {64, 0, "mand"}, {128, 0, "dirsync"},
    {256, MOUNT_ATTR_NOSYMFOLLOW, NULL}, {1024, MOUNT_ATTR_NOATIME, NULL}, {2048, MOUNT_ATTR_NODIRATIME, NULL},
    {1 << 21, 0, NULL}, {1 << 24, MOUNT_ATTR_STRICTATIME, NULL}, {1 << 25, 0, "lazytime"},
};
enum { ROWS = sizeof table / sizeof *table };

int mount_attributes(int fd, unsigned flags, unsigned long set, unsigned long clear, unsigned long propagation)
{
    /* the way of access times is one of several values, not a flag: the old one has to go */
    struct mount_attr attr = {
        .attr_set = set,
        .attr_clr = clear | (set & MOUNT_ATTR__ATIME ? MOUNT_ATTR__ATIME : 0),
        .propagation = propagation,
    };
    int failed = (int)syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | flags, &attr, sizeof attr);
    return failed && errno == ENOSYS ? remount(fd, flags & AT_RECURSIVE, set, clear, propagation) : failed;
}

static int option(int context, char *word)
{
    char *value = strchr(word, '=');
    if (!value)
        return (int)syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, word, NULL, 0);
    *value++ = 0;
    size_t length = strlen(value);
    if (length > 1 && value[0] == '"' && value[length - 1] == '"') { /* a label, which holds commas */
        value[length - 1] = 0;
        value++;
    }
    return (int)syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, word, value, 0);
}

static int configure(int context, const char *source, unsigned long flags, char *data)
{
    if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", source, 0) < 0)
        return -1;
    for (int i = 0; i < ROWS; i++)
        if (flags & table[i].flag && table[i].word &&
            syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, table[i].word, NULL, 0) < 0)
            return -1;
    for (char *word = data; *word;) {
        char *end = word;
        for (int quoted = 0; *end && (quoted || *end != ','); end++)
            quoted ^= *end == '"';
        char *next = *end ? end + 1 : end;
        *end = 0;
        if (*word && option(context, word) < 0)
            return -1;
        word = next;
    }
    return (int)syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
}

int new_mount(const char *source, const char *kind, unsigned long flags, const char *data)
{
    unsigned long known = 0;
    for (int i = 0; i < ROWS; i++)
        known |= table[i].flag;
    int context = flags & ~known ? -1 : (int)syscall(SYS_fsopen, kind, FSOPEN_CLOEXEC);
    if (context < 0) {
        errno = ENOSYS; /* mount(2) says what is really wrong */
        return -1;
    }
    return mount_of_context(context, source, flags, data);
}

int mount_of_context(int context, const char *source, unsigned long flags, const char *data)
{
    unsigned long attributes = 0;
    for (int i = 0; i < ROWS; i++)
        if (flags & table[i].flag)
            attributes |= table[i].attribute;
    char *copy = strdup(data);
    int fd = -1;
    if (copy && configure(context, source, flags, copy) == 0)
        fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
    int saved = errno;
    free(copy);
    close(context);
    errno = saved;
    return fd;
}

/* The maps are those of a user namespace, so one is made for a moment.  Its process shares our
 * descriptors and opens /proc/self for us, because pids count differently in the host's procfs.  Its
 * maps can be opened only while it can be looked at, which we ourselves may not be. */
int namespace_with(const char *uids, const char *gids)
{
    int told[2], fd = -1, made = -1;
    if (pipe2(told, O_CLOEXEC) < 0)
        return -1;
    long pid = syscall(SYS_clone, CLONE_NEWUSER | CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        /* if the launcher is killed before it kills us */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (write(told[1], &self, sizeof self) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    if (pid > 0) {
        if (read(told[0], &fd, sizeof fd) == sizeof fd && fd >= 0 && proc_write(fd, "uid_map", uids) == 0 &&
            proc_write(fd, "gid_map", gids) == 0)
            made = openat(fd, "ns/user", O_RDONLY | O_CLOEXEC);
        int saved = errno;
        kill((pid_t)pid, SIGKILL);
        waitpid((pid_t)pid, NULL, 0);
        errno = saved;
    }
    int saved = errno;
    if (fd >= 0)
        close(fd);
    close(told[0]);
    close(told[1]);
    errno = saved;
    return made;
}

int map_ids_of_mount(int fd, unsigned flags, const char *uids, const char *gids)
{
    int user_ns = namespace_with(uids, gids);
    if (user_ns < 0)
        return -1;
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user_ns};
    int failed = (int)syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | flags, &attr, sizeof attr), saved = errno;
    close(user_ns);
    errno = saved;
    return failed;
}
