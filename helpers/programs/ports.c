/* Published ports: from sockets of the host to sockets in the container's network.
 *
 *   rootless-ports READY EXIT USER NET SETTING... PORT...       all but the last two: descriptors
 *
 *   settings  address=IPv4 address6=IPv6 gateway=IPv4 gateway6=IPv6 retry=SECONDS header=1|2
 *   a port    tcp|udp/HOST-ADDRESS/LOW[-HIGH]/INSIDE            no address: all, of IPv4 and of IPv6
 *
 * It binds the ports in the host's network, enters the namespaces USER and NET, which are the container's, and
 * writes to READY one byte, 0 or the errno of the first port that cannot be had, with that port's name after
 * it.  It ends when the other end of EXIT is closed.
 *
 *   ports/bind        sockets of the host
 *   ports/inside      sockets in the container that have the client's address; what leads answers back; giving up rights
 *   ports/streams     TCP         ports/header   the PROXY protocol
 *   ports/datagrams   UDP
 *
 * The server sees the address of the client.  Of clients on the host's loopback, whose address would be the
 * container's own, it sees the gateway's; so it does of clients of IPv6 where it listens on IPv4 only.  The
 * container is reached by its address and not by its loopback, as from outside: what listens on 127.0.0.1
 * only is its own affair.
 *
 * What those inside could try: nothing that arrives here is looked at, apart from its length.  Who is root of
 * the container's network can take the rules away, or the addresses, and then has no clients; connections
 * lead to this one address of this one namespace, whoever answers there.  A server that does not read, or one
 * that never ends, holds two descriptors of ours for each client, and clients of other ports of the
 * container may have to wait; those of other containers have a process of their own.  If this program were
 * taken over, the host's sockets that it holds are those of the published ports; it can make no other in the
 * host's network, open no file and execute nothing. */
#define _GNU_SOURCE
#include "ports/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

long long milliseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

int watch(int epoll, int fd, uint32_t events, int kind, int index)
{
    struct epoll_event event = {events, {.u64 = (uint64_t)kind << 32 | (uint32_t)index}};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int set(union address *made, int family, const char *text)
{
    made->any.sa_family = (sa_family_t)family;
    return inet_pton(family, text, family == AF_INET ? (void *)&made->four.sin_addr : (void *)&made->six.sin6_addr) == 1
               ? 0 : EINVAL;
}

static int setting(char *word, char *value)
{
    *value++ = 0;
    if (strcmp(word, "address") == 0)
        return set(&settings.container[FOUR], AF_INET, value);
    if (strcmp(word, "address6") == 0)
        return set(&settings.container[SIX], AF_INET6, value);
    if (strcmp(word, "gateway") == 0)
        return set(&settings.gateway[FOUR], AF_INET, value);
    if (strcmp(word, "gateway6") == 0)
        return set(&settings.gateway[SIX], AF_INET6, value);
    if (strcmp(word, "retry") == 0)
        settings.patience = atoll(value) * 1000;
    else if (strcmp(word, "header") == 0)
        settings.header = atoi(value);
    else
        return EINVAL;
    return 0;
}

/* As many descriptors as we may have, which is what limits connections. */
static int descriptors(void)
{
    struct rlimit limit = {1024, 1024};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur > 1 << 20 ? 1 << 20 : (int)limit.rlim_cur;
}

static void serve(int epoll)
{
    for (;;) {
        struct epoll_event event[256];
        int wait = streams_work(), silence = datagrams_wait();
        int count = epoll_wait(epoll, event, 256, wait < 0 || (silence >= 0 && silence < wait) ? silence : wait);
        if (count < 0 && errno != EINTR)
            return;
        for (int i = 0; i < count; i++) {
            int index = (int)(uint32_t)event[i].data.u64;
            switch ((int)(event[i].data.u64 >> 32)) {
            case EXIT: streams_finish(); return;
            case LISTENERS: streams_accept(); break;
            case DATAGRAMS: datagrams_receive(index); break;
            case CLIENT: streams_event(index, 0, event[i].events); break;
            case CONTAINER: streams_event(index, 1, event[i].events); break;
            case FLOW: datagrams_answer(index); break;
            }
        }
        datagrams_forget();
    }
}

int main(int argc, char **argv)
{
    char told[128] = "";
    int failed = 0, most = descriptors(), epoll = epoll_create1(EPOLL_CLOEXEC);
    if (argc < 6 || epoll < 0)
        return 125;
    int ready = atoi(argv[1]), leave = atoi(argv[2]);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 5; i < argc && !failed; i++) {
        char *value = strchr(argv[i], '=');
        failed = value ? setting(argv[i], value) : bind_ports(argv[i], told + 1, sizeof told - 1);
    }
    if (!failed)
        failed = enter(atoi(argv[3]), atoi(argv[4]));
    /* two for a connection; some for pipes, and for what is open already */
    most = (most - ports - 96) / 2;
    if (!failed && (watch(epoll, leave, 0, EXIT, 0) < 0 || streams_begin(epoll, most) < 0))
        failed = errno;
    if (!failed) {
        datagrams_begin(epoll, most);
        failed = confine();
    }
    told[0] = (char)failed;
    if (write(ready, told, 1 + strlen(told + 1)) < 1 || failed)
        return 125;
    close(ready);
    serve(epoll);
    return 0;
}
