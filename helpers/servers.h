/* Programs beside a container that serve file systems (FUSE): fuse-overlayfs, this package's own. */
#ifndef ROOTLESS_SERVERS_H
#define ROOTLESS_SERVERS_H
#include "orders.h"
#include <sys/types.h>

struct servers {
    int count;               /* how many were started */
    pid_t pid[MOST_SERVERS]; /* 0 once it has ended */
};

/* Starts the next server of the orders inside the user and mount namespace of `target`; -1 if there
 * is none left.  It is killed when this process dies. */
int servers_start(struct servers *servers, const struct orders *orders, pid_t target);
int servers_ended(struct servers *servers, pid_t pid);  /* its number, or -1: that pid is no server */
int servers_lost(struct servers *servers);              /* reaps; the number of one that has ended, or -1 */
void servers_stop(struct servers *servers);             /* the last first; waits until all have ended */
#endif
