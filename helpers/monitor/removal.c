#define _GNU_SOURCE
#include "monitor/removal.h"

#include "lib/tree.h"
#include "monitor/spawn.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static int remove_trees(void *data)
{
    const struct orders *orders = data;
    int failed = 0;
    /* a container may have nested thousands of directories: each costs a descriptor */
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    for (char **path = orders->remove; path && *path; path++) {
        /* a volume that --volumes-from gave to another container stays */
        char sign[4096];
        snprintf(sign, sizeof sign, "%s/shared", *path);
        if (access(sign, F_OK) < 0)
            failed |= tree_remove(AT_FDCWD, *path);
    }
    return failed;
}

void removal(const struct orders *orders, int user_ns, int listening)
{
    void *data = (void *)orders;
    for (char **path = orders->unlink; path && *path; path++)
        unlink(*path);
    /* most containers leave nothing that needs the namespace, and a fork costs more than a try */
    if (orders->remove && remove_trees(data) < 0 && user_ns >= 0) {
        inside_user_namespace(user_ns, remove_trees, data);
        /* where our own id is not mapped inside, what was emptied there is removed here */
        remove_trees(data);
    }
    if (!listening)
        return;
    char path[4096];
    snprintf(path, sizeof path, "%s/attach", orders->socket_directory);
    unlink(path);
    if (orders->sidecar_socket)
        unlink(orders->sidecar_socket);
    if (orders->notify && orders->notify[0]) {
        unlink(orders->notify);
        snprintf(path, sizeof path, "%s/notify", orders->socket_directory);
        rmdir(path);
    }
    rmdir(orders->socket_directory);
}
