/* Walks a launch plan: the only program that runs between clone and exec.
 *
 *   rootless-launch CTL PLAN     started by the monitor, descriptors as numbers; ROWS and COLUMNS in its
 *                                environment are the size of a terminal
 *   rootless-launch CTL PLAN FLAGS CGROUP [FLAG PATH STARTTIME]...   joins namespaces first (join.h)
 *   rootless-launch - FILE       `rootless exec` without a terminal: enters, forks, waits, mirrors
 *
 * The first operation that fails is reported as (index, errno, op, path); nothing is retried. */
#define _GNU_SOURCE
#include "launch/join.h"
#include "launch/oci_start.h"
#include "launch/plan.h"
#include "lib/events.h"
#include "lib/process.h"
#include "lib/sealed_exec.h"
#include "lib/signal_proxy.h"
#include "lib/streams.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(struct plan *plan, const struct record *r, int error)
{
    const char *path = plan->failing ? plan->failing : "";
    if (plan->ctl >= 0) {
        struct { uint32_t kind, index, error, op; char path[256]; } report = {'F', r->index, (uint32_t)error, r->op, ""};
        snprintf(report.path, sizeof report.path, "%s", path);
        send(plan->ctl, &report, 16 + strlen(report.path), MSG_NOSIGNAL);
        _exit(125);
    }
    if (r->op == OP_EXEC) {
        dprintf(2, "error: cannot run \"%s\" in the container: %s\n", path, strerror(error));
        _exit(error == ENOENT ? 127 : 126);
    }
    if (r->op == OP_CWD) {
        dprintf(2, "error: the working directory %s cannot be entered in the container: %s\nhint: choose another with -w\n",
                path, strerror(error));
        _exit(125);
    }
    dprintf(2, "error: cannot enter the container: operation %u (%s): %s\n", r->op, path, strerror(error));
    _exit(125);
}

static int last_descriptor;
static const char *ended_fields;

static int enter_cgroup(struct plan *plan)
{
    if (plan->cgroup_procs < 0)
        return 0;
    int failed = write(plan->cgroup_procs, "0", 1) < 0;
    int saved = errno;
    close(plan->cgroup_procs);
    plan->cgroup_procs = -1;
    errno = saved;
    return failed ? -1 : 0;
}

/* The way of `exec` without a monitor: this process stays outside the container's pid namespace. */
static void __attribute__((noreturn)) stay_outside(pid_t child, const struct streams *streams)
{
    char code[40];
    streams_close(streams);
    int number = mirror(child, streams->ours, 1);
    snprintf(code, sizeof code, ",\"exitCode\":\"%d\"", number);
    event_add("exec_died", ended_fields, code);
    events_flush();
    _exit(number);
}

/* In the process that is about to be the container's. */
static int come_in(struct plan *plan)
{
    /* with the caller's session it would have the caller's terminal as /dev/tty, whatever its
     * descriptors are, and could type into their shell (TIOCSTI) or stop it */
    return setsid() < 0 ? -1 : enter_cgroup(plan);
}

static int same_process(const char *pid, const char *start)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return 0;
    text[length] = 0;
    char *at = strrchr(text, ')'); /* the name of the program may hold anything, also ")" */
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at && strncmp(at + 1, start, strlen(start)) == 0 && at[1 + strlen(start)] == ' ';
}

/* Where the container has one id a process that goes by another number has a namespace of its own for
 * it (OP_NEST), in which there is no root to become.  The one around it, which the container's files
 * belong to, is then entered first: 1, or 0 where the process has that one itself. */
static int join_outer_user(const char *pid)
{
    struct stat theirs, around;
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/user", pid);
    int known = stat(path, &theirs) == 0;
    snprintf(path, sizeof path, "/proc/%s/ns/mnt", pid);
    int mount = open(path, O_RDONLY | O_CLOEXEC), user = mount < 0 ? -1 : ioctl(mount, NS_GET_USERNS);
    int joined = known && user >= 0 && fstat(user, &around) == 0 && around.st_ino != theirs.st_ino &&
                 setns(user, CLONE_NEWUSER) == 0;
    if (user >= 0)
        close(user);
    if (mount >= 0)
        close(mount);
    return joined;
}

