#define _GNU_SOURCE
#include "lib/resolver.h"

#include "lib/dns_message.h"
#include "lib/lease_table.h"
#include "lib/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { UDP4, UDP6, TCP4, TCP6 };
enum { PATIENCE = 2000, SERVERS = 3, CHILDREN = 32 };

/* who has asked, and on which bridge */
struct client {
    int fd;
    struct sockaddr_storage address;
    socklen_t length;
    union { struct in_pktinfo four; struct in6_pktinfo six; } to;
    char bridge[IFNAMSIZ], text[INET6_ADDRSTRLEN];
};

/* a question that a name server of the host has been asked */
struct pending {
    int fd; /* 0: none */
    struct client client;
    unsigned char query[DNS_UDP * 3];
    size_t size;
    struct question question;
    unsigned char id[2]; /* the client's own */
    char servers[256];
    int tried;
    long long until;
};

static struct pending pending[RESOLVER_PENDING];
static struct lease_table table;
static int sockets[RESOLVER_SOCKETS];
static int children;
static char host_servers[256];
static struct timespec host_read;
static ino_t host_inode;

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

/* ---- sockets */

static int listening(int family, int type)
{
    const int yes = 1;
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(53)};
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof yes);
    } else {
        setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof yes);
    }
    int failed = family == AF_INET6 ? bind(fd, (struct sockaddr *)&six, sizeof six)
                                    : bind(fd, (struct sockaddr *)&four, sizeof four);
    if (!failed && type == SOCK_STREAM)
        failed = listen(fd, 64);
    if (failed) {
        close(fd);
        return -1;
    }
    return fd;
}

void resolver_sockets(int fds[RESOLVER_SOCKETS])
{
    fds[UDP4] = listening(AF_INET, SOCK_DGRAM);
    fds[UDP6] = listening(AF_INET6, SOCK_DGRAM);
    fds[TCP4] = listening(AF_INET, SOCK_STREAM);
    fds[TCP6] = listening(AF_INET6, SOCK_STREAM);
}

int resolver_open(const int fds[RESOLVER_SOCKETS], const char *directory)
{
    memcpy(sockets, fds, sizeof sockets);
    return lease_table_open(&table, directory);
}

static void name_of_bridge(struct client *c, int index)
{
    struct ifreq asked;
    memset(&asked, 0, sizeof asked);
    asked.ifr_ifindex = index;
    c->bridge[0] = 0;
    if (index > 0 && ioctl(c->fd, SIOCGIFNAME, &asked) == 0)
        snprintf(c->bridge, sizeof c->bridge, "%.15s", asked.ifr_name);
}

static void text_of_address(struct client *c)
{
    const struct sockaddr_in6 *six = (const void *)&c->address;
    const struct sockaddr_in *four = (const void *)&c->address;
    const void *from = c->address.ss_family == AF_INET6 ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr;
    if (!inet_ntop(c->address.ss_family, from, c->text, sizeof c->text))
        c->text[0] = 0;
}

static ssize_t receive(struct client *c, void *data, size_t room)
{
    _Alignas(struct cmsghdr) char control[128];
    struct iovec part = {data, room};
    struct msghdr message = {.msg_name = &c->address, .msg_namelen = sizeof c->address, .msg_iov = &part,
                             .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(c->fd, &message, 0);
    int index = 0;
    if (got < 0 || message.msg_flags & MSG_TRUNC)
        return got < 0 ? -1 : 0;
    c->length = message.msg_namelen;
    for (struct cmsghdr *one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one)) {
        if (one->cmsg_level == IPPROTO_IP && one->cmsg_type == IP_PKTINFO) {
            memcpy(&c->to.four, CMSG_DATA(one), sizeof c->to.four);
            index = c->to.four.ipi_ifindex;
        } else if (one->cmsg_level == IPPROTO_IPV6 && one->cmsg_type == IPV6_PKTINFO) {
            memcpy(&c->to.six, CMSG_DATA(one), sizeof c->to.six);
            index = (int)c->to.six.ipi6_ifindex;
        }
    }
    name_of_bridge(c, index);
    text_of_address(c);
    return got;
}

