#define _GNU_SOURCE
#include "monitor/spawn.h"

#include "lib/ops.h"
#include "lib/scm_rights.h"
#include "lib/sealed_exec.h"
#include "monitor/shared_network.h"
#include "monitor/sidecars.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* To the monitor, by a child that goes away. */
static void __attribute__((noreturn)) fail(int ctl, uint32_t op, const char *text)
{
    struct { uint32_t kind, index, error, op; char text[256]; } told = {'F', 0, (uint32_t)errno, op, ""};
    snprintf(told.text, sizeof told.text, "%s", text);
    send(ctl, &told, 16 + strlen(told.text), MSG_NOSIGNAL);
    _exit(125);
}

struct pipes { int in[2], out[2], err[2], ctl[2], null; };

enum { MOST_WORDS = 2 + 3 * 8 }; /* of a launcher that joins */

/* Descriptors of the command's own, as socket activation gives them: they begin at 3, and what we use
 * ourselves makes room for them. */
static void hand_over(const struct orders *o, struct pipes *p, int *plan, int *cgroup)
{
    int *const ours[] = {&p->ctl[1], plan, &p->in[0], &p->out[1], &p->err[1], cgroup};
    for (int i = 0; o->preserve && i < 6; i++)
        if (*ours[i] > 2)
            *ours[i] = fcntl(*ours[i], F_DUPFD_CLOEXEC, 4 + o->preserve);
    for (int i = 0; i < o->preserve; i++)
        dup2(4 + i, 3 + i);
}

/* Goes on as the launcher; `words`: its further arguments. */
static void __attribute__((noreturn)) execute(const struct orders *o, struct pipes *p, int plan, char *const *words)
{
    char ctl_text[16], plan_text[16], *argv[MOST_WORDS + 4] = {"rootless-launch", ctl_text, plan_text};
    for (int i = 0; words && words[i]; i++)
        argv[3 + i] = words[i];
    dup2(p->in[0], 0);
    dup2(p->out[1], 1);
    dup2(p->err[1], 2);
    fcntl(p->ctl[1], F_SETFD, 0);
    fcntl(plan, F_SETFD, 0);
    if (o->gate >= 0)
        fcntl(o->gate, F_SETFD, 0);
    snprintf(ctl_text, sizeof ctl_text, "%d", p->ctl[1]);
    snprintf(plan_text, sizeof plan_text, "%d", plan);
    char rows[16], cols[16], *environment[] = {rows, cols, NULL};
    snprintf(rows, sizeof rows, "ROWS=%u", o->rows);
    snprintf(cols, sizeof cols, "COLUMNS=%u", o->cols);
    unblock();
    exec_sealed(o->executor, argv, environment);
    fail(p->ctl[1], ORDER_EXECUTOR, "");
}

/* The monitor's end, of which every child has a copy: who keeps it waits for ever when the monitor is
 * killed, because the other end, which it reads, is then never closed. */
static void leave_to_the_monitor(struct pipes *p)
{
    if (p->ctl[0] >= 0)
        close(p->ctl[0]);
    p->ctl[0] = -1;
}

/* Runs in the child.  After the map exists it becomes root of the namespace, because exec takes
 * capabilities from everybody else, and goes on as the launcher. */
