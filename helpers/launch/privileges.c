#define _GNU_SOURCE
#include "launch/plan.h"
#include "launch/mount_api.h"
#include "lib/process.h"
#include "lib/scm_rights.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

static unsigned long number(const char *text)
{
    return strtoul(text, NULL, 10);
}

/* Of each set what there is of it: a runtime may itself lack some. */
static int capabilities(uint64_t inheritable, uint64_t permitted, uint64_t effective)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        data[i].inheritable = (uint32_t)(inheritable >> (32 * i)) & data[i].permitted;
        data[i].permitted &= (uint32_t)(permitted >> (32 * i));
        data[i].effective = (uint32_t)(effective >> (32 * i)) & data[i].permitted;
    }
    return (int)syscall(SYS_capset, &head, data);
}

int op_root_ids(struct plan *plan, const struct record *r)
{
    /* the supplementary groups of the caller would survive as unmapped ids and go on granting access */
    if (r->argc && r->argv[0][0] == '1' && setgroups(0, NULL) < 0)
        return -1;
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return -1;
    /* changing ids clears the dumpable flag, and then /proc/PID/ns of this process would belong to
     * root and a sidecar could not join.  In a container that runs already a process could look at
     * us, or trace us, and have our rights (CVE-2016-9962) */
    if (!plan->joined)
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return 0;
}

/* /proc is the container's own by now; a mount of the image's making over it must not be able to
 * redirect the write, so every link is refused and the file system is checked to be procfs. */
int op_sysctl(struct plan *plan, const struct record *r)
{
    char path[256];
    int length = snprintf(path, sizeof path, "/proc/sys/%s", r->argv[0]);
    if (length >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    struct open_how how = {.flags = O_WRONLY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_IN_ROOT};
    plan->failing = r->argv[0];
    int fd = (int)syscall(SYS_openat2, plan->root, path, &how, sizeof how);
    if (fd < 0)
        return -1;
    return proc_write_to(fd, r->argv[1], r->length[1]);
}

int op_loopback(struct plan *plan UNUSED, const struct record *r UNUSED)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    int failed = ioctl(fd, SIOCSIFFLAGS, &request);
    close(fd);
    return failed;
}

int op_wait_network(struct plan *plan, const struct record *r UNUSED)
{
    char answer = 0;
    if (send(plan->ctl, "N", 1, 0) != 1 || recv(plan->ctl, &answer, 1, 0) != 1 || answer != 'n') {
        errno = ENETUNREACH;
        return -1;
    }
    return 0;
}

int op_tty(struct plan *plan, const struct record *r)
{
    int master = plan_open_in_root(plan, "/dev/pts/ptmx", O_RDWR | O_NOCTTY);
    struct stat status;
    struct statfs system;
    int unlocked = 0;
    if (master < 0)
        return -1;
    /* an image could hold a file of this name; only a pseudo-terminal multiplexer of a devpts will do */
    if (fstat(master, &status) < 0 || fstatfs(master, &system) < 0)
        return -1;
    if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(5, 2) || system.f_type != DEVPTS_SUPER_MAGIC) {
        errno = ENOTTY;
        return -1;
    }
    if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
        return -1;
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return -1;
    struct winsize size = {.ws_row = (unsigned short)number(r->argv[0]), .ws_col = (unsigned short)number(r->argv[1])};
    /* before there is a program, which may ask at once and never again */
    if (!size.ws_row && !size.ws_col) {
        size.ws_row = (unsigned short)plan->rows;
        size.ws_col = (unsigned short)plan->cols;
    }
    if (size.ws_row || size.ws_col)
        ioctl(master, TIOCSWINSZ, &size);
    if (r->argc > 3 && r->argv[3][0])
        if (fchown(slave, (uid_t)number(r->argv[3]), (gid_t)-1) < 0 && errno != EINVAL && errno != EPERM)
            return -1;
    if (r->argv[2][0] == '1') {
        /* bound from the descriptor, because the name /dev/pts/N could by now be another's (CVE-2025-52565) */
        int tree = (int)syscall(SYS_open_tree, slave, "", AT_EMPTY_PATH | 1 | O_CLOEXEC);
        int to = plan_open_in_root(plan, "/dev/console", O_PATH);
        if (tree < 0 || to < 0 || syscall(SYS_move_mount, tree, "", to, "", 0x44) < 0)
            return -1;
        close(tree);
        close(to);
    }
    plan->failing = "terminal";
    if (send_descriptor(plan->ctl, "C", 1, master) < 0)
        return -1;
    close(master);
    /* who entered has a session already */
    if (getsid(0) != getpid() && setsid() < 0)
        return -1;
    if (ioctl(slave, TIOCSCTTY, 0) < 0)
        return -1;
    for (int fd = 0; fd < 3; fd++)
        if (dup2(slave, fd) < 0)
            return -1;
    return 0;
}

