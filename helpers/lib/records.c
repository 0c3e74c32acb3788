#include "lib/records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int records_read(struct records *all, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -1;
    if (status.st_size < 4 || status.st_size > 16 << 20) {
        errno = EBADMSG;
        return -1;
    }
    /* copied, so that nobody can change or shorten what was checked */
    all->size = (uint32_t)status.st_size;
    all->data = malloc(all->size);
    if (!all->data)
        return -1;
    for (uint32_t done = 0; done < all->size;) {
        ssize_t got = pread(fd, all->data + done, all->size - done, done);
        if (got <= 0) {
            errno = got < 0 ? errno : EBADMSG;
            return -1;
        }
        done += (uint32_t)got;
    }
    all->at = 4;
    all->index = 0;
    if (memcmp(all->data, "RLP1", 4) != 0) {
        errno = EBADMSG;
        return -1;
    }
    return 0;
}

static uint32_t number(const char *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

int records_next(struct records *all, struct record *one)
{
    if (all->at == all->size)
        return 0;
    if (all->size - all->at < 12)
        return -1;
    char *head = all->data + all->at;
    uint32_t length = number(head), at = 12;
    one->op = number(head + 4);
    one->argc = number(head + 8);
    one->index = all->index;
    if (length < 12 || length > all->size - all->at || one->argc > RECORD_ARGS)
        return -1;
    for (uint32_t i = 0; i < one->argc; i++) {
        if (length - at < 4)
            return -1;
        uint32_t bytes = number(head + at);
        at += 4;
        if (bytes >= length - at || head[at + bytes] != 0)
            return -1;
        one->argv[i] = head + at;
        one->length[i] = bytes;
        uint32_t padded = (bytes + 1 + 3) & ~3u;
        if (padded > length - at)
            return -1;
        at += padded;
    }
    one->argv[one->argc] = NULL;
    all->at += length;
    all->index++;
    return 1;
}
