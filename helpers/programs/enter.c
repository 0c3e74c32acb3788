/* Runs a program as root of a user namespace, new or joined.
 *
 *   rootless-enter [--uid-map TEXT --gid-map TEXT | --join PID] [OPTION...] -- PROGRAM [ARGUMENT...]
 *
 *   --newuidmap PATH, --newgidmap PATH   who writes maps of more than the caller's own id
 *   --join-mount, --join-net             with --join: these namespaces of PID as well
 *   --mount        a mount namespace whose changes stay inside
 *   --net          a network namespace with its loopback up
 *   --pid-fork     a pid namespace; this process waits for the program and ends as it ends
 *   --mortal       the program is killed when the thread that started us ends
 *   --keep-ids     do not become root: the program keeps the ids and gets ambient capabilities
 *   --keep-fds N,N close every other descriptor above 2
 *   --error-fd N   where to write why it failed, instead of stderr
 *
 * TEXT has the lines of /proc/PID/uid_map.  PROGRAM has all capabilities in the namespace.  A failure
 * is one line that begins with "error: ", and exit status 125. */
#define _GNU_SOURCE
#include "lib/id_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

enum { MOST_FDS = 64 };

static unsigned long number(const char *option, const char *text)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || value > 0x7fffffff)
        fail("%s needs a number, not \"%s\"", option, text);
    return value;
}

/* ---------------------------------------------------------------- joining */

static int same_namespace(pid_t pid, const char *name)
{
    struct stat theirs, ours;
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, name);
    if (stat(path, &theirs) < 0)
        return 0;
    snprintf(path, sizeof path, "/proc/self/ns/%s", name);
    return stat(path, &ours) == 0 && theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

static void join(pid_t pid, int mount, int net)
{
    static const struct { int flag; const char *name; } kind[] = {
        {CLONE_NEWUSER, "user"}, {CLONE_NEWNS, "mnt"}, {CLONE_NEWNET, "net"}};
    int flags = CLONE_NEWUSER | (mount ? CLONE_NEWNS : 0) | (net ? CLONE_NEWNET : 0);
    /* entering the user namespace that one is in already is refused */
    if (same_namespace(pid, "user"))
        flags &= ~CLONE_NEWUSER;
    if (!flags)
        return;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0 && errno != ENOSYS)
        fail("cannot enter the namespaces of process %d: %s", pid, strerror(errno));
    /* all at once, by a descriptor: the number may become another process's between two calls */
    if (pidfd >= 0 && setns(pidfd, flags) == 0) {
        close(pidfd);
        return;
    }
    if (pidfd >= 0 && errno != EINVAL)
        fail("cannot enter the namespaces of process %d: %s", pid, strerror(errno));
    /* Linux before 5.8 */
    int opened[3];
    for (int i = 0; i < 3; i++) {
        char path[48];
        snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kind[i].name);
        opened[i] = flags & kind[i].flag ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (flags & kind[i].flag && opened[i] < 0)
            fail("cannot open %s: %s", path, strerror(errno));
    }
    for (int i = 0; i < 3; i++)
        if (opened[i] >= 0 && setns(opened[i], kind[i].flag) < 0)
            fail("cannot enter the %s namespace of process %d: %s", kind[i].name, pid, strerror(errno));
    for (int i = 0; i < 3; i++)
        if (opened[i] >= 0)
            close(opened[i]);
    if (pidfd >= 0)
        close(pidfd);
}

/* ---------------------------------------------------------------- who we are inside */

static int mapped_zero(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned long inside, outside, size;
    int found = 0;
    while (file && !found && fscanf(file, "%lu %lu %lu", &inside, &outside, &size) == 3)
        found = inside == 0;
    if (file)
        fclose(file);
    return found;
}

/* exec takes the capabilities from everybody but root, unless they are ambient */
static void make_capabilities_ambient(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data) < 0)
        fail("cannot read capabilities: %s", strerror(errno));
    for (int i = 0; i < 2; i++)
        data[i].inheritable = data[i].effective = data[i].permitted;
    if (syscall(SYS_capset, &head, data) < 0)
        fail("cannot set capabilities: %s", strerror(errno));
    for (unsigned i = 0; i < 64; i++)
        if (data[i / 32].permitted >> (i % 32) & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
            fail("cannot keep capability %u: %s", i, strerror(errno));
}

static void become_root(void)
{
    char answer[8] = "";
    int fd = open("/proc/self/setgroups", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (read(fd, answer, sizeof answer - 1) < 0)
            answer[0] = 0;
        close(fd);
    }
    /* the caller's supplementary groups are unmapped inside and would go on granting access */
    if (strncmp(answer, "deny", 4) != 0 && setgroups(0, NULL) < 0)
        fail("cannot drop supplementary groups: %s", strerror(errno));
    if (setresgid(0, 0, 0) < 0)
        fail("cannot become group 0 of the user namespace: %s", strerror(errno));
    if (setresuid(0, 0, 0) < 0)
        fail("cannot become user 0 of the user namespace: %s", strerror(errno));
    /* Where root is a subordinate id this was a change of the user, which makes a process undumpable;
     * its files in /proc then belong to the host's root and no process of ours could enter after this one. */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    request.ifr_flags = IFF_UP;
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        fail("cannot bring the loopback device up: %s", strerror(errno));
    close(fd);
}

