/* What of a container goes when it has ended: its directories, its sockets. */
#ifndef ROOTLESS_REMOVAL_H
#define ROOTLESS_REMOVAL_H
#include "monitor/orders.h"

/* `user_ns`: the container's user namespace, in which files of mapped ids are removed; -1 without.
 * `listening`: the sockets of the runtime directory were made. */
void removal(const struct orders *orders, int user_ns, int listening);
#endif
