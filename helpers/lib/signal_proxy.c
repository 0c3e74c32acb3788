#define _GNU_SOURCE
#include "lib/signal_proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

enum { ROOM = 1 << 16, SAFE = 4096, LARGE = 1 << 14 };

/* ---------------------------------------------------------------- signals */

static volatile pid_t command; /* 0 from when it has ended: its number may be another's then */
static volatile sig_atomic_t told_to_end;
static int is_job;

static void pass(int number, int to_group)
{
    if (!command) {
        /* all that is left is output that may have no reader */
        told_to_end |= number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
        return;
    }
    /* no group of that number: it has not come so far yet */
    if (!to_group || kill(-command, number) < 0)
        kill(command, number);
}

/* The command's group has no process of its session outside, and for such a one the kernel takes SIGTSTP as
 * ignored: so it is stopped by the signal that cannot be.  It goes on when we do, also where the kernel
 * does not stop ourselves, because no shell would be there to say `fg`. */
static void stop_with_it(void)
{
    struct sigaction ours, usual = {.sa_handler = SIG_DFL};
    sigset_t stop, before;
    pass(SIGSTOP, 1);
    sigaction(SIGTSTP, &usual, &ours);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    kill(getpid(), SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &stop, &before); /* here this process stands until SIGCONT comes */
    sigprocmask(SIG_SETMASK, &before, NULL);
    sigaction(SIGTSTP, &ours, NULL);
    pass(SIGCONT, 1);
}

static void got_signal(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    (void)context;
    if (number == SIGTSTP)
        stop_with_it();
    else if (number != SIGCHLD)
        /* a key is for all that run for this command, as it was when they had the terminal; what a
         * process sends is for the command, as with `run` */
        pass(number, is_job && (info->si_code == SI_KERNEL || number == SIGCONT));
    errno = saved;
}

