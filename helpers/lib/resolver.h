/* Names for containers: those of the networks that they share from the table of leases, others from the
 * host's name servers. */
#ifndef ROOTLESS_RESOLVER_H
#define ROOTLESS_RESOLVER_H
#include <poll.h>

enum { RESOLVER_SOCKETS = 4, RESOLVER_PENDING = 128, RESOLVER_POLLED = RESOLVER_SOCKETS + RESOLVER_PENDING + 1 };

/* Opens sockets in the network namespace of the caller: UDP and TCP, of both families (-1 for what there
 * is not). */
void resolver_sockets(int fds[RESOLVER_SOCKETS]);
/* `directory`: of leases; in the host's network namespace from now on */
int resolver_open(const int fds[RESOLVER_SOCKETS], const char *directory);
int resolver_poll(struct pollfd *polled);                      /* how many of them */
int resolver_wait(void);                                       /* milliseconds until something is to be done, -1 */
void resolver_child_ended(void);
void resolver_serve(const struct pollfd *polled, int count);
#endif
