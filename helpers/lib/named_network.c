#define _GNU_SOURCE
#include "lib/named_network.h"

#include "lib/netlink.h"
#include "lib/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* IFLA_BRPORT_LOCKED, which headers before Linux 5.18 lack */
enum { PORT_LOCKED = 39 };

#define WAY_OUT "tap0" /* the device that leads out of the shared namespace */

/* Priorities of rules.  The kernel's own first rule, which looks every address of this namespace up, is
 * replaced: a container would reach the gateways of all networks by it. */
enum {
    RULE_FORBIDDEN = 900,  /* addresses that nobody is to reach */
    RULE_OWN = 1000,       /* a network itself, from its own bridge */
    RULE_OUTSIDE = 1100,   /* what comes in from outside, for all but internal networks */
    RULE_LOOPBACK = 1200,  /* what this namespace sends itself */
    RULE_CLOSED = 1300,    /* internal networks reach nothing else */
    RULE_OPEN = 1350,      /* between networks that are not isolated */
    RULE_OTHERS = 1400,    /* a network, from anywhere else */
};

void endpoint_set(struct endpoint *e, const char *const words[ENDPOINT_WORDS])
{
    *e = (struct endpoint){words[0], words[1], words[2], words[3], words[4],
                           words[5], words[6], words[7], words[8], words[9]};
}

struct subnet {
    int family, size, length; /* bytes of an address, bits of the network */
    unsigned char address[16], network[16];
};

/* "10.89.0.2/24"; 0, or -1 */
static int parse(struct subnet *s, const char *text)
{
    char copy[64];
    snprintf(copy, sizeof copy, "%s", text);
    char *slash = strchr(copy, '/');
    if (slash)
        *slash++ = 0;
    s->family = strchr(copy, ':') ? AF_INET6 : AF_INET;
    s->size = s->family == AF_INET6 ? 16 : 4;
    s->length = slash ? atoi(slash) : s->size * 8;
    if (inet_pton(s->family, copy, s->address) != 1 || s->length < 0 || s->length > s->size * 8) {
        errno = EINVAL;
        return -1;
    }
    for (int i = 0; i < s->size; i++) {
        int bits = s->length - i * 8;
        s->network[i] = bits >= 8 ? s->address[i] : bits <= 0 ? 0 : s->address[i] & (unsigned char)(0xff << (8 - bits));
    }
    return 0;
}

/* ---- rules */

static void rule(struct netlink *n, int family, uint32_t priority, const char *from_device, const struct subnet *to,
                 uint32_t table)
{
    struct fib_rule_hdr head = {
        .family = (unsigned char)family,
        .dst_len = (unsigned char)(to ? to->length : 0),
        .table = (unsigned char)table,
        .action = table ? FR_ACT_TO_TBL : FR_ACT_PROHIBIT,
    };
    netlink_message(n, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head, 1);
    netlink_number(n, FRA_PRIORITY, priority);
    if (from_device)
        netlink_text(n, FRA_IIFNAME, from_device);
    if (to)
        netlink_put(n, FRA_DST, to->network, (size_t)to->size);
    if (table)
        netlink_number(n, FRA_TABLE, table);
}

static void from_everywhere(struct netlink *n, int family, const char *forbidden)
{
    struct subnet metadata;
    if (parse(&metadata, forbidden) == 0)
        rule(n, family, RULE_FORBIDDEN, NULL, &metadata, 0);
    rule(n, family, RULE_OUTSIDE, WAY_OUT, NULL, RT_TABLE_LOCAL);
    rule(n, family, RULE_OUTSIDE + 1, WAY_OUT, NULL, RT_TABLE_MAIN);
    rule(n, family, RULE_LOOPBACK, "lo", NULL, RT_TABLE_LOCAL);
    rule(n, family, RULE_LOOPBACK + 1, "lo", NULL, RT_TABLE_MAIN);
    struct fib_rule_hdr head = {.family = (unsigned char)family, .table = RT_TABLE_LOCAL, .action = FR_ACT_TO_TBL};
    netlink_message(n, RTM_DELRULE, 0, &head, sizeof head, 1);
    netlink_number(n, FRA_PRIORITY, 0);
    netlink_number(n, FRA_TABLE, RT_TABLE_LOCAL);
}

