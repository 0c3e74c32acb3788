#define _GNU_SOURCE
#include "launch/plan.h"

#include "launch/join.h"
#include "launch/mount_api.h"
#include "lib/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define UMOUNT_DETACH 2
#define FUSE_MAGIC 0x65735546
#define RECURSIVE 16384 /* MS_REC */

/* The image decides what lies below the root, so every path is resolved by the kernel with the root
 * as its ceiling: a link to / or a row of ".." leads back into the image, and a magic link such as
 * /proc/self/root leads nowhere. */
int plan_open_in_root(struct plan *plan, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned long long)(unsigned)flags | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    int fd, tries = 0;
    plan->failing = path;
    /* somebody renamed something, anywhere on the machine, while a ".." was on the way: openat2(2) */
    do
        fd = (int)syscall(SYS_openat2, plan->root, path, &how, sizeof how);
    while (fd < 0 && errno == EAGAIN && ++tries < 10000);
    return fd;
}

/* Opened and not mknod(2): fuse-overlayfs forgets to write down the owner of what that makes, and then
 * cannot find it (xattr_permissions). */
static int make_file(int parent, const char *name, mode_t kind)
{
    if (!S_ISREG(kind))
        return mknodat(parent, name, kind, 0);
    int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kind & 07777);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? -1 : 0;
}

#define MOST_LINKS 40 /* as the kernel follows, path_resolution(7) */

static int make_target(struct plan *plan, const char *path, mode_t kind, int links);

/* A component that is there and leads nowhere is a link whose target is made in its stead, as other
 * runtimes do: images have /etc/resolv.conf lead to a place that systemd would make.  The link is only
 * read; what comes of it is resolved below the root again, so /../../x is the image's /x. */
static int follow(struct plan *plan, const char *parent, const char *name, const char *rest, mode_t kind, int links)
{
    char link[PATH_MAX], path[PATH_MAX];
    int directory = plan_open_in_root(plan, *parent ? parent : "/", O_PATH | O_DIRECTORY);
    ssize_t length = directory < 0 ? -1 : readlinkat(directory, name, link, sizeof link - 1);
    if (directory >= 0)
        close(directory);
    if (length < 0 || links >= MOST_LINKS) {
        errno = length < 0 ? ENOENT : ELOOP;
        return -1;
    }
    link[length] = 0;
    int wrote = snprintf(path, sizeof path, "%s/%s%s%s", *link == '/' ? "" : parent, link, *rest ? "/" : "", rest);
    if (wrote >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return make_target(plan, path, kind, links + 1);
}

static int make_target(struct plan *plan, const char *path, mode_t kind, int links)
{
    int fd = plan_open_in_root(plan, path, O_PATH);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length >= sizeof part) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(part, path, length + 1);
    while (length > 1 && part[length - 1] == '/')
        part[--length] = 0;
    int parent = plan_open_in_root(plan, "/", O_PATH | O_DIRECTORY);
    for (char *from = part, *slash;; from = slash + 1) {
        while (*from == '/')
            from++;
        slash = strchr(from, '/');
        if (slash)
            *slash = 0;
        int made = slash || S_ISDIR(kind) ? mkdirat(parent, from, 0755) : make_file(parent, from, kind);
        int saved = errno;
        close(parent);
        if (made < 0 && saved != EEXIST) {
            errno = saved;
            return -1;
        }
        parent = plan_open_in_root(plan, part, slash ? O_PATH | O_DIRECTORY : O_PATH);
        if (parent < 0 && errno == ENOENT && made < 0) {
            char *end = from > part ? from - 1 : from;
            char *name = from;
            char above[PATH_MAX];
            snprintf(above, sizeof above, "%.*s", (int)(end - part), part);
            return follow(plan, above, name, slash ? slash + 1 : "", kind, links);
        }
        if (parent < 0 || !slash)
            return parent;
        *slash = '/';
    }
}

/* Open `path` below the root, making what is missing: directories, and a last component of `kind`
 * (S_IFDIR, S_IFREG, or S_IFIFO with its mode). */
static int open_target(struct plan *plan, const char *path, mode_t kind)
{
    int fd = make_target(plan, path, kind, 0), saved = errno;
    plan->failing = path;
    errno = saved;
    return fd;
}

/* Argument `at` as a number; 0 when it is not given. */
static unsigned long value(const struct record *r, uint32_t at)
{
    return r->argc > at ? strtoul(r->argv[at], NULL, 10) : 0;
}

static int propagate(int fd, unsigned long how)
{
    return how ? mount_attributes(fd, how & RECURSIVE ? AT_RECURSIVE : 0, 0, 0, how & ~(unsigned long)RECURSIVE) : 0;
}

