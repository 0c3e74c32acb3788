#define _GNU_SOURCE
#include "monitor/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char buffer[16384];
#define JOURNAL_LINE 8000 /* bytes; longer lines go in pieces, so that fields have room beside them */
static size_t used;

static void flush(struct log *log)
{
    for (size_t at = 0; at < used;) {
        ssize_t wrote = write(log->fd, buffer + at, used - at);
        if (wrote <= 0)
            break; /* a full disk must not stop the container; what is lost is log */
        at += (size_t)wrote;
    }
    log->written += used;
    used = 0;
}

static void put(struct log *log, const char *data, size_t length)
{
    if (length > sizeof buffer - used)
        flush(log);
    if (length > sizeof buffer) {
        while (length) {
            ssize_t wrote = write(log->fd, data, length);
            if (wrote <= 0)
                return;
            log->written += (uint64_t)wrote;
            data += wrote;
            length -= (size_t)wrote;
        }
        return;
    }
    memcpy(buffer + used, data, length);
    used += length;
}

static size_t now(char *text, size_t size)
{
    struct timespec time;
    struct tm day;
    clock_gettime(CLOCK_REALTIME, &time);
    gmtime_r(&time.tv_sec, &day);
    return (size_t)snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", day.tm_year + 1900, day.tm_mon + 1,
                            day.tm_mday, day.tm_hour, day.tm_min, day.tm_sec, time.tv_nsec);
}

