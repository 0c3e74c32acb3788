#define _GNU_SOURCE
#include "monitor/shared_network.h"

#include "lib/ops.h"
#include "lib/process.h"
#include "monitor/sidecars.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int is_namespace(int fd, int kind)
{
    return fd >= 0 && ioctl(fd, NS_GET_NSTYPE) == kind;
}

static int of_process(pid_t pid, int fd, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
    return open(path, flags | O_CLOEXEC);
}

/* What the monitor of this file keeps; 1 when it was all there.  A monitor that is being killed closes its
 * descriptors one by one: then it is not. */
static int take_from(struct shared_network *s, int file)
{
    char text[128];
    int pid, fd[4];
    unsigned long long began;
    ssize_t got = pread(file, text, sizeof text - 1, 0);
    text[got > 0 ? got : 0] = 0;
    /* the process of the lock may have ended, and its number may be another's */
    if (sscanf(text, "%d %llu %d %d %d %d", &pid, &began, &fd[0], &fd[1], &fd[2], &fd[3]) != 6 ||
        process_stat(pid, 22) != began)
        return 0;
    /* first: while we have this the companion stays */
    s->members = of_process(pid, fd[2], O_WRONLY | O_NONBLOCK);
    s->companion = of_process(pid, fd[3], O_RDONLY | O_NONBLOCK);
    s->user = of_process(pid, fd[0], O_RDONLY);
    s->net = of_process(pid, fd[1], O_RDONLY);
    if (s->members >= 0 && s->companion >= 0 && is_namespace(s->user, CLONE_NEWUSER) &&
        is_namespace(s->net, CLONE_NEWNET))
        return 1;
    shut(&s->members);
    shut(&s->companion);
    shut(&s->user);
    shut(&s->net);
    return 0;
}