/* What a mount of another user namespace has cannot be taken from it; then it stays as it is. */
static int take_back(int fd, unsigned flags, unsigned long clear)
{
    return clear && mount_attributes(fd, flags, 0, clear, 0) < 0 && errno != EPERM && errno != ENOSYS ? -1 : 0;
}

static int map_bind(struct plan *plan, int tree, const struct record *r)
{
    static char said[PATH_MAX];
    if (r->argc < 11 || !r->argv[9][0])
        return 0;
    snprintf(said, sizeof said, "idmap:%s", r->argv[1]);
    plan->failing = said;
    return map_ids_of_mount(tree, r->argc > 11 && r->argv[11][0] == '1' ? AT_RECURSIVE : 0, r->argv[9], r->argv[10]);
}

int op_bind(struct plan *plan, const struct record *r)
{
    const char *source = r->argv[0], *target = r->argv[1], *kind = r->argv[2];
    unsigned recursive = r->argv[4][0] == '1' ? AT_RECURSIVE : 0;
    unsigned long attributes = value(r, 3), below = value(r, 6);
    plan->failing = source;
    int tree = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive);
    if (tree < 0)
        return -1;
    struct stat status;
    int directory = strcmp(kind, "dir") == 0;
    if (strcmp(kind, "auto") == 0 && fstat(tree, &status) == 0)
        directory = S_ISDIR(status.st_mode);
    if (map_bind(plan, tree, r) < 0)
        return -1;
    int failed = -1, to = open_target(plan, target, directory ? S_IFDIR : S_IFREG | 0644);
    if (to >= 0) {
        failed = move_mount(tree, to);
        if (!failed && attributes)
            failed = mount_attributes(tree, recursive, attributes, 0, 0);
        if (!failed && below)
            failed = mount_attributes(tree, AT_RECURSIVE, below, 0, 0);
        if (!failed)
            failed = take_back(tree, 0, value(r, 7)) || take_back(tree, AT_RECURSIVE, value(r, 8)) ||
                     propagate(tree, value(r, 5));
    }
    int saved = errno;
    if (to >= 0)
        close(to);
    close(tree);
    errno = saved;
    return failed ? -1 : 0;
}

static int is_given(const char *data, const char *name)
{
    size_t length = strlen(name);
    for (const char *word = data; word; word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL)
        if (strncmp(word, name, length) == 0)
            return 1;
    return 0;
}

/* tmpcopyup: what the image has at this place goes into the new file system, which has the mode and
 * owner of that place too where no others were asked for */
static int fill(struct plan *plan, int from, const char *path, const char *data)
{
    struct stat status;
    int to = plan_open_in_root(plan, path, O_RDONLY | O_DIRECTORY);
    int failed = to < 0 || fstat(from, &status) < 0 || tree_copy(from, to) < 0;
    uid_t uid = is_given(data, "uid=") ? (uid_t)-1 : status.st_uid;
    gid_t gid = is_given(data, "gid=") ? (gid_t)-1 : status.st_gid;
    failed = failed || fchown(to, uid, gid) < 0 || (!is_given(data, "mode=") && fchmod(to, status.st_mode & 07777) < 0);
    int saved = errno;
    if (to >= 0)
        close(to);
    close(from);
    errno = saved;
    return failed ? -1 : 0;
}

/* The pid namespace that is joined, and never the host's: no other way is tried. */
static int mount_joined_proc(struct plan *plan, int to, const struct record *r)
{
    int context = joined_proc(plan);
    int made = context < 0 ? -1 : mount_of_context(context, r->argv[0], value(r, 3), r->argv[4]);
    int failed = made < 0 || move_mount(made, to) < 0 ? -1 : 0, saved = errno;
    if (made >= 0)
        close(made);
    if (failed)
        plan->failing = "joined-proc";
    errno = saved;
    return failed;
}

/* The attributes of mount_setattr(2) that mean what mount(2)'s flags mean have the same numbers, of
 * those that a sysfs is mounted with: read-only, nosuid, nodev, noexec. */
