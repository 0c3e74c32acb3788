#define _GNU_SOURCE
#include "ports/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* TCP.  A connection has a socket on each side; bytes go from one to the other through a pipe (splice(2)),
 * which the direction has only while there is something in it: who waits holds two descriptors and no
 * memory.  A side that does not take what is there stops the other, because nobody reads from it. */
enum {
    MOST_LINKS = 1 << 16, MOST_SPARE = 16, ROUNDS = 16, TAKE = 1 << 20,
    FIRST_PAUSE = 10, LONGEST_PAUSE = 200, /* milliseconds between two tries */
};
enum { FREE, WAITING, OPENING, OPEN, DEAD };
enum { NOWHERE, PAUSED, BUSY, LISTS };

struct side {
    int fd, from, to;                     /* the ends of the pipe for what comes from here, or -1 */
    uint32_t held;                        /* bytes in it */
    uint8_t readable, writable, ended, shut;
};
static struct link {
    struct side side[2];
    union address client;
    int port, before, after;
    uint8_t state, list, which;
    uint16_t tries;
    long long next, deadline;
} link_[MOST_LINKS];
static struct { int from, to; } spare[MOST_SPARE];
static int epoll, listeners, spares, used, most, fresh, free_link = -1, dead = -1, first[LISTS] = {-1, -1, -1}, stopped;

static void take(int index)
{
    struct link *l = &link_[index];
    if (l->list == NOWHERE)
        return;
    if (l->before >= 0)
        link_[l->before].after = l->after;
    else
        first[l->list] = l->after;
    if (l->after >= 0)
        link_[l->after].before = l->before;
    l->list = NOWHERE;
}

static void put(int index, uint8_t list)
{
    struct link *l = &link_[index];
    take(index);
    l->list = list;
    l->before = -1;
    l->after = first[list];
    if (l->after >= 0)
        link_[l->after].before = index;
    first[list] = index;
}

static void listen_again(int yes)
{
    struct epoll_event event = {EPOLLIN, {.u64 = (uint64_t)LISTENERS << 32}};
    if (stopped == !yes)
        return;
    stopped = !yes;
    if (listeners >= 0)
        epoll_ctl(epoll, yes ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listeners, &event);
}

int streams_begin(int outer, int limit)
{
    epoll = outer;
    listeners = epoll_create1(EPOLL_CLOEXEC);
    stopped = 1;
    most = limit < MOST_LINKS ? limit : MOST_LINKS;
    for (int i = 0; i < ports; i++)
        if (port[i].protocol == IPPROTO_TCP && watch(listeners, port[i].fd, EPOLLIN, LISTENERS, i) < 0)
            return -1;
    listen_again(1);
    return listeners < 0 ? -1 : 0;
}

static void give_pipe(struct side *s)
{
    if (s->from < 0)
        return;
    if (spares < MOST_SPARE && !s->held) {
        spare[spares].from = s->from;
        spare[spares++].to = s->to;
    } else {
        close(s->from);
        close(s->to);
    }
    s->from = s->to = -1;
    s->held = 0;
}

static int get_pipe(struct side *s)
{
    int ends[2];
    if (s->from >= 0)
        return 1;
    if (spares) {
        s->from = spare[--spares].from;
        s->to = spare[spares].to;
        return 1;
    }
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return 0;
    s->from = ends[0];
    s->to = ends[1];
    return 1;
}

static void end_side(struct side *s, int reset)
{
    struct linger none = {1, 0};
    give_pipe(s);
    if (s->fd < 0)
        return;
    if (reset)
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(s->fd);
    s->fd = -1;
}

/* Events about it may be waiting: its place is used again after them. */
static void end(int index, int reset)
{
    struct link *l = &link_[index];
    take(index);
    end_side(&l->side[0], reset);
    end_side(&l->side[1], reset);
    l->state = DEAD;
    l->after = dead;
    dead = index;
    used--;
    listen_again(1);
}

