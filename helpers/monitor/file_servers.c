#define _GNU_SOURCE
#include "monitor/file_servers.h"
#include "lib/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* exec takes the capabilities from everybody but root, unless they are ambient */
static int keep_capabilities(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data) < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        data[i].inheritable = data[i].effective = data[i].permitted;
    if (syscall(SYS_capset, &head, data) < 0)
        return -1;
    for (unsigned i = 0; i < 64; i++)
        if (data[i / 32].permitted >> (i % 32) & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
            return -1;
    return 0;
}

int outer_namespace(int user)
{
    return ioctl(user, NS_GET_PARENT);
}

int servers_start(struct servers *servers, const struct orders *o, pid_t target)
{
    if (servers->count >= o->server_count)
        return -1;
    const struct server *server = &o->server[servers->count];
    if (!servers->count)
        servers->lost = 0;
    pid_t monitor = getpid(), pid = fork();
    if (pid)
        return pid < 0 ? -1 : (servers->pid[servers->count++] = pid, 0);
    char path[64];
    sigset_t none;
    int log = open(o->error_log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(log, 1);
    dup2(log, 2);
    snprintf(path, sizeof path, "/proc/%d/ns/user", target);
    int user = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", target);
    int mounts = open(path, O_RDONLY | O_CLOEXEC);
    if (o->outer.given)
        user = outer_namespace(user);
    if (user < 0 || mounts < 0 || setns(user, CLONE_NEWUSER) < 0 || setns(mounts, CLONE_NEWNS) < 0)
        _exit(126);
    /* a program below a user's own home can be read by that user alone, who may not be root of
     * this map: such a program keeps its ids and becomes root by itself */
    if (server->late ? keep_capabilities() < 0 : setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        _exit(126);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    /* if the monitor is killed, the file system must not stay behind; every change of ids takes this
     * away, and it may have been killed before this line */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != monitor)
        _exit(126);
    close_from(3);
    execv(server->argv[0], server->argv);
    _exit(127);
}

int servers_ended(struct servers *servers, const struct orders *o, pid_t pid, int status)
{
    int i = 0;
    while (i < servers->count && (pid <= 0 || servers->pid[i] != pid))
        i++;
    if (i == servers->count)
        return 0;
    servers->pid[i] = 0;
    servers->lost = 1;
    int log = open(o->error_log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dprintf(log, "a server of this container's files ended (%s %d): the container was ended\n",
            WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    close(log);
    return 1;
}

/* PF_EXITING of linux/sched.h in field 9 of /proc/PID/stat: set before a process closes its files */
static int exiting(pid_t pid)
{
    return process_stat(pid, 9) & 4;
}

int servers_were_lost(struct servers *servers, const struct orders *o)
{
    int status;
    for (int i = 0; i < servers->count; i++)
        if (servers->pid[i] > 0 && exiting(servers->pid[i]) && waitpid(servers->pid[i], &status, 0) == servers->pid[i])
            servers_ended(servers, o, servers->pid[i], status);
    return servers->lost;
}

int servers_lost(struct servers *servers)
{
    for (int i = 0; i < servers->count; i++)
        if (servers->pid[i] > 0 && waitpid(servers->pid[i], NULL, WNOHANG) == servers->pid[i])
            return servers->pid[i] = 0, i;
    return -1;
}

void servers_stop(struct servers *servers)
{
    while (servers->count > 0) {
        pid_t pid = servers->pid[--servers->count];
        if (pid <= 0)
            continue;
        kill(pid, SIGTERM);
        for (int tries = 0; waitpid(pid, NULL, WNOHANG) == 0; tries++) {
            if (tries == 400)
                kill(pid, SIGKILL);
            poll(NULL, 0, tries < 20 ? 1 : 5);
        }
    }
}
