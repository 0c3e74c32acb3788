/* Networks with names, in the network namespace that a user's containers share: a bridge for each, a pair
 * of devices for each container on it, and rules that keep networks apart. */
#ifndef ROOTLESS_NAMED_NETWORK_H
#define ROOTLESS_NAMED_NETWORK_H
#include <stdint.h>

enum { ENDPOINT_WORDS = 10, MOST_ENDPOINTS = 16 };

/* A container's place on a network, as it is ordered; empty texts for what there is not. */
struct endpoint {
    const char *bridge, *device;    /* names: in the shared namespace, in the container */
    const char *mac;                /* 02:42:... */
    const char *address, *gateway;  /* 10.89.0.2/24 10.89.0.1 */
    const char *address6, *gateway6;
    const char *mtu;
    const char *flags;              /* d: the default route; i: internal; o: open to other open networks */
    const char *alias;              /* of the device in the shared namespace: whose it is */
};

void endpoint_set(struct endpoint *e, const char *const words[ENDPOINT_WORDS]);

/* All of these in a process that is root of the user namespace that owns the shared network namespace.
 * 0, or -1 with errno, and *what says at what. */

/* in the shared network namespace, when it is new */
int network_prepare(const char **what);
/* `shared`, `target`: descriptors of network namespaces; ends in neither */
int network_attach(int shared, int target, const struct endpoint *e, const char **what);
/* takes a bridge away, or a container's device from it */
int network_remove(int shared, const char *device, const char **what);
#endif
