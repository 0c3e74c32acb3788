#define _GNU_SOURCE
#include "lib/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t slurp(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = 0;
    return got;
}

unsigned long long process_stat(pid_t pid, int field)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (slurp(path, text, sizeof text) <= 0)
        return 0;
    /* the name may hold anything, brackets and blanks among it: its own bracket is the last */
    char *at = strrchr(text, ')');
    for (int i = 2; at && i < field; i++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

void close_from(int first)
{
    if (syscall(SYS_close_range, first, ~0U, 0) == 0)
        return;
    /* refused by a filter around us, or Linux before 5.9 */
    struct rlimit limit = {1 << 16, 1 << 16};
    getrlimit(RLIMIT_NOFILE, &limit);
    int end = limit.rlim_max < 1 << 20 ? (int)limit.rlim_max : 1 << 20;
    for (int fd = first; fd < end; fd++)
        close(fd);
}

/* By the system call: C libraries keep signals 32 to 34 for themselves and refuse them, although the
 * next program may have been made with another library, or with none. */
void default_signals(void)
{
    const unsigned long action[8] = {0}; /* SIG_DFL, no flags, no mask, on every architecture */
    for (int number = 1; number < 65; number++)
        if (number != SIGKILL && number != SIGSTOP)
            syscall(SYS_rt_sigaction, number, action, NULL, 8);
}

int proc_write_to(int fd, const char *text, size_t length)
{
    struct statfs status;
    if (fd < 0)
        return -1;
    int failed = fstatfs(fd, &status);
    if (!failed && status.f_type != PROC_SUPER_MAGIC) {
        errno = ELOOP;
        failed = -1;
    }
    if (!failed && write(fd, text, length) != (ssize_t)length)
        failed = -1;
    int saved = errno;
    close(fd);
    errno = saved;
    return failed;
}

int proc_write(int directory, const char *path, const char *text)
{
    return proc_write_to(openat(directory, path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC), text, strlen(text));
}
