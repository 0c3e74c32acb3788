/* What stays outside while a command runs inside: it carries the command's streams, passes signals on,
 * and learns its end. */
#ifndef ROOTLESS_SIGNAL_PROXY_H
#define ROOTLESS_SIGNAL_PROXY_H
#include <sys/types.h>

/* `ours`: our ends of the command's streams, or -1 (streams.h).  `job`: the command has a session of its
 * own and would be a job of the user's shell, so keys are for all of its process group, and stop it.
 * All signals are held back when this is called.  The exit status that is ours then. */
int mirror(pid_t child, const int ours[3], int job);
#endif
