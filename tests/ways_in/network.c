/* Attempts over the network and sockets: the host's loopback, the metadata of a cloud, the engine. */
#include "attack.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <dirent.h>

/* The host's listener says the token to whoever comes. */
static bool says_token(int fd, const struct sockaddr *address, socklen_t length)
{
    char data[200];
    struct pollfd wait = {fd, POLLIN, 0};
    if (fd < 0)
        return false;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    connect(fd, address, length);
    ssize_t got = poll(&wait, 1, 400) == 1 ? read(fd, data, sizeof data) : -1;
    close(fd);
    return got > 0 && memmem(data, (size_t)got, told.token, strlen(told.token));
}

static enum outcome reached(const char *text, long port)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    bool done = false;
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
        done = says_token(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), (void *)&four, sizeof four);
    else if (inet_pton(AF_INET6, text, &six.sin6_addr) == 1)
        done = says_token(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), (void *)&six, sizeof six);
    if (done)
        note("%s:%ld answers", text, port);
    return done ? BROKE : HELD;
}

static enum outcome loopback(void) { return reached("127.0.0.1", told.port); }
static enum outcome loopback_elsewhere(void) { return reached("127.7.7.7", told.port); }
static enum outcome loopback_mapped(void) { return reached("::ffff:127.0.0.1", told.port); }
static enum outcome gateway(void)
{
    static const char *const names[] = {"10.0.2.2", "10.0.2.3", "10.0.2.1", "fd00::2", "fd00::3"};
    for (int i = 0; i < 5; i++)
        if (reached(names[i], told.port) == BROKE)
            return BROKE;
    return HELD;
}
static enum outcome any_address(void) { return reached("0.0.0.0", told.port); }
static enum outcome metadata(void) { return reached("169.254.169.254", told.port); }

static bool abstract(const char *name, size_t length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (length >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path + 1, name, length);
    socklen_t whole = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
    return says_token(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (void *)&address, whole);
}

static enum outcome abstract_socket(void)
{
    bool done = abstract(told.abstract, strlen(told.abstract));
    if (done)
        note("@%s answers", told.abstract);
    return done ? BROKE : HELD;
}

/* Sockets of the engine's helpers by names that anybody in the network namespace can use. */
static enum outcome abstract_of_the_engine(void)
{
    char line[500];
    FILE *all = fopen("/proc/net/unix", "re");
    while (all && fgets(line, sizeof line, all)) {
        char *at = strchr(line, '@');
        if (at && (strstr(at, "rootless") || strstr(at, "slirp") || strstr(at, "containerd") ||
                   strstr(at, "monitor") || strstr(at, "conmon"))) {
            note("%.60s", at);
            return BROKE;
        }
    }
    return HELD;
}

static int connected(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    socklen_t length = sizeof address;
    if (*path == '@') {
        address.sun_path[0] = 0;
        length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    }
    for (int kind = SOCK_STREAM; kind <= SOCK_SEQPACKET; kind++) {
        int fd = socket(AF_UNIX, kind | SOCK_CLOEXEC, 0);
        if (connect(fd, (void *)&address, length) == 0)
            return fd;
        close(fd);
    }
    return -1;
}

/* What is done with each socket of the host that is reached, until it says that it has had enough. */
static bool (*use)(int fd);
static bool enough;

static bool used(const char *path)
{
    int fd = connected(path);
    enough = fd >= 0 && use(fd);
    close(fd);
    return enough;
}

/* $XDG_RUNTIME_DIR/rootless/c/ID/attach and slirp, and what a test has put beside them. */
static bool sockets_below(const char *root)
{
    char path[8300], inner[8700];
    static const char *const names[] = {"attach", "slirp", "notify/notify.sock"};
    snprintf(path, sizeof path, "%s%s/ways-in.sock", root, told.runtime);
    if (used(path))
        return true;
    snprintf(path, sizeof path, "%s%s/rootless/c", root, told.runtime);
    DIR *all = opendir(path);
    bool done = false;
    for (struct dirent *one; !done && all && (one = readdir(all));)
        for (int i = 0; !done && i < 3; i++) {
            snprintf(inner, sizeof inner, "%s/%s/%s", path, one->d_name, names[i]);
            done = used(inner);
        }
    if (all)
        closedir(all);
    return done;
}

static bool sockets_of(pid_t pid)
{
    char root[64];
    snprintf(root, sizeof root, "/proc/%d/root", pid);
    return sockets_below(root);
}

static bool yes(int fd) { return fd >= 0; }

static enum outcome engine_socket(void)
{
    use = yes;
    if (!sockets_below(""))
        each_process(sockets_of);
    if (enough)
        note("the monitor or slirp4netns answers");
    return enough ? BROKE : HELD;
}

/* Also those that are offered: the one for systemd's words, and names in the network namespace. */
static bool any_socket(bool (*what)(int fd))
{
    char name[200];
    const char *notify = getenv("NOTIFY_SOCKET");
    use = what;
    snprintf(name, sizeof name, "@%s", told.abstract);
    if (!used(name) && !(notify && used(notify)) && !sockets_below(""))
        each_process(sockets_of);
    return enough;
}