/* From the address that was asked: others are not believed. */
static void reply(const struct client *c, const void *data, size_t size)
{
    _Alignas(struct cmsghdr) char control[128] = {0};
    struct iovec part = {(void *)(uintptr_t)data, size};
    struct msghdr message = {.msg_name = (void *)(uintptr_t)&c->address, .msg_namelen = c->length, .msg_iov = &part,
                             .msg_iovlen = 1, .msg_control = control};
    struct cmsghdr *one = (void *)control;
    if (c->address.ss_family == AF_INET6) {
        one->cmsg_level = IPPROTO_IPV6;
        one->cmsg_type = IPV6_PKTINFO;
        one->cmsg_len = CMSG_LEN(sizeof c->to.six);
        memcpy(CMSG_DATA(one), &c->to.six, sizeof c->to.six);
        message.msg_controllen = CMSG_SPACE(sizeof c->to.six);
    } else {
        struct in_pktinfo to = {.ipi_spec_dst = c->to.four.ipi_addr};
        one->cmsg_level = IPPROTO_IP;
        one->cmsg_type = IP_PKTINFO;
        one->cmsg_len = CMSG_LEN(sizeof to);
        memcpy(CMSG_DATA(one), &to, sizeof to);
        message.msg_controllen = CMSG_SPACE(sizeof to);
    }
    sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- name servers of the host */

/* Read again when the file is another one: a laptop that changes its network. */
static void read_host_servers(void)
{
    struct stat found;
    char text[8192];
    if (stat("/etc/resolv.conf", &found) < 0 || slurp("/etc/resolv.conf", text, sizeof text) <= 0) {
        host_servers[0] = 0;
        return;
    }
    if (found.st_ino == host_inode && memcmp(&found.st_mtim, &host_read, sizeof host_read) == 0)
        return;
    host_inode = found.st_ino;
    host_read = found.st_mtim;
    host_servers[0] = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char server[64];
        if (sscanf(line, " nameserver %63s", server) == 1 && strlen(host_servers) + strlen(server) + 2 < sizeof host_servers) {
            strcat(host_servers, server);
            strcat(host_servers, " ");
        }
    }
}

/* The socket address of the server number `at` in a list; its length, or 0. */
static socklen_t server_address(const char *servers, int at, struct sockaddr_storage *made)
{
    char copy[256], *rest = copy, *word;
    snprintf(copy, sizeof copy, "%s", servers);
    while ((word = strsep(&rest, " "))) {
        struct sockaddr_in *four = (void *)made;
        struct sockaddr_in6 *six = (void *)made;
        if (!*word || at--)
            continue;
        memset(made, 0, sizeof *made);
        char *scope = strchr(word, '%');
        if (scope)
            *scope++ = 0;
        if (inet_pton(AF_INET, word, &four->sin_addr) == 1) {
            four->sin_family = AF_INET;
            four->sin_port = htons(53);
            return sizeof *four;
        }
        if (inet_pton(AF_INET6, word, &six->sin6_addr) == 1) {
            six->sin6_family = AF_INET6;
            six->sin6_port = htons(53);
            six->sin6_scope_id = scope ? if_nametoindex(scope) : 0;
            return sizeof *six;
        }
        return 0;
    }
    return 0;
}

/* ---- what is answered here */

static void drop(struct pending *p)
{
    if (p->fd > 0)
        close(p->fd);
    p->fd = 0;
}

/* The address of the host at which a program of the container reaches it: not its loopback. */
static int own_address(int family, void *address)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0xc0000201)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr.s6_addr = {0x20, 1, 0xd, 0xb8}};
    struct sockaddr_storage own;
    socklen_t length = sizeof own;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    /* no packet is sent: the kernel only looks for a way */
    int failed = fd < 0 || (family == AF_INET ? connect(fd, (struct sockaddr *)&four, sizeof four)
                                              : connect(fd, (struct sockaddr *)&six, sizeof six)) < 0 ||
                 getsockname(fd, (struct sockaddr *)&own, &length) < 0;
    if (fd >= 0)
        close(fd);
    if (!failed && family == AF_INET)
        memcpy(address, &((struct sockaddr_in *)&own)->sin_addr, 4);
    else if (!failed)
        memcpy(address, &((struct sockaddr_in6 *)&own)->sin6_addr, 16);
    return failed ? -1 : 0;
}

