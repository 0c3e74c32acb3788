/* A container's log: k8s-file, json-file, journald, none; rotation by size. */
#ifndef ROOTLESS_LOG_H
#define ROOTLESS_LOG_H
#include <stddef.h>
#include <stdint.h>

enum log_driver { LOG_NONE, LOG_K8S, LOG_JSON, LOG_JOURNALD };

struct log {
    enum log_driver driver;
    int fd, files;
    const char *path;
    uint64_t limit, written;
    char *const *fields;  /* KEY=VALUE for journald, NULL-terminated */
    char held[2][4];      /* the beginning of a UTF-8 sequence whose rest has not arrived */
    unsigned char held_length[2];
};

int log_open(struct log *log, const char *driver, const char *path, uint64_t limit, int files);
void log_write(struct log *log, int stream, const char *data, size_t length); /* stream 0 out, 1 err */
#endif
