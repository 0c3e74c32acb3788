/* Mounts as descriptors: open_tree(2), mount_setattr(2), fsopen(2), and what older kernels have. */
#ifndef ROOTLESS_MOUNT_API_H
#define ROOTLESS_MOUNT_API_H

#include <linux/mount.h>
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* from <sys/mount.h>, which cannot be had beside <linux/mount.h> in every libc */
int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);

int open_tree(int at, const char *path, unsigned flags);
int move_mount(int from, int to);
/* `flags`: 0 or AT_RECURSIVE; attributes to set and to clear, one propagation or 0 */
int mount_attributes(int fd, unsigned flags, unsigned long set, unsigned long clear, unsigned long propagation);
/* A file system that is not visible yet; -1 with ENOSYS where mount(2) has to do it. */
int new_mount(const char *source, const char *kind, unsigned long flags, const char *data);
/* The same of a context of fsopen(2), which is closed. */
int mount_of_context(int context, const char *source, unsigned long flags, const char *data);
/* The same ids of a detached mount as files have under these maps (uid_map of user_namespaces(7)). */
int map_ids_of_mount(int fd, unsigned flags, const char *uids, const char *gids);
/* A user namespace within ours that has these maps; a descriptor. */
int namespace_with(const char *uids, const char *gids);
#endif