/* Where there is no pipe to be had: what could be sent is taken, and no more. */
static ssize_t copy(int from, int to, int *blocked)
{
    static char buffer[65536];
    ssize_t got = recv(from, buffer, sizeof buffer, MSG_PEEK | MSG_DONTWAIT), sent;
    if (got <= 0)
        return got;
    sent = send(to, buffer, (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL);
    *blocked = sent < 0 && errno == EAGAIN;
    for (ssize_t left = sent; left > 0;) {
        ssize_t taken = recv(from, buffer, (size_t)left, MSG_DONTWAIT);
        if (taken <= 0)
            return -1;
        left -= taken;
    }
    return sent;
}

/* What goes from one side to the other; -1: the connection is broken.  1: there may be more. */
static int move(struct link *l, int direction)
{
    struct side *s = &l->side[direction], *t = &l->side[!direction];
    for (int round = 0; round < ROUNDS; round++) {
        if (!s->held) {
            int blocked = 0;
            ssize_t got;
            if (s->ended) {
                if (!t->shut)
                    shutdown(t->fd, SHUT_WR);
                t->shut = 1;
                return 0;
            }
            if (!s->readable || !t->writable)
                return 0;
            int piped = get_pipe(s);
            got = piped ? splice(s->fd, NULL, s->to, NULL, TAKE, SPLICE_F_NONBLOCK | SPLICE_F_MOVE)
                        : copy(s->fd, t->fd, &blocked);
            if (piped && got > 0)
                s->held = (uint32_t)got;
            else
                give_pipe(s);
            if (got == 0)
                s->ended = 1;
            else if (got < 0 && errno == EAGAIN)
                *(blocked ? &t->writable : &s->readable) = 0;
            else if (got < 0 && errno != EINTR)
                return -1;
            continue;
        }
        if (!t->writable)
            return 0;
        ssize_t sent = splice(s->from, NULL, t->fd, NULL, s->held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
        if (sent > 0)
            s->held -= (uint32_t)sent;
        else if (sent < 0 && errno == EAGAIN)
            t->writable = 0;
        else if (sent < 0 && errno != EINTR)
            return -1;
        if (!s->held)
            give_pipe(s);
    }
    return 1;
}

static void go_on(int index)
{
    struct link *l = &link_[index];
    int up = move(l, CLIENT - CLIENT), down = up < 0 ? -1 : move(l, CONTAINER - CLIENT);
    if (up < 0 || down < 0)
        end(index, 1);
    else if (l->side[0].shut && l->side[1].shut)
        end(index, 0);
    else if (up || down)
        put(index, BUSY);
    else
        take(index);
}

/* The other side is asked by the kernel now and then whether it is there: the server's own questions are
 * answered by us. */
static void tune(int fd, int alive)
{
    int one = 1, idle = 60, pause = 15, tries = 4;
    setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one);
    if (!alive)
        return;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, 4 /* TCP_KEEPIDLE */, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, 5 /* TCP_KEEPINTVL */, &pause, sizeof pause);
    setsockopt(fd, IPPROTO_TCP, 6 /* TCP_KEEPCNT */, &tries, sizeof tries);
}

static void opened(int index)
{
    struct link *l = &link_[index];
    l->state = OPEN;
    l->side[1].readable = l->side[1].writable = 1;
    if (settings.header) {
        char text[128];
        union address server;
        socklen_t size = sizeof server;
        getsockname(l->side[0].fd, &server.any, &size);
        size_t length = proxy_header(text, sizeof text, &l->client, &server);
        /* a new connection has room for it */
        if (send(l->side[1].fd, text, length, MSG_NOSIGNAL) != (ssize_t)length) {
            end(index, 1);
            return;
        }
    }
    go_on(index);
}

/* Asks the container, by IPv6 and then by IPv4 for a client of IPv6; who finds nobody asks again later.  The
 * client's bytes stay where they are, in its socket. */
static void try_from(int index, int which)
{
    struct link *l = &link_[index];
    for (;; which--) {
        int fd = open_inside(SOCK_STREAM, &l->client, which, port[l->port].inside);
        if (fd >= 0) {
            take(index);
            l->side[1].fd = fd;
            l->which = (uint8_t)which;
            l->state = OPENING;
            tune(fd, 0);
            if (watch(epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, CONTAINER, index) < 0)
                end(index, 1);
            return;
        }
        if (which == FOUR)
            break;
    }
    long long now = milliseconds();
    if (now >= l->deadline) {
        end(index, 1);
        return;
    }
    int pause = FIRST_PAUSE << (l->tries < 5 ? l->tries : 5);
    l->tries++;
    l->state = WAITING;
    l->next = now + (pause < LONGEST_PAUSE ? pause : LONGEST_PAUSE);
    put(index, PAUSED);
}

static void try(int index)
{
    try_from(index, settings.six && link_[index].client.any.sa_family == AF_INET6 ? SIX : FOUR);
}

