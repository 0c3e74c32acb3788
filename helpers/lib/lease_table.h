/* Who is on which network at the moment: the files of leases, read as names are asked for.
 *
 * DIRECTORY/leases/BRIDGE/ADDRESS, locked by the container's monitor, says whose the address is
 * (rootless/network/leases.py); DIRECTORY/leases/BRIDGE/.network what the network allows. */
#ifndef ROOTLESS_LEASE_TABLE_H
#define ROOTLESS_LEASE_TABLE_H
#include <stddef.h>

struct lease {
    char bridge[16], address[46], id[65];
    char *names;     /* " web db 0123456789ab ", lower case */
    char *addresses; /* " 10.89.0.2 fd00::2 " */
};

struct network_rules {
    char bridge[16];
    int internal, names;
    char servers[256]; /* name servers of its own, by blanks */
};

struct lease_table {
    struct lease *lease;
    size_t count;
    struct network_rules *network;
    size_t networks;
    int watch; /* inotify */
    char directory[4000];
};

int lease_table_open(struct lease_table *t, const char *directory);
void lease_table_refresh(struct lease_table *t); /* if something has changed */
/* The lease of an address on a bridge ("": on any), while its container runs; NULL: nobody's. */
const struct lease *lease_of(const struct lease_table *t, const char *bridge, const char *address);
int lease_lives(const struct lease_table *t, const struct lease *one);
/* Whether it is on the network of the other's lease, or the other is on its network. */
int lease_shares(const struct lease_table *t, const struct lease *asker, const struct lease *one);
int lease_has(const char *words, const char *word);
const struct network_rules *lease_rules(const struct lease_table *t, const char *bridge);
#endif
