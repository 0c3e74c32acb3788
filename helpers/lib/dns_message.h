/* Questions and answers of the domain name system (RFC 1035): what a resolver of containers' names needs. */
#ifndef ROOTLESS_DNS_MESSAGE_H
#define ROOTLESS_DNS_MESSAGE_H
#include <stddef.h>
#include <stdint.h>

enum { DNS_A = 1, DNS_PTR = 12, DNS_AAAA = 28, DNS_ANY = 255 };
enum { DNS_OK = 0, DNS_FORMAT = 1, DNS_FAILED = 2, DNS_NO_NAME = 3, DNS_NOT_HERE = 4, DNS_REFUSED = 5 };
enum { DNS_HEAD = 12, DNS_UDP = 512, DNS_MOST = 65535 };

struct question {
    uint16_t type, class;
    char name[256]; /* lower case, without the last dot */
    size_t end;     /* of the question in the message */
};

/* What a message asks: DNS_OK, or the code with which it is to be answered; -1: not at all. */
int dns_question(const unsigned char *message, size_t size, struct question *q);
/* Begins an answer to `message` in `out` (of at least DNS_UDP bytes); its length. */
size_t dns_answer(unsigned char *out, const unsigned char *message, const struct question *q, int code);
/* Adds an address (4 or 16 bytes); the new length, which is the old one where there is no room. */
size_t dns_add_address(unsigned char *out, size_t length, size_t room, const void *address, size_t size);
size_t dns_add_pointer(unsigned char *out, size_t length, size_t room, const char *name);
/* The address that a name of in-addr.arpa or ip6.arpa stands for, as text; 0, or -1. */
int dns_reversed(const char *name, char *text, size_t room);
/* Whether `answer` belongs to `query`. */
int dns_belongs(const unsigned char *answer, size_t size, const unsigned char *query, const struct question *q);
#endif