int op_join(struct plan *plan, const struct record *r)
{
    int flags = (int)strtoul(r->argv[2], NULL, 10);
    plan->failing = r->argv[0];
    int target = (int)syscall(SYS_pidfd_open, atoi(r->argv[0]), 0);
    if (target < 0)
        return -1;
    if (!same_process(r->argv[0], r->argv[1])) {
        errno = ESRCH;
        return -1;
    }
    /* from here to exec this process can be seen from inside: not dumpable, no process in there may look
     * at its descriptors or its memory (CVE-2016-9962) */
    plan->joined = 1;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (flags & CLONE_NEWUSER && flags & CLONE_NEWNS && join_outer_user(r->argv[0]))
        flags &= ~CLONE_NEWUSER;
    if (r->argc > 4) {
        /* takes a process that can be looked at, and no process in there can name this one yet */
        if (flags & CLONE_NEWUSER && setns(target, CLONE_NEWUSER) < 0)
            return -1;
        flags &= ~CLONE_NEWUSER;
        if (plan_make_nested(plan, r->argv[3], r->argv[4]) < 0)
            return -1;
    }
    if (setns(target, flags) < 0)
        return -1;
    close(target);
    if (plan->root != AT_FDCWD)
        close(plan->root);
    plan->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (plan->ctl < 0) {
        /* held back until there is a process to pass them on to; the command starts with none held */
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        struct streams streams;
        if (streams_open(&streams) < 0)
            return -1;
        pid_t child = fork();
        if (child > 0)
            stay_outside(child, &streams);
        /* a directory of the host's would be a way out (CVE-2024-21626) */
        events_close();
        return child < 0 || streams_take(&streams) < 0 ? -1 : come_in(plan);
    }
    /* with the monitor, the process inside becomes the monitor's own child and this one goes away */
    struct clone_args how = {.flags = CLONE_PARENT};
    long child = syscall(SYS_clone3, &how, sizeof how);
    if (child > 0) {
        struct { uint32_t kind, pid; } told = {'P', (uint32_t)child};
        send(plan->ctl, &told, sizeof told, MSG_NOSIGNAL);
        _exit(0);
    }
    return child < 0 ? -1 : come_in(plan);
}

static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    default_signals();
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static const char *variable(char **environment, const char *name)
{
    size_t length = strlen(name);
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

static int attempt(const char *path, char *const *argv, char **environment, int look)
{
    struct stat status;
    if (!look)
        return execve(path, argv, environment);
    if (stat(path, &status) < 0 || access(path, X_OK) < 0)
        return -1;
    errno = S_ISDIR(status.st_mode) ? EISDIR : 0;
    return errno ? -1 : 0;
}

/* Executes, or only looks whether it could be. */
static int execute(struct plan *plan, char *const *argv, int look)
{
    static char *none[] = {NULL};
    char **environment = plan->environment ? plan->environment : none, path[4096];
    if (!argv[0][0]) {
        errno = ENOENT;
        return -1;
    }
    if (strchr(argv[0], '/'))
        return attempt(argv[0], argv, environment, look);
    const char *search = variable(environment, "PATH");
    int error = ENOENT;
    for (const char *from = search ? search : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; from;) {
        const char *colon = strchr(from, ':');
        int length = colon ? (int)(colon - from) : (int)strlen(from);
        snprintf(path, sizeof path, "%.*s/%s", length, length ? from : ".", argv[0]);
        if (attempt(path, argv, environment, look) == 0)
            return 0;
        if (errno != ENOENT && errno != ENOTDIR)
            error = errno;
        from = colon ? colon + 1 : NULL;
    }
    errno = error;
    return -1;
}

/* sd_listen_fds(3): descriptors are for the process that this variable names */
static void name_listener(struct plan *plan)
{
    static char text[32];
    for (char **one = plan->environment; plan->preserved && one && *one; one++)
        if (strncmp(*one, "LISTEN_PID=", 11) == 0) {
            snprintf(text, sizeof text, "LISTEN_PID=%d", getpid());
            *one = text;
        }
}

/* Before Linux 5.11 close_range(2) can only close at once, and what reports a failure of exec is needed
 * until then.  Looked at before the plan lowers a limit or takes /proc away. */
static void find_last_descriptor(void)
{
    if (syscall(SYS_close_range, ~0U, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    struct rlimit limit = {1024, 1024};
    getrlimit(RLIMIT_NOFILE, &limit);
    last_descriptor = (int)(limit.rlim_max < 1 << 20 ? limit.rlim_max : 1 << 20);
    DIR *all = opendir("/proc/self/fd");
    if (!all)
        return;
    /* and those that we open later, of which there are few */
    last_descriptor = 0;
    for (struct dirent *one; (one = readdir(all));)
        if (atoi(one->d_name) > last_descriptor)
            last_descriptor = atoi(one->d_name);
    last_descriptor += 256;
    closedir(all);
}

static int close_at_exec(int first)
{
    for (int fd = first; fd <= last_descriptor; fd++)
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 && errno != EBADF)
            return -1;
    return last_descriptor ? 0 : -1;
}

/* What has to be done before exec, and before a filter that may allow nothing but exec. */
static int prepare(struct plan *plan)
{
    if (plan->prepared)
        return 0;
    plan->prepared = 1;
    name_listener(plan);
    reset_signals();
    /* nothing of the host's may be left open: a directory would be a way out (CVE-2024-21626) */
    if (syscall(SYS_close_range, 3 + plan->preserved, ~0U, CLOSE_RANGE_CLOEXEC) < 0 &&
        close_at_exec(3 + plan->preserved) < 0)
        return -1;
    return plan_set_labels(plan);
}

/* A stream that is closed is the null device: its number would be given to what we open. */
static void open_closed_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd < 3);
    if (fd > 2)
        close(fd);
}