static void child(const struct orders *o, struct pipes *p, int plan)
{
    char answer;
    int none = -1;
    leave_to_the_monitor(p);
    hand_over(o, p, &plan, &none);
    if (o->map.given && recv(p->ctl[1], &answer, 1, 0) != 1)
        _exit(125);
    if (o->map.given) {
        if ((o->map.drop_groups && setgroups(0, NULL) < 0) || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
            fail(p->ctl[1], ORDER_MAP, "");
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    }
    execute(o, p, plan, NULL);
}

static long clone_child(unsigned long flags, unsigned long parent, int cgroup)
{
    /* with CLONE_PARENT the signal is the parent's own */
    struct clone_args how = {.flags = flags | parent, .exit_signal = parent ? 0 : SIGCHLD};
    if (cgroup >= 0) {
        how.flags |= CLONE_INTO_CGROUP;
        how.cgroup = (uint64_t)cgroup;
    }
    return syscall(SYS_clone3, &how, sizeof how);
}

/* In an intermediate process: the child becomes the monitor's own, so that it can wait for it. */
static void __attribute__((noreturn)) hand_on(const struct orders *o, struct pipes *p, int plan, int cgroup,
                                              const struct idmap *map, const struct shared_network *shared)
{
    const char *what;
    struct failure failure;
    long pid = clone_child(o->clone_flags, CLONE_PARENT, cgroup);
    if (pid == 0)
        child(o, p, plan);
    if (pid < 0)
        fail(p->ctl[1], ORDER_CLONE, "clone");
    struct { uint32_t kind, pid; } told = {'P', (uint32_t)pid};
    if (map && map_ids(map, o->error_log, (pid_t)pid, &failure) < 0) {
        kill((pid_t)pid, SIGKILL);
        errno = (int)failure.error;
        fail(p->ctl[1], ORDER_MAP, failure.text);
    }
    if (shared && o->endpoints && shared_network_attach(shared, o, (pid_t)pid, &what) < 0) {
        int error = errno;
        kill((pid_t)pid, SIGKILL);
        errno = error;
        fail(p->ctl[1], ORDER_ENDPOINT, what);
    }
    send(p->ctl[1], &told, sizeof told, MSG_NOSIGNAL);
    _exit(0);
}

/* Joining another container's namespaces: the launcher enters them, executed by an intermediate child before
 * that (helpers/launch/join.c says why), and clones. */
static pid_t clone_joining(const struct orders *o, struct pipes *p, int plan, int cgroup)
{
    pid_t between = fork();
    if (between)
        return between;
    char number[2 + 8][24], *words[MOST_WORDS + 1] = {number[0], number[1]};
    int count = 2;
    hand_over(o, p, &plan, &cgroup);
    snprintf(number[0], sizeof *number, "%lu", o->clone_flags);
    snprintf(number[1], sizeof *number, "%d", cgroup);
    for (int i = 0; i < o->joins; i++) {
        snprintf(number[2 + i], sizeof *number, "%lu", o->join[i].flag);
        words[count++] = number[2 + i];
        words[count++] = (char *)(uintptr_t)o->join[i].path;
        words[count++] = (char *)(uintptr_t)o->join[i].began;
    }
    if (cgroup >= 0)
        fcntl(cgroup, F_SETFD, 0);
    execute(o, p, plan, words);
}

/* A user namespace around the container's, with the ids of the layers: the container lacks these, and
 * a server of its files, which needs them, works there (fuse(4) lets no process in that is not in the
 * mounter's namespace or below it).  The intermediate child makes it, and writes the inner map. */
static pid_t clone_nested(const struct orders *o, struct pipes *p, int plan, int cgroup)
{
    char answer;
    pid_t between = fork();
    if (between)
        return between;
    leave_to_the_monitor(p);
    if (unshare(CLONE_NEWUSER) < 0)
        fail(p->ctl[1], ORDER_OUTER, "");
    if (send(p->ctl[1], "O", 1, MSG_NOSIGNAL) != 1 || recv(p->ctl[1], &answer, 1, 0) != 1)
        _exit(125);
    if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        fail(p->ctl[1], ORDER_OUTER, "");
    /* its clone's files in /proc are to be ours */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    hand_on(o, p, plan, cgroup, &o->map, NULL);
}

/* Below the user namespace that containers on named networks share: only from there can a device be put
 * into a container.  It has all ids of the user, so the intermediate child writes the container's map. */
static pid_t clone_shared(const struct orders *o, struct pipes *p, int plan, int cgroup,
                          const struct shared_network *shared)
{
    pid_t between = fork();
    if (between)
        return between;
    leave_to_the_monitor(p);
    if (setns(shared->user, CLONE_NEWUSER) < 0 || (o->shared_map.drop_groups && setgroups(0, NULL) < 0) ||
        setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        fail(p->ctl[1], ORDER_SHARED_NETWORK, "the user namespace");
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    hand_on(o, p, plan, cgroup, &o->map, shared);
}

/* Hooks of the runtime's own namespaces are run by our caller; "h" when all went well. */
static int run_hooks(const struct orders *o, int ctl, pid_t pid, struct failure *failure)
{
    struct { unsigned char head[8]; uint32_t pid; } told = {{'H', 0, 0, 0, 4, 0, 0, 0}, (uint32_t)pid};
    char answer = 0;
    if (send(o->channel, &told, sizeof told, MSG_NOSIGNAL) != sizeof told || recv(o->channel, &answer, 1, 0) != 1 ||
        answer != 'h')
        return report(failure, OP_RUNTIME_HOOKS, ECANCELED, "hooks");
    send(ctl, "h", 1, MSG_NOSIGNAL);
    return 0;
}

struct handshake { int wants_network, network_ready, ports_ready, console; };

/* One message of the launcher.  1: the command runs; 0: go on; -1: failed. */
static int message(const struct orders *o, int ctl, struct started *made, struct handshake *h, struct failure *failure)
{
    union { char text[280]; uint32_t word[70]; } data;
    int descriptor, got = receive_descriptor(ctl, data.text, sizeof data - 1, &descriptor);
    if (got <= 0)
        return 1;
    data.text[got] = 0;
    switch (data.text[0]) {
    case 'C':
        h->console = descriptor;
        return 0;
    case 'N':
        h->wants_network = 1;
        return 0;
    case 'H':
        return run_hooks(o, ctl, made->pid, failure);
    case 'L': {
        /* a listener for system calls: to our caller */
        const char head[8] = "L";
        int failed = send_descriptor(o->channel, head, sizeof head, descriptor) < 0;
        close(descriptor);
        return failed ? report(failure, OP_SECCOMP, errno, "listener") : 0;
    }
    case 'U':
        if (servers_start(&made->servers, o, made->pid) < 0)
            return report(failure, ORDER_FUSE, ESRCH, "");
        send(ctl, "u", 1, MSG_NOSIGNAL);
        return 0;
    case 'O':
        if (map_ids(&o->outer, o->error_log, made->pid, failure) < 0)
            return -1;
        send(ctl, "o", 1, MSG_NOSIGNAL);
        return 0;
    case 'P': {
        /* the intermediate process has done its work */
        pid_t between = made->pid;
        made->pid = (pid_t)data.word[1];
        waitpid(between, NULL, 0);
        return 0;
    }
    case 'F':
        failure->index = data.word[1];
        failure->error = data.word[2];
        failure->op = data.word[3];
        snprintf(failure->text, sizeof failure->text, "%.255s", got > 16 ? data.text + 16 : "");
        return -1;
    }
    return report(failure, ORDER_EXECUTOR, EBADMSG, "launcher");
}

static int handshake(const struct orders *o, int ctl, int ready, int bound, struct started *made, struct handshake *h,
                     struct shared_network *shared, struct failure *failure)
{
    if (o->shared_directory) {
        ready = shared->ready;
        h->network_ready = ready < 0; /* somebody has waited for it already */
    }
    for (;;) {
        struct pollfd polled[3] = {{ctl, POLLIN, 0}, {h->network_ready ? -1 : ready, POLLIN, 0},
                                   {h->ports_ready ? -1 : bound, POLLIN, 0}};
        if (poll(polled, 3, made->servers.count ? 20 : -1) < 0 && errno != EINTR)
            return report(failure, ORDER_EXECUTOR, errno, "poll");
        int lost = servers_lost(&made->servers);
        if (lost >= 0)
            return report(failure, ORDER_FUSE, EIO, o->server[lost].argv[0]);
        if (polled[0].revents) {
            int done = message(o, ctl, made, h, failure);
            if (done)
                return done;
        }
        if (polled[1].revents) {
            char one;
            if (read(ready, &one, 1) != 1)
                return o->shared_directory ? report(failure, ORDER_COMPANION, ENETUNREACH, o->companion[0])
                                           : report(failure, ORDER_SIDECAR, ENETUNREACH, o->sidecar[0]);
            if (o->shared_directory)
                shared_network_ready(shared);
            if (ask_sidecar(o, failure) < 0)
                return -1;
            h->network_ready = 1;
        }
        if (polled[2].revents) {
            if (hear_ports(o, bound, failure) < 0)
                return -1;
            h->ports_ready = 1;
        }
        if (h->wants_network && h->network_ready && h->ports_ready) {
            send(ctl, "n", 1, MSG_NOSIGNAL);
            h->wants_network = 0;
        }
    }
}

static int open_streams(const struct orders *o, struct pipes *p)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->ctl) < 0)
        return -1;
    p->null = p->in[0] = p->out[1] = p->err[1] = null;
    p->in[1] = p->out[0] = p->err[0] = -1;
    if (o->tty)
        return 0;
    if (strcmp(o->standard_input, "inherit") == 0) {
        /* the null device stands only for what is closed */
        p->in[0] = o->streams ? o->streams[0] : 0;
        p->out[1] = o->streams ? o->streams[1] : 1;
        p->err[1] = o->streams ? o->streams[2] : 2;
        return 0;
    }
    if (strcmp(o->standard_input, "null") != 0 && pipe2(p->in, O_CLOEXEC) < 0)
        return -1;
    return pipe2(p->out, O_CLOEXEC) < 0 || pipe2(p->err, O_CLOEXEC) < 0 ? -1 : 0;
}