/* ---------------------------------------------------------------- descriptors, processes */

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void close_between(unsigned first, unsigned last)
{
    if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
        return;
    long most = sysconf(_SC_OPEN_MAX);
    for (unsigned fd = first; fd <= last && (long)fd < most; fd++)
        close((int)fd);
}

static void keep_only(const char *text)
{
    int kept[MOST_FDS + 1], count = 0;
    char *copy = strdup(text);
    for (char *word = copy ? strtok(copy, ",") : NULL; word; word = strtok(NULL, ",")) {
        if (count == MOST_FDS)
            fail("--keep-fds takes at most %d descriptors", MOST_FDS);
        kept[count++] = (int)number("--keep-fds", word);
    }
    free(copy);
    if (error_fd > 2)
        kept[count++] = error_fd;
    qsort(kept, (size_t)count, sizeof *kept, compare);
    unsigned next = 3;
    for (int i = 0; i < count; i++) {
        if (kept[i] < (int)next)
            continue;
        close_between(next, (unsigned)kept[i] - 1);
        next = (unsigned)kept[i] + 1;
    }
    close_between(next, ~0U);
}

static pid_t forwarded;

static void forward(int signal_number)
{
    if (forwarded > 0)
        kill(forwarded, signal_number);
}

/* The first process of a pid namespace must be a child; this one stays and ends as that one ends. */
static void pid_namespace(void)
{
    static const int passed[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};
    int status;
    if (unshare(CLONE_NEWPID) < 0)
        fail("cannot make a pid namespace: %s", strerror(errno));
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    forwarded = fork();
    if (forwarded < 0)
        fail("cannot fork: %s", strerror(errno));
    if (forwarded == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        sigprocmask(SIG_SETMASK, &before, NULL);
        return;
    }
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        signal(passed[i], forward);
    sigprocmask(SIG_SETMASK, &before, NULL);
    while (waitpid(forwarded, &status, 0) < 0 && errno == EINTR)
        ;
    _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
    const char *joined = NULL, *keep = NULL;
    int mount_ns = 0, net = 0, pid_fork = 0, join_mount = 0, join_net = 0, keep_ids = 0, mortal = 0, i;
    for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *option = argv[i];
        const char **text = !strcmp(option, "--uid-map")     ? &map[0].text
                            : !strcmp(option, "--gid-map")   ? &map[1].text
                            : !strcmp(option, "--newuidmap") ? &map[0].program
                            : !strcmp(option, "--newgidmap") ? &map[1].program
                            : !strcmp(option, "--join")      ? &joined
                            : !strcmp(option, "--keep-fds")  ? &keep
                                                             : NULL;
        int *flag = !strcmp(option, "--mount")        ? &mount_ns
                    : !strcmp(option, "--net")        ? &net
                    : !strcmp(option, "--pid-fork")   ? &pid_fork
                    : !strcmp(option, "--join-mount") ? &join_mount
                    : !strcmp(option, "--join-net")   ? &join_net
                    : !strcmp(option, "--keep-ids")   ? &keep_ids
                    : !strcmp(option, "--mortal")     ? &mortal
                                                      : NULL;
        if (flag) {
            *flag = 1;
            continue;
        }
        if (!text && strcmp(option, "--error-fd") != 0)
            fail("unknown option %s", option);
        if (++i == argc || !strcmp(argv[i], "--"))
            fail("%s needs a value", option);
        if (text) {
            *text = argv[i];
        } else {
            error_fd = (int)number(option, argv[i]);
        }
    }
    if (i >= argc - 1)
        fail("a program is needed after --");
    char **program = argv + i + 1;
    if (!joined == !(map[0].text && map[1].text))
        fail("either --join or both --uid-map and --gid-map are needed");
    if (keep)
        keep_only(keep);
    int root;
    if (joined) {
        join((pid_t)number("--join", joined), join_mount, join_net);
        root = mapped_zero("/proc/self/uid_map") && mapped_zero("/proc/self/gid_map");
    } else {
        split(&map[0]);
        split(&map[1]);
        new_user_namespace();
        root = maps_inside_zero(&map[0]) && maps_inside_zero(&map[1]);
    }
    if (mount_ns) {
        if (unshare(CLONE_NEWNS) < 0)
            fail("cannot make a mount namespace: %s", strerror(errno));
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            fail("cannot make mounts private: %s", strerror(errno));
    }
    if (net) {
        if (unshare(CLONE_NEWNET) < 0)
            fail("cannot make a network namespace: %s", strerror(errno));
        loopback_up();
    }
    if (root && !keep_ids)
        become_root();
    else
        make_capabilities_ambient();
    if (pid_fork)
        pid_namespace();
    /* last, because every change of ids takes it away: who asked may be killed, and then nobody
     * wants the answer */
    if (mortal && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        fail("cannot ask for the parent's death: %s", strerror(errno));
    execvp(program[0], program);
    fail("cannot run %s: %s", program[0], strerror(errno));
}
