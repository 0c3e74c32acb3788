#define _GNU_SOURCE
#include "launch/oci_start.h"

#include "lib/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Our pid as the host counts: what /proc/self leads to in the host's own procfs, which can be read
 * until the pivot and is remembered for the hooks after it. */
static char host_pid[16] = "";

static void remember_pid(void)
{
    if (!host_pid[0] && readlink("/proc/self", host_pid, sizeof host_pid - 1) < 0)
        host_pid[0] = 0;
}

void gate_pid(int pid)
{
    snprintf(host_pid, sizeof host_pid, "%d", pid);
}

int op_runtime_hooks(struct plan *plan, const struct record *r UNUSED)
{
    char answer = 0;
    remember_pid();
    if (send(plan->ctl, "H", 1, 0) != 1 || recv(plan->ctl, &answer, 1, 0) != 1 || answer != 'h') {
        errno = ECANCELED;
        return -1;
    }
    return 0;
}

/* The state as a file without a name, and not as a pipe: a hook that does not read must not hold us up. */
static int input_of(const char *text)
{
    const char *mark = strstr(text, "@PID@");
    int fd = memfd_create("state", MFD_CLOEXEC), made;
    if (fd < 0)
        return -1;
    if (!mark)
        made = dprintf(fd, "%s", text);
    else
        made = dprintf(fd, "%.*s%s%s", (int)(mark - text), text, host_pid[0] ? host_pid : "0", mark + 5);
    if (made < 0 || lseek(fd, 0, SEEK_SET) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static long milliseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000L + time.tv_nsec / 1000000;
}

/* Waits for a child, `limit` milliseconds if that is not 0: 1, or 0 when it still runs. */
static int ends_within(pid_t pid, long limit, int *status)
{
    long end = milliseconds() + limit, left = limit;
    struct pollfd ended = {.fd = limit ? (int)syscall(SYS_pidfd_open, pid, 0) : -1, .events = POLLIN};
    pid_t got;
    while ((got = waitpid(pid, status, limit ? WNOHANG : 0)) < 0 ? errno == EINTR : !got && left > 0) {
        /* where a filter around us refuses such descriptors, a look from time to time has to do */
        poll(&ended, 1, ended.fd < 0 && left > 5 ? 5 : left < 1000000 ? (int)left : 1000000);
        left = end - milliseconds();
    }
    if (ended.fd >= 0)
        close(ended.fd);
    return got == pid;
}

/* 0, or -1 with ECANCELED or ETIMEDOUT.  Source: runtime-spec config.md, "POSIX-platform Hooks". */
int op_hook(struct plan *plan, const struct record *r)
{
    int count = atoi(r->argv[3]), status = 0;
    char **arguments = calloc((size_t)count + 1, sizeof *arguments);
    plan->failing = r->argv[0];
    remember_pid();
    int input = input_of(r->argv[2]);
    if (!arguments || count + 4 > (int)r->argc || input < 0)
        return -1;
    memcpy(arguments, r->argv + 4, (size_t)count * sizeof *arguments);
    /* nor may a program of the image look at us and find what is open here.  exec ends this */
    if (plan->pivoted)
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    pid_t pid = fork();
    if (pid < 0)
        return -1;
    if (pid == 0) {
        dup2(input, 0);
        dup2(2, 1);
        /* nothing of the runtime's may reach a program that the configuration names, and one that
         * runs inside could be the image's: the plan, the host's directories, what a caller keeps
         * open for the command alone */
        close_from(3);
        default_signals();
        execve(r->argv[0], arguments, r->argv + 4 + count);
        _exit(127);
    }
    close(input);
    free(arguments);
    if (!ends_within(pid, atol(r->argv[1]) * 1000, &status)) {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        errno = ETIMEDOUT;
        return -1;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    errno = ECANCELED;
    return -1;
}

/* The next connection and its one byte: 0 for an end before that. */
static char next_word(int listener, int *fd)
{
    char word = 0;
    ssize_t got;
    do
        *fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    while (*fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    do
        got = *fd < 0 ? -1 : recv(*fd, &word, 1, 0);
    while (*fd >= 0 && got < 0 && errno == EINTR);
    return got == 1 ? word : 0;
}

/* `create` hears that everything is ready by the end of its channel; then `start` may come, any time
 * later, by any process of the same user, and hears of what fails from here on.
 *
 * The first connection is the one of `create`, from before we were made: it says 'k' when our pid is
 * written down.  One that ends without a word is a `create` that was killed, and nobody would ever
 * find us; or a `start` that was killed, which may have taken away the socket's name. */
int op_gate(struct plan *plan, const struct record *r)
{
    int listener = atoi(r->argv[0]), fd;
    plan->failing = "gate";
    fcntl(listener, F_SETFD, FD_CLOEXEC);
    close(plan->ctl);
    plan->ctl = -1;
    if (next_word(listener, &fd) != 'k')
        _exit(125);
    close(fd);
    if (next_word(listener, &fd) != 's')
        _exit(125);
    close(listener);
    plan->ctl = fd;
    return 0;
}

/* Here the host's procfs is still ours, and nobody is in the new namespace: later neither holds.
 * Source: time_namespaces(7). */
int op_time_offsets(struct plan *plan, const struct record *r)
{
    plan->failing = "timens_offsets";
    if (unshare(CLONE_NEWTIME) < 0)
        return -1;
    if (proc_write(AT_FDCWD, "/proc/self/timens_offsets", r->argv[0]) < 0)
        return -1;
    int made = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    if (made < 0 || setns(made, CLONE_NEWTIME) < 0)
        return -1;
    close(made);
    return 0;
}

int op_preserve(struct plan *plan, const struct record *r)
{
    plan->preserved = atoi(r->argv[0]);
    return 0;
}
