#define _GNU_SOURCE
#include "lib/dns_message.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIME_TO_LIVE = 5 }; /* seconds: a container may end at any time */

static uint16_t two(const unsigned char *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void put(unsigned char *at, unsigned value)
{
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
}

/* Whoever asks may be hostile: nothing behind `size` is looked at, and a name that is no plain name (a
 * pointer in a question, an unprintable letter) is malformed. */
int dns_question(const unsigned char *m, size_t size, struct question *q)
{
    size_t at = DNS_HEAD, length = 0;
    if (size < DNS_HEAD || m[2] & 0x80)
        return -1; /* an answer is never answered */
    memset(q, 0, sizeof *q);
    if (m[2] & 0x78)
        return DNS_NOT_HERE; /* neither updates nor notes */
    if (two(m + 4) != 1)
        return DNS_FORMAT;
    for (;;) {
        if (at >= size)
            return DNS_FORMAT;
        size_t label = m[at++];
        if (!label)
            break;
        if (label > 63 || label > size - at || length + label + 1 >= sizeof q->name)
            return DNS_FORMAT;
        if (length)
            q->name[length++] = '.';
        for (size_t i = 0; i < label; i++) {
            unsigned char c = m[at + i];
            if (c <= ' ' || c >= 0x7f || c == '.')
                return DNS_FORMAT;
            q->name[length++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
        at += label;
    }
    if (size - at < 4)
        return DNS_FORMAT;
    q->type = two(m + at);
    q->class = two(m + at + 2);
    q->end = at + 4;
    return DNS_OK;
}

size_t dns_answer(unsigned char *out, const unsigned char *m, const struct question *q, int code)
{
    size_t length = q->end > DNS_HEAD ? q->end : DNS_HEAD;
    memcpy(out, m, length);
    out[2] = (unsigned char)(0x84 | (m[2] & 0x79)); /* an answer, by who knows; opcode and RD as asked */
    out[3] = (unsigned char)(0x80 | code);
    put(out + 4, q->end > DNS_HEAD);
    memset(out + 6, 0, 6);
    return length;
}

static size_t add(unsigned char *out, size_t length, size_t room, unsigned type, const void *data, size_t size)
{
    if (length + 12 + size > room) {
        out[2] |= 2; /* cut short: ask again by TCP */
        return length;
    }
    unsigned char *at = out + length;
    put(at, 0xc000 | DNS_HEAD); /* the name of the question */
    put(at + 2, type);
    put(at + 4, 1);
    put(at + 6, 0);
    put(at + 8, TIME_TO_LIVE);
    put(at + 10, (unsigned)size);
    memcpy(at + 12, data, size);
    put(out + 6, two(out + 6) + 1U);
    return length + 12 + size;
}

size_t dns_add_address(unsigned char *out, size_t length, size_t room, const void *address, size_t size)
{
    return add(out, length, room, size == 4 ? DNS_A : DNS_AAAA, address, size);
}

size_t dns_add_pointer(unsigned char *out, size_t length, size_t room, const char *name)
{
    unsigned char data[257];
    size_t at = 0;
    while (*name) {
        size_t label = strcspn(name, ".");
        if (!label || label > 63 || at + label + 2 > sizeof data)
            return length;
        data[at++] = (unsigned char)label;
        memcpy(data + at, name, label);
        at += label;
        name += label + (name[label] == '.');
    }
    data[at++] = 0;
    return add(out, length, room, DNS_PTR, data, at);
}

int dns_reversed(const char *name, char *text, size_t room)
{
    unsigned char address[16];
    char *end;
    size_t length = strlen(name);
    if (length > 13 && strcmp(name + length - 13, ".in-addr.arpa") == 0) {
        const char *at = name;
        for (int i = 3; i >= 0; i--) {
            if (*at < '0' || *at > '9')
                return -1;
            unsigned long one = strtoul(at, &end, 10);
            if (one > 255 || *end != '.')
                return -1;
            address[i] = (unsigned char)one;
            at = end + 1;
        }
        return strcmp(at, "in-addr.arpa") == 0 && inet_ntop(AF_INET, address, text, (socklen_t)room) ? 0 : -1;
    }
    if (length != 72 || strcmp(name + 63, ".ip6.arpa") != 0)
        return -1;
    memset(address, 0, sizeof address);
    for (int i = 0; i < 32; i++) {
        const char digits[] = "0123456789abcdef", *found = strchr(digits, name[2 * i]);
        if (!found || !*found || name[2 * i + 1] != '.')
            return -1;
        int nibble = 31 - i;
        address[nibble / 2] |= (unsigned char)((found - digits) << (nibble % 2 ? 0 : 4));
    }
    return inet_ntop(AF_INET6, address, text, (socklen_t)room) ? 0 : -1;
}

int dns_belongs(const unsigned char *answer, size_t size, const unsigned char *query, const struct question *q)
{
    return size >= q->end && answer[2] & 0x80 && memcmp(answer, query, 2) == 0 && two(answer + 4) == 1 &&
           memcmp(answer + DNS_HEAD, query + DNS_HEAD, q->end - DNS_HEAD) == 0;
}
