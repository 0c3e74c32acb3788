#define _GNU_SOURCE
#include "ports/ports.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* UDP.  Each client has a socket inside, which has its address; it is forgotten after two silent minutes.
 * What comes while nobody listens in the container is lost, as it is with UDP. */
enum { MOST_FLOWS = 4096, BUCKETS = 4096, SILENCE = 120000, BATCH = 32, NONE = -1 };
enum { NEW_CLIENTS = 1024 /* that get a route at once, and then each four milliseconds one */ };

static struct flow {
    int fd, port, after;
    union address client;
    union { struct in_addr four; struct in6_addr six; } local; /* by which of the host's it reached us */
    uint8_t which, led;
    long long used;
} flow[MOST_FLOWS];
static int bucket[BUCKETS], flows, most, epoll, free_flow = NONE, fresh;
static long long forgotten;
static char packet[65536];

void datagrams_begin(int outer, int limit)
{
    epoll = outer;
    most = limit < MOST_FLOWS ? limit : MOST_FLOWS;
    for (int i = 0; i < BUCKETS; i++)
        bucket[i] = NONE;
    for (int i = 0; i < ports; i++)
        if (port[i].protocol == IPPROTO_UDP)
            watch(epoll, port[i].fd, EPOLLIN, DATAGRAMS, i);
}

static const void *number(const union address *a, size_t *size)
{
    *size = a->any.sa_family == AF_INET ? 4 : 16;
    return a->any.sa_family == AF_INET ? (const void *)&a->four.sin_addr : (const void *)&a->six.sin6_addr;
}

static int same(const union address *one, const union address *other, int with_port)
{
    size_t size;
    const void *here = number(one, &size), *there = number(other, &size);
    return one->any.sa_family == other->any.sa_family && memcmp(here, there, size) == 0 &&
           (!with_port || one->four.sin_port == other->four.sin_port);
}

static uint32_t hash(int from, const union address *client)
{
    size_t size;
    const unsigned char *byte = number(client, &size);
    uint32_t made = 2166136261u ^ (uint32_t)from;
    for (size_t i = 0; i < size; i++)
        made = (made ^ byte[i]) * 16777619u;
    return ((made ^ client->four.sin_port) * 16777619u) % BUCKETS;
}

/* Others of the same client need the route. */
static int led(const struct flow *except)
{
    for (int i = 0; i < fresh; i++)
        if (flow[i].fd >= 0 && &flow[i] != except && flow[i].led && same(&flow[i].client, &except->client, 0))
            return 1;
    return 0;
}

static void forget(struct flow *f)
{
    int *at = &bucket[hash(f->port, &f->client)], index = (int)(f - flow);
    while (*at != index)
        at = &flow[*at].after;
    *at = f->after;
    close(f->fd);
    f->fd = -1;
    if (f->led && !led(f))
        lead_back(&f->client, 0);
    f->led = 0;
    f->after = free_flow;
    free_flow = index;
    flows--;
}

static void forget_oldest(void)
{
    struct flow *oldest = NULL;
    for (int i = 0; i < fresh; i++)
        if (flow[i].fd >= 0 && (!oldest || flow[i].used < oldest->used))
            oldest = &flow[i];
    if (oldest)
        forget(oldest);
}

/* Whoever sends packets in the name of many others has the kernel change routes only so often; who comes then
 * is seen by the gateway's address. */
static int may_lead(void)
{
    static long long since;
    static int given;
    long long now = milliseconds();
    if (!since)
        since = now;
    while (given > 0 && now - since >= 4) {
        long long back = (now - since) / 4;
        given = back < given ? given - (int)back : 0;
        since += back * 4;
    }
    if (!given)
        since = now;
    return given < NEW_CLIENTS ? ++given : 0;
}

/* The gateway's address, which is that of all who have none of their own inside, is led back for good: but
 * only when the container's network is there, whose address answers have. */
static int open_hidden(const struct flow *f)
{
    static const union address hidden = {.any.sa_family = AF_UNSPEC};
    static int done[2];
    if (!done[f->which])
        done[f->which] = lead_back(&settings.gateway[f->which], 1) == 0;
    return open_inside(SOCK_DGRAM, &hidden, f->which, port[f->port].inside);
}

static int open_flow(struct flow *f)
{
    f->led = 0;
    if (is_seen(&f->client, f->which)) {
        int known = led(f);
        f->led = known || (may_lead() && lead_back(&f->client, 1) == 0);
    }
    f->fd = f->led ? open_inside(SOCK_DGRAM, &f->client, f->which, port[f->port].inside) : open_hidden(f);
    if (f->fd >= 0 && watch(epoll, f->fd, EPOLLIN, FLOW, (int)(f - flow)) == 0)
        return 0;
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    if (f->led && !led(f))
        lead_back(&f->client, 0);
    f->led = 0;
    return -1;
}

