/* Namespaces of another container: a launcher joins them, and the pid namespace last. */
#ifndef ROOTLESS_JOIN_H
#define ROOTLESS_JOIN_H
#include "launch/plan.h"

/* Arguments after CTL and PLAN: clone flags, descriptor of a cgroup or -1, then of each namespace its
 * flag, its path, and the start time of the process in /proc/PID/... or "".  Returns in the process that was made, which is root of the user namespace; -1 with the
 * number of the order in *order. */
int join_namespaces(struct plan *plan, char **words, uint32_t *order);

/* A context of fsopen(2) for a procfs that shows the joined pid namespace, or -1. */
int joined_proc(const struct plan *plan);
#endif
