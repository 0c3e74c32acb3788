#define _GNU_SOURCE
#include "monitor/sidecars.h"

#include "lib/ops.h"
#include "lib/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

int report(struct failure *failure, uint32_t op, int error, const char *text)
{
    failure->index = 0;
    failure->op = op;
    failure->error = (uint32_t)error;
    snprintf(failure->text, sizeof failure->text, "%s", text);
    return -1;
}

void unblock(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

/* These descriptors, which become 3 and so on, and no other go to a program. */
static void keep(const int *fd, int count)
{
    int high[8];
    for (int i = 0; i < count; i++)
        high[i] = fcntl(fd[i], F_DUPFD_CLOEXEC, 3 + count);
    for (int i = 0; i < count; i++)
        dup2(high[i], 3 + i);
    close_from(3 + count);
}

/* Such a program confines itself to a mount namespace and drops capabilities; for that it must be root of
 * a user namespace, so it is started as root of the container's, in the host's network namespace and
 * outside the container's pid and mount namespaces. */
pid_t run_sidecar(const struct orders *o, const struct started *made, int ready)
{
    pid_t child = fork();
    if (child)
        return child;
    char text[4][24] = {"", "3", "4", "/proc/self/fd/5"};
    /* orders of an earlier version have the pid, which says the same while its process lives */
    const char *const name[] = {"@PID@", "@READY@", "@EXIT@", "@NET@"};
    snprintf(text[0], sizeof text[0], "%d", made->pid);
    for (char **argument = o->sidecar; *argument; argument++)
        for (int i = 0; i < 4; i++) {
            char *at = strstr(*argument, name[i]);
            size_t size = strlen(*argument) + sizeof text[i];
            char *made_of = at ? malloc(size) : NULL;
            if (made_of) {
                snprintf(made_of, size, "%.*s%s%s", (int)(at - *argument), *argument, text[i], at + strlen(name[i]));
                *argument = made_of;
            }
        }
    int log = open(o->error_log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(log, 1);
    dup2(log, 2);
    const int given[] = {ready, made->exit_read, made->net_ns};
    if (made->owner_ns >= 0 &&
        (setns(made->owner_ns, CLONE_NEWUSER) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
        _exit(126);
    unblock();
    keep(given, 3);
    execv(o->sidecar[0], o->sidecar);
    _exit(127);
}

/* Starts the forwarder of UDP ports and waits until it has them; 0, or -1 with `failure` filled. */
int run_udp(const struct orders *o, pid_t target, int exit_end, struct failure *failure)
{
    int ready[2];
    char text[3][16] = {"", "3", "4"}, told = EIO, *argv[72] = {o->udp[0], text[0], text[1], text[2]};
    if (pipe2(ready, O_CLOEXEC) < 0)
        return report(failure, ORDER_UDP, errno, o->udp[0]);
    pid_t pid = fork();
    if (pid == 0) {
        snprintf(text[0], 16, "%d", target);
        for (int i = 1; o->udp[i] && i < 68; i++)
            argv[3 + i] = o->udp[i];
        unblock();
        const int given[] = {ready[1], exit_end};
        keep(given, 2);
        execv(o->udp[0], argv);
        _exit(127);
    }
    close(ready[1]);
    ssize_t got = read(ready[0], &told, 1);
    close(ready[0]);
    return got == 1 && !told ? 0 : report(failure, ORDER_UDP, got == 1 ? (unsigned char)told : EIO, o->udp[1]);
}

/* Starts what serves the published ports.  It stays what it is, the user's own, outside the container: it
 * binds ports in the host's network before it enters the container's. */
pid_t run_ports(const struct orders *o, const struct started *made, int ready)
{
    pid_t child = fork();
    if (child)
        return child;
    const int given[] = {ready, made->exit_read, made->owner_ns, made->net_ns};
    int words = 0;
    while (o->ports[words])
        words++;
    char **argv = calloc((size_t)words + 5, sizeof *argv);
    if (!argv)
        _exit(127);
    argv[0] = (char *)"rootless-ports"; // ps, top and explain show it as they show the monitor
    argv[1] = "3";
    argv[2] = "4";
    argv[3] = "5";
    argv[4] = "6";
    for (int i = 1; i < words; i++)
        argv[4 + i] = o->ports[i];
    unblock();
    keep(given, 4);
    execv(o->ports[0], argv);
    _exit(127);
}

/* What it says when it is ready: 0, or an errno and the name of the port that cannot be had. */
int hear_ports(const struct orders *o, int ready, struct failure *failure)
{
    char text[200];
    ssize_t got = read(ready, text, sizeof text - 1);
    text[got > 0 ? got : 0] = 0;
    if (got > 0 && !text[0])
        return 0;
    return report(failure, ORDER_PORTS, got > 0 ? (unsigned char)text[0] : EIO, got > 1 ? text + 1 : o->ports[0]);
}

/* One request for each connection, answered when the client has finished writing. */
int ask_sidecar(const struct orders *o, struct failure *failure)
{
    for (int i = 0; i < o->requests; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char answer[1024];
        size_t length = 0;
        ssize_t got;
        snprintf(address.sun_path, sizeof address.sun_path, "%s", o->sidecar_socket);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
            write(fd, o->request[i], o->request_length[i]) < 0 || shutdown(fd, SHUT_WR) < 0)
            return report(failure, ORDER_SIDECAR_REQUEST, errno, o->request[i]);
        while (length < sizeof answer - 1 && (got = read(fd, answer + length, sizeof answer - 1 - length)) > 0)
            length += (size_t)got;
        close(fd);
        answer[length] = 0;
        if (strstr(answer, "\"error\""))
            return report(failure, ORDER_SIDECAR_REQUEST, EADDRINUSE, o->request[i]);
    }
    return 0;
}
