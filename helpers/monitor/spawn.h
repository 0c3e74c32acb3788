/* From orders to a running first process: clone, map, network, file system, hand-shake with the plan. */
#ifndef ROOTLESS_SPAWN_H
#define ROOTLESS_SPAWN_H
#include "monitor/file_servers.h"
#include "monitor/orders.h"
#include <sys/types.h>

#define NETWORK_LOST (-1)

struct failure {
    uint32_t index, error, op;
    char text[256];
};

struct started {
    pid_t pid, sidecar, ports;  /* of the network, of its published ports: 0 without one, NETWORK_LOST when it has ended */
    struct servers servers;
    int user_ns;                /* kept open: removal of a container's files happens inside */
    int exit_fd;                /* the sidecars end when this is closed */
    int exit_read, owner_ns, net_ns; /* what they are given: its other end, the container's namespaces; or -1 */
    int in, out, err;           /* our ends of the container's streams; with a terminal in == out */
};

/* 0, or -1 with `failure` filled and nothing left running. */
struct shared_network;
int start(const struct orders *orders, int cgroup, struct shared_network *shared, struct started *made,
          struct failure *failure);
void stop_helpers(struct started *made);
int inside_user_namespace(int user_ns, int (*work)(void *), void *data); /* in a child, as its root */
#endif
