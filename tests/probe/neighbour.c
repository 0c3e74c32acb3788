/* Somebody in a container who waits for others to come into its pid namespace.
 *
 *   neighbour ASK ANSWER PATH
 *
 * For each line from the fifo ASK it tries on every process but its own and the first one what a
 * tracer could do, and answers with one line to the fifo ANSWER: how many it saw, and what worked:
 *     root     PATH below the root of that process was written to
 *     cwd      PATH was reached from its working directory, upwards
 *     fd       its descriptors could be listed
 *     mem      its memory could be opened for writing
 *     trace    it could be traced
 * The line "watch" makes it look again and again until something worked, or until the file ASK.stop is
 * there: who comes in is not the first process only. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *target;
static int seen, worked[5];
static const char *const name[] = {"root", "cwd", "fd", "mem", "trace"};

static int spoil(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int done = fd >= 0 && write(fd, "pwned", 5) == 5;
    if (fd >= 0)
        close(fd);
    return done;
}

static void attempt(const char *pid)
{
    char path[4200];
    snprintf(path, sizeof path, "/proc/%s/root%s", pid, target);
    worked[0] |= spoil(path);
    snprintf(path, sizeof path, "/proc/%s/cwd/../../../../../../../../..%s", pid, target);
    worked[1] |= spoil(path);
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *all = opendir(path);
    worked[2] |= all != NULL;
    if (all)
        closedir(all);
    snprintf(path, sizeof path, "/proc/%s/mem", pid);
    int memory = open(path, O_RDWR | O_CLOEXEC);
    worked[3] |= memory >= 0;
    if (memory >= 0)
        close(memory);
    pid_t number = atoi(pid);
    if (ptrace(PTRACE_SEIZE, number, 0, 0) == 0) {
        worked[4] = 1;
        ptrace(PTRACE_INTERRUPT, number, 0, 0);
        waitpid(number, NULL, __WALL);
        ptrace(PTRACE_DETACH, number, 0, 0);
    }
}

static void look(void)
{
    int found = 0;
    DIR *all = opendir("/proc");
    for (struct dirent *one; all && (one = readdir(all));)
        if (atoi(one->d_name) > 1 && atoi(one->d_name) != getpid()) {
            found++;
            attempt(one->d_name);
        }
    if (all)
        closedir(all);
    if (found > seen)
        seen = found;
}

static int any(void)
{
    return worked[0] || worked[1] || worked[2] || worked[3] || worked[4];
}

int main(int argc, char **argv)
{
    char word[64], stop[4200];
    if (argc != 4)
        return 2;
    snprintf(stop, sizeof stop, "%s.stop", argv[1]);
    target = argv[3];
    for (;;) {
        int ask = open(argv[1], O_RDONLY | O_CLOEXEC);
        ssize_t got = ask < 0 ? -1 : read(ask, word, sizeof word - 1);
        close(ask);
        if (got <= 0)
            return 1;
        word[got] = 0;
        seen = 0;
        memset(worked, 0, sizeof worked);
        int watch = strncmp(word, "watch", 5) == 0;
        do
            look();
        while (watch && !any() && access(stop, F_OK) < 0);
        int answer = open(argv[2], O_WRONLY | O_CLOEXEC);
        dprintf(answer, "%d", seen);
        for (int i = 0; i < 5; i++)
            if (worked[i])
                dprintf(answer, " %s", name[i]);
        dprintf(answer, "\n");
        close(answer);
    }
}