int op_exec(struct plan *plan, const struct record *r)
{
    plan->failing = r->argv[0];
    return execute(plan, r->argv, 0);
}

int op_lookup(struct plan *plan, const struct record *r)
{
    return execute(plan, r->argv, 1);
}

int op_env(struct plan *plan, const struct record *r)
{
    plan->failing = "";
    /* the strings stay where they are; only the list of pointers is copied */
    plan->environment = malloc((r->argc + 1) * sizeof *r->argv);
    if (!plan->environment)
        return -1;
    memcpy(plan->environment, r->argv, (r->argc + 1) * sizeof *r->argv);
    return 0;
}

int op_events(struct plan *plan UNUSED, const struct record *r)
{
    events_open(r->argv[0]);
    ended_fields = r->argv[1];
    return 0;
}

static operation *const operations[OP_LAST] = {EACH_OPERATION(OPERATION_ENTRY)};

int main(int argc, char **argv)
{
    struct plan plan = {.ctl = -1, .root = AT_FDCWD, .null_device = -1, .empty = -1, .cgroup_procs = -1,
                        .nested = -1, .pid_ns = -1, .proc = -1};
    struct records all;
    static struct record r;
    if (argc < 3)
        return 125;
    int file, direct = strcmp(argv[1], "-") == 0;
    if (direct) {
        open_closed_streams();
        if (!is_sealed()) {
            extern char **environ;
            exec_sealed("/proc/self/exe", argv, environ);
            dprintf(2, "error: cannot copy the launcher into memory: %s\n", strerror(errno));
            return 125;
        }
        file = open(argv[2], O_RDONLY | O_CLOEXEC);
        /* who wrote the plan holds it until this process is in the cgroup that it is meant for */
        if (file >= 0 && flock(file, LOCK_SH) == 0)
            unlink(argv[2]);
    } else {
        const char *rows = getenv("ROWS"), *cols = getenv("COLUMNS");
        plan.rows = rows ? atoi(rows) : 0;
        plan.cols = cols ? atoi(cols) : 0;
        plan.ctl = atoi(argv[1]);
        file = atoi(argv[2]);
        fcntl(plan.ctl, F_SETFD, FD_CLOEXEC);
    }
    r.op = 0;
    if (argc > 4 && join_namespaces(&plan, argv + 3, &r.op) < 0)
        fail(&plan, &r, errno);
    find_last_descriptor();
    r.op = 0;
    if (records_read(&all, file) < 0)
        fail(&plan, &r, errno);
    close(file);
    for (int more; (more = records_next(&all, &r)) != 0;) {
        int done;
        errno = 0;
        plan.failing = "";
        if (more < 0) {
            errno = EBADMSG;
            fail(&plan, &r, errno);
        }
        if ((r.op == OP_EXEC || r.op == OP_SECCOMP) && prepare(&plan) < 0) {
            r.op = OP_LABEL;
            fail(&plan, &r, errno);
        }
        plan.failing = r.argc ? r.argv[0] : "";
        if (r.op < OP_LAST && operations[r.op]) {
            done = operations[r.op](&plan, &r);
        } else {
            errno = ENOSYS;
            done = -1;
        }
        if (done < 0)
            fail(&plan, &r, errno);
    }
    errno = ENOEXEC;
    fail(&plan, &r, errno);
}
