/* The two ends of what network.py measures.
 *
 *   flow serve PORT                      answers 'q' with a line; reads 'b' to its end, then says how much that was
 *   flow send HOST PORT SECONDS          Gbit/s
 *   flow ask HOST PORT COUNT AT-ONCE     connections for one question each: seconds, and how many failed */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 18];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int open_to(const char *host, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    struct timeval limit = {5, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, host, &to.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int serve(const char *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int one = 1, server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    signal(SIGCHLD, SIG_IGN);
    if (bind(server, (struct sockaddr *)&at, sizeof at) < 0 || listen(server, 4096) < 0)
        return 1;
    for (;;) {
        int fd = accept(server, NULL, NULL);
        char kind = 0;
        if (fd < 0 || read(fd, &kind, 1) != 1 || kind == 'q') {
            if (kind && write(fd, "answer\n", 7) != 7)
                perror("write");
        } else if (fork() == 0) {
            uint64_t sum = 0;
            ssize_t got;
            while ((got = read(fd, buffer, sizeof buffer)) > 0)
                sum += (uint64_t)got;
            _exit(write(fd, &sum, sizeof sum) != sizeof sum);
        }
        close(fd);
    }
}

static int send_for(const char *host, const char *port, double seconds)
{
    double begin = now();
    uint64_t sum = 0;
    int fd = open_to(host, port);
    if (fd < 0 || write(fd, "b", 1) != 1)
        return 1;
    while (now() - begin < seconds)
        if (write(fd, buffer, sizeof buffer) <= 0)
            return 1;
    shutdown(fd, SHUT_WR);
    if (read(fd, &sum, sizeof sum) != sizeof sum)
        return 1;
    printf("%.3f\n", (double)sum * 8 / 1e9 / (now() - begin));
    return 0;
}

static int ask(const char *host, const char *port, int count, int at_once)
{
    double begin = now();
    int failed = 0, status;
    for (int i = 0; i < at_once; i++)
        if (fork() == 0) {
            int bad = 0;
            for (int one = i; one < count; one += at_once) {
                /* who has waited in vain once does not wait again: the rest has failed as well */
                int fd = bad ? -1 : open_to(host, port);
                bad += fd < 0 || write(fd, "q", 1) != 1 || read(fd, buffer, 16) != 7;
                if (fd >= 0)
                    close(fd);
            }
            _exit(bad > 100 ? 100 : bad);
        }
    while (wait(&status) > 0)
        failed += WEXITSTATUS(status);
    printf("%.3f %d\n", now() - begin, failed);
    return 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2]);
    if (argc == 5 && strcmp(argv[1], "send") == 0)
        return send_for(argv[2], argv[3], atof(argv[4]));
    return argc == 6 ? ask(argv[2], argv[3], atoi(argv[4]), atoi(argv[5])) : 1;
}