static void take_signals(void)
{
    /* SIGTTOU stops us in the background: the command goes on until it has written more than fits */
    static const int left[] = {SIGKILL, SIGSTOP, SIGTTIN, SIGTTOU, SIGSEGV, SIGPIPE, SIGTSTP};
    /* no SA_RESTART: another process may have read what poll announced (after SIGTTIN and `fg`, the
     * shell has), and a call that waits for more would not see the command's end */
    struct sigaction take = {.sa_sigaction = got_signal, .sa_flags = SA_SIGINFO}, before;
    sigset_t none;
    sigfillset(&take.sa_mask);
    for (int number = 1; number < 32; number++) {
        int wanted = 1;
        for (size_t i = 0; i < sizeof left / sizeof *left; i++)
            wanted &= number != left[i];
        if (!wanted && !(is_job && number == SIGTSTP))
            continue;
        /* what was ignored before us (nohup, `&` in a script) stays so */
        if (number == SIGCHLD || (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN))
            sigaction(number, &take, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
    /* reading in the background is then an error, which can be waited out (`away`): the signal could stop
     * us a moment after `fg` had us go on, because the keys of `fg` are what there was to read */
    signal(SIGTTIN, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---------------------------------------------------------------- streams */

static struct { int from, to, fifo, splices, full, due; } output[2];
static struct { int to; size_t at, length; char data[ROOM]; } input;
static int lost; /* why output could not be written, beside that it has no reader */

static void close_output(int i)
{
    close(output[i].from);
    output[i].from = -1;
}

/* The command learns it as if it wrote there itself: its pipe has no reader any more. */
static void refused(int i, int error)
{
    if (error != EPIPE)
        lost = error;
    close_output(i);
}

static int writable(int fd)
{
    struct pollfd polled = {fd, POLLOUT, 0};
    return poll(&polled, 1, 0) == 1;
}

static void copy_output(int i)
{
    static char data[ROOM];
    /* into a pipe no more than surely fits, because one who stands still before a full one does not see
     * what else there is to do; what is in it stays in as few pieces as the command wrote */
    if (output[i].fifo && !writable(output[i].to)) {
        output[i].full = 1;
        return;
    }
    ssize_t got = read(output[i].from, data, output[i].fifo ? SAFE : sizeof data);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            close_output(i);
        return;
    }
    output[i].due -= (int)got;
    for (ssize_t done = 0, wrote; done < got; done += wrote > 0 ? wrote : 0) {
        if (told_to_end) {
            refused(i, EPIPE);
            return;
        }
        wrote = write(output[i].to, data + done, (size_t)(got - done));
        if (wrote < 0 && errno == EAGAIN) {
            struct pollfd room = {output[i].to, POLLOUT, 0};
            poll(&room, 1, -1);
        } else if (wrote < 0 && errno != EINTR) {
            refused(i, errno);
            return;
        }
    }
}

/* Much of it moves without being copied.  Never the other way: pages of a file of the user's would
 * lie in a pipe that the container can open for writing (CVE-2022-0847). */
static void move_output(int i)
{
    int there = 0;
    if (output[i].splices && ioctl(output[i].from, FIONREAD, &there) == 0 && there >= LARGE) {
        ssize_t moved = splice(output[i].from, NULL, output[i].to, NULL, 1 << 20, SPLICE_F_NONBLOCK);
        if (moved > 0) {
            output[i].due -= (int)moved;
            return;
        }
        if (moved == 0 || errno == EINVAL)
            output[i].splices = 0;
        else if (errno == EAGAIN)
            output[i].full = 1;
        else if (errno != EINTR)
            refused(i, errno);
        if (output[i].splices)
            return;
    }
    copy_output(i);
}

static void close_input(void)
{
    if (input.to >= 0)
        close(input.to);
    input.to = -1;
}

static int away; /* the terminal is another job's */

static int in_background(void)
{
    pid_t job = tcgetpgrp(0);
    return job > 0 && job != getpgrp();
}

static void read_input(void)
{
    ssize_t got = read(0, input.data, sizeof input.data);
    input.at = 0;
    input.length = got > 0 ? (size_t)got : 0;
    away = got < 0 && errno == EIO && in_background();
    if (away)
        return;
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        close_input(); /* and it goes on writing */
}

static void write_input(void)
{
    ssize_t wrote = write(input.to, input.data + input.at, input.length);
    if (wrote > 0) {
        input.at += (size_t)wrote;
        input.length -= (size_t)wrote;
    } else if (wrote < 0 && errno != EAGAIN && errno != EINTR) {
        close_input();
    }
}

static void open_streams(const int ours[3])
{
    struct stat status;
    input.to = ours[0];
    for (int i = 0; i < 2; i++) {
        output[i].from = ours[1 + i];
        output[i].to = 1 + i;
        if (fstat(1 + i, &status) == 0) {
            output[i].fifo = S_ISFIFO(status.st_mode);
            output[i].splices = output[i].fifo; /* a file takes longer by splice(2) than by write(2) */
        }
    }
}

static long long milliseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

/* Whether all is written.  What the command wrote before it ended is; what others wrote who have its
 * streams still, until they make a pause or have gone on for two seconds: the rule of the monitor. */
static int drained(int quiet, long long over)
{
    int open = 0, due = 0, full = 0;
    for (int i = 0; i < 2; i++)
        if (output[i].from >= 0) {
            open = 1;
            full |= output[i].full;
            due |= output[i].due > 0;
        }
    return !open || (quiet && !full) || (!due && milliseconds() - over > 2000);
}

int mirror(pid_t child, const int ours[3], int job)
{
    int status = 0, ended = (int)syscall(SYS_pidfd_open, child, 0);
    long long over = -1;
    if (ended < 0) {
        kill(child, SIGKILL);
        return 125;
    }
    command = child;
    is_job = job;
    open_streams(ours);
    take_signals();
    for (;;) {
        away = away && in_background();
        struct pollfd polled[7] = {
            {over < 0 ? ended : -1, POLLIN, 0},
            {input.to >= 0 && !input.length && !away ? 0 : -1, POLLIN, 0},
            /* without an event asked for it reports that there is no reader any more: then no more is taken */
            {input.to, (short)(input.length ? POLLOUT : 0), 0},
        };
        for (int i = 0; i < 2; i++) {
            polled[3 + 2 * i] = (struct pollfd){output[i].full ? -1 : output[i].from, POLLIN, 0};
            polled[4 + 2 * i] = (struct pollfd){output[i].from < 0 ? -1 : output[i].to,
                                                (short)(output[i].full ? POLLOUT : 0), 0};
        }
        int events = poll(polled, 7, over >= 0 || away ? 100 : -1);
        if (over >= 0 && told_to_end)
            break;
        if (events < 0)
            continue;
        if (polled[0].revents) {
            command = 0;
            while (waitpid(child, &status, 0) < 0)
                if (errno != EINTR)
                    return 125;
            over = milliseconds();
            close_input();
            for (int i = 0; i < 2; i++)
                if (output[i].from >= 0)
                    ioctl(output[i].from, FIONREAD, &output[i].due);
        }
        if (polled[2].revents & POLLERR)
            close_input();
        if (input.to >= 0 && polled[1].revents)
            read_input();
        else if (input.to >= 0 && polled[2].revents & POLLOUT)
            write_input();
        for (int i = 0; i < 2; i++) {
            if (output[i].from >= 0 && polled[4 + 2 * i].revents & (POLLERR | POLLHUP | POLLNVAL))
                refused(i, EPIPE);
            if (polled[4 + 2 * i].revents & POLLOUT)
                output[i].full = 0;
            if (output[i].from >= 0 && (polled[3 + 2 * i].revents || polled[4 + 2 * i].revents & POLLOUT))
                move_output(i);
        }
        if (over >= 0 && drained(events == 0, over))
            break;
    }
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (!lost)
        return code;
    dprintf(2, "error: the command's output cannot be written: %s\n", strerror(lost));
    return code && code != 128 + SIGPIPE ? code : 125;
}
