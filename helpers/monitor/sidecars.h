/* Programs that run beside a container for its network, and what all that start programs need. */
#ifndef ROOTLESS_SIDECARS_H
#define ROOTLESS_SIDECARS_H
#include "monitor/spawn.h"

/* fills `failure`; -1 */
int report(struct failure *failure, uint32_t op, int error, const char *text);
void unblock(void); /* signals as a program expects them */

/* The network's program: it gets a descriptor to say that it is ready, and one that is closed when it is
 * to end. */
pid_t run_sidecar(const struct orders *o, const struct started *made, int ready);
pid_t run_ports(const struct orders *o, const struct started *made, int ready);
int hear_ports(const struct orders *o, int ready, struct failure *failure); /* 0, or -1 with `failure` filled */
/* waits until it has the ports; 0, or -1 with `failure` filled */
int run_udp(const struct orders *o, pid_t target, int exit_end, struct failure *failure);
int ask_sidecar(const struct orders *o, struct failure *failure); /* its requests, when it is ready */
#endif
