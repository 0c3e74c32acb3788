#define _GNU_SOURCE
#include "ports/ports.h"

#include "lib/routes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How answers find us.  A server answers a client by the client's address, which the container would send
 * out.  Connections of ours have a mark, which the server's side takes over (tcp_fwmark_accept, and
 * fwmark_reflect for what the kernel says itself), and what has the mark is for this machine, whatever its
 * address.  So the connections that the server makes to the same address go out as before, also from the
 * same port.  UDP knows no connections: what leaves from a published port for a client that we know is for
 * this machine. */
enum { MARK = 0x726c, BY_MARK = 100, BY_CLIENT = 101 /* priorities */, MARKED = 0x726c0001 /* a table */ };

struct settings settings;
static struct netlink netlink;
static int marks;
static uint32_t clients; /* a table of our own: what one before us left in its own leads nowhere */

static int set(const char *name)
{
    char path[80];
    snprintf(path, sizeof path, "/proc/sys/net/%s", name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int done = fd >= 0 && write(fd, "1", 1) == 1;
    if (fd >= 0)
        close(fd);
    return done;
}

static int datagrams(void)
{
    for (int i = 0; i < ports; i++)
        if (port[i].protocol == IPPROTO_UDP)
            return 1;
    return 0;
}

static int rules_of_ports(int family)
{
    int error = 0;
    for (int i = 0; i < ports && !error; i++) {
        int udp = port[i].protocol == IPPROTO_UDP;
        struct rule rule = {.family = family, .priority = BY_CLIENT, .table = udp ? clients : MARKED,
                            .protocol = port[i].protocol, .low = port[i].inside, .high = port[i].inside};
        /* where /proc/sys is read-only there are no marks, and TCP goes by its ports as well */
        if (!udp && marks)
            continue;
        while (i + 1 < ports && port[i + 1].protocol == rule.protocol &&
               (port[i + 1].inside == rule.high || port[i + 1].inside == rule.high + 1))
            rule.high = port[++i].inside;
        error = rule_add(&netlink, &rule);
    }
    return error;
}

static int lead(int family)
{
    struct route all = {family, MARKED, RTN_LOCAL, 0, NULL, NULL};
    struct rule marked = {.family = family, .priority = BY_MARK, .table = MARKED, .mark = MARK};
    rules_remove(&netlink, family, BY_CLIENT);
    int error = route_add(&netlink, &all);
    if (!error)
        error = rule_add(&netlink, &marked);
    return error ? error : rules_of_ports(family);
}

int enter(int user, int net)
{
    if (setns(user, CLONE_NEWUSER) < 0 || setns(net, CLONE_NEWNET) < 0)
        return errno;
    close(user);
    close(net);
    if (netlink_open(&netlink) < 0)
        return errno;
    clients = MARKED + 1 + (uint32_t)getpid();
    marks = set("ipv4/tcp_fwmark_accept") && set("ipv4/fwmark_reflect");
    int error = loopback_up(&netlink);
    if (!error)
        error = lead(AF_INET);
    /* IPv6 may be switched off; then its clients are served by IPv4.  The container needs no address for it,
     * which would have its programs look for the way out: it is enough that this one is the machine's own.  But
     * a server that answers by UDP needs one to answer from. */
    struct route own = {AF_INET6, RT_TABLE_LOCAL, RTN_LOCAL, 128, &settings.container[SIX].six.sin6_addr, NULL};
    settings.six = settings.container[SIX].any.sa_family == AF_INET6 && route_add(&netlink, &own) == 0 &&
                   (!datagrams() || loopback_address(&netlink, own.address) == 0) && lead(AF_INET6) == 0;
    if (settings.six)
        set("ipv6/fwmark_reflect");
    return error;
}

int lead_back(const union address *client, int on)
{
    int six = client->any.sa_family == AF_INET6;
    struct route route = {client->any.sa_family, clients, RTN_LOCAL, six ? 128 : 32,
                          six ? (const void *)&client->six.sin6_addr : (const void *)&client->four.sin_addr,
                          six ? (const void *)&settings.container[SIX].six.sin6_addr
                              : (const void *)&settings.container[FOUR].four.sin_addr};
    return on ? route_add(&netlink, &route) : route_remove(&netlink, &route);
}

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

/* Sockets of TCP and UDP, and what is done with them: no files, no programs, no other sockets (CAP_NET_RAW
 * would give those that see all of the container's packets). */
static int filter(void)
{
#ifdef ARCHITECTURE
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), RETURN(SECCOMP_RET_ALLOW)
    struct sock_filter code[] = {
        LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0), RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        ALLOW(splice), ALLOW(epoll_pwait), ALLOW(epoll_ctl), ALLOW(accept4), ALLOW(setsockopt), ALLOW(getsockopt),
        ALLOW(bind), ALLOW(connect), ALLOW(shutdown), ALLOW(close), ALLOW(recvfrom), ALLOW(sendto), ALLOW(recvmsg),
        ALLOW(sendmsg), ALLOW(getsockname), ALLOW(pipe2), ALLOW(fcntl), ALLOW(read), ALLOW(write),
        ALLOW(clock_gettime), ALLOW(exit_group), ALLOW(rt_sigreturn),
#ifdef SYS_epoll_wait
        ALLOW(epoll_wait),
#endif
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 7),
        LOAD(args[0]), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 4),
        LOAD(args[1]), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 15),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SOCK_DGRAM, 1, 0), RETURN(SECCOMP_RET_ALLOW),
        RETURN(SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 && errno != EINVAL)
        return errno;
