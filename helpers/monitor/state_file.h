/* The file that says how a container lives: its room is taken before the container starts. */
#ifndef ROOTLESS_STATE_FILE_H
#define ROOTLESS_STATE_FILE_H
#include <stddef.h>

enum { STATE_SIZE = 4096, STATE_VERSION = 1 /* of the document; engine/containers/state.py has the same */ };

/* 0, or -1 with errno: there is no room */
int state_reserve(const char *directory, const char *name);
/* `fields` are the members of a JSON object with its closing brace, `{"a":1}` without the first one */
void state_write(const char *fields, size_t length);
#endif
