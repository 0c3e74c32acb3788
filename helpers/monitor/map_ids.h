/* Writing the id maps of a user namespace that another process has just made. */
#ifndef ROOTLESS_MAP_IDS_H
#define ROOTLESS_MAP_IDS_H
#include <sys/types.h>

struct idmap {
    int given;
    const char *uids, *gids;           /* as in /proc/PID/uid_map */
    const char *newuidmap, *newgidmap; /* programs that must write them, or "" */
    int drop_groups;
};

struct failure;
int map_ids(const struct idmap *map, const char *error_log, pid_t pid, struct failure *failure);
#endif
