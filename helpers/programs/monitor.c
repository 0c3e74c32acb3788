/* The monitor: one small process beside each container.
 *
 *   rootless-monitor ORDERS [ROWS COLS]      descriptor 3: the channel of the command that starts it
 *
 * It starts the container, holds its terminal or pipes, writes the log, serves those who attach,
 * records how it ended, starts it again where the policy says so, and removes it where asked.
 * Nothing else is left running.  Its own death is a normal event: the container's first process is
 * killed by its parent-death signal, the sidecar sees its exit descriptor close. */
#define _GNU_SOURCE
#include "lib/channel.h"
#include "lib/events.h"
#include "lib/ops.h"
#include "lib/process.h"
#include "monitor/cgroup.h"
#include "monitor/cgroup_placement.h"
#include "monitor/container_events.h"
#include "monitor/health_checks.h"
#include "monitor/idle.h"
#include "monitor/log.h"
#include "monitor/removal.h"
#include "monitor/revive.h"
#include "monitor/sd_notify.h"
#include "monitor/shared_network.h"
#include "monitor/spawn.h"
#include "monitor/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct orders orders;
static struct started container;
static struct channel channel;
static struct log logfile;
static struct failure failure;
static struct shared_network shared = SHARED_NETWORK_NONE;
static int signals = -1, listener = -1, cgroup = -1, notices = -1;
static long long ending; /* SIGTERM came: when what is left is killed, in nanoseconds since the epoch */
static int gone; /* the first process was reaped: its pid may be another's by now */
static char boot[40];
static struct { long long started, finished; int restarts, code, oom, lost, failed; } record;

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* start time in clock ticks since boot, field 22 of /proc/PID/stat: with the pid it names a process
 * for good, a pid alone may be used again */
static unsigned long long start_time(pid_t pid)
{
    return process_stat(pid, 22);
}

static void write_state(const char *status)
{
    char text[2560], pids[16 * MOST_SERVERS + 3] = "[";
    int at = 1;
    for (int i = 0; i < container.servers.count; i++)
        at += snprintf(pids + at, sizeof pids - (size_t)at, "%s%d", i ? "," : "", container.servers.pid[i]);
    snprintf(pids + at, sizeof pids - (size_t)at, "]");
    int length = snprintf(text, sizeof text,
        "\"version\":%d,\"status\":\"%s\",\"pid\":%d,\"pidStart\":%llu,\"monitor\":%d,\"monitorStart\":%llu,\"boot\":\"%s\","
        "\"startedAt\":%lld,\"finishedAt\":%lld,\"exitCode\":%d,\"oomKilled\":%s,\"restarts\":%d,"
        "\"sidecar\":%d,\"sidecarStart\":%llu,\"ports\":%d,\"portsStart\":%llu,\"servers\":%s,\"failedIndex\":%u,\"failedOp\":%u,\"failedError\":%u,\"filesLost\":%s,\"failed\":%s}",
        STATE_VERSION, status, container.pid, container.pid > 0 && !gone ? start_time(container.pid) : 0, getpid(), start_time(getpid()), boot,
        record.started, record.finished, record.code, record.oom ? "true" : "false", record.restarts,
        container.sidecar, container.sidecar > 0 ? start_time(container.sidecar) : 0,
        container.ports, container.ports > 0 ? start_time(container.ports) : 0, pids, failure.index, failure.op, failure.error,
        record.lost ? "true" : "false", record.failed ? "true" : "false");
    if (length < (int)sizeof text)
        state_write(text, (size_t)length);
}

static void resize(unsigned short rows, unsigned short cols)
{
    struct winsize size = {.ws_row = rows, .ws_col = cols};
    orders.rows = rows; /* the next life begins with it */
    orders.cols = cols;
    if (orders.tty && container.in >= 0)
        ioctl(container.in, TIOCSWINSZ, &size);
}

static void pass_signal(int number)
{
    if (container.pid > 0 && !gone && number > 0 && number < 65)
        kill(container.pid, number);
}

