/* Programs beside a container that serve file systems (FUSE): fuse-overlayfs, this package's own. */
#ifndef ROOTLESS_FILE_SERVERS_H
#define ROOTLESS_FILE_SERVERS_H
#include "monitor/orders.h"
#include <sys/types.h>

struct servers {
    int count;               /* how many were started */
    int lost;                /* one of them has ended by itself: the container's files are gone */
    pid_t pid[MOST_SERVERS]; /* 0 once it has ended */
};

/* Starts the next server of the orders inside the user and mount namespace of `target`; -1 if there
 * is none left.  It is killed when this process dies. */
int servers_start(struct servers *servers, const struct orders *orders, pid_t target);
/* Whether `pid`, which was reaped, is one of them; then its end is written to the log of helpers. */
int servers_ended(struct servers *servers, const struct orders *orders, pid_t pid, int status);
/* When the container's first process has ended: whether its files were gone before.  A server that is
 * about to end is awaited and counts, because its file system goes before its process does. */
int servers_were_lost(struct servers *servers, const struct orders *orders);
/* The namespace around this one (a descriptor), where servers of ORDER_OUTER work; -1 on failure. */
int outer_namespace(int user);
int servers_lost(struct servers *servers);              /* reaps; the number of one that has ended, or -1 */
void servers_stop(struct servers *servers);             /* the last first; waits until all have ended */
#endif
