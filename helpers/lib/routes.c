#define _GNU_SOURCE
#include "lib/routes.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
/* after the C library's, which it makes room for */
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

enum { LOOPBACK = 1 }; /* the first device of each network namespace */

static int done(struct netlink *n)
{
    return netlink_send(n) < 0 ? errno : 0;
}

int loopback_up(struct netlink *n)
{
    struct ifinfomsg link = {.ifi_index = LOOPBACK, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    netlink_message(n, RTM_NEWLINK, 0, &link, sizeof link, 0);
    return done(n);
}

int loopback_address(struct netlink *n, const void *six)
{
    struct ifaddrmsg head = {.ifa_family = AF_INET6, .ifa_prefixlen = 128, .ifa_flags = IFA_F_NODAD, .ifa_index = LOOPBACK};
    netlink_message(n, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head, 1);
    netlink_put(n, IFA_LOCAL, six, 16);
    netlink_put(n, IFA_ADDRESS, six, 16);
    return done(n);
}

int rule_add(struct netlink *n, const struct rule *rule)
{
    struct fib_rule_hdr head = {.family = (uint8_t)rule->family, .action = FR_ACT_TO_TBL};
    struct fib_rule_port_range range = {rule->low, rule->high};
    netlink_message(n, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head, 1);
    netlink_number(n, FRA_PRIORITY, rule->priority);
    netlink_number(n, FRA_TABLE, rule->table);
    if (rule->mark)
        netlink_number(n, FRA_FWMARK, rule->mark);
    if (rule->protocol) {
        netlink_put(n, FRA_IP_PROTO, &rule->protocol, 1);
        netlink_put(n, FRA_SPORT_RANGE, &range, sizeof range);
    }
    return done(n);
}

void rules_remove(struct netlink *n, int family, uint32_t priority)
{
    struct fib_rule_hdr head = {.family = (uint8_t)family};
    do {
        netlink_message(n, RTM_DELRULE, 0, &head, sizeof head, 0);
        netlink_number(n, FRA_PRIORITY, priority);
    } while (done(n) == 0);
}

static int change(struct netlink *n, const struct route *route, uint16_t type, uint16_t flags)
{
    size_t size = route->family == AF_INET ? 4 : 16;
    struct rtmsg head = {.rtm_family = (uint8_t)route->family, .rtm_dst_len = route->length, .rtm_type = route->type,
                         .rtm_protocol = RTPROT_STATIC, .rtm_table = RT_TABLE_UNSPEC,
                         .rtm_scope = route->type == RTN_LOCAL ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE};
    netlink_message(n, type, flags, &head, sizeof head, 1);
    netlink_number(n, RTA_TABLE, route->table);
    if (route->length)
        netlink_put(n, RTA_DST, route->address, size);
    if (route->source)
        netlink_put(n, RTA_PREFSRC, route->source, size);
    if (route->type == RTN_LOCAL)
        netlink_number(n, RTA_OIF, LOOPBACK);
    return done(n);
}

int route_add(struct netlink *n, const struct route *route)
{
    return change(n, route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
}

int route_remove(struct netlink *n, const struct route *route)
{
    return change(n, route, RTM_DELROUTE, 0);
}