/* Looks through the other monitors; files of those that have ended are removed. */
static int find_another(struct shared_network *s, int directory)
{
    int copy = dup(directory), found = 0;
    DIR *listed = fdopendir(copy);
    struct dirent *one;
    while (listed && !found && (one = readdir(listed))) {
        if (one->d_name[0] < '0' || one->d_name[0] > '9')
            continue;
        int file = openat(directory, one->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (file < 0)
            continue;
        if (flock(file, LOCK_EX | LOCK_NB) == 0)
            unlinkat(directory, one->d_name, 0);
        else
            found = take_from(s, file);
        close(file);
    }
    if (listed)
        closedir(listed);
    return found;
}

/* The process in which both are made; it waits until they are taken from it. */
static void __attribute__((noreturn)) maker(int go, int told, int taken)
{
    char byte, text[256] = "";
    const char *what = "";
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    int failed = unshare(CLONE_NEWUSER) < 0;
    if (!failed && (write(told, "u", 1) != 1 || read(go, &byte, 1) != 1))
        _exit(1);
    if (!failed) {
        failed = setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0;
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        failed = failed || unshare(CLONE_NEWNET) < 0 || network_prepare(&what) < 0;
    }
    uint32_t error = failed ? (uint32_t)errno : 0;
    memcpy(text, &error, 4);
    snprintf(text + 4, sizeof text - 4, "%s", what);
    if (write(told, text, sizeof text) != sizeof text || read(taken, &byte, 1) < 0)
        _exit(1);
    _exit(0);
}

static int make(struct shared_network *s, const struct orders *o, struct failure *failure)
{
    int go[2], told[2], taken[2], alive[2], members[2], failed = -1;
    char text[256] = "";
    if (pipe2(go, O_CLOEXEC) < 0 || pipe2(told, O_CLOEXEC) < 0 || pipe2(taken, O_CLOEXEC) < 0 ||
        pipe2(alive, O_CLOEXEC | O_NONBLOCK) < 0 || pipe2(members, O_CLOEXEC) < 0)
        return report(failure, ORDER_SHARED_NETWORK, errno, "pipe");
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        close(told[0]);
        close(taken[1]);
        maker(go[0], told[1], taken[0]);
    }
    close(go[0]);
    close(told[1]);
    close(taken[0]);
    failure->error = 0;
    if (pid > 0 && read(told[0], text, 1) == 1 && text[0] == 'u') {
        if (map_ids(&o->shared_map, o->error_log, pid, failure) == 0 && write(go[1], "", 1) == 1 &&
            read(told[0], text, sizeof text) == sizeof text) {
            uint32_t error;
            char path[64];
            memcpy(&error, text, 4);
            text[sizeof text - 1] = 0;
            if (error)
                report(failure, ORDER_SHARED_NETWORK, (int)error, text + 4);
            snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
            s->user = open(path, O_RDONLY | O_CLOEXEC);
            snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
            s->net = open(path, O_RDONLY | O_CLOEXEC);
            failed = error || s->user < 0 || s->net < 0 ? -1 : 0;
        }
    }
    if (failed && !failure->error)
        report(failure, ORDER_SHARED_NETWORK, errno ? errno : EIO, "a user namespace");
    close(go[1]);
    close(told[0]);
    close(taken[1]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    s->members = members[1];
    s->companion = alive[0];
    /* these are opened again, through /proc/self/fd, by whoever starts a companion */
    close(members[0]);
    close(alive[1]);
    return failed;
}

/* A file that tells the others where to find what we keep; its lock says that we live. */
static int tell_others(struct shared_network *s, int directory)
{
    char name[16], text[128];
    snprintf(name, sizeof name, "%d", getpid());
    unlinkat(directory, name, 0);
    s->file = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (s->file < 0 || flock(s->file, LOCK_EX | LOCK_NB) < 0)
        return -1;
    int length = snprintf(text, sizeof text, "%d %llu %d %d %d %d\n", getpid(), process_stat(getpid(), 22), s->user,
                          s->net, s->members, s->companion);
    return write(s->file, text, (size_t)length) == length ? 0 : -1;
}

static int companion_lives(const struct shared_network *s)
{
    struct pollfd polled = {s->companion, POLLIN, 0};
    /* a pipe that had no writer yet says nothing: hence the byte that each companion leaves in it */
    return poll(&polled, 1, 0) == 1 && polled.revents & POLLIN && !(polled.revents & (POLLHUP | POLLERR));
}

/* The companion gets: 3 the user namespace, 4 the network namespace, 5 where it sees that all members have
 * gone, 6 what says that it lives, 7 to say that it is ready. */
static int start_companion(struct shared_network *s, const struct orders *o)
{
    int ready[2];
    if (!o->companion || pipe2(ready, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        /* nobody's child: it outlives this monitor */
        setsid();
        if (fork())
            _exit(0);
        int given[] = {s->user, s->net, of_process(getpid(), s->members, O_RDONLY | O_NONBLOCK),
                       of_process(getpid(), s->companion, O_WRONLY | O_NONBLOCK), ready[1]};
        for (int i = 0; i < 5; i++)
            given[i] = fcntl(given[i], F_DUPFD_CLOEXEC, 16);
        int log = open(o->companion[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
        dup2(log, 1);
        dup2(log, 2);
        for (int i = 0; i < 5; i++)
            dup2(given[i], 3 + i);
        close_from(8);
        unblock();
        execv(o->companion[0], o->companion);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(ready[1]);
    s->ready = ready[0];
    return pid < 0 ? -1 : 0;
}

static int open_lock(const struct orders *o)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/lock", o->shared_directory);
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    while (fd >= 0 && flock(fd, LOCK_EX) < 0 && errno == EINTR)
        ;
    return fd;
}

int shared_network_join(struct shared_network *s, const struct orders *o, struct failure *failure)
{
    char path[4096];
    if (s->net >= 0)
        return 0; /* of the life before this one */
    s->lock = open_lock(o);
    snprintf(path, sizeof path, "%s/members", o->shared_directory);
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed = 0;
    if (s->lock < 0 || directory < 0)
        failed = report(failure, ORDER_SHARED_NETWORK, errno, o->shared_directory);
    if (!failed && !find_another(s, directory))
        failed = make(s, o, failure);
    if (!failed && tell_others(s, directory) < 0)
        failed = report(failure, ORDER_SHARED_NETWORK, errno, path);
    shut(&directory);
    if (!failed && !companion_lives(s))
        start_companion(s, o);
    if (failed || s->ready < 0)
        shut(&s->lock);
    return failed;
}

void shared_network_ready(struct shared_network *s)
{
    shut(&s->ready);
    shut(&s->lock);
}

void shared_network_repair(struct shared_network *s, const struct orders *o)
{
    char byte;
    s->lock = open_lock(o);
    if (!companion_lives(s)) {
        /* what the one before left to say that it lived */
        while (read(s->companion, &byte, 1) == 1)
            ;
        if (start_companion(s, o) == 0) {
            /* nobody else starts one meanwhile; it needs no longer than the way out does */
            struct pollfd polled = {s->ready, POLLIN, 0};
            poll(&polled, 1, 2000);
        }
    }
    shared_network_ready(s);
}

void shared_network_leave(struct shared_network *s, const struct orders *o)
{
    char path[4096];
    if (s->file < 0)
        return;
    /* a newcomer may be reading it: what it finds here is there until this process ends */
    snprintf(path, sizeof path, "%s/members/%d", o->shared_directory, getpid());
    unlink(path);
}

int shared_network_attach(const struct shared_network *s, const struct orders *o, pid_t pid, const char **what)
{
    char path[64];
    *what = "the container's network namespace";
    snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
    int target = open(path, O_RDONLY | O_CLOEXEC);
    if (target < 0)
        return -1;
    for (int i = 0; i < o->endpoints; i++)
        if (network_attach(s->net, target, &o->endpoint[i], what) < 0)
            return -1;
    close(target);
    return 0;
}
