#define _GNU_SOURCE
#include "lib/routes.h"
#include "launch/plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Addresses that the program beside the container would pass on, and that mean something on this host or in
 * its data centre only: the metadata of a cloud, with its keys.  Who has CAP_NET_ADMIN inside can take the
 * routes away, and can then say so by itself. */
int op_unreachable(struct plan *plan, const struct record *r)
{
    struct netlink n;
    if (netlink_open(&n) < 0)
        return -1;
    for (uint32_t i = 0; i < r->argc; i++) {
        char text[64], address[16];
        snprintf(text, sizeof text, "%s", r->argv[i]);
        char *slash = strchr(text, '/');
        int family = strchr(text, ':') ? AF_INET6 : AF_INET, error = EINVAL;
        plan->failing = r->argv[i];
        if (slash)
            *slash++ = 0;
        if (slash && inet_pton(family, text, address) == 1) {
            struct route route = {family, RT_TABLE_MAIN, RTN_PROHIBIT, (uint8_t)atoi(slash), address, NULL};
            error = route_add(&n, &route);
        }
        /* where IPv6 is switched off nothing is reached by it */
        if (error && (error == EINVAL || family == AF_INET)) {
            netlink_close(&n);
            errno = error;
            return -1;
        }
    }
    netlink_close(&n);
    return 0;
}
