/* The namespaces that a user's containers on named networks share: one user namespace, the parent of all of
 * theirs, and one network namespace.  No process is in them and no file names them: the monitors of these
 * containers keep them by descriptors, and the kernel takes them away with the last. */
#ifndef ROOTLESS_SHARED_NETWORK_H
#define ROOTLESS_SHARED_NETWORK_H
#include "monitor/orders.h"
#include "monitor/spawn.h"

struct shared_network {
    int user, net;      /* namespaces; -1 while nothing is shared */
    int members;        /* write end of a pipe: the companion ends with the last of us */
    int companion;      /* read end of a pipe: nobody writes to it once the companion has ended */
    int ready, lock;    /* of a companion that we have just started: a byte comes; others wait */
    int file;           /* ours in the directory of members, locked: that it is true */
};

#define SHARED_NETWORK_NONE {-1, -1, -1, -1, -1, -1, -1}

/* Takes the namespaces from another monitor, or makes them.  0, or -1 with `failure` filled. */
int shared_network_join(struct shared_network *s, const struct orders *o, struct failure *failure);
/* the companion is ready */
void shared_network_ready(struct shared_network *s);
/* starts the companion again, unless another monitor has */
void shared_network_repair(struct shared_network *s, const struct orders *o);
/* at the end; what is not closed here goes with the process */
void shared_network_leave(struct shared_network *s, const struct orders *o);
/* In a process that has joined the user namespace: the container's devices. */
int shared_network_attach(const struct shared_network *s, const struct orders *o, pid_t pid, const char **what);
#endif
