/* The monitor's side of the channel: clients that watch, type, resize, send signals. */
#ifndef ROOTLESS_CHANNEL_H
#define ROOTLESS_CHANNEL_H
#include <poll.h>
#include <stddef.h>
#include <stdint.h>

enum { CLIENTS = 64, CHANNEL_HIGH = 1 << 17 };

struct client {
    int fd, waiter, typed;
    char *out;
    size_t out_length, out_size;
    unsigned char head[8];
    unsigned head_length;
    uint32_t left;
    char small[16];
    unsigned small_length;
};

struct channel {
    struct client client[CLIENTS];
    int count;
    char *typed;                 /* bytes on their way to the container's stdin */
    size_t typed_length, typed_size;
    int end_of_input;            /* a client sent E, or the one that typed has gone */
    void (*resize)(unsigned short rows, unsigned short cols);
    void (*signal)(int number);
};

int channel_add(struct channel *channel, int fd);
void channel_send(struct channel *channel, char type, const void *data, uint32_t length);
void channel_compact(struct channel *channel); /* forget those that have gone; their numbers change */
int channel_congested(const struct channel *channel);
void channel_event(struct channel *channel, int index, short events);
void channel_finish(struct channel *channel); /* deliver what is left, bounded in time */
#endif