static bool gives_descriptor(int fd)
{
    char data[200], control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {data, sizeof data};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    struct pollfd wait = {fd, POLLIN, 0};
    int given = -1;
    if (poll(&wait, 1, 400) != 1 || recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0)
        return false;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head && head->cmsg_type == SCM_RIGHTS)
        memcpy(&given, CMSG_DATA(head), sizeof given);
    return gives_token(given);
}

static enum outcome descriptor_received(void)
{
    bool done = any_socket(gives_descriptor);
    if (done)
        note("a file of the host came by a socket");
    return done ? BROKE : HELD;
}

static int closed_at_once;

/* The other end of a pipe, asked to be kept: whoever takes it holds what is ours. */
static bool keeps_descriptor(int fd)
{
    static char text[] = "FDSTORE=1\nFDNAME=ways-in\nREADY=1\n";
    union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(int))]; } control = {0};
    struct iovec part = {text, sizeof text - 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    control.head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.head), ends + 1, sizeof(int));
    bool sent = sendmsg(fd, &message, MSG_NOSIGNAL) > 0;
    close(ends[1]);
    struct pollfd wait = {ends[0], POLLIN, 0};
    bool kept = sent && poll(&wait, 1, 2000) == 0;
    closed_at_once += sent && !kept;
    close(ends[0]);
    return kept;
}

static enum outcome descriptor_kept(void)
{
    bool done = any_socket(keeps_descriptor);
    note(done ? "one of ours is kept outside" : "%d arrived and were closed", closed_at_once);
    return done ? BROKE : HELD;
}

/* ---------------------------------------------------------------- in the host's network */

#define NEED_HOST_NETWORK                                                                         \
    if (!shares_namespace("net")) {                                                               \
        note("a network of its own");                                                             \
        return HELD;                                                                              \
    }

static enum outcome packets(void)
{
    NEED_HOST_NETWORK
    return refused(socket(AF_PACKET, SOCK_RAW, 0), "AF_PACKET");
}

static enum outcome raw(void)
{
    NEED_HOST_NETWORK
    return refused(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), "SOCK_RAW");
}

static enum outcome low_port(void)
{
    NEED_HOST_NETWORK
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(1),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return refused(bind(socket(AF_INET, SOCK_DGRAM, 0), (void *)&address, sizeof address), "bind");
}

static enum outcome answer(int protocol, const void *message, size_t length)
{
    char data[4096];
    struct pollfd wait = {socket(AF_NETLINK, SOCK_RAW, protocol), POLLIN, 0};
    if (wait.fd < 0 || send(wait.fd, message, length, 0) < 0)
        return refused(-1, "netlink");
    if (poll(&wait, 1, 400) != 1 || read(wait.fd, data, sizeof data) < (ssize_t)NLMSG_LENGTH(4))
        return HELD;
    const struct nlmsghdr *head = (void *)data;
    if (head->nlmsg_type != NLMSG_ERROR)
        return HELD;
    int error = -((struct nlmsgerr *)NLMSG_DATA(head))->error;
    note("netlink: %s", strerror(error));
    return error == EPERM || error == EACCES ? HELD : BROKE;
}

/* A link without a name: refused after the question who asks. */
static enum outcome links_changed(void)
{
    NEED_HOST_NETWORK
    struct { struct nlmsghdr head; struct ifinfomsg link; } message = {
        {.nlmsg_len = sizeof message, .nlmsg_type = RTM_DELLINK,
         .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}, {.ifi_index = 0x7ffffff0}};
    return answer(NETLINK_ROUTE, &message, sizeof message);
}

static enum outcome filters_changed(void)
{
    NEED_HOST_NETWORK
    /* an empty batch of nf_tables: begin */
    struct { struct nlmsghdr head; unsigned char family, version; uint16_t resource; } message = {
        {.nlmsg_len = sizeof message, .nlmsg_type = 0x10,
         .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}, 0, 0, 0x0a00};
    return answer(12, &message, sizeof message);
}

static enum outcome host_name(void)
{
    char name[65];
    if (!shares_namespace("uts")) {
        note("a name of its own");
        return HELD;
    }
    if (gethostname(name, sizeof name) < 0)
        return HELD;
    return refused(sethostname(name, strlen(name)), "sethostname");
}

const struct attempt network_attempts[] = {
    {"loopback-of-the-host", loopback},
    {"loopback-elsewhere", loopback_elsewhere},
    {"loopback-mapped", loopback_mapped},
    {"loopback-by-gateway", gateway},
    {"loopback-any-address", any_address},
    {"metadata-of-a-cloud", metadata},
    {"abstract-socket", abstract_socket},
    {"abstract-of-the-engine", abstract_of_the_engine},
    {"engine-socket", engine_socket},
    {"descriptor-received", descriptor_received},
    {"descriptor-kept", descriptor_kept},
    {"packets-of-the-host", packets},
    {"raw-sockets-of-the-host", raw},
    {"low-port-of-the-host", low_port},
    {"links-of-the-host", links_changed},
    {"filters-of-the-host", filters_changed},
    {"name-of-the-host", host_name},
    {NULL, NULL},
};
