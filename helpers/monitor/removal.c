#define _GNU_SOURCE
#include "monitor/removal.h"

#include "lib/tree.h"
#include "monitor/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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

/* Whether a container's name leads to this one; -1 if it is none. */
static int leads_to(int directory, const char *name, const char *id)
{
    char holder[128];
    ssize_t size = readlinkat(directory, name, holder, sizeof holder - 1);
    if (size < 0)
        return -1;
    holder[size] = 0;
    return strcmp(holder, id) == 0;
}

/* The order has the name that the container began with.  If it was renamed since, that name may be another
 * container's by now, and its own is a link beside it. */
static void release_name(const struct orders *orders, const char *path)
{
    int ours = leads_to(AT_FDCWD, path, orders->id);
    if (ours == 1 || (ours < 0 && errno == EINVAL)) { /* EINVAL: a file and no link */
        unlink(path);
        return;
    }
    const char *end = strrchr(path, '/');
    char parent[4096];
    if (!orders->remove || !end || (size_t)(end - path) >= sizeof parent)
        return;
    snprintf(parent, sizeof parent, "%.*s", (int)(end - path), path);
    DIR *names = opendir(parent);
    for (struct dirent *entry; names && (entry = readdir(names));)
        if (leads_to(dirfd(names), entry->d_name, orders->id) == 1)
            unlinkat(dirfd(names), entry->d_name, 0);
    if (names)
        closedir(names);
}

void removal(const struct orders *orders, int user_ns, int listening)
{
    void *data = (void *)orders;
    for (char **path = orders->unlink; path && *path; path++)
        release_name(orders, *path);
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