int op_cwd(struct plan *plan, const struct record *r)
{
    const char *path = r->argv[0];
    if (chdir(path) < 0) {
        if (errno != ENOENT || r->argv[1][0] != '1')
            return -1;
        char part[4096];
        snprintf(part, sizeof part, "%s", path);
        for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
            if (slash)
                *slash = 0;
            if (mkdir(part, 0755) < 0 && errno != EEXIST)
                return -1;
            if (!slash)
                break;
            *slash = '/';
        }
        if (chdir(path) < 0)
            return -1;
    }
    /* a descriptor of the host that leaked in could be the working directory, by /proc/self/fd/N
     * (CVE-2024-21626); the kernel marks such a place as unreachable from our root */
    char where[4096];
    plan->failing = path;
    if (syscall(SYS_getcwd, where, sizeof where) < 0 || where[0] != '/') {
        errno = ENOENT;
        return -1;
    }
    return 0;
}

static int drop_bounding(uint64_t keep)
{
    for (int cap = 0; cap < 64; cap++) {
        if (keep >> cap & 1)
            continue;
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
            if (errno == EINVAL)
                return 0;
            return -1;
        }
    }
    return 0;
}

int op_user(struct plan *plan UNUSED, const struct record *r)
{
    static gid_t groups[RECORD_ARGS];
    size_t count = 0;
    for (uint32_t i = 3; i < r->argc; i++)
        groups[count++] = (gid_t)number(r->argv[i]);
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return -1;
    if (r->argv[2][0] == '1' && setgroups(count, groups) < 0)
        return -1;
    gid_t gid = (gid_t)number(r->argv[1]);
    uid_t uid = (uid_t)number(r->argv[0]);
    if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return -1;
    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    return capabilities(0, ~0ULL, ~0ULL);
}

/* What exec then makes of them: runtime/launch_plan.py, `_rights`. */
int op_caps(struct plan *plan UNUSED, const struct record *r)
{
    uint64_t inheritable = strtoull(r->argv[0], NULL, 16), ambient = strtoull(r->argv[1], NULL, 16);
    /* plans of containers that were made by an earlier version have two arguments */
    uint64_t permitted = r->argc > 3 ? strtoull(r->argv[2], NULL, 16) : ~0ULL;
    uint64_t effective = r->argc > 3 ? strtoull(r->argv[3], NULL, 16) : ~0ULL;
    if (capabilities(inheritable, permitted, effective) < 0)
        return -1;
    for (int cap = 0; cap < 64; cap++)
        if (ambient >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            return -1;
    return 0;
}

int op_seccomp(struct plan *plan, const struct record *r)
{
    struct sock_fprog program = {
        .len = (unsigned short)(r->length[1] / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)(void *)r->argv[1],
    };
    long made = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, number(r->argv[0]), &program);
    plan->failing = "listener";
    /* the process that waits for us passes it on.  No close: that may be one of the calls which now wait for an
     * answer; exec closes it, and the program never has it */
    if (made > 0 && number(r->argv[0]) & SECCOMP_FILTER_FLAG_NEW_LISTENER)
        return send_descriptor(plan->ctl, "L", 1, (int)made);
    return made < 0 ? -1 : 0;
}

/* Whatever is in the caller's session keyring (tickets of Kerberos, passphrases of disks) would be
 * possessed, and thereby read, by a process that has it from us.  Where a filter around us refuses the
 * call, it refuses those inside as well; and so does the default profile of our own, so that nothing is
 * lost where the caller has as many keys as one may have. */
int op_keyring(struct plan *plan UNUSED, const struct record *r)
{
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0 || errno == ENOSYS || errno == EPERM)
        return 0;
    return errno == EDQUOT && r->argv[0][0] != '1' ? 0 : -1;
}

