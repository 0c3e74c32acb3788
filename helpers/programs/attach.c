/* The client of the monitor's channel: what is left of `rootless run` while the container runs.
 *
 *   rootless-attach (--fd N | --socket PATH) [--stdin] [--tty] [--detach-keys HEX]
 *                   [--no-sig-proxy] [--no-stdout] [--no-stderr] [--no-wait]
 *
 * Ends with the container's exit status; with 0 if the user typed the detach keys. */
#define _GNU_SOURCE
#include "lib/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ROOM = 1 << 16 };

static int channel = -1, with_stdin, tty, proxy = 1, want[2] = {1, 1};
static unsigned char keys[32];
static size_t key_count, matched;
static char out[ROOM + 64];
static size_t out_length;
static struct { unsigned char head[8]; unsigned have; uint32_t left; char small[300]; unsigned small_length; } frame;

static void leave(int code)
{
    tty_restore();
    _exit(code);
}

static void queue(char type, const void *data, uint32_t length)
{
    unsigned char head[8] = {(unsigned char)type};
    memcpy(head + 4, &length, 4);
    if (out_length + 8 + length > sizeof out)
        return; /* only small control frames can come here when it is full; the next resize follows */
    memcpy(out + out_length, head, 8);
    memcpy(out + out_length + 8, data, length);
    out_length += 8 + length;
}

static void tell_size(void)
{
    struct winsize size;
    if (!tty || (ioctl(1, TIOCGWINSZ, &size) < 0 && ioctl(0, TIOCGWINSZ, &size) < 0))
        return;
    unsigned short both[2] = {size.ws_row, size.ws_col};
    queue('W', both, sizeof both);
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

/* The detach keys are looked for in what is typed; a beginning that goes on otherwise is passed on. */
static void type_bytes(const unsigned char *data, size_t length)
{
    unsigned char passed[4096 + sizeof keys];
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        if (tty && key_count && data[i] == keys[matched]) {
            if (++matched == key_count)
                leave(0);
            continue;
        }
        if (matched) {
            memcpy(passed + count, keys, matched);
            count += matched;
            matched = tty && key_count && data[i] == keys[0];
            if (matched)
                continue;
        }
        passed[count++] = data[i];
    }
    if (count)
        queue('I', passed, (uint32_t)count);
}

static void read_input(void)
{
    static unsigned char data[4096];
    /* several small reads fill the buffer before it is sent: large pipes move fast */
    while (out_length + sizeof data + 64 < sizeof out) {
        ssize_t got = read(0, data, sizeof data);
        if (got > 0) {
            type_bytes(data, (size_t)got);
            struct pollfd more = {0, POLLIN, 0};
            if (poll(&more, 1, 0) == 1 && more.revents & POLLIN)
                continue;
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            if (matched)
                queue('I', keys, (uint32_t)matched);
            queue('E', "", 0);
            with_stdin = 0;
        }
        return;
    }
}

static void put(int fd, const char *data, size_t length)
{
    while (length) {
        ssize_t wrote = write(fd, data, length);
        if (wrote < 0 && errno == EAGAIN) {
            struct pollfd room = {fd, POLLOUT, 0};
            poll(&room, 1, -1);
        } else if (wrote < 0 && errno != EINTR) {
            leave(errno == EPIPE ? 141 : 125);
        } else if (wrote > 0) {
            data += wrote;
            length -= (size_t)wrote;
        }
    }
}

static void finish_frame(void)
{
    uint32_t code, why = 0;
    memcpy(&code, frame.small, 4);
    if (frame.head[0] == 'X') {
        if (frame.small_length >= 8)
            memcpy(&why, frame.small + 4, 4);
        if (why)
            tty_restore();
        if (why & 2)
            dprintf(2, "error: the program that serves this container's files ended, and the container with it\n"
                       "hint: what it said is in helpers.log in the container's directory, which --rm removes\n");
        if (why & 1)
            dprintf(2, "error: the container ran out of memory and the kernel ended a process of it\n"
                       "hint: give it more with -m, or see what it needs with rootless stats\n");
        leave((int)code);
    }
    if (frame.head[0] == 'F') {
        uint32_t error;
        memcpy(&error, frame.small + 4, 4);
        tty_restore();
        dprintf(2, "error: the command could not be started: %s\n", strerror((int)error));
        leave(error == ENOENT ? 127 : 126);
    }
}

