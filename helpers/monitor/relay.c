#define _GNU_SOURCE
#include "monitor/relay.h"

#include "lib/tty.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static char typed[4096];
static size_t typed_length;
static int input = 0; /* -1 when it has ended */

static int take_signals(void)
{
    sigset_t mask;
    sigfillset(&mask);
    static const int left[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        sigdelset(&mask, left[i]);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void pass_size(int master)
{
    struct winsize size;
    if ((ioctl(0, TIOCGWINSZ, &size) == 0 || ioctl(1, TIOCGWINSZ, &size) == 0) && (size.ws_row || size.ws_col))
        ioctl(master, TIOCSWINSZ, &size);
}

/* 1 when the child has ended */
static int got_signal(int signals, int master, pid_t child, int *status)
{
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) != sizeof info)
        return 0;
    switch (info.ssi_signo) {
    case SIGCHLD:
        return waitpid(child, status, WNOHANG) == child;
    case SIGCONT:
        tty_raw();
        pass_size(master);
        return 0;
    case SIGWINCH:
        pass_size(master);
        return 0;
    default:
        kill(child, (int)info.ssi_signo);
        return 0;
    }
}

static void read_input(void)
{
    ssize_t got = read(0, typed, sizeof typed);
    if (got > 0) {
        typed_length = (size_t)got;
    } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
        /* a pipe that has ended is for the program behind the terminal an end-of-file character */
        input = -1;
        typed[0] = 4;
        typed_length = 1;
    }
}

/* 0 when nothing more comes */
static int pass_output(int master)
{
    char data[1 << 14];
    ssize_t got = read(master, data, sizeof data);
    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    for (ssize_t done = 0; done < got;) {
        ssize_t wrote = write(1, data + done, (size_t)(got - done));
        if (wrote < 0 && errno == EAGAIN) {
            struct pollfd room = {1, POLLOUT, 0};
            poll(&room, 1, -1);
        } else if (wrote < 0 && errno != EINTR) {
            return 0;
        } else if (wrote > 0) {
            done += wrote;
        }
    }
    return 1;
}

int relay(int master, pid_t child)
{
    int status = 0, signals = take_signals(), open = 1;
    tty_raw();
    pass_size(master);
    /* it may have ended before its signal was asked for */
    int ended = waitpid(child, &status, WNOHANG) == child;
    while (!ended) {
        struct pollfd polled[3] = {
            {open ? master : -1, (short)(POLLIN | (typed_length ? POLLOUT : 0)), 0},
            {typed_length ? -1 : input, POLLIN, 0},
            {signals, POLLIN, 0},
        };
        if (poll(polled, 3, -1) < 0)
            continue;
        if (polled[0].revents & (POLLIN | POLLHUP | POLLERR))
            open = pass_output(master);
        if (open && polled[0].revents & POLLOUT) {
            ssize_t wrote = write(master, typed, typed_length);
            if (wrote > 0) {
                typed_length -= (size_t)wrote;
                memmove(typed, typed + wrote, typed_length);
            }
        }
        if (polled[1].revents)
            read_input();
        if (polled[2].revents)
            ended = got_signal(signals, master, child, &status);
    }
    /* what it wrote last is still in the terminal; others of its session may hold that open */
    struct pollfd rest = {master, POLLIN, 0};
    while (open && poll(&rest, 1, 0) == 1 && pass_output(master))
        ;
    tty_restore();
    return status;
}