static void open_listener(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!orders.socket_directory ||
        snprintf(address.sun_path, sizeof address.sun_path, "%s/attach", orders.socket_directory) >=
            (int)sizeof address.sun_path)
        return;
    unlink(address.sun_path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 16) < 0) {
        close(listener);
        listener = -1;
    }
}

static void close_input(void)
{
    if (container.in >= 0 && container.in != container.out)
        close(container.in);
    if (container.in != container.out)
        container.in = -1;
    channel.typed_length = 0;
}

static void feed(void)
{
    ssize_t wrote = write(container.in, channel.typed, channel.typed_length);
    if (wrote > 0) {
        channel.typed_length -= (size_t)wrote;
        memmove(channel.typed, channel.typed + wrote, channel.typed_length);
    } else if (wrote < 0 && errno != EAGAIN && errno != EINTR) {
        close_input();
    }
    if (!channel.typed_length) {
        free(channel.typed);
        channel.typed = NULL;
        channel.typed_size = 0;
    }
}

/* 0 when the stream has ended */
static int drain(int *fd, int stream)
{
    static char buffer[65536];
    ssize_t got = read(*fd, buffer, sizeof buffer);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 1;
    if (got <= 0) {
        if (*fd == container.in)
            container.in = -1;
        close(*fd);
        *fd = -1;
        return 0;
    }
    log_write(&logfile, stream, buffer, (size_t)got);
    channel_send(&channel, stream ? 'P' : 'O', buffer, (uint32_t)got);
    return 1;
}

static int reap(int *status)
{
    int ended = 0, cut = 0, one;
    pid_t pid;
    while ((pid = waitpid(-1, &one, WNOHANG)) > 0) {
        if (pid == container.pid) {
            *status = one;
            ended = gone = 1;
        } else if (checks_reap(pid, one)) {
            continue;
        } else if (revive_reaped(&orders, &container, pid)) {
            cut = 1;
        } else if (servers_ended(&container.servers, &orders, pid, one) && !gone) {
            /* without its files it can only fail, slowly and in odd ways; its policy may start it anew */
            kill(container.pid, SIGKILL);
        }
    }
    if (cut && !gone && container.pid > 0) {
        /* the container goes on, as it would with a cable pulled out, until there is another */
        write_state("running");
        report_network(&orders, "network_lost");
    }
    return ended;
}

static int lesser(int one, int other)
{
    return one < 0 || (other >= 0 && other < one) ? other : one;
}

/* Whether the first process of a pid namespace would take no notice of a signal: of all that it neither
 * catches nor waits for (pid_namespaces(7)). */
static int ignored(int number)
{
    char path[64], text[4096], *at;
    static const char *const masks[] = {"SigBlk:", "SigCgt:"};
    snprintf(path, sizeof path, "/proc/%d/status", container.pid);
    if (!(orders.clone_flags & CLONE_NEWPID) || slurp(path, text, sizeof text) <= 0)
        return 0;
    for (int i = 0; i < 2; i++)
        if ((at = strstr(text, masks[i])) && strtoull(at + 7, NULL, 16) >> (number - 1) & 1)
            return 0;
    return 1;
}

/* systemd ends a unit, or everything of a user who has logged out: as `stop` would, but what was
 * asked of the container stays, so that the next boot starts it again.  SIGABRT is a watchdog's, which
 * has heard nothing for too long: there is nothing to wait for, but a trace that the program may write. */
static void end_asked_for(int number)
{
    if (ending)
        return;
    ending = now() + (orders.stop_seconds < 0 ? 1LL << 60 : orders.stop_seconds * 1000000000LL);
    if (number == SIGABRT && ignored(SIGABRT))
        ending = now();
    pass_signal(number == SIGABRT ? SIGABRT : orders.stop_signal);
}

static void read_signals(int *ended, int *status)
{
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) > 0)
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGABRT)
            end_asked_for((int)info.ssi_signo);
        else if (reap(status))
            *ended = 1;
}