static void around_network(struct netlink *n, const struct endpoint *e, const struct subnet *s)
{
    if (s->family == AF_INET6) {
        /* neighbours are found by multicast, and by addresses of the link */
        struct subnet link = {.family = AF_INET6, .size = 16, .length = 10, .network = {0xfe, 0x80}};
        struct subnet group = {.family = AF_INET6, .size = 16, .length = 8, .network = {0xff}};
        rule(n, AF_INET6, RULE_OWN, e->bridge, &link, RT_TABLE_LOCAL);
        rule(n, AF_INET6, RULE_OWN, e->bridge, &group, RT_TABLE_LOCAL);
    }
    rule(n, s->family, RULE_OWN, e->bridge, s, RT_TABLE_LOCAL);
    rule(n, s->family, RULE_OWN + 1, e->bridge, s, RT_TABLE_MAIN);
    if (strchr(e->flags, 'i')) {
        rule(n, s->family, RULE_OUTSIDE - 1, WAY_OUT, s, 0);
        rule(n, s->family, RULE_CLOSED, e->bridge, NULL, 0);
    }
    rule(n, s->family, RULE_OTHERS, NULL, s, 0);
}

/* ---- the namespace and its bridges */

static int setting(const char *path, const char *value)
{
    /* where /proc/sys is not ours to write, there is IPv6 only if it is there already */
    return proc_write(AT_FDCWD, path, value) < 0 && errno != ENOENT ? -1 : 0;
}

int network_prepare(const char **what)
{
    static const char *const settings[][2] = {
        {"/proc/sys/net/ipv4/ip_forward", "1"},
        /* who leads out asks for the containers' addresses on its device, and is answered at once */
        {"/proc/sys/net/ipv4/conf/default/proxy_arp", "1"},
        {"/proc/sys/net/ipv4/neigh/default/proxy_delay", "0"},
        {"/proc/sys/net/ipv6/conf/all/forwarding", "1"},
    };
    struct netlink n;
    for (unsigned i = 0; i < sizeof settings / sizeof *settings; i++)
        if (setting(*what = settings[i][0], settings[i][1]) < 0)
            return -1;
    *what = "rtnetlink";
    if (netlink_open(&n) < 0)
        return -1;
    struct ifinfomsg loopback = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    netlink_message(&n, RTM_NEWLINK, 0, &loopback, sizeof loopback, 0);
    *what = "rules";
    from_everywhere(&n, AF_INET, "169.254.0.0/16");
    int failed = netlink_send(&n);
    if (!failed) {
        /* fd00:ec2::254 is the metadata service of one cloud; link-local addresses are not forwarded */
        from_everywhere(&n, AF_INET6, "fd00:ec2::254/128");
        if (netlink_send(&n) < 0 && errno != EAFNOSUPPORT && errno != EOPNOTSUPP)
            failed = -1;
    }
    netlink_close(&n);
    return failed;
}

static int interface(int fd, const char *name, short *flags)
{
    struct ifreq asked;
    memset(&asked, 0, sizeof asked);
    snprintf(asked.ifr_name, IFNAMSIZ, "%s", name);
    if (flags) {
        if (ioctl(fd, SIOCGIFFLAGS, &asked) < 0)
            return -1;
        *flags = asked.ifr_flags;
    }
    return ioctl(fd, SIOCGIFINDEX, &asked) < 0 ? -1 : asked.ifr_ifindex;
}

static void add_address(struct netlink *n, int index, const struct subnet *s)
{
    struct ifaddrmsg head = {
        .ifa_family = (unsigned char)s->family,
        .ifa_prefixlen = (unsigned char)s->length,
        /* nobody else can have it: it is leased */
        .ifa_flags = s->family == AF_INET6 ? IFA_F_NODAD : 0,
        .ifa_index = (unsigned)index,
    };
    netlink_message(n, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head, 1);
    netlink_put(n, IFA_LOCAL, s->address, (size_t)s->size);
    if (s->family == AF_INET) {
        unsigned char all[4];
        for (int i = 0; i < 4; i++) {
            int bits = s->length - i * 8;
            all[i] = bits >= 8 ? s->address[i]
                               : (unsigned char)(s->network[i] | (bits <= 0 ? 0xff : 0xff >> bits));
        }
        netlink_put(n, IFA_BROADCAST, all, 4);
    }
    netlink_put(n, IFA_ADDRESS, s->address, (size_t)s->size);
}

/* The gateway with the length of the container's own address. */
static int of_gateway(struct subnet *made, const char *gateway, const char *address)
{
    const char *slash = strchr(address, '/');
    char text[80];
    snprintf(text, sizeof text, "%s%s", gateway, slash ? slash : "");
    return parse(made, text);
}

