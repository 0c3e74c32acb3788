#define _GNU_SOURCE
#include "place.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int place(int channel)
{
    static char path[4096];
    struct { unsigned char head[8]; uint32_t pid; } told = {{'M', 0, 0, 0, 4, 0, 0, 0}, (uint32_t)getpid()};
    unsigned char head[8];
    uint32_t length;
    if (send(channel, &told, sizeof told, MSG_NOSIGNAL) != sizeof told ||
        recv(channel, head, 8, MSG_WAITALL) != 8 || head[0] != 'G')
        _exit(125);
    memcpy(&length, head + 4, 4);
    if (length >= sizeof path || (length && recv(channel, path, length, MSG_WAITALL) != (ssize_t)length))
        _exit(125);
    return length ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}
