#define _GNU_SOURCE
#include "monitor/cgroup_placement.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST (1 << 20)

/* "PATH" or "PATH\0TEXT\0TEXT": the texts after the first */
static char **split(char *text, size_t length)
{
    size_t count = 0;
    char **words;
    for (size_t i = 0; i < length; i++)
        count += !text[i];
    if (!count || !(words = calloc(count + 1, sizeof *words)))
        return NULL;
    for (size_t i = 0, n = 0; i < length; i++)
        if (!text[i])
            words[n++] = text + i + 1;
    return words;
}

int place(int channel, char ***more)
{
    struct { unsigned char head[8]; uint32_t pid; } told = {{'M', 0, 0, 0, 4, 0, 0, 0}, (uint32_t)getpid()};
    unsigned char head[8];
    uint32_t length;
    char *path;
    if (send(channel, &told, sizeof told, MSG_NOSIGNAL) != sizeof told ||
        recv(channel, head, 8, MSG_WAITALL) != 8 || head[0] != 'G')
        _exit(125);
    memcpy(&length, head + 4, 4);
    if (length >= MOST || !(path = calloc(length + 1, 1)) ||
        (length && recv(channel, path, length, MSG_WAITALL) != (ssize_t)length))
        _exit(125);
    if (more)
        *more = split(path, length);
    return path[0] ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}
