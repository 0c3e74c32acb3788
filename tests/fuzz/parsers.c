/* Mutated input for the parsers in C, under the sanitizers of addresses and of undefined behaviour.
 *
 *   parsers TARGET SEED COUNT [SECONDS]     so many inputs, or for so long; 0 when nothing was found
 *   parsers TARGET -                        the one input on standard input
 *
 * Deterministic: the same seed makes the same inputs.  What breaks is printed in hexadecimal, to be
 * given back on standard input.  The parsers are included, so that their inner functions can be called.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A parser that gives up ends its process: here only the input. */
static jmp_buf given_up;
static _Noreturn void give_up(int code)
{
    (void)code;
    longjmp(given_up, 1);
}

/* What a short program never frees would fill the memory here: it is freed after the input. */
static void *borrowed[256];
static int borrows;
static void *borrow(size_t size)
{
    if (borrows == 256)
        return NULL;
    return borrowed[borrows++] = malloc(size);
}
static char *borrow_text(const char *text)
{
    char *copy = borrow(strlen(text) + 1);
    return copy ? strcpy(copy, text) : NULL;
}

#include "lib/process.c"

#define _exit(code) give_up(code)
#define strdup(text) borrow_text(text)
#define error_fd error_fd_of_idmaps
#include "lib/id_maps.c"
#undef error_fd
#undef strdup

#define main attach_main
#define channel attach_channel
#define received attach_received
#define out attach_out
#define frame attach_frame
#include "programs/attach.c"
#undef main
#undef channel
#undef received
#undef out
#undef frame
#undef _exit

#include "lib/channel.c"
#include "monitor/sd_notify.c"
#define malloc(size) borrow(size)
#include "monitor/orders.c"
#include "lib/named_network.c"
/* what orders.c reads endpoints with; the channel has a function of the same name */
#define grow netlink_grow
#include "lib/netlink.c"
#undef grow
#include "lib/records.c"
#undef malloc

/* attach.c asks for these of the terminal */
void tty_restore(void) {}
void tty_raw(void) {}

/* ---------------------------------------------------------------- input */

enum { MOST = 1 << 14 };
static unsigned char input[MOST];
static size_t length;
static uint64_t state;

static uint32_t chance(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 20) % below;
}

static void add(const void *data, size_t size)
{
    if (length + size <= MOST) {
        memcpy(input + length, data, size);
        length += size;
    }
}

static void add_number(uint32_t value) { add(&value, 4); }

static void mutate(void)
{
    static const uint32_t odd[] = {0, 1, 2, 3, 4, 7, 8, 11, 12, 13, 255, 256, 32767, 32768, 32769, 65535,
                                   65536, 0x7fffffff, 0x80000000, 0xfffffff0, 0xfffffffc, 0xffffffff};
    for (uint32_t times = chance(6); times > 0 && length > 0; times--) {
        size_t at = chance((uint32_t)length), size = 1 + chance(16);
        switch (chance(7)) {
        case 0: input[at] ^= (unsigned char)(1u << chance(8)); break;
        case 1: input[at] = (unsigned char)chance(256); break;
        case 2: length = at; break;
        case 3:
            if (at + 4 <= length)
                memcpy(input + at, &odd[chance(sizeof odd / sizeof *odd)], 4);
            break;
        case 4: /* twice */
            if (at + size <= length && length + size <= MOST) {
                memmove(input + at + size, input + at, length - at);
                length += size;
            }
            break;
        case 5: /* out */
            if (at + size <= length) {
                memmove(input + at, input + at + size, length - at - size);
                length -= size;
            }
            break;
        case 6: /* a multiple of four, where the fields are */
            at &= ~(size_t)3;
            if (at + 4 <= length)
                memcpy(input + at, &odd[chance(sizeof odd / sizeof *odd)], 4);
            break;
        }
    }
}

static volatile size_t touched;

/* Reads a text to its end, where a sanitizer sees it. */
static void touch(const char *text)
{
    touched += text ? strlen(text) : 0;
}

static int memory_file(void)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("input", 0);
    if (ftruncate(fd, (off_t)length) < 0 || pwrite(fd, input, length, 0) != (ssize_t)length)
        abort();
    return fd;
}

/* ---------------------------------------------------------------- plans and orders */

static void make_records(void)
{
    add("RLP1", 4);
    for (uint32_t count = chance(12); count > 0; count--) {
        size_t begin = length;
        uint32_t arguments = chance(7);
        add_number(0);
        add_number(chance(2) ? ORDER_ID + chance(ORDER_LAST - ORDER_ID) : chance(70));
        add_number(arguments);
        for (uint32_t i = 0; i < arguments; i++) {
            uint32_t size = chance(20);
            add_number(size);
            for (uint32_t n = 0; n < size; n++)
                add("0123456789/-a:,"+ chance(15), 1);
            add("\0\0\0\0", (size_t)((size + 4) / 4 * 4 - size));
        }
        uint32_t whole = (uint32_t)(length - begin);
        if (length < MOST)
            memcpy(input + begin, &whole, 4);
    }
}