#endif
    return 0;
}

static int keep_only(uint32_t effective, uint32_t permitted)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct only[2] = {{effective, permitted, 0}, {0, 0, 0}};
    return (int)syscall(SYS_capset, &head, only);
}

/* All that is left is about the container's own network, as its root has it: addresses of others
 * (CAP_NET_RAW), clients' ports below 1024, and with UDP the routes of one table.  A process that is not
 * dumpable is traced by nobody in the container, also not where it sees the host's processes. */
int confine(void)
{
    const uint32_t admin = 1u << CAP_NET_ADMIN;
    uint32_t keep = 1u << CAP_NET_RAW | 1u << CAP_NET_BIND_SERVICE;
    int mark = MARK, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        keep_only(keep, keep | admin) < 0)
        return errno;
    /* before Linux 5.17 marks want more than CAP_NET_RAW */
    if (datagrams() || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0)
        keep |= admin;
    close(fd);
    if (keep_only(keep, keep) < 0)
        return errno;
    if (!datagrams())
        netlink_close(&netlink);
    return filter();
}

int is_seen(const union address *client, int which)
{
    if (client->any.sa_family != (which == SIX ? AF_INET6 : AF_INET))
        return 0;
    if (which == FOUR) {
        uint32_t number = ntohl(client->four.sin_addr.s_addr);
        return number >> 24 != 127 && number >> 24 != 0 &&
               client->four.sin_addr.s_addr != settings.container[FOUR].four.sin_addr.s_addr;
    }
    const struct in6_addr *number = &client->six.sin6_addr;
    /* one of the link's own means nothing on another link */
    return !IN6_IS_ADDR_LOOPBACK(number) && !IN6_IS_ADDR_LINKLOCAL(number) && !IN6_IS_ADDR_V4MAPPED(number) &&
           memcmp(number, &settings.container[SIX].six.sin6_addr, sizeof *number) != 0;
}

static uint16_t *number_of(union address *address)
{
    return address->any.sa_family == AF_INET ? &address->four.sin_port : &address->six.sin6_port;
}

int open_inside(int type, const union address *client, int which, uint16_t to)
{
    union address from = is_seen(client, which) ? *client : settings.gateway[which], target = settings.container[which];
    socklen_t size = which == SIX ? sizeof from.six : sizeof from.four;
    int one = 1, mark = MARK, level = which == SIX ? IPPROTO_IPV6 : IPPROTO_IP;
    if (which == SIX)
        from.six.sin6_scope_id = from.six.sin6_flowinfo = 0;
    *number_of(&target) = htons(to);
    for (;;) {
        int fd = socket(target.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;
        if (fd < 0)
            return -errno;
        if (setsockopt(fd, level, which == SIX ? IPV6_TRANSPARENT : IP_TRANSPARENT, &one, sizeof one) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0) {
            error = errno;
            close(fd);
            return -error;
        }
        if (type == SOCK_STREAM) {
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
            setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        }
        if (bind(fd, &from.any, size) == 0 && (connect(fd, &target.any, size) == 0 || errno == EINPROGRESS))
            return fd;
        error = errno;
        close(fd);
        /* the port is somebody's: the address is what counts */
        if (!*number_of(&from) || (error != EADDRINUSE && error != EADDRNOTAVAIL && error != EACCES))
            return -error;
        *number_of(&from) = 0;
    }
}
