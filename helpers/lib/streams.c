#define _GNU_SOURCE
#include "lib/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A process can open again what it holds, by /proc/self/fd/N, and then has it for reading and for
 * writing, from its beginning: of a file that was opened for reading, of a log opened for appending,
 * of the user's terminal.  Of a pipe it gets the other end, and reads what is meant for others.
 * Sockets cannot be opened again, and there is nothing in the null device. */
static int may_pass(const struct stat *status)
{
    return S_ISSOCK(status->st_mode) || (S_ISCHR(status->st_mode) && status->st_rdev == makedev(1, 3));
}

int streams_open(struct streams *s)
{
    struct stat status[3];
    int flags[3], ends[2];
    for (int fd = 0; fd < 3; fd++) {
        s->theirs[fd] = fd;
        s->ours[fd] = -1;
        flags[fd] = fcntl(fd, F_GETFL);
        if (flags[fd] < 0 || fstat(fd, &status[fd]) < 0)
            return -1;
        if (may_pass(&status[fd]))
            continue;
        if (fd == 2 && s->ours[1] >= 0 && status[1].st_ino == status[2].st_ino &&
            status[1].st_dev == status[2].st_dev && flags[1] == flags[2]) {
            /* what goes to one place stays in its order: `>log 2>&1`, a terminal */
            s->theirs[2] = s->theirs[1];
            continue;
        }
        if (pipe2(ends, O_CLOEXEC) < 0)
            return -1;
        s->theirs[fd] = ends[fd > 0];
        s->ours[fd] = ends[fd == 0];
        /* of our end alone: the command's is another's business */
        if (fcntl(s->ours[fd], F_SETFL, O_NONBLOCK) < 0)
            return -1;
    }
    return 0;
}

int streams_take(const struct streams *s)
{
    for (int fd = 0; fd < 3; fd++)
        if (s->theirs[fd] != fd && dup2(s->theirs[fd], fd) < 0)
            return -1;
    return 0;
}

void streams_close(const struct streams *s)
{
    for (int fd = 0; fd < 3; fd++)
        if (s->theirs[fd] > 2 && (fd < 2 || s->theirs[2] != s->theirs[1]))
            close(s->theirs[fd]);
}
