/* What of the container's own root cannot be seen or written: after the pivot. */
#define _GNU_SOURCE
#include "launch/plan.h"

#include "launch/mount_api.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int empty_directory(struct plan *plan)
{
    if (plan->empty >= 0)
        return open_tree(plan->empty, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    plan->empty = new_mount("tmpfs", "tmpfs", 1 | 2 | 4 | 8 /* ro, nosuid, nodev, noexec */, "size=0,mode=755");
    return plan->empty;
}

/* Without fsopen(2), which a filter around us may refuse: one for each place. */
static int cover_directory(struct plan *plan, int to)
{
    int cover = empty_directory(plan);
    if (cover >= 0) {
        int failed = move_mount(cover, to), saved = errno;
        if (cover != plan->empty)
            close(cover);
        errno = saved;
        return failed;
    }
    if (errno != ENOSYS || fchdir(to) < 0)
        return -1;
    int failed = mount("tmpfs", ".", "tmpfs", 1 | 2 | 4 | 8, "size=0,mode=755"), saved = errno;
    if (chdir("/") < 0 && !failed)
        return -1;
    errno = saved;
    return failed;
}

static int cover_file(const struct plan *plan, int to)
{
    int cover = open_tree(plan->null_device, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    int failed = cover < 0 || move_mount(cover, to) < 0, saved = errno;
    if (cover >= 0)
        close(cover);
    errno = saved;
    return failed ? -1 : 0;
}

int op_mask(struct plan *plan, const struct record *r)
{
    for (uint32_t i = 0; i < r->argc; i++) {
        int to = plan_open_in_root(plan, r->argv[i], O_PATH);
        if (to < 0) {
            if (errno == ENOENT || errno == ENOTDIR || errno == EACCES)
                continue;
            return -1;
        }
        struct stat status;
        if (fstat(to, &status) < 0)
            return -1;
        if (S_ISDIR(status.st_mode) ? cover_directory(plan, to) < 0 : cover_file(plan, to) < 0)
            return -1;
        close(to);
    }
    return 0;
}

int op_readonly(struct plan *plan, const struct record *r)
{
    for (uint32_t i = 0; i < r->argc; i++) {
        int to = plan_open_in_root(plan, r->argv[i], O_PATH);
        if (to < 0) {
            if (errno == ENOENT || errno == ENOTDIR || errno == EACCES)
                continue;
            return -1;
        }
        int tree = open_tree(to, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
        /* attached first: before Linux 5.12 only such a mount can be changed */
        if (tree < 0 || move_mount(tree, to) < 0 || mount_attributes(tree, AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, 0) < 0)
            return -1;
        close(tree);
        close(to);
    }
    return 0;
}

int op_root_attr(struct plan *plan UNUSED, const struct record *r)
{
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int failed = mount_attributes(fd, 0, strtoul(r->argv[0], NULL, 10), 0, 0);
    close(fd);
    return failed;
}
