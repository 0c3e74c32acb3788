/* A foreground process with a terminal and without a monitor: `rootless-runtime run` and `exec`. */
#ifndef ROOTLESS_RELAY_H
#define ROOTLESS_RELAY_H
#include <sys/types.h>
int relay(int master, pid_t child); /* until the child has ended: its status, as of waitpid */
#endif