/* milliseconds until something is to be done at a time: a check, or the end of a limited run */
static int soonest(int wait, long long deadline)
{
    long long left = (deadline - now()) / 1000000 + 1;
    if (!deadline)
        return wait;
    /* past it, the killed process is awaited; not longer than an int can say */
    left = left < 1 ? 100 : left > 3600000 ? 3600000 : left;
    return wait >= 0 && wait < left ? wait : (int)left;
}

/* Serve until the first process has ended and its output was read; returns its wait status. */
static int serve(void)
{
    int status = 0, ended = 0, typed_before = 0;
    long long over = 0;
    long long deadline = orders.timeout ? now() + (long long)orders.timeout * 1000000000LL : 0;
    for (;;) {
        struct pollfd polled[7 + REVIVED + CLIENTS];
        channel_compact(&channel);
        int congested = channel_congested(&channel), full = channel.typed_length > CHANNEL_HIGH;
        polled[0] = (struct pollfd){signals, POLLIN, 0};
        polled[1] = (struct pollfd){listener, POLLIN, 0};
        polled[2] = (struct pollfd){congested ? -1 : container.out, POLLIN, 0};
        polled[3] = (struct pollfd){congested ? -1 : container.err, POLLIN, 0};
        polled[4] = (struct pollfd){channel.typed_length ? container.in : -1, POLLOUT, 0};
        polled[5] = (struct pollfd){notices, POLLIN, 0};
        int clients = channel.count;
        for (int i = 0; i < clients; i++)
            polled[6 + REVIVED + i] = (struct pollfd){channel.client[i].fd,
                                            (short)((full ? 0 : POLLIN) | (channel.client[i].out_length ? POLLOUT : 0)), 0};
        /* what a grandchild still holds open is read for a moment only */
        int closed = container.out < 0 && container.err < 0;
        long long last = !ending ? deadline : deadline && deadline < ending ? deadline : ending;
        int wait = ended ? (closed && !congested ? 0 : 100) : soonest(checks_wait(), last);
        int due = revive_watch(polled + 6);
        if (!ended)
            wait = lesser(wait, due);
        /* the last: that the companion of named networks has ended */
        polled[6 + REVIVED + clients] = (struct pollfd){shared.companion, 0, 0};
        int events = idle_poll(polled, (nfds_t)(7 + REVIVED + clients), lesser(wait, notify_watchdog()));
        if (ended && !over)
            over = now();
        /* a client that its user has stopped reads nothing: it must not keep the end from being reported */
        if (ended && now() - over > 2000000000LL)
            return status;
        if (ended && !congested &&
            ((container.out < 0 && container.err < 0) || (events == 0 && !channel_congested(&channel))))
            return status;
        if (((deadline && now() > deadline) || (ending && now() > ending)) && !ended)
            kill(container.pid, SIGKILL);
        if (!ended)
            checks_run();
        if (!ended && events >= 0 && revive_go_on(&orders, &container, polled + 6)) {
            write_state("running");
            report_network(&orders, "network_restored");
        }
        if (events <= 0)
            continue;
        if (polled[6 + REVIVED + clients].revents && !ended)
            shared_network_repair(&shared, &orders);
        if (polled[0].revents)
            read_signals(&ended, &status);
        if (polled[5].revents)
            notify_forward(notices);
        if (polled[2].revents)
            drain(&container.out, 0);
        if (polled[3].revents)
            drain(&container.err, 1);
        if (polled[4].revents)
            feed();
        for (int i = clients - 1; i >= 0; i--)
            if (polled[6 + REVIVED + i].revents)
                channel_event(&channel, i, polled[6 + REVIVED + i].revents);
        if (polled[1].revents) {
            int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0)
                channel_add(&channel, fd);
        }
        if (channel.typed_length && container.in < 0)
            channel.typed_length = 0;
        typed_before |= channel.end_of_input;
        if (typed_before && !channel.typed_length && !orders.tty) {
            /* half-close: the container reads end-of-file and goes on writing */
            if (strcmp(orders.standard_input, "once") == 0)
                close_input();
            typed_before = channel.end_of_input = 0;
        }
    }
}

