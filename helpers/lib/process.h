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

/* What a program must not have of its maker, before exec: descriptors from `first` on, and signals
 * that the caller ignored. */
void close_from(int first);
void default_signals(void);

/* Write a file of procfs, and of nothing else that has been put in its place: 0, or -1 with ELOOP for
 * another file system.  The first closes `fd`, and fails with errno as it is for -1; the second opens
 * and follows no link at the end of `path`. */
int proc_write_to(int fd, const char *text, size_t length);
int proc_write(int directory, const char *path, const char *text);
#endif
