/* Health checks where no systemd has a timer for them: the monitor starts each one and forgets it. */
#ifndef ROOTLESS_HEALTH_CHECKS_H
#define ROOTLESS_HEALTH_CHECKS_H
#include <sys/types.h>
/* `words`: milliseconds to a check while the container starts, milliseconds to later ones, variables
 * of the environment, "", the command and its arguments; NULL for no checks.  `directory`: where
 * `update` leaves other times. */
void checks_set(char **words, const char *directory);
void checks_begin(void);                     /* the container has just been started */
int checks_wait(void);                       /* milliseconds until the next one is due; -1: none is */
void checks_run(void);                       /* start it if it is due */
int checks_reap(pid_t pid, int status);      /* whether this child was one */
void checks_end(int kill);                   /* no more of them; `kill`: none may go on either */
#endif