/* Brought up last: a bridge that is up is complete, whoever was killed while making it.  `sock`: of the
 * namespace.  Its index, or -1. */
static int bridge(struct netlink *n, int sock, const struct endpoint *e)
{
    short flags = 0;
    int index = interface(sock, e->bridge, &flags);
    if (index > 0 && flags & IFF_UP)
        return index;
    struct ifinfomsg head = {0};
    unsigned char mac[6] = {0x02, 0x42};
    if (getrandom(mac + 2, 4, 0) != 4)
        return -1;
    netlink_message(n, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head, 1);
    netlink_text(n, IFLA_IFNAME, e->bridge);
    netlink_put(n, IFLA_ADDRESS, mac, sizeof mac);
    if (atoi(e->mtu) > 0)
        netlink_number(n, IFLA_MTU, (uint32_t)atoi(e->mtu));
    size_t info = netlink_nest(n, IFLA_LINKINFO, NULL, 0);
    netlink_text(n, IFLA_INFO_KIND, "bridge");
    netlink_end(n, info);
    if (netlink_send(n) < 0 || (index = interface(sock, e->bridge, NULL)) < 0)
        return -1;
    const char *const gateway[] = {e->gateway, e->gateway6}, *const address[] = {e->address, e->address6};
    for (int i = 0; i < 2; i++) {
        struct subnet s;
        if (!gateway[i][0])
            continue;
        if (of_gateway(&s, gateway[i], address[i]) < 0)
            return -1;
        add_address(n, index, &s);
        around_network(n, e, &s);
    }
    if (netlink_send(n) < 0)
        return -1;
    char path[96];
    snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/proxy_arp", e->bridge);
    if (setting(path, "0") < 0)
        return -1;
    struct ifinfomsg up = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    netlink_message(n, RTM_NEWLINK, 0, &up, sizeof up, 0);
    return netlink_send(n) < 0 ? -1 : index;
}

/* ---- a container's devices */

static int mac_of(const struct endpoint *e, unsigned char mac[6])
{
    return sscanf(e->mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) == 6;
}

static void pair(struct netlink *n, const struct endpoint *e, int master, int target, const char *name)
{
    /* Made where it is to be: a device that is moved afterwards costs thirty times as much.  The other
     * end must not be up here, or the whole message is refused. */
    struct ifinfomsg head = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, peer = {0};
    unsigned char mac[6];
    netlink_message(n, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head, 0);
    netlink_text(n, IFLA_IFNAME, name);
    netlink_number(n, IFLA_MASTER, (uint32_t)master);
    if (atoi(e->mtu) > 0)
        netlink_number(n, IFLA_MTU, (uint32_t)atoi(e->mtu));
    if (e->alias[0])
        netlink_put(n, IFLA_IFALIAS, e->alias, strlen(e->alias));
    size_t info = netlink_nest(n, IFLA_LINKINFO, NULL, 0);
    netlink_text(n, IFLA_INFO_KIND, "veth");
    size_t data = netlink_nest(n, IFLA_INFO_DATA, NULL, 0);
    size_t other = netlink_nest(n, VETH_INFO_PEER, &peer, sizeof peer);
    netlink_text(n, IFLA_IFNAME, e->device);
    if (mac_of(e, mac))
        netlink_put(n, IFLA_ADDRESS, mac, sizeof mac);
    if (atoi(e->mtu) > 0)
        netlink_number(n, IFLA_MTU, (uint32_t)atoi(e->mtu));
    netlink_number(n, IFLA_NET_NS_FD, (uint32_t)target);
    netlink_end(n, other);
    netlink_end(n, data);
    netlink_end(n, info);
}

/* What a container with rights over its device could try: another one's MAC address, so that the bridge
 * brings it what is meant for that.  Its port has one address, learns none, and drops what comes from
 * others.  Kernels before 5.18 cannot drop; there it is as on any bridge. */
static void lock_port(struct netlink *n, const struct endpoint *e, int index)
{
    const unsigned char no = 0, yes = 1;
    unsigned char mac[6];
    struct ndmsg neighbour = {.ndm_family = AF_BRIDGE, .ndm_ifindex = index, .ndm_state = NUD_NOARP, .ndm_flags = NTF_MASTER};
    struct ifinfomsg head = {.ifi_index = index};
    if (!mac_of(e, mac))
        return;
    netlink_message(n, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &neighbour, sizeof neighbour, 0);
    netlink_put(n, NDA_LLADDR, mac, sizeof mac);
    netlink_message(n, RTM_NEWLINK, 0, &head, sizeof head, 0);
    size_t info = netlink_nest(n, IFLA_LINKINFO, NULL, 0);
    netlink_text(n, IFLA_INFO_SLAVE_KIND, "bridge");
    size_t data = netlink_nest(n, IFLA_INFO_SLAVE_DATA, NULL, 0);
    netlink_put(n, IFLA_BRPORT_LEARNING, &no, 1);
    netlink_put(n, PORT_LOCKED, &yes, 1);
    netlink_end(n, data);
    netlink_end(n, info);
    netlink_send(n);
}

