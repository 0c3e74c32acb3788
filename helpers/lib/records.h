/* Records: the one encoding of launch plans and monitor orders (docs/dev/formats.md). */
#ifndef ROOTLESS_RECORDS_H
#define ROOTLESS_RECORDS_H
#include <stdint.h>

enum { RECORD_ARGS = 32768 };

struct records {
    char *data;
    uint32_t size, at, index;
};

struct record {
    uint32_t op, argc, index;
    char *argv[RECORD_ARGS + 1]; /* NUL-terminated, and NULL after the last: usable for exec */
    uint32_t length[RECORD_ARGS];
};

int records_read(struct records *all, int fd);                 /* 0, or -1 and errno */
int records_next(struct records *all, struct record *one);     /* 1, 0 at the end, -1 if malformed */
#endif