static struct flow *find(int from, const union address *client)
{
    uint32_t place = hash(from, client);
    for (int i = bucket[place]; i != NONE; i = flow[i].after)
        if (flow[i].port == from && same(&flow[i].client, client, 1))
            return &flow[i];
    if (flows >= most)
        forget_oldest();
    int index = free_flow != NONE ? free_flow : fresh < MOST_FLOWS ? fresh : NONE;
    if (index == NONE)
        return NULL;
    struct flow *f = &flow[index];
    int after = f->after, next = index == fresh;
    *f = (struct flow){.fd = -1, .port = from, .client = *client};
    f->which = settings.six && client->any.sa_family == AF_INET6 ? SIX : FOUR;
    if (next)
        fresh++;
    else
        free_flow = after;
    if (open_flow(f) < 0) {
        f->after = free_flow;
        free_flow = index;
        return NULL;
    }
    f->after = bucket[place];
    bucket[place] = index;
    flows++;
    return f;
}

/* Nobody listens on the container's IPv6: perhaps on its IPv4. */
static void next_family(struct flow *f)
{
    if (f->which != SIX)
        return;
    f->which = FOUR;
    int fd = open_hidden(f);
    if (fd < 0)
        return;
    close(f->fd);
    if (f->led && !led(f))
        lead_back(&f->client, 0);
    f->led = 0;
    f->fd = fd;
    watch(epoll, fd, EPOLLIN, FLOW, (int)(f - flow));
}

void datagrams_receive(int index)
{
    for (int i = 0; i < BATCH; i++) {
        union address client;
        union { struct cmsghdr head; char text[128]; } control;
        struct iovec part = {packet, sizeof packet};
        struct msghdr m = {.msg_name = &client, .msg_namelen = sizeof client, .msg_iov = &part, .msg_iovlen = 1,
                           .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t got = recvmsg(port[index].fd, &m, MSG_DONTWAIT);
        if (got < 0)
            return;
        struct flow *f = find(index, &client);
        if (!f)
            continue;
        f->used = milliseconds();
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
            if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
                f->local.four = ((struct in_pktinfo *)(void *)CMSG_DATA(c))->ipi_spec_dst;
            if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
                f->local.six = ((struct in6_pktinfo *)(void *)CMSG_DATA(c))->ipi6_addr;
        }
        /* an answer that nobody listens may be waiting from the last one */
        for (int turn = 0; turn < 2; turn++) {
            if (send(f->fd, packet, (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != ECONNREFUSED)
                break;
            next_family(f);
        }
    }
}

static void answer(const struct flow *f, size_t length)
{
    union { struct cmsghdr head; char text[64]; } control = {0};
    struct iovec part = {packet, length};
    struct msghdr m = {.msg_name = (void *)(uintptr_t)&f->client, .msg_iov = &part, .msg_iovlen = 1,
                       .msg_control = &control};
    struct cmsghdr *c = &control.head;
    if (f->client.any.sa_family == AF_INET) {
        struct in_pktinfo from = {.ipi_spec_dst = f->local.four};
        m.msg_namelen = sizeof f->client.four;
        *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof from), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
        memcpy(CMSG_DATA(c), &from, sizeof from);
        m.msg_controllen = CMSG_SPACE(sizeof from);
    } else {
        struct in6_pktinfo from = {.ipi6_addr = f->local.six};
        m.msg_namelen = sizeof f->client.six;
        *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof from), .cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO};
        memcpy(CMSG_DATA(c), &from, sizeof from);
        m.msg_controllen = CMSG_SPACE(sizeof from);
    }
    sendmsg(port[f->port].fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void datagrams_answer(int index)
{
    struct flow *f = &flow[index];
    for (int i = 0; i < BATCH && f->fd >= 0; i++) {
        ssize_t got = recv(f->fd, packet, sizeof packet, MSG_DONTWAIT);
        if (got < 0 && errno == ECONNREFUSED)
            next_family(f);
        if (got < 0)
            return;
        f->used = milliseconds();
        answer(f, (size_t)got);
    }
}

void datagrams_forget(void)
{
    long long now = milliseconds();
    if (!flows || now - forgotten < SILENCE / 8)
        return;
    forgotten = now;
    for (int i = 0; i < fresh; i++)
        if (flow[i].fd >= 0 && now - flow[i].used >= SILENCE)
            forget(&flow[i]);
}

int datagrams_wait(void)
{
    return flows ? SILENCE / 8 : -1;
}
