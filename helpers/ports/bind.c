#define _GNU_SOURCE
#include "ports/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct port port[MOST_PORTS];
int ports;

static int bind_one(int protocol, int family, const char *address, int outside, int inside)
{
    union address made = {0};
    int one = 1, type = protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
    socklen_t size = family == AF_INET ? sizeof made.four : sizeof made.six;
    made.any.sa_family = (sa_family_t)family;
    if (family == AF_INET)
        made.four.sin_port = htons((uint16_t)outside);
    else
        made.six.sin6_port = htons((uint16_t)outside);
    void *number = family == AF_INET ? (void *)&made.four.sin_addr : (void *)&made.six.sin6_addr;
    if (*address && inet_pton(family, address, number) != 1)
        return EINVAL;
    if (ports == MOST_PORTS)
        return EMFILE;
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    /* connections of the last run, which are over, do not keep the port */
    if (protocol == IPPROTO_TCP)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    /* by which of several addresses a client reached us is what it hears from */
    else if (family == AF_INET)
        setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
    else
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one);
    if (bind(fd, &made.any, size) < 0 || (protocol == IPPROTO_TCP && listen(fd, SOMAXCONN) < 0)) {
        int error = errno;
        close(fd);
        return error;
    }
    port[ports] = (struct port){fd, ports, (uint16_t)inside, (uint8_t)family, (uint8_t)protocol};
    ports++;
    return 0;
}

int bind_ports(char *word, char *which, size_t size)
{
    char *part[4] = {word}, *rest;
    for (int i = 1; i < 4; i++) {
        char *at = strchr(part[i - 1], '/');
        if (!at)
            return EINVAL;
        *at = 0;
        part[i] = at + 1;
    }
    int protocol = strcmp(part[0], "tcp") == 0 ? IPPROTO_TCP : IPPROTO_UDP;
    int low = (int)strtol(part[2], &rest, 10), high = *rest == '-' ? atoi(rest + 1) : low, inside = atoi(part[3]);
    int six = strchr(part[1], ':') != NULL;
    for (int i = 0; i <= high - low; i++) {
        int error = six ? 0 : bind_one(protocol, AF_INET, part[1], low + i, inside + i);
        if (!error && (six || !*part[1])) {
            error = bind_one(protocol, AF_INET6, part[1], low + i, inside + i);
            /* a host without IPv6 has nobody who would ask for it */
            if (!six && (error == EAFNOSUPPORT || error == EADDRNOTAVAIL))
                error = 0;
        }
        if (error) {
            snprintf(which, size, "%s%s%s:%d/%s", six ? "[" : "", *part[1] ? part[1] : "0.0.0.0", six ? "]" : "",
                     low + i, part[0]);
            return error;
        }
    }
    return 0;
}
