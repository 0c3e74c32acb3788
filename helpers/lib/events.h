/* The log of events: a line of JSON for each, appended by one write (docs/dev/formats.md, Events). */
#ifndef ROOTLESS_EVENTS_H
#define ROOTLESS_EVENTS_H
/* Keeps the directory of the log open, for a process that changes its view of the file system later. */
void events_open(const char *directory);
void events_close(void);
/* `fields`: everything of the line between "action" and the last attribute; `more`: further
 * attributes, beginning with a comma.  The line waits for events_flush. */
void event_add(const char *action, const char *fields, const char *more);
void events_flush(void);
#endif
