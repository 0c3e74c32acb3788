/* What the monitor reads from the container's cgroup, and does to it, at the end of a life. */
#ifndef ROOTLESS_CGROUP_H
#define ROOTLESS_CGROUP_H
/* `cgroup`: a descriptor of its directory, or -1. */
int cgroup_out_of_memory(int cgroup); /* whether a process was ended for it since the last call */
void cgroup_kill(int cgroup);         /* end everything that is in it */
#endif