static int inside(struct netlink *n, int index, const struct endpoint *e)
{
    struct ifinfomsg up = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    netlink_message(n, RTM_NEWLINK, 0, &up, sizeof up, 0);
    const char *const address[] = {e->address, e->address6}, *const gateway[] = {e->gateway, e->gateway6};
    for (int i = 0; i < 2; i++) {
        struct subnet s, via;
        if (!address[i][0])
            continue;
        if (parse(&s, address[i]) < 0)
            return -1;
        add_address(n, index, &s);
        if (!strchr(e->flags, 'd') || !gateway[i][0])
            continue;
        if (parse(&via, gateway[i]) < 0)
            return -1;
        struct rtmsg head = {
            .rtm_family = (unsigned char)s.family,
            .rtm_table = RT_TABLE_MAIN,
            .rtm_protocol = RTPROT_STATIC, .rtm_scope = RT_SCOPE_UNIVERSE,
            .rtm_type = RTN_UNICAST,
        };
        netlink_message(n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head, 1);
        netlink_put(n, RTA_GATEWAY, via.address, (size_t)via.size);
        netlink_number(n, RTA_OIF, (uint32_t)index);
    }
    return netlink_send(n);
}

/* Asked for, so that the kernel looks at the link now: until it has, the first packets are dropped, and
 * whoever connects tries again after a second. */
static int look_at(struct netlink *n, int index)
{
    struct ifinfomsg head = {.ifi_index = index};
    netlink_message(n, RTM_GETLINK, 0, &head, sizeof head, 0);
    return netlink_send(n);
}

static int in_namespace(int fd, struct netlink *n, int *sock)
{
    if (setns(fd, CLONE_NEWNET) < 0 || netlink_open(n) < 0)
        return -1;
    *sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return *sock < 0 ? -1 : 0;
}

int network_attach(int shared, int target, const struct endpoint *e, const char **what)
{
    static struct netlink outer, inner;
    unsigned char odd[5];
    char name[IFNAMSIZ];
    int outer_socket = -1, inner_socket = -1, master, index, result = -1;
    outer.fd = inner.fd = -1;
    if (getrandom(odd, sizeof odd, 0) != sizeof odd)
        return -1;
    /* the device of a container that has ended may be there for a while: no name is used twice */
    snprintf(name, sizeof name, "v%02x%02x%02x%02x%02x", odd[0], odd[1], odd[2], odd[3], odd[4]);
    *what = "the shared network namespace";
    if (in_namespace(shared, &outer, &outer_socket) < 0)
        goto out;
    *what = e->bridge;
    if ((master = bridge(&outer, outer_socket, e)) < 0)
        goto out;
    *what = e->device;
    pair(&outer, e, master, target, name);
    if (netlink_send(&outer) < 0 || in_namespace(target, &inner, &inner_socket) < 0 ||
        (index = interface(inner_socket, e->device, NULL)) < 0 || inside(&inner, index, e) < 0)
        goto out;
    int own = interface(outer_socket, name, NULL);
    if (own > 0)
        lock_port(&outer, e, own);
    result = look_at(&inner, index) < 0 || own < 0 || look_at(&outer, own) < 0 || look_at(&outer, master) < 0 ? -1 : 0;
out:;
    int saved = errno;
    netlink_close(&outer);
    netlink_close(&inner);
    if (outer_socket >= 0)
        close(outer_socket);
    if (inner_socket >= 0)
        close(inner_socket);
    errno = saved;
    return result;
}

int network_remove(int shared, const char *device, const char **what)
{
    static struct netlink n;
    struct ifinfomsg head = {0};
    n.fd = -1;
    *what = device;
    if (setns(shared, CLONE_NEWNET) < 0 || netlink_open(&n) < 0)
        return -1;
    netlink_message(&n, RTM_DELLINK, 0, &head, sizeof head, 1);
    netlink_text(&n, IFLA_IFNAME, device);
    int failed = netlink_send(&n);
    netlink_close(&n);
    return failed;
}