static int asked_to_stop(void)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/stopping", orders.directory);
    return ending || access(path, F_OK) == 0;
}

/* `update --restart` leaves the new policy in a file, "POLICY\nCOUNT" */
static void take_new_policy(void)
{
    static char text[64];
    char path[4096], found[sizeof text] = "";
    snprintf(path, sizeof path, "%s/restart", orders.directory);
    slurp(path, found, sizeof found);
    char *count = strchr(found, '\n');
    if (!count)
        return;
    *count++ = 0;
    memcpy(text, found, sizeof text);
    orders.restart = text;
    orders.restart_maximum = strtoul(count, NULL, 10);
}

/* The policies of docker: back-off doubles from 100 ms to a minute, and starts anew after ten good seconds. */
static int should_restart(long long *pause)
{
    long long ran = record.finished - record.started;
    take_new_policy();
    *pause = ran > 10000000000LL || !*pause ? 100 : *pause * 2 > 60000 ? 60000 : *pause * 2;
    if (asked_to_stop() || strcmp(orders.restart, "no") == 0)
        return 0;
    if (strcmp(orders.restart, "on-failure") == 0)
        return record.code != 0 &&
               (!orders.restart_maximum || (unsigned long)record.restarts < orders.restart_maximum);
    return 1;
}

static void pause_before_restart(long long pause)
{
    long long end = now() + pause * 1000000LL;
    while (now() < end && !asked_to_stop()) {
        struct pollfd polled = {listener, POLLIN, 0};
        int status, ended;
        read_signals(&ended, &status);
        notify_watchdog();
        if (poll(&polled, 1, 50) > 0) {
            int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0)
                channel_add(&channel, fd);
        }
    }
}