static int wants(const struct question *q, int size)
{
    return q->type == DNS_ANY || q->type == (size == 4 ? DNS_A : DNS_AAAA);
}

static size_t of_host(unsigned char *out, size_t length, size_t room, const struct question *q)
{
    unsigned char address[16];
    if (wants(q, 4) && own_address(AF_INET, address) == 0)
        length = dns_add_address(out, length, room, address, 4);
    return length;
}

/* Adds the addresses of a name; whether there is one. */
static int of_name(unsigned char *out, size_t *length, size_t room, const struct question *q, const struct lease *asker,
                   const char *name)
{
    int found = 0;
    for (size_t i = 0; i < table.count; i++) {
        const struct lease *one = &table.lease[i];
        const struct network_rules *rules = lease_rules(&table, one->bridge);
        unsigned char address[16];
        if (!rules || !rules->names || !lease_has(one->names, name) || !lease_shares(&table, asker, one) ||
            !lease_lives(&table, one))
            continue;
        found = 1;
        int size = strchr(one->address, ':') ? 16 : 4;
        if (wants(q, size) && inet_pton(size == 16 ? AF_INET6 : AF_INET, one->address, address) == 1)
            *length = dns_add_address(out, *length, room, address, (size_t)size);
    }
    return found;
}

static int of_address(unsigned char *out, size_t *length, size_t room, const struct lease *asker, const char *text)
{
    for (size_t i = 0; i < table.count; i++) {
        const struct lease *one = &table.lease[i];
        char name[256];
        if (strcmp(one->address, text) != 0 || !lease_shares(&table, asker, one) || !lease_lives(&table, one))
            continue;
        if (sscanf(one->names, " %255s", name) == 1)
            *length = dns_add_pointer(out, *length, room, name);
        return 1;
    }
    return 0;
}

/* The answer, if it is known here; 0 where somebody else is to be asked, at `servers`. */
static size_t known(unsigned char *out, size_t room, const unsigned char *query, size_t size, const struct client *c,
                    struct question *q, char *servers)
{
    static const char *const suffix = ".dns.podman";
    char name[256], text[INET6_ADDRSTRLEN];
    int code = dns_question(query, size, q);
    if (code)
        return code < 0 ? (size_t)-1 : dns_answer(out, query, q, code);
    lease_table_refresh(&table);
    const struct lease *asker = lease_of(&table, c->bridge, c->text);
    const struct network_rules *rules = asker ? lease_rules(&table, asker->bridge) : NULL;
    /* who has no lease on this bridge is nobody: a made-up address, or another network's */
    if (!asker || !rules || q->class != 1)
        return dns_answer(out, query, q, DNS_REFUSED);
    snprintf(name, sizeof name, "%s", q->name);
    size_t length = strlen(name), tail = strlen(suffix);
    if (length > tail && strcmp(name + length - tail, suffix) == 0)
        name[length -= tail] = 0;
    size_t made = dns_answer(out, query, q, DNS_OK);
    if (strcmp(name, "host.docker.internal") == 0 || strcmp(name, "host.containers.internal") == 0 ||
        strcmp(name, "gateway.docker.internal") == 0)
        return of_host(out, made, room, q);
    if (of_name(out, &made, room, q, asker, name))
        return made;
    if (q->type == DNS_PTR && dns_reversed(name, text, sizeof text) == 0 && of_address(out, &made, room, asker, text))
        return made;
    /* a name as containers have, or all that an internal network may know: nobody else is asked */
    if (!strchr(name, '.') || q->name[length] || rules->internal)
        return dns_answer(out, query, q, DNS_NO_NAME);
    read_host_servers();
    snprintf(servers, 256, "%s", rules->servers[0] ? rules->servers : host_servers);
    return 0;
}

