#define _GNU_SOURCE
#include "lib/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* What a container left in its root file system is hostile: names may be links to the host's files,
 * or be swapped while we walk.  Every step opens by O_NOFOLLOW relative to a held descriptor. */
static DIR *open_directory(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES) {
        /* overlay leaves work/work with mode 000; its owner may open it again */
        int path = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (path >= 0) {
            char link[40];
            snprintf(link, sizeof link, "/proc/self/fd/%d", path);
            if (chmod(link, 0700) == 0)
                fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            else
                errno = EACCES;
            int saved = errno;
            close(path);
            errno = saved;
        }
    }
    if (fd < 0)
        return NULL;
    DIR *directory = fdopendir(fd);
    if (!directory)
        close(fd);
    return directory;
}

static int dots(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

int tree_remove(int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM && errno != EACCES)
        return -1;
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
        return 0;
    /* where the parent directory is another's, what is inside may still be ours to remove */
    if (errno != ENOTEMPTY && errno != EEXIST && errno != EACCES && errno != EPERM)
        return -1;
    DIR *directory = open_directory(parent, name);
    if (!directory)
        return -1;
    int first = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (!dots(entry->d_name) && tree_remove(dirfd(directory), entry->d_name) < 0 && !first)
            first = errno;
    if (first == EACCES || first == EPERM) {
        struct stat mode;
        /* a directory without write permission for its owner; try once more with it */
        if (fstat(dirfd(directory), &mode) == 0 && (mode.st_mode & 0700) != 0700 &&
            fchmod(dirfd(directory), 0700) == 0) {
            first = 0;
            rewinddir(directory);
            for (struct dirent *entry; (entry = readdir(directory));)
                if (!dots(entry->d_name) && tree_remove(dirfd(directory), entry->d_name) < 0 && !first)
                    first = errno;
        }
    }
    closedir(directory);
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
        return 0;
    if (first)
        errno = first;
    return -1;
}

static void copy_xattrs(int from, int to)
{
    char names[4096], value[65536];
    ssize_t size = flistxattr(from, names, sizeof names);
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1) {
        if (strncmp(names + at, "user.overlay.", 13) == 0)
            continue;
        ssize_t bytes = fgetxattr(from, names + at, value, sizeof value);
        if (bytes >= 0)
            fsetxattr(to, names + at, value, (size_t)bytes, 0);
    }
}

static int copy_file(int from, int to)
{
    for (;;) {
        ssize_t moved = sendfile(to, from, NULL, 1 << 20);
        if (moved <= 0)
            return (int)moved;
    }
}

static int copy_all(int from, int to, int again);

/* What an earlier copy has left of this entry may be half of it; a directory is gone through anew. */
static int make_room(int to, const char *name, mode_t mode)
{
    struct stat found;
    if (fstatat(to, name, &found, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -1;
    return S_ISDIR(mode) && S_ISDIR(found.st_mode) ? 0 : tree_remove(to, name);
}

static int copy_entry(int from, int to, const char *name, const struct stat *status, int again)
{
    struct timespec times[2] = {status->st_atim, status->st_mtim};
    if (again && make_room(to, name, status->st_mode) < 0)
        return -1;
    if (S_ISLNK(status->st_mode)) {
        char target[4096];
        ssize_t length = readlinkat(from, name, target, sizeof target - 1);
        if (length < 0)
            return -1;
        target[length] = 0;
        if (symlinkat(target, to, name) < 0)
            return -1;
    } else if (S_ISREG(status->st_mode) || S_ISDIR(status->st_mode)) {
        int directory = S_ISDIR(status->st_mode);
        int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        if (source < 0)
            return -1;
        if (directory && mkdirat(to, name, 0700) < 0 && errno != EEXIST)
            return -1;
        int made = openat(to, name, directory ? O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
                                              : O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (made < 0) {
            close(source);
            return -1;
        }
        int failed = directory ? copy_all(source, made, again) : copy_file(source, made);
        if (!failed) {
            failed = fchown(made, status->st_uid, status->st_gid);
            fchmod(made, status->st_mode & 07777);
            copy_xattrs(source, made);
            futimens(made, times);
        }
        close(source);
        close(made);
        return failed;
    } else if (S_ISFIFO(status->st_mode)) {
        if (mknodat(to, name, status->st_mode & (S_IFMT | 07777), 0) < 0)
            return -1;
    } else {
        return 0; /* devices and sockets have no meaning in a copy */
    }
    if (fchownat(to, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    utimensat(to, name, times, AT_SYMLINK_NOFOLLOW);
    return 0;
}

static int copy_all(int from, int to, int again)
{
    int walked = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = walked < 0 ? NULL : fdopendir(walked);
    if (!directory)
        return -1;
    int failed = 0;
    for (struct dirent *entry; !failed && (entry = readdir(directory));) {
        struct stat status;
        if (dots(entry->d_name))
            continue;
        if (fstatat(from, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
            copy_entry(from, to, entry->d_name, &status, again) < 0)
            failed = errno ? errno : EIO;
    }
    closedir(directory);
    errno = failed;
    return failed ? -1 : 0;
}

int tree_copy(int from, int to)
{
    return copy_all(from, to, 0);
}

int tree_copy_again(int from, int to)
{
    return copy_all(from, to, 1);
}

int tree_chown(int parent, const char *name, uid_t uid, gid_t gid)
{
    if (fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    DIR *directory = open_directory(parent, name);
    if (!directory)
        return errno == ENOTDIR || errno == ELOOP ? 0 : -1;
    int failed = 0;
    for (struct dirent *entry; !failed && (entry = readdir(directory));)
        if (!dots(entry->d_name) && tree_chown(dirfd(directory), entry->d_name, uid, gid) < 0)
            failed = errno;
    closedir(directory);
    errno = failed;
    return failed ? -1 : 0;
}
