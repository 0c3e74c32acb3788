/* Messages of rtnetlink(7), several in one send, with their acknowledgements. */
#ifndef ROOTLESS_NETLINK_H
#define ROOTLESS_NETLINK_H
#include <stddef.h>
#include <stdint.h>

struct netlink {
    int fd;
    int count;       /* messages that wait to be sent */
    int overfull;    /* one of them had no room */
    size_t length, last;
    uint32_t tolerated; /* bit N: message N may find what it makes (EEXIST), or not what it removes */
    _Alignas(4) char buffer[4096];
};

/* in the network namespace of the caller; 0, or -1 */
int netlink_open(struct netlink *n);
void netlink_close(struct netlink *n);
/* begins a message; `tolerant`: EEXIST, ENOENT and ESRCH are no failures of it */
void netlink_message(struct netlink *n, uint16_t type, uint16_t flags, const void *head, size_t size, int tolerant);
void netlink_put(struct netlink *n, uint16_t type, const void *data, size_t size);
void netlink_text(struct netlink *n, uint16_t type, const char *text);
void netlink_number(struct netlink *n, uint16_t type, uint32_t value);
size_t netlink_nest(struct netlink *n, uint16_t type, const void *head, size_t size); /* until netlink_end */
void netlink_end(struct netlink *n, size_t nest);
/* sends what was put together and waits for all answers; -1 with the first error in errno */
int netlink_send(struct netlink *n);
#endif
