/* The companion of a user's named networks: one small process, for all of them and all containers.
 *
 *   rootless-companion LOG DIRECTORY [WAY-OUT ARGUMENT...]
 *
 * It keeps another program running, the way out of the network namespace that the containers share, and
 * answers their questions for names (lib/resolver); DIRECTORY has the leases.
 * Descriptors: 3 the user namespace, 4 the network namespace that it owns, 5 the read end of a pipe that
 * all monitors write to (never: it is closed with the last, and so ends the companion), 6 the write end of
 * a pipe that tells them that the companion lives, 7 where it says that it is ready.
 * It lives in the host's namespaces.  Killing it loses nothing: a monitor starts it again. */
#define _GNU_SOURCE
#include "lib/process.h"
#include "lib/resolver.h"
#include "lib/scm_rights.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { USER = 3, NET, MEMBERS, ALIVE, READY };

static pid_t way_out;
static int way_out_ready = -1;
static long long next_try; /* milliseconds */

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

/* As root of the user namespace: otherwise it could neither enter the network namespace nor shut itself
 * up.  Descriptors of its own: 3 the network namespace, 4 to say that it is ready, 5 that it is to end. */
static void start_way_out(char **argv)
{
    int ready[2];
    if (!argv[0] || pipe2(ready, O_CLOEXEC) < 0)
        return;
    pid_t self = getpid();
    way_out = fork();
    if (way_out == 0) {
        sigset_t none;
        sigemptyset(&none);
        if (setns(USER, CLONE_NEWUSER) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
            _exit(126);
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (getppid() != self)
            _exit(126);
        int given[] = {fcntl(NET, F_DUPFD_CLOEXEC, 16), fcntl(ready[1], F_DUPFD_CLOEXEC, 16),
                       fcntl(MEMBERS, F_DUPFD_CLOEXEC, 16)};
        for (int i = 0; i < 3; i++)
            dup2(given[i], 3 + i);
        close_from(6);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execv(argv[0], argv);
        fprintf(stderr, "cannot start %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(ready[1]);
    if (way_out_ready >= 0)
        close(way_out_ready);
    way_out_ready = ready[0];
    next_try = now() + 200;
}

/* Sockets in the shared namespace, made by a process that goes there and comes back with them. */
static int open_resolver(const char *directory)
{
    int ends[2], fds[RESOLVER_SOCKETS], status;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (setns(USER, CLONE_NEWUSER) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 ||
            setns(NET, CLONE_NEWNET) < 0)
            _exit(1);
        resolver_sockets(fds);
        for (int i = 0; i < RESOLVER_SOCKETS; i++)
            if (fds[i] < 0 ? send(ends[1], "-", 1, 0) != 1 : send_descriptor(ends[1], "s", 1, fds[i]) < 0)
                _exit(1);
        _exit(0);
    }
    close(ends[1]);
    for (int i = 0; i < RESOLVER_SOCKETS; i++) {
        char kind;
        if (receive_descriptor(ends[0], &kind, 1, &fds[i]) != 1)
            fds[i] = -1;
        if (fds[i] >= 0)
            fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    }
    close(ends[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return resolver_open(fds, directory);
}

/* Once: that all is well, or, by closing it, that it is not. */
static void say_ready(int well)
{
    static int said;
    if (said++ || (well && write(READY, "r", 1) != 1))
        return;
    close(READY);
}

int main(int argc, char **argv)
{
    sigset_t mask;
    if (argc < 3)
        return 125;
    /* two monitors may have thought at once that there is none */
    if (flock(ALIVE, LOCK_EX | LOCK_NB) < 0)
        return 0;
    for (int fd = USER; fd <= READY; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    sigfillset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    int signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0 || write(ALIVE, "a", 1) != 1)
        return 125;
    start_way_out(argv + 3);
    if (open_resolver(argv[2]) < 0)
        fprintf(stderr, "no names are answered: %s\n", strerror(errno));
    if (!way_out)
        say_ready(1);
    for (;;) {
        struct pollfd polled[3 + RESOLVER_POLLED] = {{MEMBERS, 0, 0}, {signals, POLLIN, 0}, {way_out_ready, POLLIN, 0}};
        int names = resolver_poll(polled + 3), wait = resolver_wait();
        if (argv[3] && !way_out)
            wait = next_try <= now() ? 0 : wait >= 0 && wait < next_try - now() ? wait : (int)(next_try - now());
        if (poll(polled, (nfds_t)(3 + names), wait) < 0) {
            if (errno != EINTR)
                return 125;
            continue;
        }
        if (polled[0].revents)
            break; /* the last container has ended */
        if (polled[2].revents) {
            char byte;
            say_ready(read(way_out_ready, &byte, 1) == 1);
            close(way_out_ready);
            way_out_ready = -1;
        }
        if (polled[1].revents) {
            struct signalfd_siginfo info;
            pid_t ended;
            while (read(signals, &info, sizeof info) > 0)
                if (info.ssi_signo == SIGTERM)
                    return 0;
            while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
                if (ended == way_out)
                    way_out = 0;
                else
                    resolver_child_ended();
        }
        resolver_serve(polled + 3, names);
        if (argv[3] && !way_out && now() >= next_try)
            start_way_out(argv + 3);
    }
    if (way_out > 0)
        kill(way_out, SIGKILL);
    return 0;
}
