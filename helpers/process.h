/* What /proc says about a process. */
#ifndef ROOTLESS_PROCESS_H
#define ROOTLESS_PROCESS_H
#include <stddef.h>
#include <sys/types.h>

/* Reads a small file whole, with a zero byte behind it; its length, or -1. */
ssize_t slurp(const char *path, char *text, size_t size);
/* A number of /proc/PID/stat by its field as proc(5) counts them, from 4; 0 where there is none.
 * By hand: sscanf would bring ten kilobytes into a monitor of a hundred. */
unsigned long long process_stat(pid_t pid, int field);
#endif
