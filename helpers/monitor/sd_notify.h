/* sd_notify(3) from the container to the service manager, by way of the monitor. */
#ifndef ROOTLESS_SD_NOTIFY_H
#define ROOTLESS_SD_NOTIFY_H
/* Takes NOTIFY_SOCKET and WATCHDOG_USEC from the environment.  With a path: listens there for the
 * container's messages, and the descriptor is returned; without, the monitor itself reports that it
 * lives, where a watchdog asks.  -1 where there is nothing to poll. */
int notify_open(const char *path);
void notify_forward(int fd);
int notify_watchdog(void); /* milliseconds until this must be called again, -1 for never */
#endif
