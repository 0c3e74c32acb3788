#define _GNU_SOURCE
#include "monitor/map_ids.h"

#include "lib/ops.h"
#include "lib/process.h"
#include "monitor/sidecars.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t run_mapper(const char *program, const char *map, pid_t target, const char *errors)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    char number[16], *copy = strdup(map), *argv[1024] = {(char *)(uintptr_t)program, number};
    int count = 2;
    snprintf(number, sizeof number, "%d", target);
    for (char *word = strtok(copy, " \n"); word && count < 1023; word = strtok(NULL, " \n"))
        argv[count++] = word;
    int log = open(errors, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(log, 2);
    unblock();
    /* it runs as root of the host */
    close_from(3);
    execv(program, argv);
    _exit(127);
}

int map_ids(const struct idmap *map, const char *error_log, pid_t pid, struct failure *failure)
{
    char path[64];
    if (!map->newuidmap[0]) {
        if (!map->drop_groups) {
            snprintf(path, sizeof path, "/proc/%d/setgroups", pid);
            if (proc_write(AT_FDCWD, path, "deny") < 0)
                return report(failure, ORDER_MAP, errno, path);
        }
        snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
        if (proc_write(AT_FDCWD, path, map->gids) < 0)
            return report(failure, ORDER_MAP, errno, path);
        snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
        return proc_write(AT_FDCWD, path, map->uids) < 0 ? report(failure, ORDER_MAP, errno, path) : 0;
    }
    /* side by side: one after the other takes twice the time, and each takes as long as all mounts */
    int status[2] = {0, 0};
    pid_t mapper[2] = {run_mapper(map->newuidmap, map->uids, pid, error_log),
                       run_mapper(map->newgidmap, map->gids, pid, error_log)};
    for (int i = 0; i < 2; i++)
        while (waitpid(mapper[i], &status[i], 0) < 0 && errno == EINTR)
            ;
    if (status[0] || status[1])
        return report(failure, ORDER_MAP, EPERM, status[0] ? map->newuidmap : map->newgidmap);
    return 0;
}
