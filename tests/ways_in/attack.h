/* What the attack program's parts share.  See attack.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum outcome { HELD, BROKE, NOT_APPLICABLE };

struct attempt {
    const char *name;
    enum outcome (*try)(void);
};

/* What the test says of itself, as KEY=VALUE words.  A stranger would have to guess it. */
extern struct told {
    const char *token;    /* what secrets of the host hold */
    const char *secret;   /* a file of the host, by its path there */
    const char *victim;   /* another one, to be written to */
    const char *results;  /* a directory of the host that is mounted at this path */
    const char *readonly; /* one that is mounted read-only */
    const char *abstract; /* the name of an abstract socket of the host */
    const char *runtime;  /* the directory of the engine's sockets, by its path on the host */
    const char *prefix;   /* stands before paths of /proc, /sys and /dev: a stand-in for them */
    const char *handle;   /* the secret as type:hexadecimal digits, see open_by_handle_at(2) */
    const char *posix;    /* the name of a file in the host's /dev/shm */
    long process;         /* a process of the host, by its number there */
    long port;            /* where the host listens on its loopback */
    long preserved;       /* how many descriptors from 3 up were given on purpose */
    long queue;           /* the key of a System V segment of the host */
    long caps;            /* capabilities that were asked for, -1: whatever */
    long pids;            /* how many processes may be there, 0: nobody asked for a limit */
    const char *rootfs;   /* where the root file system is, "" is / */
    const char *hosts;    /* the host's namespaces: mnt:INODE,net:INODE,... */
} told;

extern const char *trying; /* the name of the attempt */

/* The end of the line: what was found.  The last one stays. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Whether a descriptor gives the token.  Closes it. */
bool gives_token(int fd);
/* Whether the secret is read, or the victim written to, below a directory. */
bool reads_secret(const char *root);
bool writes_victim(const char *root);
/* HELD when the call was refused because of who asks, or is not there; else BROKE. */
enum outcome refused(long result, const char *what);
/* BROKE when the file can be opened for writing.  Nothing is written. */
enum outcome closed_to_writers(const char *path);
/* The path below the stand-in. */
const char *standin(const char *path);
long small_file(const char *path, char *data, size_t room);
/* A process of the test on the host, if it can be seen or named: its number, or 0. */
pid_t host_process(void);
/* Calls `look` for each number in /proc. */
void each_process(bool (*look)(pid_t pid));
/* Whether a namespace is the host's, and whether we are in the host's. */
bool is_the_hosts_namespace(const char *kind, unsigned long inode);
bool shares_namespace(const char *kind);
/* The calls that the kernel would refuse are answered with 0, as if nothing protected it. */
void pretend_success(void);
/* Looks at whatever enters until it is killed; what it finds goes to a file. */
int lurk(const char *path);
/* A namespace of one's own in a child, where that can be had. */
bool own_user_namespace(void);

extern const struct attempt descriptor_attempts[], process_attempts[], file_attempts[],
    kernel_attempts[], network_attempts[];
extern char process_memory[64]; /* the same place in each process of this program */