static int bind_sysfs(int to, unsigned long flags)
{
    int tree = open_tree(AT_FDCWD, "/sys", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    int failed = tree < 0 || move_mount(tree, to) < 0 || mount_attributes(tree, AT_RECURSIVE, flags & 15, 0, 0) < 0;
    int saved = errno;
    if (tree >= 0)
        close(tree);
    errno = saved;
    return failed ? -1 : 0;
}

/* On a directory that is open: where it lies by now does not matter. */
static int mount_on(struct plan *plan, int to, const struct record *r)
{
    unsigned long flags = value(r, 3);
    if (plan->pid_ns >= 0 && strcmp(r->argv[2], "proc") == 0)
        return mount_joined_proc(plan, to, r);
    int made = new_mount(r->argv[0], r->argv[2], flags, r->argv[4]);
    if (made >= 0 || errno != ENOSYS) {
        int failed = made < 0 ? -1 : move_mount(made, to), saved = errno;
        if (made >= 0)
            close(made);
        errno = saved;
        if (!failed || errno != EPERM)
            return failed;
    }
    if (fchdir(to) < 0)
        return -1;
    if (mount(r->argv[0], ".", r->argv[2], flags, r->argv[4]) == 0)
        return 0;
    /* sysfs shows a network namespace and is its owner's to mount; in another's the host's is
     * shown, as everything of it that matters is read-only to us there */
    if (errno == EPERM && strcmp(r->argv[2], "sysfs") == 0)
        return bind_sysfs(to, flags);
    /* and then its cgroup2 came along */
    return errno == EBUSY && strcmp(r->argv[2], "cgroup2") == 0 ? 0 : -1;
}

int op_mount(struct plan *plan, const struct record *r)
{
    int to = open_target(plan, r->argv[1], S_IFDIR);
    if (to < 0)
        return -1;
    int copied = -1;
    if (r->argc > 6 && r->argv[6][0] == '1') {
        copied = plan_open_in_root(plan, r->argv[1], O_RDONLY | O_DIRECTORY);
        if (copied < 0)
            return -1;
    }
    int failed = mount_on(plan, to, r);
    close(to);
    if (!failed && copied >= 0)
        failed = fill(plan, copied, r->argv[1], r->argv[4]);
    if (!failed && (value(r, 5) || value(r, 7))) {
        to = plan_open_in_root(plan, r->argv[1], O_PATH);
        failed = to < 0 || (value(r, 5) && mount_attributes(to, 0, value(r, 5), 0, 0) < 0) || propagate(to, value(r, 7));
        close(to);
    }
    int saved = errno;
    if (chdir("/") < 0 && !failed)
        return -1;
    errno = saved;
    return failed ? -1 : 0;
}

/* Masked files are covered with this descriptor; were it anything but the null device, a container
 * could be shown, or made to write, another file (CVE-2025-31133). */
static int keep_null(struct plan *plan, int tree)
{
    struct stat status;
    if (fstat(tree, &status) < 0)
        return -1;
    if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3)) {
        errno = ENODEV;
        return -1;
    }
    plan->null_device = tree;
    return 0;
}

