/* The optional first process of a container: starts the command, passes signals on, reaps.
 *
 *   rootless-init -- COMMAND [ARGUMENT...] */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    sigset_t all, none;
    int at = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
    if (at >= argc)
        return 125;
    sigfillset(&all);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &all, NULL);
    pid_t child = fork();
    if (child == 0) {
        /* a process group of its own, in front of the terminal if there is one: job control works */
        setpgid(0, 0);
        signal(SIGTTOU, SIG_IGN);
        tcsetpgrp(0, getpid());
        signal(SIGTTOU, SIG_DFL);
        sigprocmask(SIG_SETMASK, &none, NULL);
        /* descriptors of socket activation are for the command, sd_listen_fds(3) */
        char number[16];
        snprintf(number, sizeof number, "%d", getpid());
        if (getenv("LISTEN_PID"))
            setenv("LISTEN_PID", number, 1);
        execvp(argv[at], argv + at);
        dprintf(2, "error: cannot run \"%s\": %s\n", argv[at], strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
    }
    for (;;) {
        siginfo_t info;
        if (sigwaitinfo(&all, &info) < 0)
            continue;
        if (info.si_signo != SIGCHLD) {
            /* what the terminal sent went to the foreground group already */
            if (info.si_code == SI_USER || info.si_code == SI_QUEUE || info.si_signo == SIGTERM)
                kill(child, info.si_signo);
            continue;
        }
        int status, done = -1;
        for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
            if (pid == child)
                done = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (done >= 0)
            return done;
    }
}