static void received(const char *data, size_t length)
{
    while (length) {
        if (frame.have < 8) {
            frame.head[frame.have++] = (unsigned char)*data++;
            length--;
            if (frame.have == 8) {
                memcpy(&frame.left, frame.head + 4, 4);
                frame.small_length = 0;
            }
        } else {
            size_t take = length < frame.left ? length : frame.left;
            if (frame.head[0] == 'O' || frame.head[0] == 'P') {
                int stream = frame.head[0] == 'P';
                if (want[stream])
                    put(1 + stream, data, take);
            } else {
                for (size_t i = 0; i < take && frame.small_length < sizeof frame.small; i++)
                    frame.small[frame.small_length++] = data[i];
            }
            data += take;
            length -= take;
            frame.left -= (uint32_t)take;
        }
        if (frame.have == 8 && frame.left == 0) {
            finish_frame();
            frame.have = 0;
        }
    }
}

static void got_signal(int signals)
{
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) != sizeof info)
        return;
    uint32_t number = info.ssi_signo;
    if (number == SIGWINCH) {
        tell_size();
    } else if (number == SIGCONT) {
        if (tty)
            tty_raw();
        tell_size();
    } else if (proxy) {
        queue('S', &number, sizeof number);
    } else if (number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT) {
        leave(128 + (int)number);
    }
}

static int take_signals(void)
{
    sigset_t mask;
    static const int taken[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGCONT};
    sigemptyset(&mask);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        sigaddset(&mask, taken[i]);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void serve(int signals)
{
    static char data[ROOM];
    for (;;) {
        struct pollfd polled[3] = {
            {channel, (short)(POLLIN | (out_length ? POLLOUT : 0)), 0},
            {with_stdin && out_length < ROOM / 2 ? 0 : -1, POLLIN, 0},
            {signals, POLLIN, 0},
        };
        if (poll(polled, 3, -1) < 0)
            continue;
        if (polled[2].revents)
            got_signal(signals);
        if (polled[1].revents)
            read_input();
        if (polled[0].revents & POLLOUT) {
            ssize_t sent = send(channel, out, out_length, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (sent > 0) {
                out_length -= (size_t)sent;
                memmove(out, out + sent, out_length);
            }
        }
        if (polled[0].revents & (POLLIN | POLLHUP | POLLERR)) {
            ssize_t got = recv(channel, data, sizeof data, MSG_DONTWAIT);
            if (got > 0) {
                received(data, (size_t)got);
            } else if (got == 0 || errno != EAGAIN) {
                tty_restore();
                dprintf(2, "error: the container's monitor has gone\n"
                           "hint: rootless ps -a shows what became of the container\n");
                leave(125);
            }
        }
    }
}

static void connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    channel = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(channel, (struct sockaddr *)&address, sizeof address) < 0) {
        dprintf(2, "error: the container cannot be reached at %s: %s\n", path, strerror(errno));
        _exit(125);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(word, "--fd") == 0) {
            channel = atoi(value);
            i++;
        } else if (strcmp(word, "--socket") == 0) {
            connect_to(value);
            i++;
        } else if (strcmp(word, "--detach-keys") == 0) {
            for (; value[0] && value[1] && key_count < sizeof keys; value += 2)
                keys[key_count++] = (unsigned char)(hex(value[0]) << 4 | hex(value[1]));
            i++;
        } else if (strcmp(word, "--stdin") == 0) {
            with_stdin = 1;
        } else if (strcmp(word, "--tty") == 0) {
            tty = 1;
        } else if (strcmp(word, "--no-sig-proxy") == 0) {
            proxy = 0;
        } else if (strcmp(word, "--no-stdout") == 0) {
            want[0] = 0;
        } else if (strcmp(word, "--no-stderr") == 0) {
            want[1] = 0;
        }
    }
    if (channel < 0)
        return 125;
    int signals = take_signals();
    if (tty && with_stdin && isatty(0))
        tty_raw();
    tell_size();
    serve(signals);
}
