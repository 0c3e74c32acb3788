/* Rules and routes of the network namespace that a socket of lib/netlink belongs to. */
#ifndef ROOTLESS_ROUTES_H
#define ROOTLESS_ROUTES_H
#include "lib/netlink.h"

/* what is chosen by a rule: all of `mark`, or of `protocol` (IPPROTO_...) from the ports `low` to `high`; 0: any */
struct rule { int family; uint32_t priority, table, mark; uint8_t protocol; uint16_t low, high; };
/* `type`: RTN_...; `length` bits of `address`; local routes lead to the loopback device.  `source`: the address
 * of those who send there and have not chosen one, or NULL */
struct route { int family; uint32_t table; uint8_t type, length; const void *address, *source; };

/* 0 or an errno; what is there already is no error */
int loopback_up(struct netlink *n);
int loopback_address(struct netlink *n, const void *six); /* one more, of IPv6 */
int rule_add(struct netlink *n, const struct rule *rule);
int route_add(struct netlink *n, const struct route *route);
int route_remove(struct netlink *n, const struct route *route);
void rules_remove(struct netlink *n, int family, uint32_t priority); /* all of that priority */
#endif
