#define _GNU_SOURCE
#include "monitor/revive.h"

#include "monitor/sidecars.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

/* The namespaces are kept open, so a new program serves the same network.  Connections through the old one are
 * lost.  One that ends again soon is tried less and less often: it may have no memory, or its program may be
 * gone. */
enum { FIRST = 100, LONGEST = 30000, STEADY = 60000, PATIENCE = 20000 }; /* milliseconds */

static struct { pid_t pid; int ready; long long due, began; int pause; } again[REVIVED] = {
    {.ready = -1}, {.ready = -1},
};

static long long milliseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static pid_t *place(struct started *made, int which)
{
    return which ? &made->ports : &made->sidecar;
}

static void later(int which)
{
    long long now = milliseconds();
    int *pause = &again[which].pause;
    *pause = !*pause || now - again[which].began > STEADY ? FIRST : *pause * 2 > LONGEST ? LONGEST : *pause * 2;
    /* the first time at once */
    again[which].due = *pause == FIRST ? now : now + *pause;
    if (again[which].ready >= 0)
        close(again[which].ready);
    again[which].ready = -1;
    again[which].pid = 0;
}

int revive_reaped(const struct orders *o, struct started *made, pid_t pid)
{
    for (int i = 0; i < REVIVED; i++) {
        if (pid == again[i].pid) {
            later(i);
            return 0;
        }
        if (pid != *place(made, i))
            continue;
        *place(made, i) = NETWORK_LOST;
        if (!o->session)
            later(i);
        return 1;
    }
    return 0;
}

int revive_watch(struct pollfd *polled)
{
    long long now = milliseconds(), soonest = -1;
    for (int i = 0; i < REVIVED; i++) {
        long long due = again[i].due;
        polled[i] = (struct pollfd){again[i].ready, POLLIN, 0};
        if (due && (soonest < 0 || due < soonest))
            soonest = due;
    }
    return soonest < 0 ? -1 : soonest > now ? (int)(soonest - now) : 0;
}

static void begin(const struct orders *o, const struct started *made, int which)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) < 0) {
        later(which);
        return;
    }
    again[which].began = milliseconds();
    again[which].pid = which ? run_ports(o, made, ready[1]) : run_sidecar(o, made, ready[1]);
    close(ready[1]);
    again[which].ready = ready[0];
    again[which].due = again[which].began + PATIENCE;
}

int revive_go_on(const struct orders *o, struct started *made, const struct pollfd *polled)
{
    int found = 0;
    long long now = milliseconds();
    for (int i = 0; i < REVIVED; i++) {
        struct failure failure;
        char one;
        if (again[i].pid > 0 && polled[i].revents && polled[i].fd == again[i].ready) {
            int good = i ? hear_ports(o, again[i].ready, &failure) == 0
                         : read(again[i].ready, &one, 1) == 1 && ask_sidecar(o, &failure) == 0;
            if (good) {
                *place(made, i) = again[i].pid;
                close(again[i].ready);
                again[i].ready = -1;
                again[i].pid = 0;
                again[i].due = 0;
                found = 1;
            } else {
                /* once it is reaped, its next turn comes */
                kill(again[i].pid, SIGKILL);
                close(again[i].ready);
                again[i].ready = -1;
            }
        } else if (again[i].due && now >= again[i].due) {
            again[i].due = 0;
            if (again[i].pid > 0)
                kill(again[i].pid, SIGKILL); /* it does not get ready */
            else
                begin(o, made, i);
        }
    }
    return found;
}

void revive_forget(void)
{
    for (int i = 0; i < REVIVED; i++) {
        if (again[i].pid > 0)
            kill(again[i].pid, SIGKILL);
        if (again[i].ready >= 0)
            close(again[i].ready);
        again[i].ready = -1;
        again[i].pid = again[i].pause = 0;
        again[i].due = again[i].began = 0;
    }
}
