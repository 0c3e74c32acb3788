/* The caller of a way in: a shell-like session with a terminal, keys, descriptors and settings of its
 * own, all of which the command could pass on to the container.
 *
 *   lead REPORT TERMINAL STDIN STDOUT TOKEN DIRECTORY WORD...
 *
 * STDIN is opened for reading and STDOUT for appending; standard error is a pipe in which something
 * is already written.  `-` as STDIN stands for /dev/null; `tty` as STDIN for the terminal on all three.
 * DIRECTORY is open as the descriptors 3, 9, 100, 1023, 1024 and 1500.
 * REPORT gets lines: "status N", "typed TEXT", "group", "window R C", "nonblock", "stderr TEXT".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void need(long result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(125);
    }
}

static void settings(int terminal)
{
    struct termios now;
    struct winsize size = {.ws_row = 33, .ws_col = 77};
    need(tcgetattr(terminal, &now), "tcgetattr");
    cfsetspeed(&now, B110);
    now.c_lflag &= ~(tcflag_t)ECHO;
    need(tcsetattr(terminal, TCSANOW, &now), "tcsetattr");
    need(ioctl(terminal, TIOCSWINSZ, &size), "TIOCSWINSZ");
    umask(027);
    /* the C library keeps 32 and 33 for itself */
    for (int number = 32; number <= 33; number++) {
        unsigned long ignore[4] = {1, 0, 0, 0};
        need(syscall(SYS_rt_sigaction, number, ignore, NULL, 8), "rt_sigaction");
    }
    signal(SIGUSR2, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
}

static void keys(const char *token)
{
    need(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL), "keyctl");
    long session = syscall(SYS_add_key, "user", "ways-in", token, strlen(token),
                           KEY_SPEC_SESSION_KEYRING);
    need(session, "add_key");
    long users = syscall(SYS_add_key, "user", "ways-in-user", token, strlen(token),
                         KEY_SPEC_USER_KEYRING);
    need(users, "add_key");
    syscall(SYS_keyctl, KEYCTL_SET_TIMEOUT, users, 300);
}

static void descriptors(const char *path)
{
    static const int numbers[] = {3, 9, 100, 1023, 1024, 1500};
    struct rlimit limit;
    need(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    need(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    need(fd, path);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        need(dup2(fd, numbers[i]), "dup2");
}

static volatile sig_atomic_t group_was_hit;

static void on_urgent(int number)
{
    (void)number;
    group_was_hit = 1;
}

/* One of the caller's group beside the command: ends with 1 when the group was signalled. */
static pid_t neighbour(pid_t group)
{
    pid_t child = fork();
    need(child, "fork");
    if (child == 0) {
        sigset_t block, old;
        sigemptyset(&block);
        sigaddset(&block, SIGURG);
        sigaddset(&block, SIGTERM);
        sigprocmask(SIG_BLOCK, &block, &old);
        setpgid(0, group);
        int number = 0;
        sigwait(&block, &number);
        _exit(number == SIGURG);
    }
    setpgid(child, group);
    return child;
}

int main(int argc, char **argv)
{
    int ends[2], status = 0;
    char line[4096];
    if (argc < 8)
        return 125;
    FILE *report = fopen(argv[1], "we");
    need(report ? 0 : -1, argv[1]);
    setsid();
    int terminal = open(argv[2], O_RDWR | O_CLOEXEC);
    need(terminal, argv[2]);
    need(ioctl(terminal, TIOCSCTTY, 0), "TIOCSCTTY");
    signal(SIGURG, on_urgent);
    settings(terminal);
    keys(argv[5]);
    int all = strcmp(argv[3], "tty") == 0;
    int in = all ? dup(terminal)
                 : open(strcmp(argv[3], "-") ? argv[3] : "/dev/null", O_RDONLY | O_CLOEXEC);
    int out = all ? dup(terminal) : open(argv[4], O_WRONLY | O_APPEND | O_CLOEXEC);
    need(in, argv[3]);
    need(out, argv[4]);
    need(pipe2(ends, O_CLOEXEC), "pipe");
    dprintf(ends[1], "%s\n", argv[5]);

    pid_t child = fork();
    need(child, "fork");
    if (child == 0) {
        setpgid(0, 0);
        tcsetpgrp(terminal, getpid());
        signal(SIGTTOU, SIG_DFL);
        dup2(in, 0);
        dup2(out, 1);
        dup2(all ? terminal : ends[1], 2);
        descriptors(argv[6]);
        execvp(argv[7], argv + 7);
        perror(argv[7]);
        _exit(125);
    }
    setpgid(child, child);
    tcsetpgrp(terminal, child);
    pid_t beside = neighbour(child);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    kill(beside, SIGTERM);
    int other = 0;
    while (waitpid(beside, &other, 0) < 0 && errno == EINTR)
        ;
    tcsetpgrp(terminal, getpgrp());

    fprintf(report, "status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    if (WIFEXITED(other) && WEXITSTATUS(other) == 1)
        fputs("group\n", report);
    struct winsize size;
    need(ioctl(terminal, TIOCGWINSZ, &size), "TIOCGWINSZ");
    fprintf(report, "window %d %d\n", size.ws_row, size.ws_col);
    if (fcntl(in, F_GETFL) & O_NONBLOCK)
        fputs("nonblock\n", report);
    /* what was typed for the shell, now and by what stayed behind */
    struct termios raw;
    need(tcgetattr(terminal, &raw), "tcgetattr");
    raw.c_lflag &= ~(tcflag_t)ICANON;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    need(tcsetattr(terminal, TCSANOW, &raw), "tcsetattr");
    struct pollfd wait = {terminal, POLLIN, 0};
    size_t have = 0;
    while (have < sizeof line - 1 && poll(&wait, 1, 60) == 1) {
        ssize_t got = read(terminal, line + have, sizeof line - 1 - have);
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    line[have] = 0;
    for (char *at = strtok(line, "\r\n"); at; at = strtok(NULL, "\r\n"))
        fprintf(report, "typed %s\n", at);
    /* past the token, what the command complained of */
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    ssize_t got = read(ends[0], line, sizeof line - 1);
    line[got > 0 ? got : 0] = 0;
    for (char *at = strtok(line, "\r\n"); at; at = strtok(NULL, "\r\n"))
        fprintf(report, "stderr %s\n", at);
    return fclose(report) == 0 ? 0 : 125;
}
