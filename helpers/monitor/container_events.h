/* The events of a container's life, with the fields that its orders give. */
#ifndef ROOTLESS_CONTAINER_EVENTS_H
#define ROOTLESS_CONTAINER_EVENTS_H
#include "monitor/orders.h"

const char *report_fields(const struct orders *orders); /* what every event of it says; NULL: write none */
void report_started(const struct orders *orders);
void report_ended(const struct orders *orders, int code, int out_of_memory, int again);
/* network_lost: a program of its network has ended, and the container has not; network_restored: it runs again */
void report_network(const struct orders *orders, const char *action);
void report_cleanup(const struct orders *orders);       /* an end that a restart was to follow */
/* After its directory went: `fields` were asked for before. */
void report_removed(const struct orders *orders, const char *fields);
#endif
