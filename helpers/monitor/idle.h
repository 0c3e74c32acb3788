/* Waiting without memory that is needed for nothing meanwhile. */
#ifndef ROOTLESS_IDLE_H
#define ROOTLESS_IDLE_H
#include <poll.h>
/* poll(2).  Where nothing happens for a moment, the program's own pages are let go of. */
int idle_poll(struct pollfd *polled, nfds_t count, int timeout);
#endif