static void try_records(void)
{
    static struct record one;
    struct records all = {0};
    if (records_read(&all, memory_file()) == 0)
        while (records_next(&all, &one) > 0)
            for (uint32_t i = 0; i < one.argc; i++) {
                touch(one.argv[i]);
                if (strlen(one.argv[i]) > one.length[i])
                    abort();
            }
}

static void make_orders(void)
{
    make_records();
    /* without these nothing is looked at */
    static const struct { uint32_t op, count; } needed[] = {
        {ORDER_EXECUTOR, 2}, {ORDER_DIRECTORY, 2}};
    for (int i = 0; i < 2; i++) {
        add_number(12 + needed[i].count * 8);
        add_number(needed[i].op);
        add_number(needed[i].count);
        for (uint32_t n = 0; n < needed[i].count; n++) {
            add_number(2);
            add("/x\0", 4);
        }
    }
}

static void try_orders(void)
{
    static struct orders orders;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory_file());
    if (orders_read(&orders, path) < 0)
        return;
    const char *const texts[] = {
        orders.id, orders.name, orders.directory, orders.state, orders.socket_directory, orders.executor,
        orders.plan, orders.standard_input, orders.log_driver, orders.log_path, orders.sidecar_socket,
        orders.restart, orders.pid_file, orders.error_log, orders.console, orders.notify};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        touch(texts[i]);
    char **const lists[] = {orders.fields, orders.events, orders.sidecar, orders.udp, orders.ports, orders.remove,
                            orders.unlink};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (char **word = lists[i]; word && *word; word++)
            touch(*word);
    for (int i = 0; i < orders.joins; i++)
        touch(orders.join[i].path);
    for (int i = 0; i < orders.requests; i++) {
        touch(orders.request[i]);
        touched += orders.request_length[i] ? (size_t)orders.request[i][orders.request_length[i] - 1] : 0;
    }
    for (int i = 0; i < orders.server_count; i++)
        for (char **word = orders.server[i].argv; *word; word++)
            touch(*word);
}

/* ---------------------------------------------------------------- frames */

static void make_frames(void)
{
    for (uint32_t count = 1 + chance(10); count > 0; count--) {
        unsigned char head[4] = {(unsigned char)"IEWSKXFOPRGMH\0"[chance(14)]};
        uint32_t size = chance(3) ? chance(12) : chance(2000);
        add(head, 4);
        add_number(size);
        for (uint32_t i = 0; i < size; i++) {
            unsigned char byte = (unsigned char)chance(256);
            add(&byte, 1);
        }
    }
}

static void resized(unsigned short rows, unsigned short cols) { touched += rows + cols; }
static void signalled(int number) { touched += (size_t)number; }

/* What a client sends to the monitor, in pieces as a stream has them, with output on its way back. */
static void try_frames(void)
{
    static struct channel all;
    static char output[70000], back[70000];
    int ends[2];
    memset(&all, 0, sizeof all);
    all.resize = resized;
    all.signal = signalled;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        abort();
    channel_add(&all, ends[1]);
    for (size_t done = 0; done < length;) {
        size_t piece = 1 + chance(600);
        if (piece > length - done)
            piece = length - done;
        if (send(ends[0], input + done, piece, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        done += piece;
        channel_event(&all, 0, POLLIN);
        if (all.client[0].fd >= 0 && all.client[0].small_length > sizeof all.client[0].small)
            abort();
        if (chance(8) == 0)
            channel_send(&all, chance(2) ? 'O' : 'P', output, chance(sizeof output));
        if (chance(4) == 0 && recv(ends[0], back, sizeof back, MSG_DONTWAIT) >= 0)
            channel_event(&all, 0, POLLOUT);
    }
    close(ends[0]);
    channel_event(&all, 0, POLLIN | POLLHUP);
    channel_compact(&all);
    channel_finish(&all);
    free(all.typed);
}

/* What the monitor sends to the command that waits. */
static void try_attach(void)
{
    memset(&attach_frame, 0, sizeof attach_frame);
    for (size_t done = 0; done < length;) {
        size_t piece = 1 + chance(600);
        if (piece > length - done)
            piece = length - done;
        attach_received((const char *)input + done, piece);
        done += piece;
    }
}

/* What a person types, with the keys that leave. */
static void make_keys(void)
{
    tty = 1;
    key_count = 1 + chance(sizeof keys);
    for (size_t i = 0; i < key_count; i++)
        keys[i] = (unsigned char)chance(3);
    for (uint32_t count = chance(4096); count > 0; count--) {
        unsigned char key = (unsigned char)chance(3);
        add(&key, 1);
    }
}

static void try_keys(void)
{
    matched = out_length = 0;
    type_bytes(input, length < 4096 ? length : 4096);
}

/* ---------------------------------------------------------------- messages of the container */

static int notified[2] = {-1, -1}, listening = -1;

static void make_message(void)
{
    static const char *const lines[] = {
        "READY=1", "STATUS=ok", "MAINPID=1", "FDSTORE=1", "NOTIFYACCESS=all", "WATCHDOG=1", "READY=",
        "\n", "=", "EXTEND_TIMEOUT_USEC=5", "XREADY=1", "\0READY=1",
    };
    for (uint32_t count = chance(12); count > 0; count--) {
        const char *line = lines[chance(sizeof lines / sizeof *lines)];
        add(line, strlen(line));
        for (uint32_t more = chance(20) ? 0 : chance(5000); more > 0; more--)
            add("x", 1);
        add("\n", 1);
    }
}

static void try_message(void)
{
    static char heard[8192];
    if (listening < 0) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char name[40];
        snprintf(name, sizeof name, "@parsers-%d", getpid());
        listening = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
        socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
        setenv("NOTIFY_SOCKET", name, 1);
        if (bind(listening, (void *)&address, size) < 0 ||
            socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, notified) < 0)
            abort();
        notify_open(NULL);
    }
    if (send(notified[0], input, length, 0) < 0)
        return;
    notify_forward(notified[1]);
    for (ssize_t got; (got = recv(listening, heard, sizeof heard - 1, 0)) > 0;) {
        heard[got] = 0;
        for (char *line = strtok(heard, "\n"); line; line = strtok(NULL, "\n"))
            if (!allowed(line) || strncmp(line, "MAINPID", 7) == 0 || strncmp(line, "FDSTORE", 7) == 0)
                abort();
    }
}