/* ---- asking others, by UDP */

static void give_up(struct pending *p)
{
    unsigned char out[DNS_UDP];
    memcpy(p->query, p->id, 2);
    reply(&p->client, out, dns_answer(out, p->query, &p->question, DNS_FAILED));
    drop(p);
}

/* The next server that can be reached at all; none: the answer is a failure, and comes at once. */
static void ask_next(struct pending *p)
{
    struct sockaddr_storage to;
    socklen_t length;
    drop(p);
    while (p->tried < SERVERS && (length = server_address(p->servers, p->tried++, &to))) {
        p->fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        /* connected: the kernel lets nobody else answer, and says when nobody listens */
        if (p->fd > 0 && connect(p->fd, (struct sockaddr *)&to, length) == 0 &&
            send(p->fd, p->query, p->size, MSG_NOSIGNAL) == (ssize_t)p->size) {
            p->until = now() + PATIENCE;
            return;
        }
        drop(p);
    }
    give_up(p);
}

static void forward(const struct client *c, const unsigned char *query, size_t size, const struct question *q,
                    const char *servers)
{
    struct pending *p = &pending[0];
    for (int i = 0; i < RESOLVER_PENDING; i++) {
        if (!pending[i].fd) {
            p = &pending[i];
            break;
        }
        if (pending[i].until < p->until)
            p = &pending[i]; /* all are taken: the oldest has waited longest */
    }
    drop(p);
    if (size > sizeof p->query)
        return;
    p->client = *c;
    p->question = *q;
    p->size = size;
    p->tried = 0;
    memcpy(p->query, query, size);
    memcpy(p->id, query, 2);
    /* a number that the container cannot guess: another container's answer is not for it to make */
    if (getrandom(p->query, 2, 0) != 2)
        return;
    snprintf(p->servers, sizeof p->servers, "%s", servers);
    ask_next(p);
}

static void answered(struct pending *p)
{
    static unsigned char data[DNS_MOST];
    ssize_t got = recv(p->fd, data, sizeof data, 0);
    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR)
            ask_next(p); /* nobody listens there */
        return;
    }
    if (!dns_belongs(data, (size_t)got, p->query, &p->question))
        return;
    memcpy(data, p->id, 2);
    reply(&p->client, data, (size_t)got);
    drop(p);
}

static void serve_datagram(int fd)
{
    unsigned char query[DNS_UDP * 3], out[DNS_UDP];
    char servers[256];
    struct question q;
    for (int i = 0; i < 64; i++) {
        struct client c = {.fd = fd};
        ssize_t got = receive(&c, query, sizeof query);
        if (got < 0)
            return;
        size_t length = known(out, sizeof out, query, (size_t)got, &c, &q, servers);
        if (length == (size_t)-1)
            continue;
        if (length)
            reply(&c, out, length);
        else
            forward(&c, query, (size_t)got, &q, servers);
    }
}

/* ---- by TCP, in a process of its own */

static int whole(int fd, void *data, size_t size, int writes)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = writes ? send(fd, (char *)data + done, size - done, MSG_NOSIGNAL)
                             : recv(fd, (char *)data + done, size - done, 0);
        if (got <= 0)
            return -1;
        done += (size_t)got;
    }
    return 0;
}

