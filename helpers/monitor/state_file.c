#define _GNU_SOURCE
#include "monitor/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A log that fills the disk must not cost the exit status: a file written beside and renamed needs room
 * just when there is none.  So one file of one block is written as a whole before the start, and written
 * over in place from then on.  A reader may see half of that: the sum at the beginning shows it. */
static char path[4096], beside[sizeof path + 8];
static int file = -1, named;

#define MODULUS 1073741789u /* the largest prime below 2^30: one digit of Python's numbers */

/* The bytes as one number, the first byte the lowest, modulo a prime: int.from_bytes(…) % MODULUS */
static uint32_t sum(const char *data, size_t length)
{
    uint64_t made = 0;
    while (length)
        made = (made << 8 | (unsigned char)data[--length]) % MODULUS;
    return (uint32_t)made;
}

static int put(const char *data)
{
    for (size_t at = 0; at < STATE_SIZE;) {
        ssize_t wrote = pwrite(file, data + at, STATE_SIZE - at, (off_t)at);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            errno = wrote ? errno : ENOSPC;
            return -1;
        }
        at += (size_t)wrote;
    }
    return 0;
}

int state_reserve(const char *directory, const char *name)
{
    static char blank[STATE_SIZE];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    snprintf(beside, sizeof beside, "%s.new", path);
    unlink(beside);
    file = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0)
        return -1;
    /* where every write goes to new blocks (btrfs), files can be asked not to, while they are empty */
    int flags;
    if (ioctl(file, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        ioctl(file, FS_IOC_SETFLAGS, &flags);
    }
    memset(blank, ' ', sizeof blank);
    if (put(blank) == 0)
        return 0;
    int saved = errno;
    unlink(beside);
    close(file);
    file = -1;
    errno = saved;
    return -1;
}

void state_write(const char *fields, size_t length)
{
    static char text[STATE_SIZE];
    char head[32];
    int first = snprintf(head, sizeof head, "{\"sum\":\"%010u\",", sum(fields, length));
    if (file < 0 || (size_t)first + length >= sizeof text)
        return;
    memset(text, ' ', sizeof text);
    memcpy(text, head, (size_t)first);
    memcpy(text + first, fields, length);
    text[sizeof text - 1] = '\n';
    if (put(text) == 0 && !named && rename(beside, path) == 0)
        named = 1;
}
