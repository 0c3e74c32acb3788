/* Published UDP ports: from sockets of the host to sockets in the container's network.
 *
 *   rootless-udp PID READY-FD EXIT-FD HOST-IP:PORT>IP:PORT...
 *
 * slirp4netns forwards UDP itself, but with --disable-host-loopback, which is what keeps the container
 * off the host's own services, it drops the answers to clients on the host.  Here each client gets a
 * socket inside, so that answers find their way back; it is forgotten after two silent minutes.
 * READY-FD gets one byte, 0 or the errno of the first port that cannot be had; the program ends with
 * EXIT-FD.  It holds no capability while it works: what a packet from inside could do to it is lost
 * with it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PORTS = 64, FLOWS = 512, SILENCE = 120 };

static struct { int fd; struct sockaddr_in inside; } port[PORTS];
static struct { int fd, port; struct sockaddr_in client; time_t used; } flow[FLOWS];
static int ports, flows;

static time_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static int address(char *text, struct sockaddr_in *made)
{
    char *colon = strrchr(text, ':');
    if (!colon)
        return -1;
    *colon = 0;
    *made = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    return inet_pton(AF_INET, text, &made->sin_addr) == 1 ? 0 : -1;
}

static int open_port(char *text)
{
    struct sockaddr_in outside;
    char *inside = strchr(text, '>');
    if (!inside || ports == PORTS)
        return EINVAL;
    *inside++ = 0;
    if (address(text, &outside) < 0 || address(inside, &port[ports].inside) < 0)
        return EINVAL;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&outside, sizeof outside) < 0)
        return errno;
    port[ports++].fd = fd;
    return 0;
}

static int enter(const char *pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/user", pid);
    int user = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%s/ns/net", pid);
    int net = open(path, O_RDONLY | O_CLOEXEC);
    if (user < 0 || net < 0 || setns(user, CLONE_NEWUSER) < 0 || setns(net, CLONE_NEWNET) < 0)
        return errno;
    close(user);
    close(net);
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &head, none) < 0)
        return errno;
    return 0;
}

static void forget(int index)
{
    close(flow[index].fd);
    flow[index] = flow[--flows];
}

static int find(int from, const struct sockaddr_in *client)
{
    int oldest = 0;
    for (int i = 0; i < flows; i++) {
        if (flow[i].port == from && flow[i].client.sin_port == client->sin_port &&
            flow[i].client.sin_addr.s_addr == client->sin_addr.s_addr)
            return i;
        if (flow[i].used < flow[oldest].used)
            oldest = i;
    }
    if (flows == FLOWS)
        forget(oldest);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&port[from].inside, sizeof port[from].inside) < 0) {
        close(fd);
        return -1;
    }
    flow[flows].fd = fd;
    flow[flows].port = from;
    flow[flows].client = *client;
    return flows++;
}

static void serve(int leave)
{
    static char packet[65536];
    for (;;) {
        struct pollfd polled[1 + PORTS + FLOWS];
        int watched = flows;
        polled[0] = (struct pollfd){leave, 0, 0};
        for (int i = 0; i < ports; i++)
            polled[1 + i] = (struct pollfd){port[i].fd, POLLIN, 0};
        for (int i = 0; i < watched; i++)
            polled[1 + ports + i] = (struct pollfd){flow[i].fd, POLLIN, 0};
        if (poll(polled, (nfds_t)(1 + ports + watched), watched ? SILENCE * 1000 : -1) < 0 && errno != EINTR)
            return;
        if (polled[0].revents)
            return;
        for (int i = watched - 1; i >= 0; i--) {
            ssize_t got = polled[1 + ports + i].revents ? recv(flow[i].fd, packet, sizeof packet, 0) : -1;
            if (got >= 0) {
                sendto(port[flow[i].port].fd, packet, (size_t)got, MSG_NOSIGNAL,
                       (struct sockaddr *)&flow[i].client, sizeof flow[i].client);
                flow[i].used = now();
            } else if (now() - flow[i].used >= SILENCE) {
                forget(i);
            }
        }
        for (int i = 0; i < ports; i++) {
            struct sockaddr_in client;
            socklen_t size = sizeof client;
            ssize_t got = polled[1 + i].revents
                              ? recvfrom(port[i].fd, packet, sizeof packet, 0, (struct sockaddr *)&client, &size) : -1;
            int to = got >= 0 ? find(i, &client) : -1;
            if (to >= 0) {
                flow[to].used = now();
                send(flow[to].fd, packet, (size_t)got, MSG_NOSIGNAL);
            }
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 125;
    int ready = atoi(argv[2]), failed = 0;
    for (int i = 4; i < argc && !failed; i++)
        failed = open_port(argv[i]);
    if (!failed)
        failed = enter(argv[1]);
    char told = (char)failed;
    if (write(ready, &told, 1) != 1 || failed)
        return 125;
    close(ready);
    serve(atoi(argv[3]));
    return 0;
}
