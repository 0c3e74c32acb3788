/* Monitor orders, read once at start. */
#ifndef ROOTLESS_ORDERS_H
#define ROOTLESS_ORDERS_H
#include "lib/named_network.h"
#include "monitor/map_ids.h"
#include <stdint.h>

#define MOST_SERVERS 64
struct server {
    char **argv;
    int late; /* it becomes root of the user namespace by itself */
};

struct orders {
    const char *id, *name, *directory, *state, *socket_directory;
    unsigned long clone_flags;
    struct idmap map, outer; /* of the container; of a user namespace around it */
    struct { unsigned long flag; const char *path, *began; } join[8];
    int joins;
    const char *executor, *plan;
    int tty, wait_for_go, session;
    const char *standard_input;
    const char *log_driver, *log_path;
    uint64_t log_limit;
    int log_files;
    char **fields, **events, **sidecar, **udp, **ports, **remove, **unlink;
    struct server server[MOST_SERVERS]; /* in the order in which the plan asks for them */
    int server_count;
    const char *sidecar_socket;
    const char *request[256];
    uint32_t request_length[256];
    int requests;
    const char *restart, *pid_file, *error_log;
    unsigned long restart_maximum, timeout;
    const char *console;
    int gate, wait, mortal; /* `mortal`: to end with whoever started us */
    int stop_signal, stop_seconds; /* 0: the monitor does not listen to SIGTERM */
    const char *notify;
    int preserve, leases; /* descriptors from 4 on */
    const char *shared_directory; /* of named networks, or NULL */
    struct idmap shared_map;
    char **companion, **lease; /* lease: a number, and the files */
    struct endpoint endpoint[MOST_ENDPOINTS];
    int endpoints;
    unsigned short rows, cols; /* of a new terminal, 0 if unknown; set by the program */
    const int *streams; /* for a command that inherits them, or NULL; set by the program, as is: */
    int channel; /* where hooks are asked for, or -1 */
};

int orders_read(struct orders *orders, const char *path);
#endif