static void open_file(struct log *log)
{
    struct stat status;
    log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    log->written = log->fd >= 0 && fstat(log->fd, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static void rotate(struct log *log)
{
    char from[4096], to[4096];
    for (int i = log->files - 1; i >= 1; i--) {
        snprintf(from, sizeof from, i > 1 ? "%s.%d" : "%s", log->path, i - 1);
        snprintf(to, sizeof to, "%s.%d", log->path, i);
        rename(from, to);
    }
    if (log->files <= 1)
        unlink(log->path);
    close(log->fd);
    open_file(log);
}

int log_open(struct log *log, const char *driver, const char *path, uint64_t limit, int files)
{
    log->path = path;
    log->limit = limit;
    log->files = files;
    if (strcmp(driver, "none") == 0) {
        log->driver = LOG_NONE;
        return 0;
    }
    if (strcmp(driver, "journald") == 0) {
        struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
        log->driver = LOG_JOURNALD;
        log->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        return connect(log->fd, (struct sockaddr *)&address, sizeof address);
    }
    log->driver = strcmp(driver, "json-file") == 0 ? LOG_JSON : LOG_K8S;
    open_file(log);
    return log->fd < 0 ? -1 : 0;
}

/* length of the UTF-8 sequence at `text`: 0 when it is not one, -1 when it may become one */
static int sequence(const unsigned char *text, size_t left)
{
    int length = text[0] < 0x80 ? 1 : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
               : text[0] >= 0xe0 && text[0] < 0xf0 ? 3 : text[0] >= 0xf0 && text[0] < 0xf5 ? 4 : 0;
    for (int i = 1; i < length; i++) {
        if ((size_t)i >= left)
            return -1;
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    return length;
}

static void put_json(struct log *log, const char *data, size_t length)
{
    for (size_t at = 0; at < length;) {
        unsigned char c = (unsigned char)data[at];
        char escape[8];
        int size = sequence((const unsigned char *)data + at, length - at);
        if (size <= 0) {
            put(log, "\\ufffd", 6);
            at++;
        } else if (c == '"' || c == '\\' || c < 0x20 || c == 0x7f) {
            if (c == '"' || c == '\\')
                snprintf(escape, sizeof escape, "\\%c", c);
            else if (c == '\n')
                snprintf(escape, sizeof escape, "\\n");
            else
                snprintf(escape, sizeof escape, "\\u%04x", c);
            put(log, escape, strlen(escape));
            at++;
        } else {
            size_t run = (size_t)size;
            while (size == 1 && at + run < length && (unsigned char)data[at + run] >= 0x20 &&
                   (unsigned char)data[at + run] < 0x7f && data[at + run] != '"' && data[at + run] != '\\')
                run++;
            put(log, data + at, run);
            at += run;
        }
    }
}

static void write_json(struct log *log, int stream, const char *data, size_t length, const char *stamp)
{
    put(log, "{\"log\":\"", 8);
    put_json(log, data, length);
    put(log, stream ? "\",\"stream\":\"stderr\",\"time\":\"" : "\",\"stream\":\"stdout\",\"time\":\"", 28);
    put(log, stamp, strlen(stamp));
    put(log, "\"}\n", 3);
}

static void write_journal(struct log *log, int stream, const char *data, size_t length, int partial)
{
    used = 0;
    put(log, stream ? "PRIORITY=3\n" : "PRIORITY=6\n", 11);
    for (char *const *field = log->fields; field && *field; field++) {
        /* a value with a line break would forge further fields; one that fills the buffer leaves no room */
        if (strchr(*field, '\n') || used + strlen(*field) + 1 > sizeof buffer / 2)
            continue;
        put(log, *field, strlen(*field));
        put(log, "\n", 1);
    }
    if (partial)
        put(log, "CONTAINER_PARTIAL_MESSAGE=true\n", 31);
    uint64_t size = length < sizeof buffer - used - 32 ? length : sizeof buffer - used - 32;
    put(log, "MESSAGE\n", 8);
    put(log, (const char *)&size, 8); /* little-endian by the journal's protocol, as this machine is */
    put(log, data, size);
    put(log, "\n", 1);
    send(log->fd, buffer, used, MSG_NOSIGNAL);
    used = 0;
}

static void write_k8s(struct log *log, int stream, const char *data, size_t length, int partial, const char *stamp)
{
    put(log, stamp, strlen(stamp));
    put(log, stream ? " stderr " : " stdout ", 8);
    put(log, partial ? "P " : "F ", 2);
    put(log, data, length);
    if (partial)
        put(log, "\n", 1);
}

static void write_lines(struct log *log, int stream, const char *data, size_t length)
{
    char stamp[64];
    now(stamp, sizeof stamp);
    while (length) {
        const char *newline = memchr(data, '\n', length);
        size_t line = newline ? (size_t)(newline - data) + 1 : length;
        if (log->limit && log->written + used && log->written + used + line > log->limit) {
            flush(log);
            rotate(log);
        }
        if (log->driver == LOG_K8S)
            write_k8s(log, stream, data, line, !newline, stamp);
        else
            write_json(log, stream, data, line, stamp);
        data += line;
        length -= line;
    }
    flush(log);
}

void log_write(struct log *log, int stream, const char *data, size_t length)
{
    if (log->driver == LOG_NONE || log->fd < 0 || !length)
        return;
    if (log->driver == LOG_JOURNALD) {
        while (length) {
            const char *newline = memchr(data, '\n', length);
            size_t line = newline ? (size_t)(newline - data) : length;
            int whole = newline && line <= JOURNAL_LINE;
            if (line > JOURNAL_LINE)
                line = JOURNAL_LINE;
            write_journal(log, stream, data, line, !whole);
            line += whole ? 1 : 0;
            data += line;
            length -= line;
        }
        return;
    }
    if (log->driver == LOG_JSON) {
        /* JSON cannot hold half a character: hold it back until the next piece */
        static char joined[65536 + 8];
        size_t held = log->held_length[stream];
        if (length > 65536) {
            log_write(log, stream, data, 65536);
            log_write(log, stream, data + 65536, length - 65536);
            return;
        }
        memcpy(joined, log->held[stream], held);
        memcpy(joined + held, data, length);
        length += held;
        log->held_length[stream] = 0;
        for (size_t back = 1; back <= 3 && back <= length; back++)
            if (sequence((unsigned char *)joined + length - back, back) < 0) {
                memcpy(log->held[stream], joined + length - back, back);
                log->held_length[stream] = (unsigned char)back;
                length -= back;
                break;
            }
        data = joined;
    }
    write_lines(log, stream, data, length);
}