/* ---------------------------------------------------------------- maps of ids */

static void make_map(void)
{
    for (uint32_t count = chance(8) ? chance(8) : chance(3000); count > 0; count--) {
        char number[24];
        snprintf(number, sizeof number, "%u%c", chance(2) ? chance(70000) : chance(0xffffffff),
                 " \n\t,"[chance(4)]);
        add(number, strlen(number));
    }
}

static void try_map(void)
{
    static char text[MOST + 1];
    static struct map one;
    memcpy(text, input, length);
    text[length] = 0;
    memset(&one, 0, sizeof one);
    one.kind = "uid";
    one.text = text;
    split(&one);
    for (int i = 2; i < one.words; i++)
        touch(one.word[i]);
    touched += (size_t)maps_inside_zero(&one);
    errno = 0;
    write_map(0, &one); /* there is no process 0: the text is made and goes nowhere */
}

/* ---------------------------------------------------------------- the driver */

static const struct target {
    const char *name;
    void (*make)(void), (*try)(void);
} targets[] = {
    {"records", make_records, try_records}, {"orders", make_orders, try_orders},
    {"frames", make_frames, try_frames},    {"attach", make_frames, try_attach},
    {"keys", make_keys, try_keys},          {"notify", make_message, try_message},
    {"maps", make_map, try_map},
};

static void show_input(void)
{
    dprintf(2, "\ninput: ");
    for (size_t i = 0; i < length; i++)
        dprintf(2, "%02x", input[i]);
    dprintf(2, "\n");
}

/* The sanitizers abort, see test_parsers.py, and so does what is tried here. */
static void on_abort(int number)
{
    show_input();
    signal(number, SIG_DFL);
    raise(number);
}

static void run(const struct target *target)
{
    if (setjmp(given_up) == 0)
        target->try();
    while (borrows > 0)
        free(borrowed[--borrows]);
}

int main(int argc, char **argv)
{
    const struct target *target = NULL;
    for (size_t i = 0; argc > 2 && i < sizeof targets / sizeof *targets; i++)
        if (strcmp(argv[1], targets[i].name) == 0)
            target = &targets[i];
    if (!target)
        return 2;
    signal(SIGABRT, on_abort);
    /* what the parsers complain of is not wanted */
    error_fd_of_idmaps = open("/dev/null", O_WRONLY | O_CLOEXEC);
    want[0] = want[1] = 0;
    if (strcmp(argv[2], "-") == 0) {
        unsigned value;
        while (scanf("%2x", &value) == 1 && length < MOST)
            input[length++] = (unsigned char)value;
        run(target);
        return 0;
    }
    uint64_t seed = strtoull(argv[2], NULL, 10), count = strtoull(argc > 3 ? argv[3] : "1000", NULL, 10);
    time_t end = argc > 4 ? time(NULL) + atol(argv[4]) : 0;
    uint64_t done = 0;
    for (; end ? (done % 256 || time(NULL) < end) : done < count; done++) {
        state = (seed + done + 1) * 0x9e3779b97f4a7c15u;
        length = 0;
        target->make();
        mutate();
        run(target);
    }
    printf("%s: %llu inputs\n", target->name, (unsigned long long)done);
    return 0;
}
