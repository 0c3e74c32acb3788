#define _GNU_SOURCE
#include "lib/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int channel_add(struct channel *channel, int fd)
{
    if (channel->count == CLIENTS) {
        close(fd);
        return -1;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    channel->client[channel->count++] = (struct client){.fd = fd};
    return 0;
}

/* A loop over all clients holds their numbers, so none moves before channel_compact. */
static void drop(struct channel *channel, int index)
{
    struct client *one = &channel->client[index];
    if (one->typed)
        channel->end_of_input = 1;
    close(one->fd);
    free(one->out);
    *one = (struct client){.fd = -1};
}

void channel_compact(struct channel *channel)
{
    int kept = 0;
    for (int i = 0; i < channel->count; i++)
        if (channel->client[i].fd >= 0)
            channel->client[kept++] = channel->client[i];
    channel->count = kept;
}

static int grow(char **data, size_t *size, size_t wanted)
{
    if (wanted <= *size)
        return 0;
    size_t bigger = *size ? *size : 16384;
    while (bigger < wanted)
        bigger *= 2;
    char *moved = realloc(*data, bigger);
    if (!moved)
        return -1;
    *data = moved;
    *size = bigger;
    return 0;
}

static void keep(struct client *one, const char *data, size_t length)
{
    if (grow(&one->out, &one->out_size, one->out_length + length) == 0) {
        memcpy(one->out + one->out_length, data, length);
        one->out_length += length;
    }
}

void channel_send(struct channel *channel, char type, const void *data, uint32_t length)
{
    unsigned char head[8] = {(unsigned char)type};
    memcpy(head + 4, &length, 4);
    for (int i = channel->count - 1; i >= 0; i--) {
        struct client *one = &channel->client[i];
        if (one->fd < 0 || (one->waiter && (type == 'O' || type == 'P')))
            continue;
        size_t sent = 0;
        if (!one->out_length) {
            struct iovec parts[2] = {{head, 8}, {(void *)(uintptr_t)data, length}};
            struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
            ssize_t wrote = sendmsg(one->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (wrote < 0 && errno != EAGAIN) {
                drop(channel, i);
                continue;
            }
            sent = wrote > 0 ? (size_t)wrote : 0;
        }
        if (sent < 8)
            keep(one, (char *)head + sent, 8 - sent);
        if (sent < 8 + (size_t)length)
            keep(one, (const char *)data + (sent > 8 ? sent - 8 : 0), length - (sent > 8 ? sent - 8 : 0));
    }
}

int channel_congested(const struct channel *channel)
{
    for (int i = 0; i < channel->count; i++)
        if (channel->client[i].out_length > CHANNEL_HIGH)
            return 1;
    return 0;
}

static void control(struct channel *channel, struct client *one)
{
    unsigned short size[2];
    uint32_t number;
    switch (one->head[0]) {
    case 'W':
        memcpy(size, one->small, sizeof size);
        if (one->small_length == 4)
            channel->resize(size[0], size[1]);
        break;
    case 'S':
        memcpy(&number, one->small, sizeof number);
        if (one->small_length == 4)
            channel->signal((int)number);
        break;
    case 'E':
        one->typed = 0;
        channel->end_of_input = 1;
        break;
    case 'K':
        one->waiter = 1;
        break;
    }
}

static void received(struct channel *channel, struct client *one, const char *data, size_t length)
{
    while (length) {
        if (one->head_length < 8) {
            one->head[one->head_length++] = (unsigned char)*data++;
            length--;
            if (one->head_length == 8) {
                memcpy(&one->left, one->head + 4, 4);
                one->small_length = 0;
            }
        } else {
            size_t take = length < one->left ? length : one->left;
            if (one->head[0] == 'I') {
                one->typed = 1;
                if (grow(&channel->typed, &channel->typed_size, channel->typed_length + take) == 0) {
                    memcpy(channel->typed + channel->typed_length, data, take);
                    channel->typed_length += take;
                }
            } else {
                for (size_t i = 0; i < take && one->small_length < sizeof one->small; i++)
                    one->small[one->small_length++] = data[i];
            }
            data += take;
            length -= take;
            one->left -= (uint32_t)take;
        }
        if (one->head_length == 8 && one->left == 0) {
            control(channel, one);
            one->head_length = 0;
        }
    }
}

void channel_event(struct channel *channel, int index, short events)
{
    static char buffer[65536];
    struct client *one = &channel->client[index];
    if (one->fd < 0)
        return; /* gone since it was polled */
    if (events & POLLOUT && one->out_length) {
        ssize_t sent = send(one->fd, one->out, one->out_length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            one->out_length -= (size_t)sent;
            memmove(one->out, one->out + sent, one->out_length);
            if (!one->out_length) { /* an idle monitor keeps no buffers */
                free(one->out);
                one->out = NULL;
                one->out_size = 0;
            }
        } else if (sent < 0 && errno != EAGAIN) {
            drop(channel, index);
            return;
        }
    }
    if (events & (POLLIN | POLLHUP | POLLERR)) {
        ssize_t got = read(one->fd, buffer, sizeof buffer);
        if (got > 0)
            received(channel, one, buffer, (size_t)got);
        else if (got == 0 || errno != EAGAIN)
            drop(channel, index);
    }
}

void channel_finish(struct channel *channel)
{
    for (channel_compact(channel); channel->count; channel_compact(channel)) {
        struct pollfd polled[CLIENTS];
        int waiting = 0;
        for (int i = 0; i < channel->count; i++) {
            polled[i] = (struct pollfd){channel->client[i].fd, channel->client[i].out_length ? POLLOUT : 0, 0};
            waiting += channel->client[i].out_length != 0;
        }
        /* a client that was stopped by its user must not keep the monitor for ever */
        if (!waiting || poll(polled, (nfds_t)channel->count, 5000) <= 0)
            break;
        for (int i = channel->count - 1; i >= 0; i--)
            if (polled[i].revents)
                channel_event(channel, i, polled[i].revents);
    }
    for (int i = 0; i < channel->count; i++)
        if (channel->client[i].fd >= 0)
            drop(channel, i);
    channel->count = 0;
}
