/* What mount_setattr(2) does, where the kernel does not have it (before Linux 5.12). */
#ifndef ROOTLESS_REMOUNT_H
#define ROOTLESS_REMOUNT_H

/* Of a mount that is attached, and with `recursive` of all below: attributes to set and to clear, one
 * propagation or 0.  A mount that lies under another one at the same place cannot be reached, from
 * inside neither, and stays as it is. */
int remount(int fd, int recursive, unsigned long set, unsigned long clear, unsigned long propagation);
#endif
