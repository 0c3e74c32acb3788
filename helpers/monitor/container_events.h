/* The events of a container's life, in the words that its orders give. */
#ifndef ROOTLESS_CONTAINER_EVENTS_H
#define ROOTLESS_CONTAINER_EVENTS_H
#include "monitor/orders.h"

const char *telling_fields(const struct orders *orders); /* what every event of it says; NULL: tell nothing */
void telling_started(const struct orders *orders);
void telling_ended(const struct orders *orders, int code, int out_of_memory, int again);
/* slirp4netns has ended, and the container has not */
void telling_network_lost(const struct orders *orders);
void telling_cleanup(const struct orders *orders);       /* an end that a restart was to follow */
/* After its directory went: `fields` were asked for before. */
void telling_removed(const struct orders *orders, const char *fields);
#endif
