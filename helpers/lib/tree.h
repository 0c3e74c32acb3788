/* Whole directory trees: remove, copy, change owner; never through a symbolic link. */
#ifndef ROOTLESS_TREE_H
#define ROOTLESS_TREE_H
#include <sys/types.h>
int tree_remove(int parent, const char *name);                 /* 0, or -1 and the first errno */
int tree_copy(int from, int to);                               /* contents of one directory into another */
int tree_copy_again(int from, int to);                         /* over what a copy that was ended has left */
int tree_chown(int parent, const char *name, uid_t uid, gid_t gid);
#endif
