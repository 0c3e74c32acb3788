/* The network's programs beside a container, started again when they have ended and the container has not. */
#ifndef ROOTLESS_REVIVE_H
#define ROOTLESS_REVIVE_H
#include "monitor/spawn.h"
#include <poll.h>

enum { REVIVED = 2 /* programs that may be started again: the network's, the ports' */ };

/* 1 if a process that was reaped is one of them; what `made` says of it has changed then */
int revive_reaped(const struct orders *o, struct started *made, pid_t pid);
/* what to wait for; milliseconds until something is to be done, or -1 */
int revive_watch(struct pollfd *polled);
/* goes on after that; 1: what was lost is there again, 0: nothing new */
int revive_go_on(const struct orders *o, struct started *made, const struct pollfd *polled);
void revive_forget(void); /* the container has ended */
#endif
