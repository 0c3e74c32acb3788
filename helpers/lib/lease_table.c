#define _GNU_SOURCE
#include "lib/lease_table.h"

#include "lib/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

#define CHANGES (IN_CREATE | IN_DELETE | IN_MODIFY | IN_MOVED_TO | IN_ONLYDIR)

int lease_table_open(struct lease_table *t, const char *directory)
{
    memset(t, 0, sizeof *t);
    snprintf(t->directory, sizeof t->directory, "%s", directory);
    t->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    t->count = (size_t)-1; /* nothing is read yet */
    return t->watch < 0 ? -1 : 0;
}

static void forget(struct lease_table *t)
{
    for (size_t i = 0; t->count != (size_t)-1 && i < t->count; i++) {
        free(t->lease[i].names);
        free(t->lease[i].addresses);
    }
    free(t->lease);
    free(t->network);
    t->lease = NULL;
    t->network = NULL;
    t->count = t->networks = 0;
}

/* " word word " of a line, in lower case; NULL without memory */
static char *words_of(const char *line, size_t length)
{
    char *made = malloc(length + 3);
    if (!made)
        return NULL;
    made[0] = ' ';
    for (size_t i = 0; i < length; i++)
        made[1 + i] = line[i] >= 'A' && line[i] <= 'Z' ? (char)(line[i] + 32) : line[i];
    made[1 + length] = ' ';
    made[2 + length] = 0;
    return made;
}

static const char *next_line(const char *at, size_t *length)
{
    *length = strcspn(at, "\n");
    return at + *length + (at[*length] == '\n');
}

static void read_lease(struct lease_table *t, const char *bridge, const char *address, const char *text)
{
    size_t id, names, mac, addresses;
    const char *second = next_line(text, &id), *third = next_line(second, &names), *fourth = next_line(third, &mac);
    next_line(fourth, &addresses);
    if (id >= sizeof t->lease->id || !id || !addresses)
        return; /* it is being written */
    struct lease *grown = realloc(t->lease, (t->count + 1) * sizeof *grown);
    if (!grown)
        return;
    t->lease = grown;
    struct lease *one = &grown[t->count];
    snprintf(one->bridge, sizeof one->bridge, "%.15s", bridge);
    snprintf(one->address, sizeof one->address, "%.45s", address);
    snprintf(one->id, sizeof one->id, "%.*s", (int)id, text);
    one->names = words_of(second, names);
    one->addresses = words_of(fourth, addresses);
    if (one->names && one->addresses)
        t->count++;
}

static void read_rules(struct lease_table *t, const char *bridge, const char *text)
{
    struct network_rules *grown = realloc(t->network, (t->networks + 1) * sizeof *grown);
    if (!grown)
        return;
    t->network = grown;
    struct network_rules *one = &grown[t->networks++];
    size_t flags;
    const char *second = next_line(text, &flags);
    memset(one, 0, sizeof *one);
    snprintf(one->bridge, sizeof one->bridge, "%.15s", bridge);
    one->internal = memchr(text, 'i', flags) != NULL;
    one->names = memchr(text, 'n', flags) != NULL;
    snprintf(one->servers, sizeof one->servers, "%.*s", (int)strcspn(second, "\n"), second);
}

static void read_network(struct lease_table *t, const char *bridge)
{
    char path[5000], text[2048];
    snprintf(path, sizeof path, "%s/leases/%s", t->directory, bridge);
    inotify_add_watch(t->watch, path, CHANGES);
    DIR *listed = opendir(path);
    struct dirent *one;
    while (listed && (one = readdir(listed))) {
        int rules = strcmp(one->d_name, ".network") == 0;
        if (one->d_name[0] == '.' && !rules)
            continue;
        snprintf(path, sizeof path, "%s/leases/%s/%.250s", t->directory, bridge, one->d_name);
        if (slurp(path, text, sizeof text) <= 0)
            continue;
        if (rules)
            read_rules(t, bridge, text);
        else
            read_lease(t, bridge, one->d_name, text);
    }
    if (listed)
        closedir(listed);
}

void lease_table_refresh(struct lease_table *t)
{
    _Alignas(8) char events[4096];
    int changed = t->count == (size_t)-1;
    while (read(t->watch, events, sizeof events) > 0)
        changed = 1;
    if (!changed)
        return;
    forget(t);
    char path[4200];
    snprintf(path, sizeof path, "%s/leases", t->directory);
    /* watched before it is read: what comes in between is seen the next time */
    inotify_add_watch(t->watch, path, CHANGES);
    DIR *listed = opendir(path);
    struct dirent *one;
    while (listed && (one = readdir(listed)))
        if (one->d_name[0] != '.' && strlen(one->d_name) < 16)
            read_network(t, one->d_name);
    if (listed)
        closedir(listed);
}

int lease_lives(const struct lease_table *t, const struct lease *one)
{
    char path[4400];
    snprintf(path, sizeof path, "%s/leases/%s/%s", t->directory, one->bridge, one->address);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0;
    if (fd >= 0)
        close(fd);
    return held;
}

const struct lease *lease_of(const struct lease_table *t, const char *bridge, const char *address)
{
    for (size_t i = 0; i < t->count; i++)
        if ((!bridge[0] || strcmp(t->lease[i].bridge, bridge) == 0) && lease_has(t->lease[i].addresses, address) &&
            lease_lives(t, &t->lease[i]))
            return &t->lease[i];
    return NULL;
}

int lease_shares(const struct lease_table *t, const struct lease *asker, const struct lease *one)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->lease[i].id, asker->id) == 0 && strcmp(t->lease[i].bridge, one->bridge) == 0)
            return 1;
    return 0;
}

int lease_has(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; length && (at = strstr(at, word)); at++)
        if (at > words && at[-1] == ' ' && at[length] == ' ')
            return 1;
    return 0;
}

const struct network_rules *lease_rules(const struct lease_table *t, const char *bridge)
{
    for (size_t i = 0; i < t->networks; i++)
        if (strcmp(t->network[i].bridge, bridge) == 0)
            return &t->network[i];
    return NULL;
}
