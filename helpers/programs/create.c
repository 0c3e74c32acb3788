/* The OCI runtime's `create`, `run` and `exec`: makes the process, without a monitor.
 *
 *   rootless-create ORDERS CHANNEL
 *
 * CHANNEL is a stream socket to the runtime, whose frames are the monitor's: M and G place us in a
 * cgroup, H asks for hooks (one byte answers), R has the pid (one byte answers that it is written
 * down; without, the process is killed), F a failure.  When it has ended, the
 * container's process belongs to the process that reaps for us (conmon, containerd's shim, init).  With the
 * order `wait` it stays, passes signals on and ends as the process ends; a terminal that goes to no
 * console socket is then the caller's own, and without a terminal it carries the streams (signal_proxy.h).
 * Where it does not stay the process has the caller's streams as they are: nobody could carry them, and
 * engines (conmon, containerd's shim) hand pipes of their own. */
#define _GNU_SOURCE
#include "lib/ops.h"
#include "lib/process.h"
#include "lib/scm_rights.h"
#include "lib/signal_proxy.h"
#include "lib/streams.h"
#include "monitor/cgroup_placement.h"
#include "monitor/orders.h"
#include "monitor/relay.h"
#include "monitor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct orders orders;
static struct started made;
static struct failure failure;
static struct streams streams = {{0, 1, 2}, {-1, -1, -1}};

static void tell(char kind, const void *data, uint32_t length)
{
    unsigned char frame[512] = {(unsigned char)kind};
    memcpy(frame + 4, &length, 4);
    memcpy(frame + 8, data, length);
    if (send(orders.channel, frame, 8 + length, MSG_NOSIGNAL) < 0)
        errno = 0; /* no reader is left; the state file has the rest */
}

static int give_up(uint32_t op, int error, const char *text)
{
    failure = (struct failure){.op = op, .error = (uint32_t)error};
    snprintf(failure.text, sizeof failure.text, "%s", text);
    return -1;
}

static int send_console(int master)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(orders.console) >= sizeof address.sun_path)
        return give_up(ORDER_CONSOLE, ENAMETOOLONG, orders.console);
    strcpy(address.sun_path, orders.console);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        send_descriptor(fd, "/dev/ptmx", 9, master) < 0)
        return give_up(ORDER_CONSOLE, errno, orders.console);
    close(fd);
    close(master);
    return 0;
}

/* written beside and renamed: a process that waits for the file must not find it empty */
static int write_pid_file(void)
{
    char temporary[4200], text[16];
    if (!orders.pid_file)
        return 0;
    snprintf(temporary, sizeof temporary, "%s.%d", orders.pid_file, getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    int length = snprintf(text, sizeof text, "%d", made.pid);
    if (fd < 0 || write(fd, text, (size_t)length) != length || rename(temporary, orders.pid_file) < 0)
        return give_up(ORDER_PID_FILE, errno, orders.pid_file);
    close(fd);
    return 0;
}

/* from before the process is made: one that comes in between would end us and leave the container */
static void hold_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
}

static int stay(void)
{
    if (orders.tty && !orders.console) {
        int status = relay(made.in, made.pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return mirror(made.pid, streams.ours, orders.session);
}

int main(int argc, char **argv)
{
    int cgroup = -1;
    if (argc != 3 || orders_read(&orders, argv[1]) < 0)
        return 125;
    /* with SIGCHLD ignored by our caller no process could be waited for */
    signal(SIGCHLD, SIG_DFL);
    orders.channel = atoi(argv[2]);
    /* asked for before anything is made.  A caller that ended before this is found by the channel:
     * nobody answers there, and then the process is killed */
    if (orders.mortal)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* what else our caller has left open: a hook that runs inside could reach it by /proc/1/fd */
    close_from(orders.channel + 4);
    /* the channel, the socket to wait at, orders and plan */
    for (int fd = orders.channel; fd < orders.channel + 4; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (orders.wait_for_go)
        cgroup = place(orders.channel, NULL);
    if (orders.wait)
        hold_signals();
    int failed = 0;
    if (orders.wait && !orders.tty && streams_open(&streams) < 0)
        failed = give_up(ORDER_STDIN, errno, "streams") < 0;
    orders.streams = streams.theirs;
    struct winsize size;
    if (orders.wait && orders.tty && !orders.console &&
        (ioctl(0, TIOCGWINSZ, &size) == 0 || ioctl(1, TIOCGWINSZ, &size) == 0)) {
        orders.rows = size.ws_row;
        orders.cols = size.ws_col;
    }
    failed = failed || start(&orders, cgroup, NULL, &made, &failure) < 0;
    streams_close(&streams);
    if (!failed && ((orders.tty && orders.console && send_console(made.in) < 0) || write_pid_file() < 0)) {
        kill(made.pid, SIGKILL);
        waitpid(made.pid, NULL, 0);
        failed = 1;
    }
    if (failed) {
        uint32_t words[3] = {failure.index, failure.error, failure.op};
        char data[300];
        memcpy(data, words, 12);
        strcpy(data + 12, failure.text);
        tell('F', data, (uint32_t)(12 + strlen(failure.text)));
        return 125;
    }
    uint32_t pid = (uint32_t)made.pid;
    char answer = 0;
    ssize_t got;
    tell('R', &pid, 4);
    /* until the pid is written down no other process could find this one */
    do
        got = recv(orders.channel, &answer, 1, 0);
    while (got < 0 && errno == EINTR);
    if (got != 1 || answer != 'k') {
        kill(made.pid, SIGKILL);
        waitpid(made.pid, NULL, 0);
        return 125;
    }
    close(orders.channel);
    return orders.wait ? stay() : 0;
}
