/* The engine puts a process that waits into a cgroup and answers which is the container's. */
#ifndef ROOTLESS_CGROUP_PLACEMENT_H
#define ROOTLESS_CGROUP_PLACEMENT_H
/* Tells our pid over the channel (an M frame) and waits for the G frame.  A descriptor of the
 * container's cgroup, or -1 for none; ends the process when the other side has gone.  `more` gets
 * the texts that follow the path in the frame, NULL-terminated, or NULL where there are none. */
int place(int channel, char ***more);
#endif