static void shut(int fd)
{
    if (fd >= 0)
        close(fd);
}

void stop_helpers(struct started *made)
{
    shut(made->exit_fd);
    shut(made->exit_read);
    shut(made->owner_ns);
    shut(made->net_ns);
    made->exit_fd = made->exit_read = made->owner_ns = made->net_ns = -1;
    /* whoever hears that the container has ended finds its ports free; what it said last is on its way by then */
    for (int i = 0; made->ports > 0 && waitpid(made->ports, NULL, WNOHANG) == 0; i++)
        if (i < 500)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        else
            kill(made->ports, SIGKILL);
    made->sidecar = made->ports = 0;
    servers_stop(&made->servers);
}

static int give_up(struct started *made)
{
    if (made->pid > 0) {
        kill(made->pid, SIGKILL);
        while (waitpid(made->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    stop_helpers(made);
    shut(made->in);
    if (made->out != made->in)
        shut(made->out);
    shut(made->err);
    shut(made->user_ns);
    made->in = made->out = made->err = made->user_ns = -1;
    made->pid = 0;
    return -1;
}

int start(const struct orders *o, int cgroup, struct shared_network *shared, struct started *made,
          struct failure *failure)
{
    struct pipes p;
    struct handshake h = {0, 0, !o->ports, -1};
    int ready[2] = {-1, -1}, bound[2] = {-1, -1}, leave[2] = {-1, -1}, plan = open(o->plan, O_RDONLY | O_CLOEXEC);
    *made = (struct started){.user_ns = -1, .exit_fd = -1, .exit_read = -1, .owner_ns = -1, .net_ns = -1, .in = -1, .out = -1, .err = -1};
    if (plan < 0)
        return report(failure, ORDER_EXECUTOR, errno, o->plan);
    if (o->shared_directory && shared_network_join(shared, o, failure) < 0)
        return close(plan), -1;
    if (open_streams(o, &p) < 0)
        return report(failure, ORDER_STDIN, errno, "streams");
    int indirect = o->joins || o->outer.given || o->shared_directory;
    long pid = o->joins         ? clone_joining(o, &p, plan, cgroup)
               : o->shared_directory ? clone_shared(o, &p, plan, cgroup, shared)
               : o->outer.given ? clone_nested(o, &p, plan, cgroup)
                                : clone_child(o->session ? 0 : o->clone_flags, 0, cgroup);
    if (pid == 0)
        child(o, &p, plan);
    int saved = errno;
    close(plan);
    close(p.ctl[1]);
    const int theirs[] = {p.in[0], p.out[1], p.err[1]};
    for (int i = 0; i < 3 && !o->streams; i++)
        if (theirs[i] != p.null && theirs[i] > 2)
            close(theirs[i]);
    close(p.null);
    made->in = p.in[1];
    made->out = p.out[0];
    made->err = p.err[0];
    if (pid < 0)
        return report(failure, ORDER_CLONE, saved, "clone"), give_up(made);
    made->pid = (pid_t)pid;
    int done = 0;
    /* the one that joined reports the process it made; nothing can be done for that one before */
    while (indirect && !done && made->pid == (pid_t)pid)
        done = message(o, p.ctl[0], made, &h, failure);
    if (done == 1)
        done = report(failure, o->joins ? ORDER_JOIN : o->shared_directory ? ORDER_SHARED_NETWORK : ORDER_OUTER, ESRCH,
                      "another container");
    if (!done && (o->map.given || o->joins)) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/ns/user", made->pid);
        made->user_ns = open(path, O_RDONLY | O_CLOEXEC);
        if (o->map.given && !o->outer.given && !o->shared_directory)
            done = map_ids(&o->map, o->error_log, made->pid, failure);
        if (!done)
            send(p.ctl[0], "m", 1, MSG_NOSIGNAL);
    }
    /* its child becomes root of the namespace, which can only be after the map exists */
    if (!done && (o->sidecar || o->ports) && pipe2(leave, O_CLOEXEC) == 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/ns/net", made->pid);
        made->net_ns = open(path, O_RDONLY | O_CLOEXEC);
        made->owner_ns = made->user_ns < 0 ? -1 : fcntl(made->user_ns, F_DUPFD_CLOEXEC, 3);
        made->exit_fd = leave[1];
        made->exit_read = leave[0];
        /* first those that find out whether ports can be had */
        if (o->ports && pipe2(bound, O_CLOEXEC) == 0) {
            made->ports = run_ports(o, made, bound[1]);
            close(bound[1]);
        }
        if (o->sidecar && pipe2(ready, O_CLOEXEC) == 0) {
            made->sidecar = run_sidecar(o, made, ready[1]);
            close(ready[1]);
        }
        if (o->udp)
            done = run_udp(o, made->pid, leave[0], failure);
    }
    if (o->outer.given && made->user_ns >= 0) {
        /* the process that removes the files needs the ids that the layers have */
        int outer = outer_namespace(made->user_ns);
        shut(made->user_ns);
        made->user_ns = outer;
    }
    if (!done)
        done = handshake(o, p.ctl[0], ready[0], bound[0], made, &h, shared, failure);
    if (o->shared_directory)
        shared_network_ready(shared);
    shut(ready[0]);
    shut(bound[0]);
    close(p.ctl[0]);
    if (done < 0)
        return shut(h.console), give_up(made);
    if (o->tty)
        made->in = made->out = h.console;
    return 0;
}

int inside_user_namespace(int user_ns, int (*work)(void *), void *data)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (setns(user_ns, CLONE_NEWUSER) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
            _exit(1);
        _exit(work(data) < 0 ? 1 : 0);
    }
    int status = 1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status ? -1 : 0;
}