int op_devices(struct plan *plan, const struct record *r)
{
    for (uint32_t i = 0; i < r->argc; i++) {
        plan->failing = r->argv[i];
        int tree = open_tree(AT_FDCWD, r->argv[i], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (tree < 0)
            return -1;
        int to = open_target(plan, r->argv[i], S_IFREG | 0644);
        if (to < 0 || move_mount(tree, to) < 0)
            return -1;
        close(to);
        if (strcmp(r->argv[i], "/dev/null") == 0) {
            if (keep_null(plan, tree) < 0)
                return -1;
        } else {
            close(tree);
        }
    }
    return 0;
}

int op_symlink(struct plan *plan, const struct record *r)
{
    char parent[PATH_MAX];
    const char *name = strrchr(r->argv[1], '/');
    snprintf(parent, sizeof parent, "%.*s", (int)(name - r->argv[1]), r->argv[1]);
    int fd = open_target(plan, parent[0] ? parent : "/", S_IFDIR);
    if (fd < 0)
        return -1;
    int failed = symlinkat(r->argv[0], fd, name + 1);
    close(fd);
    return failed && errno == EEXIST ? 0 : failed;
}

/* Mode and owner are set on the open pipe: one that the image has is taken, anything else of the same
 * name is the image's own and not to be given away. */
int op_fifo(struct plan *plan, const struct record *r)
{
    mode_t mode = (mode_t)strtoul(r->argv[1], NULL, 8);
    struct stat status;
    int fd = open_target(plan, r->argv[0], S_IFIFO | mode);
    if (fd < 0)
        return -1;
    int pipe = fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
    close(fd);
    if (!pipe) {
        errno = EEXIST;
        return -1;
    }
    fd = plan_open_in_root(plan, r->argv[0], O_RDONLY | O_NONBLOCK);
    int failed = fd < 0 || fstat(fd, &status) < 0 || !S_ISFIFO(status.st_mode) ||
                 fchown(fd, (uid_t)(r->argv[2][0] ? strtoul(r->argv[2], NULL, 10) : UINT_MAX),
                        (gid_t)(r->argv[3][0] ? strtoul(r->argv[3], NULL, 10) : UINT_MAX)) < 0 ||
                 fchmod(fd, mode) < 0;
    int saved = errno;
    if (fd >= 0)
        close(fd);
    errno = saved;
    return failed ? -1 : 0;
}

/* A file that makes a program of the image's work.  An image without the directory has no such program,
 * and what is there already, also as a link that leads elsewhere, is the image's own.  None of that
 * keeps a container from starting. */
int op_file(struct plan *plan, const struct record *r)
{
    char parent[PATH_MAX];
    const char *name = strrchr(r->argv[0], '/');
    snprintf(parent, sizeof parent, "%.*s", (int)(name - r->argv[0]), r->argv[0]);
    int directory = plan_open_in_root(plan, parent, O_PATH | O_DIRECTORY);
    if (directory < 0)
        return 0;
    int fd = openat(directory, name + 1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    close(directory);
    if (fd < 0)
        return 0;
    ssize_t length = (ssize_t)strlen(r->argv[1]);
    /* the caller's umask is no matter of the container's */
    int failed = write(fd, r->argv[1], (size_t)length) != length || fchmod(fd, 0644) < 0, saved = errno;
    close(fd);
    errno = saved;
    return failed ? -1 : 0;
}

int op_mkdir(struct plan *plan, const struct record *r)
{
    int fd = open_target(plan, r->argv[0], S_IFDIR);
    if (fd < 0)
        return -1;
    int failed = r->argc > 1 && r->argv[1][0] ? fchmodat(fd, ".", (mode_t)strtoul(r->argv[1], NULL, 8), 0) : 0;
    close(fd);
    return failed;
}

int op_pivot(struct plan *plan, const struct record *r UNUSED)
{
    /* a bundle without a /dev of its own: after the pivot the name would be the image's */
    if (plan->null_device < 0) {
        plan->failing = "/dev/null";
        int tree = open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (tree < 0 || keep_null(plan, tree) < 0)
            return -1;
    }
    plan->failing = "/";
    if (fchdir(plan->root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return -1;
    /* the old root now lies over the new one at "."; detached, nothing of the host can be named */
    if (umount2(".", UMOUNT_DETACH) < 0 || chdir("/") < 0)
        return -1;
    close(plan->root);
    plan->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    plan->pivoted = 1;
    return plan->root < 0 ? -1 : 0;
}

static int wait_for_fuse(struct plan *plan, const char *path)
{
    char answer = 0;
    struct stat before;
    plan->failing = path;
    if (stat(path, &before) < 0)
        return -1;
    if (send(plan->ctl, "U", 1, 0) != 1 || recv(plan->ctl, &answer, 1, 0) != 1 || answer != 'u')
        return -1;
    struct statfs status;
    struct stat found;
    for (int tries = 0; tries < 40000; tries++) {
        /* another device as well: the place itself may lie on a file system in user space */
        if (stat(path, &found) == 0 && found.st_dev != before.st_dev && statfs(path, &status) == 0 &&
            status.f_type == FUSE_MAGIC) {
            /* the server stays behind in the namespace it mounted in: it must not have its own
             * mount as its root after the pivot */
            return unshare(CLONE_NEWNS);
        }
        /* a server that fails is noticed by the monitor, which then ends us */
        nanosleep(&(struct timespec){0, tries < 2000 ? 500000 : 5000000}, NULL);
    }
    errno = EIO;
    return -1;
}

int op_root(struct plan *plan, const struct record *r)
{
    plan->failing = r->argv[0];
    if (r->argc > 1 && r->argv[1][0] == '1' &&
        mount(r->argv[0], r->argv[0], NULL, 4096 /* MS_BIND */ | 16384 /* MS_REC */, NULL) < 0)
        return -1;
    plan->root = open(r->argv[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
    return plan->root < 0 ? -1 : 0;
}

int op_propagation(struct plan *plan UNUSED, const struct record *r)
{
    return mount("", r->argv[0], NULL, strtoul(r->argv[1], NULL, 10), NULL);
}

int op_host_chdir(struct plan *plan UNUSED, const struct record *r)
{
    return chdir(r->argv[0]);
}

int op_host_mkdir(struct plan *plan UNUSED, const struct record *r)
{
    return mkdir(r->argv[0], (mode_t)strtoul(r->argv[1], NULL, 8)) < 0 && errno != EEXIST ? -1 : 0;
}

int op_host_mount(struct plan *plan, const struct record *r)
{
    plan->failing = r->argv[1];
    return mount(r->argv[0], r->argv[1], r->argv[2], strtoul(r->argv[3], NULL, 10), r->argv[4]);
}

int op_fuse(struct plan *plan, const struct record *r)
{
    return wait_for_fuse(plan, r->argv[0]);
}

int op_chown(struct plan *plan UNUSED, const struct record *r)
{
    return tree_chown(AT_FDCWD, r->argv[0], (uid_t)strtoul(r->argv[1], NULL, 10),
                      (gid_t)strtoul(r->argv[2], NULL, 10));
}
