/* A new user namespace and its maps, as rootless-enter makes them. */
#ifndef ROOTLESS_ID_MAPS_H
#define ROOTLESS_ID_MAPS_H
#include <sys/types.h>

enum { MOST_WORDS = 3 * 340 + 3 };

struct map {
    const char *kind, *text, *program; /* "uid" or "gid"; lines of /proc/PID/uid_map; newuidmap */
    char *word[MOST_WORDS];
    int words;
};

extern struct map map[2]; /* of uids and of gids */
extern int error_fd;      /* where `fail` writes */

/* one line, and exit status 125 */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void split(struct map *m);                  /* `text` into `word` */
int maps_inside_zero(const struct map *m);
void new_user_namespace(void);              /* this process is in it, and mapped, when it returns */
#endif
