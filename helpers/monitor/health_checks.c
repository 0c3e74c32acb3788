#define _GNU_SOURCE
#include "monitor/health_checks.h"

#include "lib/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STILL_STARTING 3 /* exit status: rootless/engine/health/config.py has the same */

static char **environment, **command;
static long long first, interval, due = -1; /* milliseconds; -1: not while one runs, or none at all */
static pid_t running;
static char times[4096];

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

void checks_set(char **words, const char *directory)
{
    if (!words || !words[0] || !words[1])
        return;
    snprintf(times, sizeof times, "%s/health.times", directory);
    first = atoll(words[0]);
    interval = atoll(words[1]);
    environment = words + 2;
    for (char **word = environment; *word; word++)
        if (!**word) {
            *word = NULL;
            command = word + 1;
            return;
        }
}

/* `update` has left other times, "FIRST\nINTERVAL\n"; 0: none any more */
static void take_new_times(void)
{
    char text[64], *end;
    int fd = open(times, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return;
    text[got] = 0;
    first = strtoll(text, &end, 10);
    interval = strtoll(end, NULL, 10);
}

void checks_begin(void)
{
    if (command && command[0])
        due = now() + first;
}

int checks_wait(void)
{
    if (due < 0)
        return -1;
    long long left = due - now();
    return left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

void checks_run(void)
{
    if (due < 0 || now() < due)
        return;
    due = -1;
    running = fork();
    if (running == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        /* the channel of the command that started the container would never be seen to close */
        close_from(3);
        execve(command[0], command, environment);
        _exit(125);
    }
    if (running < 0) {
        running = 0;
        due = now() + interval; /* no process to be had: perhaps later */
    }
}

int checks_reap(pid_t pid, int status)
{
    if (!running || pid != running)
        return 0;
    running = 0;
    take_new_times();
    if (interval > 0)
        due = now() + (WIFEXITED(status) && WEXITSTATUS(status) == STILL_STARTING ? first : interval);
    return 1;
}

void checks_end(int end)
{
    due = -1;
    if (!running)
        return;
    if (!end) {
        /* a check of this life says nothing about the next one */
        running = 0;
        return;
    }
    /* it would write into a directory that is being removed */
    kill(running, SIGKILL);
    waitpid(running, NULL, 0);
    running = 0;
}