static void refused(int index)
{
    struct link *l = &link_[index];
    close(l->side[1].fd);
    l->side[1].fd = -1;
    if (l->which == SIX)
        try_from(index, FOUR);
    else if (milliseconds() >= l->deadline)
        end(index, 1);
    else {
        l->which = FOUR;
        l->state = WAITING;
        l->tries++;
        l->next = milliseconds() + LONGEST_PAUSE;
        put(index, PAUSED);
    }
}

static int new_link(void)
{
    if (used >= most)
        return -1;
    int index = free_link;
    if (index >= 0)
        free_link = link_[index].after;
    else if (fresh < MOST_LINKS)
        index = fresh++;
    else
        return -1;
    used++;
    memset(&link_[index], 0, sizeof link_[index]);
    for (int i = 0; i < 2; i++)
        link_[index].side[i].fd = link_[index].side[i].from = link_[index].side[i].to = -1;
    return index;
}

static int accept_one(int at)
{
    union address client;
    socklen_t size = sizeof client;
    int index = new_link();
    if (index < 0) {
        listen_again(0);
        return 0;
    }
    struct link *l = &link_[index];
    int fd = accept4(port[at].fd, &client.any, &size, SOCK_CLOEXEC | SOCK_NONBLOCK), error = errno;
    if (fd < 0) {
        end(index, 0);
        /* no descriptors are left: until one is given back, clients wait where the kernel has them */
        if (used && (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM))
            listen_again(0);
        return 0;
    }
    l->side[0].fd = fd;
    l->side[0].readable = l->side[0].writable = 1;
    l->client = client;
    l->port = at;
    l->deadline = milliseconds() + settings.patience;
    tune(fd, 1);
    if (watch(epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, CLIENT, index) < 0)
        end(index, 1);
    else
        try(index);
    return 1;
}

void streams_accept(void)
{
    struct epoll_event event[32];
    int count = epoll_wait(listeners, event, 32, 0);
    for (int i = 0; i < count; i++)
        for (int one = 0; one < 64 && accept_one((int)(uint32_t)event[i].data.u64); one++)
            ;
}

void streams_event(int index, int side, uint32_t events)
{
    struct link *l = &link_[index];
    if (l->state == FREE || l->state == DEAD)
        return;
    if (l->state != OPEN && side == 0) {
        if (events & (EPOLLERR | EPOLLHUP))
            end(index, 1); /* who asked has gone away */
        return;
    }
    if (l->state == OPENING) {
        int error = 0;
        socklen_t size = sizeof error;
        if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
            return;
        getsockopt(l->side[1].fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error)
            refused(index);
        else
            opened(index);
        return;
    }
    if (l->state != OPEN)
        return;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
        l->side[side].readable = 1;
    if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        l->side[side].writable = 1;
    go_on(index);
}

/* Nothing new is taken.  What is not passed on until now because the client does not read is lost, and the
 * client hears that it was cut off. */
void streams_finish(void)
{
    for (int i = 0; i < ports; i++)
        close(port[i].fd);
    close(listeners);
    listeners = -1;
    for (int index = 0; index < fresh; index++) {
        struct link *l = &link_[index];
        for (int round = 0; round < 64 && l->state == OPEN; round++) {
            l->side[0].readable = 0;
            l->side[1].readable = 1;
            go_on(index);
            if (l->state == OPEN && (l->side[1].held || !l->side[1].readable))
                break;
        }
        if (l->state != FREE && l->state != DEAD)
            end(index, 1);
    }
}

int streams_work(void)
{
    int after, wait = -1;
    for (int index = dead; index >= 0; index = after) {
        after = link_[index].after;
        link_[index].state = FREE;
        link_[index].after = free_link;
        free_link = index;
    }
    dead = -1;
    if (first[PAUSED] >= 0) {
        long long now = milliseconds(), soonest = now + LONGEST_PAUSE;
        for (int index = first[PAUSED]; index >= 0; index = after) {
            after = link_[index].after;
            if (link_[index].next <= now) {
                take(index);
                try(index);
            }
            if (link_[index].list == PAUSED && link_[index].next < soonest)
                soonest = link_[index].next;
        }
        if (first[PAUSED] >= 0)
            wait = soonest > now ? (int)(soonest - now) : 0;
    }
    /* one turn for each, then others are heard */
    for (int index = first[BUSY]; index >= 0; index = after) {
        after = link_[index].after;
        go_on(index);
    }
    return dead >= 0 || first[BUSY] >= 0 ? 0 : wait;
}