int plan_make_nested(struct plan *plan, const char *uid, const char *gid)
{
    char uids[64], gids[64];
    plan->failing = uid;
    snprintf(uids, sizeof uids, "%s 0 1", uid);
    snprintf(gids, sizeof gids, "%s 0 1", gid);
    plan->nested = namespace_with(uids, gids);
    return plan->nested < 0 ? -1 : 0;
}

/* A container with one id has no user but root.  A program that insists on running as another user
 * gets a namespace of its own in which that one id has the wanted number. */
int op_nest(struct plan *plan, const struct record *r)
{
    static const char *const names[] = {"setgroups", "uid_map", "gid_map"};
    char uids[64], gids[64];
    const char *const texts[] = {"deny", uids, gids};
    int file[3];
    if (r->argc > 2)
        return plan_make_nested(plan, r->argv[0], r->argv[1]);
    plan->failing = r->argv[0];
    snprintf(uids, sizeof uids, "%s 0 1", r->argv[0]);
    snprintf(gids, sizeof gids, "%s 0 1", r->argv[1]);
    if (plan->nested >= 0)
        return setns(plan->nested, CLONE_NEWUSER);
    /* as for sysctls: a map that is written to some other file is none */
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS};
    int top = plan->maps_there ? plan->proc : (int)syscall(SYS_openat2, plan->root, "/proc", &how, sizeof how);
    int proc = top < 0 ? -1 : openat(top, "self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (top >= 0 && !plan->maps_there)
        close(top);
    if (proc < 0 || unshare(CLONE_NEWUSER) < 0)
        return -1;
    if (plan->maps_there && !plan->labels) {
        close(plan->proc);
        plan->proc = -1;
    }
    /* only a process that can be looked at may open its own maps.  In a container that runs already
     * somebody waits for that (CVE-2016-9962): whoever enters one made the namespace before, but where
     * all see one /proc.  There it is better to have left the host's files, and for no longer than this */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    for (int i = 0; i < 3; i++)
        file[i] = openat(proc, names[i], O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    int saved = errno;
    close(proc);
    if (plan->joined)
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    errno = saved;
    for (int i = 0; i < 3; i++)
        if (proc_write_to(file[i], texts[i], strlen(texts[i])) < 0)
            return -1;
    return 0;
}

/* A name that is so already: a namespace that is shared may be another's to change. */
static int set_name(const struct record *r, int domain)
{
    struct utsname known;
    if (uname(&known) == 0 && strcmp(domain ? known.domainname : known.nodename, r->argv[0]) == 0)
        return 0;
    int failed = domain ? setdomainname(r->argv[0], r->length[0]) : sethostname(r->argv[0], r->length[0]);
    /* in a container around us its filter refuses it, also to those who may */
    return failed && errno == EPERM && r->argc > 1 ? 0 : failed;
}

int op_hostname(struct plan *plan UNUSED, const struct record *r)
{
    return set_name(r, 0);
}

int op_domainname(struct plan *plan UNUSED, const struct record *r)
{
    return set_name(r, 1);
}

int op_umask(struct plan *plan UNUSED, const struct record *r)
{
    umask((mode_t)strtoul(r->argv[0], NULL, 8));
    return 0;
}

int op_setsid(struct plan *plan UNUSED, const struct record *r UNUSED)
{
    return setsid() < 0 ? -1 : 0;
}

int op_bounding(struct plan *plan UNUSED, const struct record *r)
{
    return drop_bounding(strtoull(r->argv[0], NULL, 16));
}

int op_no_new_privs(struct plan *plan UNUSED, const struct record *r UNUSED)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int op_pdeathsig(struct plan *plan, const struct record *r)
{
    struct pollfd monitor = {.fd = plan->ctl, .events = POLLIN};
    if (prctl(PR_SET_PDEATHSIG, number(r->argv[0]), 0, 0, 0) < 0)
        return -1;
    /* the parent may have died before the signal was asked for; getppid() is 0 in a new pid
     * namespace, so the closed channel shows it */
    if (plan->ctl >= 0 && poll(&monitor, 1, 0) == 1 && monitor.revents & POLLHUP)
        _exit(125);
    return 0;
}

int op_cgroup_join(struct plan *plan, const struct record *r)
{
    /* opened here, where the path means the host's; written by the process that the join makes,
     * so that the process that waits outside is no part of the container */
    plan->cgroup_procs = open(r->argv[0], O_WRONLY | O_CLOEXEC);
    return plan->cgroup_procs < 0 ? -1 : 0;
}
