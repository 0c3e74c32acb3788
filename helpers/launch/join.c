/* Joining a container that runs already.
 *
 * Somebody in there may have CAP_SYS_PTRACE over the user namespace and look for us: through
 * /proc/PID/root the host's files can be written until the pivot.  Two things keep us apart.
 *  - The launcher was executed outside.  A memory belongs to the user namespace it was executed in, and
 *    a process that wants to trace one that is not dumpable needs the capability there (ptrace(2)).
 *  - Nobody in the joined pid namespace can name us before the pivot: it is entered after that.  This
 *    holds where the user namespace is the caller's own as well (podman's, whose containers share it). */
#define _GNU_SOURCE
#include "launch/join.h"

#include "launch/oci_start.h"
#include "lib/process.h"
#include "lib/scm_rights.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_JOINS = 8 };

/* The new process is our parent's child, so that the monitor can wait for it; this one reports its pid and goes.
 * 0 in the new process, -1 when there is none. */
static int become_sibling(struct plan *plan, struct clone_args *how)
{
    int told[2];
    if (pipe2(told, O_CLOEXEC) < 0)
        return -1;
    how->flags |= CLONE_PARENT;
    long child = syscall(SYS_clone3, how, sizeof *how);
    if (child < 0)
        return -1;
    int32_t pid = (int32_t)child;
    if (!child) {
        close(told[1]);
        /* in a pid namespace of its own it could not say who it is outside */
        if (read(told[0], &pid, sizeof pid) != sizeof pid)
            _exit(125);
        close(told[0]);
        gate_pid(pid);
        return 0;
    }
    struct { uint32_t kind, pid; } message = {'P', (uint32_t)pid};
    if (send(plan->ctl, &message, sizeof message, MSG_NOSIGNAL) < 0 || write(told[1], &pid, sizeof pid) < 0)
        kill((pid_t)pid, SIGKILL);
    _exit(0);
}

/* With one id, a user who is not root has a user namespace more, within the one that the others belong
 * to: it is that one which is shared. */
static int holder(int user, int other)
{
    struct stat owns, around;
    int owner = ioctl(other, NS_GET_USERNS), parent = ioctl(user, NS_GET_PARENT);
    int outer = owner >= 0 && parent >= 0 && fstat(owner, &owns) == 0 && fstat(parent, &around) == 0 &&
                owns.st_dev == around.st_dev && owns.st_ino == around.st_ino;
    if (owner >= 0)
        close(owner);
    if (!outer && parent >= 0)
        close(parent);
    return outer ? parent : user;
}

/* The monitor joins anew at each start, and by then the number in the path may be another's.  The
 * process is looked at after the namespace was opened, which is its own for that reason. */
static int open_namespace(char *const *words)
{
    int fd = open(words[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || !words[2][0])
        return fd;
    pid_t pid = strncmp(words[1], "/proc/", 6) == 0 ? atoi(words[1] + 6) : 0;
    if (process_stat(pid, 22) == strtoull(words[2], NULL, 10))
        return fd;
    close(fd);
    errno = ESRCH;
    return -1;
}

static int enter(struct plan *plan, char **words, int opened[])
{
    for (int i = 0; i < MOST_JOINS && words[3 * i]; i++) {
        int flag = (int)strtoul(words[3 * i], NULL, 10);
        plan->failing = words[3 * i + 1];
        /* what only the members of a user namespace may look at can be opened now */
        int fd = opened[i] >= 0 ? opened[i] : open_namespace(words + 3 * i);
        if (fd < 0)
            return -1;
        if (flag == CLONE_NEWPID) {
            plan->pid_ns = fd;
            continue;
        }
        if (flag == CLONE_NEWUSER && words[3 * i + 3] && opened[i + 1] >= 0)
            fd = holder(fd, opened[i + 1]);
        if (setns(fd, flag) < 0)
            return -1;
        close(fd);
    }
    return 0;
}

int join_namespaces(struct plan *plan, char **words, uint32_t *order)
{
    struct clone_args how = {.flags = strtoul(words[0], NULL, 10)};
    int opened[MOST_JOINS + 1], cgroup = atoi(words[1]);
    char answer;
    words += 2;
    *order = ORDER_JOIN;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    /* opened while a path still means what it means to the caller */
    for (int i = 0; i < MOST_JOINS && words[3 * i]; i++)
        opened[i] = open_namespace(words + 3 * i);
    if (enter(plan, words, opened) < 0)
        return -1;
    *order = ORDER_CLONE;
    plan->failing = "clone";
    if (cgroup >= 0) {
        how.flags |= CLONE_INTO_CGROUP;
        how.cgroup = (uint64_t)cgroup;
    }
    /* the monitor, the sidecar, servers of files and hooks look for its namespaces in /proc */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    if (become_sibling(plan, &how) < 0)
        return -1;
    if (cgroup >= 0)
        close(cgroup);
    /* until the map exists */
    if (recv(plan->ctl, &answer, 1, 0) != 1)
        _exit(125);
    *order = ORDER_MAP;
    plan->failing = "";
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return -1;
    /* changing ids cleared it */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return 0;
}

/* ---------------------------------------------------------------- the pid namespace */

int op_enter_pid(struct plan *plan, const struct record *r UNUSED)
{
    struct clone_args how = {0};
    plan->failing = "pid namespace";
    if (plan->pid_ns < 0) {
        errno = EBADF;
        return -1;
    }
    /* from here to exec those in it can name this process */
    plan->joined = 1;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (setns(plan->pid_ns, CLONE_NEWPID) < 0)
        return -1;
    close(plan->pid_ns);
    plan->pid_ns = -1;
    return become_sibling(plan, &how);
}

static void __attribute__((noreturn)) give_up(int socket)
{
    int error = errno;
    send(socket, &error, sizeof error, MSG_NOSIGNAL);
    _exit(1);
}

/* With nothing of the host's: an empty root, no descriptor but a socket (0) and the namespace (1). */
static void __attribute__((noreturn)) open_inside(int socket, int pid_ns)
{
    struct rlimit limit = {1024, 1024};
    if (dup2(socket, 0) < 0 || dup2(pid_ns, 1) < 0)
        _exit(1);
    if (syscall(SYS_close_range, 2, ~0U, 0) < 0) {
        getrlimit(RLIMIT_NOFILE, &limit);
        for (int fd = 2; fd < (int)limit.rlim_cur; fd++)
            close(fd);
    }
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=0") < 0 || chdir("/proc") < 0 ||
        syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ||
        setns(1, CLONE_NEWPID) < 0)
        give_up(0);
    close(1);
    pid_t pid = fork();
    if (pid < 0)
        give_up(0);
    if (pid == 0) {
        int context = (int)syscall(SYS_fsopen, "proc", 1 /* FSOPEN_CLOEXEC */), none = 0;
        if (context < 0 || send_descriptor(0, &none, sizeof none, context) < 0)
            give_up(0);
        _exit(0);
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    _exit(0);
}

/* A procfs shows the pid namespace of the process that opens its context, so one has to be in there; what
 * follows needs capabilities alone.  That one could be traced where the user namespace is the caller's,
 * and stands in nothing for that reason. */
int joined_proc(const struct plan *plan)
{
    int ends[2], context = -1, error = ESRCH;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        open_inside(ends[1], plan->pid_ns);
    close(ends[1]);
    if (pid > 0) {
        receive_descriptor(ends[0], &error, sizeof error, &context);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    close(ends[0]);
    errno = error;
    return context;
}
