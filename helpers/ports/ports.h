/* What the modules of rootless-ports share (programs/ports.c draws the whole). */
#ifndef ROOTLESS_PORTS_H
#define ROOTLESS_PORTS_H
#include <netinet/in.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

enum { FOUR, SIX };

struct settings {
    union address container[2], gateway[2]; /* by FOUR and SIX; the ports are 0 */
    int six;        /* the namespace has IPv6 */
    long long patience; /* milliseconds for which a port that does not listen is tried again */
    int header;     /* version of the PROXY protocol, or 0 */
};
extern struct settings settings;

/* One socket of the host. */
struct port {
    int fd, index;
    uint16_t inside;
    uint8_t family, protocol;
};
enum { MOST_PORTS = 1 << 17 };
extern struct port port[MOST_PORTS];
extern int ports;

/* What an event is about: 32 bits of an index above these. */
enum { EXIT, LISTENERS, DATAGRAMS, CLIENT, CONTAINER, FLOW };
int watch(int epoll, int fd, uint32_t events, int kind, int index);
long long milliseconds(void);

/* bind.c: words as tcp/ADDRESS/LOW-HIGH/INSIDE, an empty address for all; 0, or an errno with `which` filled */
int bind_ports(char *word, char *which, size_t size);

/* inside.c */
/* joins the namespaces and makes what leads answers back to us; 0 or an errno */
int enter(int user, int net);
/* gives up all that is not needed any more; 0 or an errno */
int confine(void);
/* a socket in the container's network, connected or about to be, in whose name is the client's address where
 * that can be had; or -errno.  Which of the two addresses of the container: FOUR or SIX */
int open_inside(int type, const union address *client, int which, uint16_t to);
/* what of `client` is seen inside; 0: it is the gateway's address that is seen */
int is_seen(const union address *client, int which);
/* answers by UDP to this client come to us from now on, or no longer; 0 or an errno */
int lead_back(const union address *client, int on);

/* streams.c: TCP */
int streams_begin(int epoll, int limit);
void streams_accept(void);
void streams_event(int index, int side, uint32_t events);
void streams_finish(void); /* the container has ended: what it said last is passed on */
int streams_work(void); /* what is left to do; milliseconds until there is more, or -1 */

/* datagrams.c: UDP */
void datagrams_begin(int epoll, int limit);
void datagrams_receive(int index);
void datagrams_answer(int index);
void datagrams_forget(void);
int datagrams_wait(void); /* milliseconds until something may be forgotten, or -1 */

/* header.c: a header of the PROXY protocol; its length */
size_t proxy_header(char *text, size_t size, const union address *client, const union address *server);
#endif
