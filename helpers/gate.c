#define _GNU_SOURCE
#include "gate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

static int do_runtime_hooks(struct plan *plan)
{
    char answer = 0;
    remember_pid();
    if (send(plan->ctl, "H", 1, 0) != 1 || recv(plan->ctl, &answer, 1, 0) != 1 || answer != 'h') {
        errno = ECANCELED;
        return -1;
    }
    return 0;
}

static void feed(int fd, const char *text)
{
    const char *mark = strstr(text, "@PID@");
    signal(SIGPIPE, SIG_IGN);
    if (!mark)
        dprintf(fd, "%s", text);
    else
        dprintf(fd, "%.*s%s%s", (int)(mark - text), text, host_pid[0] ? host_pid : "0", mark + 5);
    signal(SIGPIPE, SIG_DFL);
    close(fd);
}

/* 0, or -1 with ECANCELED or ETIMEDOUT.  Source: runtime-spec config.md, "POSIX-platform Hooks". */
static int do_hook(struct plan *plan, const struct record *r)
{
    int count = atoi(r->argv[3]), status = 0, input[2];
    long left = atol(r->argv[1]) * 1000;
    char **arguments = calloc((size_t)count + 1, sizeof *arguments);
    plan->failing = r->argv[0];
    remember_pid();
    if (!arguments || count + 4 > (int)r->argc || pipe2(input, O_CLOEXEC) < 0)
        return -1;
    memcpy(arguments, r->argv + 4, (size_t)count * sizeof *arguments);
    pid_t pid = fork();
    if (pid < 0)
        return -1;
    if (pid == 0) {
        dup2(input[0], 0);
        dup2(2, 1);
        /* nothing of the runtime's may reach a program that the configuration names */
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
        execve(r->argv[0], arguments, r->argv + 4 + count);
        _exit(127);
    }
    close(input[0]);
    feed(input[1], r->argv[2]);
    free(arguments);
    for (long waited = 0; waitpid(pid, &status, left ? WNOHANG : 0) == 0; waited += 5) {
        if (waited >= left) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
            errno = ETIMEDOUT;
            return -1;
        }
        poll(NULL, 0, 5);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    errno = ECANCELED;
    return -1;
}

/* `create` hears that everything is ready by the end of its channel; then `start` may come, any time
 * later, by any process of the same user, and hears of what fails from here on. */
static int do_gate(struct plan *plan, const struct record *r)
{
    int listener = atoi(r->argv[0]);
    plan->failing = "gate";
    fcntl(listener, F_SETFD, FD_CLOEXEC);
    close(plan->ctl);
    plan->ctl = -1;
    for (;;) {
        char word = 0;
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
            return -1;
        if (fd >= 0 && recv(fd, &word, 1, 0) == 1 && word == 's') {
            close(listener);
            plan->ctl = fd;
            return 0;
        }
        if (fd >= 0)
            close(fd);
    }
}

/* Here the host's procfs is still ours, and nobody is in the new namespace: later neither holds.
 * Source: time_namespaces(7). */
static int do_time_offsets(struct plan *plan, const struct record *r)
{
    plan->failing = "timens_offsets";
    if (unshare(CLONE_NEWTIME) < 0)
        return -1;
    int offsets = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    if (offsets < 0 || write(offsets, r->argv[0], strlen(r->argv[0])) < 0)
        return -1;
    close(offsets);
    int made = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    if (made < 0 || setns(made, CLONE_NEWTIME) < 0)
        return -1;
    close(made);
    return 0;
}

int do_create_op(struct plan *plan, const struct record *r)
{
    plan->failing = r->argc ? r->argv[0] : "";
    switch (r->op) {
    case OP_RUNTIME_HOOKS:
        return do_runtime_hooks(plan);
    case OP_HOOK:
        return do_hook(plan, r);
    case OP_GATE:
        return do_gate(plan, r);
    case OP_TIME_OFFSETS:
        return do_time_offsets(plan, r);
    case OP_PRESERVE:
        plan->preserved = atoi(r->argv[0]);
        return 0;
    default:
        return OP_UNKNOWN_HERE;
    }
}
