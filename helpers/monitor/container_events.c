#define _GNU_SOURCE
#include "monitor/container_events.h"

#include "lib/events.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A rename leaves the new fields in a file. */
const char *report_fields(const struct orders *orders)
{
    static char *text;
    static size_t size;
    char path[4096];
    struct stat status;
    if (!orders->events)
        return NULL;
    snprintf(path, sizeof path, "%s/event", orders->directory);
    int fd = orders->session ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0) {
        if (fd >= 0)
            close(fd);
        return text ? text : orders->events[1];
    }
    if ((size_t)status.st_size + 1 > size) {
        free(text);
        size = (size_t)status.st_size + 1;
        text = malloc(size);
    }
    ssize_t got = text ? read(fd, text, size - 1) : -1;
    close(fd);
    if (text)
        text[got > 0 ? got : 0] = 0;
    return got > 0 ? text : orders->events[1];
}

static void volume_events(const struct orders *orders, const char *action)
{
    for (char **fields = orders->events ? orders->events + 2 : NULL; fields && *fields; fields++)
        event_add(action, *fields, "");
}

void report_started(const struct orders *orders)
{
    if (orders->session)
        return;
    const char *fields = report_fields(orders);
    volume_events(orders, "mount");
    event_add("init", fields, "");
    event_add("start", fields, "");
    events_flush();
}

void report_ended(const struct orders *orders, int code, int out_of_memory, int again)
{
    char words[64];
    const char *fields = report_fields(orders);
    snprintf(words, sizeof words, ",\"exitCode\":\"%d\"", code);
    if (out_of_memory && !orders->session)
        event_add("oom", fields, "");
    event_add(orders->session ? "exec_died" : "die", fields, words);
    if (!orders->session)
        volume_events(orders, "unmount");
    if (!again)
        event_add("cleanup", orders->session ? NULL : fields, "");
    events_flush();
}

void report_network(const struct orders *orders, const char *action)
{
    if (orders->session)
        return;
    event_add(action, report_fields(orders), "");
    events_flush();
}

void report_cleanup(const struct orders *orders)
{
    event_add("cleanup", orders->session ? NULL : report_fields(orders), "");
    events_flush();
}

void report_removed(const struct orders *orders, const char *fields)
{
    for (char **one = orders->events && orders->remove ? orders->events + 2 : NULL; one && *one; one++)
        if (strstr(*one, "\"anonymous\":\"true\""))
            event_add("remove", *one, "");
    if (orders->remove)
        event_add("remove", fields, "");
    events_flush();
}
