#define _GNU_SOURCE
#include "lib/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int netlink_open(struct netlink *n)
{
    struct sockaddr_nl own = {.nl_family = AF_NETLINK};
    const int yes = 1;
    memset(n, 0, sizeof *n);
    n->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (n->fd < 0)
        return -1;
    /* an acknowledgement need not repeat what it is for */
    setsockopt(n->fd, SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof yes);
    return bind(n->fd, (struct sockaddr *)&own, sizeof own);
}

void netlink_close(struct netlink *n)
{
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
}

static void *room(struct netlink *n, size_t size)
{
    size_t whole = (size + 3) & ~(size_t)3;
    if (n->overfull || whole > sizeof n->buffer - n->length) {
        n->overfull = 1;
        return NULL;
    }
    void *at = n->buffer + n->length;
    memset(at, 0, whole);
    n->length += whole;
    return at;
}

/* the length of the message that is being put together */
static void grow(struct netlink *n)
{
    uint32_t length = (uint32_t)(n->length - n->last);
    memcpy(n->buffer + n->last, &length, sizeof length);
}

void netlink_message(struct netlink *n, uint16_t type, uint16_t flags, const void *head, size_t size, int tolerant)
{
    size_t start = n->length;
    struct nlmsghdr *one = room(n, sizeof *one);
    if (!one)
        return;
    one->nlmsg_type = type;
    one->nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST | NLM_F_ACK);
    one->nlmsg_seq = (uint32_t)n->count;
    if (tolerant && n->count < 32)
        n->tolerated |= 1U << n->count;
    n->count++;
    n->last = start;
    void *body = room(n, size);
    if (body)
        memcpy(body, head, size);
    grow(n);
}

void netlink_put(struct netlink *n, uint16_t type, const void *data, size_t size)
{
    struct rtattr *one = room(n, sizeof *one + size);
    if (!one)
        return;
    one->rta_type = type;
    one->rta_len = (unsigned short)(sizeof *one + size);
    if (size)
        memcpy(one + 1, data, size);
    grow(n);
}

void netlink_text(struct netlink *n, uint16_t type, const char *text)
{
    netlink_put(n, type, text, strlen(text) + 1);
}

void netlink_number(struct netlink *n, uint16_t type, uint32_t value)
{
    netlink_put(n, type, &value, sizeof value);
}

size_t netlink_nest(struct netlink *n, uint16_t type, const void *head, size_t size)
{
    size_t at = n->length;
    netlink_put(n, type, head, size);
    return at;
}

void netlink_end(struct netlink *n, size_t nest)
{
    unsigned short length = (unsigned short)(n->length - nest);
    if (!n->overfull)
        memcpy(n->buffer + nest, &length, sizeof length);
}

/* One answer; the number of errors and acknowledgements in it. */
static int answers(struct netlink *n, int *error)
{
    _Alignas(8) char text[16384];
    int found = 0;
    ssize_t got = recv(n->fd, text, sizeof text, 0);
    if (got < 0)
        return errno == EINTR ? 0 : -1;
    size_t left = (size_t)got;
    for (struct nlmsghdr *one = (void *)text; NLMSG_OK(one, left); one = NLMSG_NEXT(one, left)) {
        if (one->nlmsg_type != NLMSG_ERROR || one->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
            continue; /* what was asked about; nobody here looks at it */
        int code = -((struct nlmsgerr *)NLMSG_DATA(one))->error;
        int may = one->nlmsg_seq < 32 && n->tolerated >> one->nlmsg_seq & 1;
        found++;
        if (code && !*error && !(may && (code == EEXIST || code == ENOENT || code == ESRCH || code == ENODEV)))
            *error = code;
    }
    return found;
}

int netlink_send(struct netlink *n)
{
    int error = n->overfull ? ENOBUFS : 0, awaited = n->count;
    if (!error && awaited && send(n->fd, n->buffer, n->length, 0) < 0)
        error = errno, awaited = 0;
    while (awaited > 0 && !n->overfull) {
        int found = answers(n, &error);
        if (found < 0) {
            error = errno;
            break;
        }
        awaited -= found;
    }
    n->length = n->last = 0;
    n->count = n->overfull = 0;
    n->tolerated = 0;
    errno = error;
    return error ? -1 : 0;
}
