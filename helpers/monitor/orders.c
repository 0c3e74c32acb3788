#define _GNU_SOURCE
#include "monitor/orders.h"

#include "lib/ops.h"
#include "lib/records.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char **list(const struct record *r)
{
    char **copy = malloc((r->argc + 1) * sizeof *copy);
    if (copy)
        memcpy(copy, r->argv, (r->argc + 1) * sizeof *copy);
    return copy;
}

static void take(struct orders *o, const struct record *r)
{
    const char *a[5];
    /* a damaged order that is too short has empty arguments, not those of the one before it */
    for (uint32_t i = 0; i < 5; i++)
        a[i] = i < r->argc ? r->argv[i] : "";
    switch (r->op) {
    case ORDER_ID: o->id = a[0]; o->name = a[1]; break;
    case ORDER_DIRECTORY: o->directory = a[0]; o->state = a[1]; break;
    case ORDER_SOCKET: o->socket_directory = a[0]; break;
    case ORDER_CLONE: o->clone_flags = strtoul(a[0], NULL, 10); break;
    case ORDER_MAP:
    case ORDER_OUTER:
        *(r->op == ORDER_MAP ? &o->map : &o->outer) = (struct idmap){1, a[0], a[1], a[2], a[3], a[4][0] == '1'};
        break;
    case ORDER_JOIN:
        if (o->joins < 8) {
            o->join[o->joins].flag = strtoul(a[0], NULL, 10);
            o->join[o->joins].began = a[2];
            o->join[o->joins++].path = a[1];
        }
        break;
    case ORDER_EXECUTOR: o->executor = a[0]; o->plan = a[1]; break;
    case ORDER_TTY: o->tty = 1; break;
    case ORDER_STDIN: o->standard_input = a[0]; break;
    case ORDER_LOG:
        o->log_driver = a[0]; o->log_path = a[1];
        o->log_limit = strtoull(a[2], NULL, 10);
        o->log_files = atoi(a[3]);
        break;
    case ORDER_FIELD: o->fields = list(r); break;
    case ORDER_SIDECAR: o->sidecar = list(r); break;
    case ORDER_SIDECAR_SOCKET: o->sidecar_socket = a[0]; break;
    case ORDER_SIDECAR_REQUEST:
        if (o->requests < 256 && r->argc) {
            o->request[o->requests] = a[0];
            o->request_length[o->requests++] = r->length[0];
        }
        break;
    case ORDER_UDP: o->udp = list(r); break;
    case ORDER_PORTS: o->ports = list(r); break;
    case ORDER_FUSE: {
        char **words = list(r);
        if (words && r->argc > 1 && o->server_count < MOST_SERVERS)
            o->server[o->server_count++] = (struct server){words + 1, words[0][0] == '1'};
        break;
    }
    case ORDER_GO: o->wait_for_go = 1; break;
    case ORDER_RESTART: o->restart = a[0]; o->restart_maximum = strtoul(a[1], NULL, 10); break;
    case ORDER_PID_FILE: o->pid_file = a[0]; break;
    case ORDER_REMOVE: o->remove = list(r); break;
    case ORDER_UNLINK: o->unlink = list(r); break;
    case ORDER_EXEC_SESSION: o->session = 1; break;
    case ORDER_LOG_ERRORS: o->error_log = a[0]; break;
    case ORDER_TIMEOUT: o->timeout = strtoul(a[0], NULL, 10); break;
    case ORDER_GATE: o->gate = atoi(a[0]); break;
    case ORDER_CONSOLE: o->console = a[0]; break;
    case ORDER_WAIT: o->wait = 1; o->mortal = a[0][0] != 0; break;
    case ORDER_EVENTS: o->events = list(r); break;
    case ORDER_STOP: o->stop_signal = atoi(a[0]); o->stop_seconds = atoi(a[1]); break;
    case ORDER_NOTIFY: o->notify = a[0]; break;
    case ORDER_PRESERVE: o->preserve = atoi(a[0]); break;
    case ORDER_LEASES: o->leases = atoi(a[0]); o->lease = list(r); break;
    case ORDER_SHARED_NETWORK:
        o->shared_directory = a[0];
        o->shared_map = (struct idmap){1, a[1], a[2], a[3], a[4], r->argc > 5 && r->argv[5][0] == '1'};
        break;
    case ORDER_COMPANION:
        if (r->argc > 2)
            o->companion = list(r);
        break;
    case ORDER_ENDPOINT:
        if (r->argc == ENDPOINT_WORDS && o->endpoints < MOST_ENDPOINTS)
            endpoint_set(&o->endpoint[o->endpoints++], (const char *const *)r->argv);
        break;
    }
}

int orders_read(struct orders *orders, const char *path)
{
    struct records all;
    static struct record r;
    memset(orders, 0, sizeof *orders);
    orders->restart = "no";
    orders->log_driver = "none";
    orders->log_path = orders->name = orders->id = "";
    orders->standard_input = "null";
    orders->gate = orders->channel = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || records_read(&all, fd) < 0)
        return -1;
    close(fd);
    int more;
    while ((more = records_next(&all, &r)) > 0)
        take(orders, &r);
    if (more < 0 || !orders->executor || !orders->plan || !orders->directory) {
        errno = EBADMSG;
        return -1;
    }
    return 0;
}