static void write_pid_file(void)
{
    char text[16];
    int fd = orders.pid_file ? open(orders.pid_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    if (fd < 0)
        return;
    int length = snprintf(text, sizeof text, "%d\n", container.pid);
    if (write(fd, text, (size_t)length) < 0)
        unlink(orders.pid_file);
    close(fd);
}

static void report_failure(void)
{
    struct { uint32_t index, error, op; char text[256]; } data = {failure.index, failure.error, failure.op, ""};
    memcpy(data.text, failure.text, sizeof data.text);
    record.failed = 1;
    /* docker's own numbers for a command that is missing or cannot be executed */
    record.code = failure.op == OP_EXEC ? failure.error == ENOENT ? 127 : 126 : 125;
    record.finished = now();
    container.pid = 0;
    write_state("exited");
    channel_send(&channel, 'F', &data, (uint32_t)(12 + strlen(data.text)));
}

/* what cannot be had before there is a container */
static int cannot(uint32_t op, const char *path)
{
    failure = (struct failure){.op = op, .error = (uint32_t)errno};
    snprintf(failure.text, sizeof failure.text, "%.255s", path);
    report_failure();
    channel_finish(&channel);
    return record.code;
}

static void run(void)
{
    long long pause = 0;
    for (;;) {
        record.started = now();
        record.finished = 0;
        if (start(&orders, cgroup, &shared, &container, &failure) < 0) {
            report_failure();
            return;
        }
        gone = 0;
        uint32_t pid = (uint32_t)container.pid;
        if (container.in >= 0)
            fcntl(container.in, F_SETFL, O_NONBLOCK);
        write_state("running");
        write_pid_file();
        report_started(&orders);
        checks_begin();
        channel_send(&channel, 'R', &pid, 4);
        int status = serve();
        /* one end, whatever came of it first: our SIGKILL, SIGBUS on a page of the program's own file, a
         * shell that finds no programs, or an error that a program took as its own */
        record.lost = servers_were_lost(&container.servers, &orders);
        if (record.lost)
            status = SIGKILL;
        record.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        record.oom = cgroup_out_of_memory(cgroup);
        /* what the first process left behind: without a pid namespace nothing else ends it */
        cgroup_kill(cgroup);
        record.finished = now();
        container.pid = 0;
        checks_end(0);
        revive_forget();
        stop_helpers(&container);
        if (container.in >= 0)
            close(container.in);
        if (container.out >= 0 && container.out != container.in)
            close(container.out);
        if (container.err >= 0)
            close(container.err);
        container.in = container.out = container.err = -1;
        int again = should_restart(&pause);
        /* a command that waits for the state writes events of its own, which come after these */
        report_ended(&orders, record.code, record.oom, again);
        if (!orders.remove || orders.session)
            write_state(again ? "restarting" : "exited");
        if (!again)
            return;
        pause_before_restart(pause);
        if (asked_to_stop()) {
            report_cleanup(&orders);
            write_state("exited");
            return;
        }
        record.restarts++;
        if (container.user_ns >= 0)
            close(container.user_ns);
    }
}

/* A service with many connections may open more files than the container it starts should: the soft limit
 * it had itself is ours again, and everybody's that we start. */
static void lower_limit(void)
{
    const char *text = getenv("ROOTLESS_NOFILE");
    struct rlimit limit;
    if (!text || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    unsigned long long wanted = strtoull(text, NULL, 10);
    if (wanted && wanted < limit.rlim_cur) {
        limit.rlim_cur = (rlim_t)wanted;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    unsetenv("ROOTLESS_NOFILE");
}

int main(int argc, char **argv)
{
    sigset_t mask;
    char **checks = NULL;
    lower_limit();
    if ((argc != 2 && argc != 4) || orders_read(&orders, argv[1]) < 0)
        return 125;
    if (argc == 4) {
        orders.rows = (unsigned short)atoi(argv[2]);
        orders.cols = (unsigned short)atoi(argv[3]);
    }
    /* what the caller has open beside is not ours to keep: a lock, the end of a pipe that is waited for */
    close_from(4 + orders.preserve + orders.leases);
    /* no parent is left: the command that started this may go on, end or be killed */
    pid_t twin = fork();
    if (twin)
        _exit(twin < 0 ? 125 : 0);
    setsid();
    umask(022);
    sigfillset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    if (orders.stop_signal) {
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGABRT);
    }
    signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    slurp("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    boot[strcspn(boot, "\n")] = 0;
    channel.resize = resize;
    channel.signal = pass_signal;
    logfile.fd = -1;
    logfile.fields = orders.fields;
    if (orders.wait_for_go)
        cgroup = place(3, &checks);
    channel_add(&channel, 3);
    for (int i = 0; i < orders.preserve + orders.leases; i++)
        fcntl(4 + i, F_SETFD, FD_CLOEXEC);
    if (orders.notify)
        notices = notify_open(orders.notify[0] ? orders.notify : NULL);
    if (state_reserve(orders.directory, orders.state) < 0)
        return cannot(ORDER_DIRECTORY, orders.directory);
    if (log_open(&logfile, orders.log_driver, orders.log_path, orders.log_limit, orders.log_files) < 0)
        return cannot(ORDER_LOG, orders.log_path);
    open_listener();
    if (orders.events)
        events_open(orders.events[0]);
    checks_set(checks, orders.directory);
    run();
    for (int i = 0; orders.lease && orders.lease[0] && orders.lease[i + 1]; i++)
        unlink(orders.lease[i + 1]);
    shared_network_leave(&shared, &orders);
    checks_end(orders.remove != NULL);
    /* systemd looks at our status as at the container's; what was asked to end has not failed */
    int code = asked_to_stop() && !record.failed ? 0 : record.code;
    const char *fields = orders.session ? NULL : report_fields(&orders); /* before the directory goes */
    if (!record.failed || orders.remove) {
        removal(&orders, container.user_ns, listener >= 0);
        report_removed(&orders, fields);
    }
    if (!record.failed) {
        uint32_t ended[2] = {(uint32_t)record.code, (uint32_t)(record.oom | record.lost << 1)};
        channel_send(&channel, 'X', ended, sizeof ended);
    }
    channel_finish(&channel);
    return code;
}
