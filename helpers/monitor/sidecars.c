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

/* Two descriptors, which become 3 and 4, and no other go to a program. */
static void keep_two(int one, int two)
{
    int high[2] = {fcntl(one, F_DUPFD_CLOEXEC, 5), fcntl(two, F_DUPFD_CLOEXEC, 5)};
    dup2(high[0], 3);
    dup2(high[1], 4);
    close_from(5);
}

/* Such a program confines itself to a mount namespace and drops capabilities; for that it must be root of
 * a user namespace, so it is started as root of the container's, in the host's network namespace and
 * outside the container's pid and mount namespaces. */
pid_t run_sidecar(const struct orders *o, pid_t pid, int user_ns, int ready, int exit_end)
{
    pid_t made = fork();
    if (made)
        return made;
    char text[3][16] = {"", "3", "4"};
    const char *const name[] = {"@PID@", "@READY@", "@EXIT@"};
    snprintf(text[0], 16, "%d", pid);
    for (char **argument = o->sidecar; *argument; argument++)
        for (int i = 0; i < 3; i++) {
            char *at = strstr(*argument, name[i]);
            size_t size = strlen(*argument) + 16;
            char *made = at ? malloc(size) : NULL;
            if (made) {
                snprintf(made, size, "%.*s%s%s", (int)(at - *argument), *argument, text[i], at + strlen(name[i]));
                *argument = made;
            }
        }
    int log = open(o->error_log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(log, 1);
    dup2(log, 2);
    if (user_ns >= 0 &&
        (setns(user_ns, CLONE_NEWUSER) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
        _exit(126);
    unblock();
    keep_two(ready, exit_end);
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
        keep_two(ready[1], exit_end);
        execv(o->udp[0], argv);
        _exit(127);
    }
    close(ready[1]);
    ssize_t got = read(ready[0], &told, 1);
    close(ready[0]);
    return got == 1 && !told ? 0 : report(failure, ORDER_UDP, got == 1 ? (unsigned char)told : EIO, o->udp[1]);
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