static int patient(int fd)
{
    const struct timeval limit = {5, 0};
    int flags = fcntl(fd, F_GETFL);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

/* Its length, 0 for none; `data` holds the question before, and the answer after. */
static size_t ask_by_stream(unsigned char *data, size_t size, const char *servers)
{
    static unsigned char query[DNS_MOST];
    unsigned char head[2];
    memcpy(query, data, size);
    for (int i = 0; i < SERVERS; i++) {
        struct sockaddr_storage to;
        socklen_t length = server_address(servers, i, &to);
        int fd = length ? socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
        if (fd < 0)
            continue;
        patient(fd);
        head[0] = (unsigned char)(size >> 8);
        head[1] = (unsigned char)size;
        size_t got = 0;
        if (connect(fd, (struct sockaddr *)&to, length) == 0 && whole(fd, head, 2, 1) == 0 &&
            whole(fd, query, size, 1) == 0 && whole(fd, head, 2, 0) == 0) {
            got = (size_t)head[0] << 8 | head[1];
            if (got < DNS_HEAD || whole(fd, data, got, 0) < 0 || memcmp(data, query, 2) != 0)
                got = 0;
        }
        close(fd);
        if (got)
            return got;
    }
    return 0;
}

static void __attribute__((noreturn)) serve_stream(struct client *c)
{
    static unsigned char query[DNS_MOST], out[DNS_MOST];
    unsigned char head[2];
    char servers[256];
    struct question q;
    alarm(30);
    patient(c->fd);
    while (whole(c->fd, head, 2, 0) == 0) {
        size_t size = (size_t)head[0] << 8 | head[1];
        if (whole(c->fd, query, size, 0) < 0)
            break;
        size_t length = known(out, sizeof out, query, size, c, &q, servers);
        if (length == (size_t)-1)
            break;
        if (!length) {
            memcpy(out, query, size);
            if (!(length = ask_by_stream(out, size, servers)))
                length = dns_answer(out, query, &q, DNS_FAILED);
        }
        head[0] = (unsigned char)(length >> 8);
        head[1] = (unsigned char)length;
        if (whole(c->fd, head, 2, 1) < 0 || whole(c->fd, out, length, 1) < 0)
            break;
    }
    _exit(0);
}

static void accept_stream(int listener)
{
    struct client c = {.length = sizeof c.address};
    c.fd = accept4(listener, (struct sockaddr *)&c.address, &c.length, SOCK_CLOEXEC);
    if (c.fd < 0)
        return;
    /* By its address alone: what we send to that reaches nobody else, so the handshake proves it. */
    text_of_address(&c);
    /* every container may have a few, and nobody all of them for long */
    if (children < CHILDREN) {
        pid_t pid = fork();
        if (pid == 0) {
            signal(SIGALRM, SIG_DFL);
            sigset_t none;
            sigemptyset(&none);
            sigprocmask(SIG_SETMASK, &none, NULL);
            serve_stream(&c);
        }
        children += pid > 0;
    }
    close(c.fd);
}

/* ---- the whole */

int resolver_poll(struct pollfd *polled)
{
    int count = 0;
    for (int i = 0; i < RESOLVER_SOCKETS; i++)
        polled[count++] = (struct pollfd){sockets[i], POLLIN, 0};
    for (int i = 0; i < RESOLVER_PENDING; i++)
        if (pending[i].fd > 0)
            polled[count++] = (struct pollfd){pending[i].fd, POLLIN, 0};
    return count;
}

int resolver_wait(void)
{
    long long soonest = -1, time = now();
    for (int i = 0; i < RESOLVER_PENDING; i++)
        if (pending[i].fd > 0 && (soonest < 0 || pending[i].until < soonest))
            soonest = pending[i].until;
    return soonest < 0 ? -1 : soonest <= time ? 0 : (int)(soonest - time);
}

void resolver_child_ended(void)
{
    children -= children > 0;
}

void resolver_serve(const struct pollfd *polled, int count)
{
    for (int at = RESOLVER_SOCKETS; at < count; at++)
        for (int i = 0; polled[at].revents && i < RESOLVER_PENDING; i++)
            if (pending[i].fd == polled[at].fd) {
                answered(&pending[i]);
                break;
            }
    for (int i = 0; i < RESOLVER_PENDING; i++)
        if (pending[i].fd > 0 && pending[i].until <= now())
            ask_next(&pending[i]);
    for (int i = 0; i < RESOLVER_SOCKETS && i < count; i++)
        if (polled[i].revents) {
            if (i < TCP4)
                serve_datagram(sockets[i]);
            else
                accept_stream(sockets[i]);
        }
}
