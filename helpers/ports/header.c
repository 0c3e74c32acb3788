#define _GNU_SOURCE
#include "ports/ports.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* Source: "The PROXY protocol, versions 1 & 2", haproxy's doc/proxy-protocol.txt. */
size_t proxy_header(char *text, size_t size, const union address *client, const union address *server)
{
    int six = client->any.sa_family == AF_INET6;
    const void *from = six ? (const void *)&client->six.sin6_addr : (const void *)&client->four.sin_addr;
    const void *to = six ? (const void *)&server->six.sin6_addr : (const void *)&server->four.sin_addr;
    uint16_t from_port = six ? client->six.sin6_port : client->four.sin_port;
    uint16_t to_port = six ? server->six.sin6_port : server->four.sin_port;
    if (settings.header == 1) {
        char one[INET6_ADDRSTRLEN], other[INET6_ADDRSTRLEN];
        int made = snprintf(text, size, "PROXY TCP%d %s %s %u %u\r\n", six ? 6 : 4,
                            inet_ntop(client->any.sa_family, from, one, sizeof one),
                            inet_ntop(client->any.sa_family, to, other, sizeof other), ntohs(from_port), ntohs(to_port));
        return (size_t)made;
    }
    uint16_t width = six ? 16 : 4, length = htons((uint16_t)(2 * width + 4));
    memcpy(text, "\r\n\r\n\0\r\nQUIT\n\x21", 13);
    text[13] = six ? 0x21 : 0x11;
    memcpy(text + 14, &length, 2);
    memcpy(text + 16, from, width);
    memcpy(text + 16 + width, to, width);
    memcpy(text + 16 + 2 * width, &from_port, 2);
    memcpy(text + 18 + 2 * width, &to_port, 2);
    return 20 + 2 * (size_t)width;
}
