#define _GNU_SOURCE
#include "launch/plan.h"

#include "lib/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The plan is walked at every start, also at those that the monitor decides on, so it is the volume
 * that knows whether it was used.  Its record ends with these bytes (storage/volumes/record.py writes them):
 * the word is overwritten in place, which needs no room, no name and no right to the directory. */
#define HEAD "\"copyUp\":\""
#define END "\"}"
enum { WORD = 4, TAIL = sizeof HEAD - 1 + WORD + sizeof END - 1 };

static int read_word(int record, char *word)
{
    char tail[TAIL];
    struct stat status;
    if (fstat(record, &status) < 0)
        return -1;
    memset(word, 0, WORD);
    if (status.st_size >= TAIL && pread(record, tail, TAIL, status.st_size - TAIL) == TAIL &&
        memcmp(tail, HEAD, sizeof HEAD - 1) == 0 && memcmp(tail + TAIL - 2, END, 2) == 0)
        memcpy(word, tail + sizeof HEAD - 1, WORD);
    return 0;
}

static int write_word(int record, const char *word)
{
    struct stat status;
    if (fstat(record, &status) < 0)
        return -1;
    ssize_t written = pwrite(record, word, WORD, status.st_size - 2 - WORD);
    return written == WORD ? 0 : -1;
}

static int is_empty(int directory)
{
    int again = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0;
    DIR *all = again < 0 ? NULL : fdopendir(again);
    if (!all)
        return -1;
    for (struct dirent *entry; !found && (entry = readdir(all));)
        found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(all);
    return !found;
}

static int copy(int from, int to, int again, int keep_owner)
{
    struct stat status;
    if (fstat(from, &status) < 0 || (again ? tree_copy_again(from, to) : tree_copy(from, to)) < 0)
        return -1;
    if (!keep_owner && fchown(to, status.st_uid, status.st_gid) < 0)
        return -1;
    return fchmod(to, status.st_mode & 07777);
}

static int copy_up(int record, int from, int to, int keep_owner)
{
    char word[WORD];
    /* dropped by the kernel when this process is killed; who waited sees what was reached */
    if (flock(record, LOCK_EX) < 0 || read_word(record, word) < 0)
        return -1;
    int half = memcmp(word, "half", WORD) == 0;
    if (!half && memcmp(word, "todo", WORD) != 0)
        return 0;
    int empty = half ? 1 : is_empty(to);
    if (empty < 0)
        return -1;
    if (!empty || from < 0)
        return write_word(record, "done");
    /* On the disk before the first file and before the command: a machine that loses power must not
     * take half a copy for a whole one, nor copy over what a database has written since. */
    if (write_word(record, "half") < 0 || fdatasync(record) < 0 || copy(from, to, half, keep_owner) < 0 ||
        write_word(record, "done") < 0)
        return -1;
    return fdatasync(record);
}

int op_copy_up(struct plan *plan, const struct record *r)
{
    char word[WORD];
    int record = open(r->argv[2], O_RDWR | O_CLOEXEC);
    /* A record that is not there or not ours to write: whose volume that is, is not known, and files
     * are put into none that may be another user's. */
    if (record < 0)
        return errno == ENOENT || errno == EACCES || errno == EPERM || errno == EROFS ? 0 : -1;
    int failed = read_word(record, word);
    if (failed || (memcmp(word, "todo", WORD) != 0 && memcmp(word, "half", WORD) != 0)) {
        close(record);
        return failed;
    }
    /* the image need not have the place; the volume is used all the same */
    int from = plan_open_in_root(plan, r->argv[0], O_RDONLY | O_DIRECTORY), to = -1;
    if (from < 0 && errno != ENOENT && errno != ENOTDIR)
        failed = -1;
    if (!failed)
        to = open(r->argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* a directory of the host's that its owner closed to us is his to fill */
    if (!failed && (to >= 0 || errno != EACCES))
        failed = to < 0 || copy_up(record, from, to, r->argc > 3 && r->argv[3][0] == '1') < 0;
    int saved = errno;
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    close(record);
    errno = saved;
    return failed ? -1 : 0;
}
