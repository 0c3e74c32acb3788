/* The user's terminal, passed through to a container's. */
#ifndef ROOTLESS_TTY_H
#define ROOTLESS_TTY_H
void tty_raw(void);     /* descriptor 0, if it is a terminal; again after a stop */
void tty_restore(void);
#endif
