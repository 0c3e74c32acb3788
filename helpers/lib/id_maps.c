#define _GNU_SOURCE
#include "lib/id_maps.h"

#include "lib/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct map map[2] = {{.kind = "uid"}, {.kind = "gid"}};
int error_fd = 2;

void fail(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof text - 2)
        length = sizeof text - 2;
    /* one line, whatever a program that we quote has written */
    for (int i = 0; i < length; i++)
        if (text[i] == '\n')
            text[i] = ' ';
    dprintf(error_fd, "error: %.*s\n", length, text);
    _exit(125);
}

void split(struct map *m)
{
    char *copy = strdup(m->text);
    if (!copy)
        fail("out of memory");
    m->words = 2; /* the program and the pid come first */
    for (char *word = strtok(copy, " \n\t,"); word; word = strtok(NULL, " \n\t,")) {
        if (m->words == MOST_WORDS - 1 || strspn(word, "0123456789") != strlen(word))
            fail("bad %s map \"%s\"", m->kind, m->text);
        m->word[m->words++] = word;
    }
    if (m->words < 5 || (m->words - 2) % 3)
        fail("bad %s map \"%s\"", m->kind, m->text);
}

int maps_inside_zero(const struct map *m)
{
    for (int i = 2; i < m->words; i += 3)
        if (strtoul(m->word[i], NULL, 10) == 0)
            return 1;
    return 0;
}

static int own_only(const struct map *m, unsigned long own)
{
    return m->words == 5 && strtoul(m->word[3], NULL, 10) == own && strtoul(m->word[4], NULL, 10) == 1;
}

/* A map is written by one write(2) whose lines must end in newlines. */
static int write_map(pid_t pid, const struct map *m)
{
    char path[40], text[4096];
    size_t length = 0;
    for (int i = 2; i < m->words && length < sizeof text; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%c", m->word[i],
                                   (i - 2) % 3 == 2 ? '\n' : ' ');
    if (length >= sizeof text) {
        errno = E2BIG;
        return -1;
    }
    snprintf(path, sizeof path, "/proc/%d/%s_map", pid, m->kind);
    return proc_write(AT_FDCWD, path, text);
}

static void map_own(const struct map *uid, const struct map *gid)
{
    /* required since Linux 3.19: otherwise leaving a group could gain access that membership denies */
    if (proc_write(AT_FDCWD, "/proc/self/setgroups", "deny") < 0 && errno != ENOENT)
        fail("cannot write /proc/self/setgroups: %s", strerror(errno));
    if (write_map(getpid(), uid) < 0)
        fail("cannot write /proc/self/uid_map: %s", strerror(errno));
    if (write_map(getpid(), gid) < 0)
        fail("cannot write /proc/self/gid_map: %s", strerror(errno));
}

/* Starts newuidmap or newgidmap; what it complains about can be read from *complaint. */
static pid_t run_mapper(struct map *m, pid_t target, int *complaint)
{
    int ends[2];
    char pid_text[16];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    snprintf(pid_text, sizeof pid_text, "%d", target);
    m->word[0] = (char *)(uintptr_t)m->program;
    m->word[1] = pid_text;
    m->word[m->words] = NULL;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        close_from(3);
        char *environment[] = {NULL};
        execve(m->program, m->word, environment);
        dprintf(2, "%s", strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    *complaint = ends[0];
    return child;
}

/* In a child that stayed outside: writes the maps of its parent, both programs at the same time. */
static void __attribute__((noreturn)) map_other(pid_t target)
{
    /* root of the outer namespace needs no program */
    if (geteuid() == 0 && write_map(target, &map[1]) == 0) {
        if (write_map(target, &map[0]) < 0)
            fail("cannot write /proc/%d/uid_map: %s", target, strerror(errno));
        _exit(0);
    }
    pid_t child[2];
    int complaint[2];
    for (int i = 0; i < 2; i++) {
        if (!map[i].program)
            fail("a map of several ids needs --new%smap", map[i].kind);
        child[i] = run_mapper(&map[i], target, &complaint[i]);
        if (child[i] < 0)
            fail("cannot start %s: %s", map[i].program, strerror(errno));
    }
    for (int i = 0; i < 2; i++) {
        char text[512];
        size_t length = 0;
        ssize_t got;
        int status = 0;
        while (length < sizeof text - 1 && (got = read(complaint[i], text + length, sizeof text - 1 - length)) > 0)
            length += (size_t)got;
        while (length && text[length - 1] == '\n')
            length--;
        text[length] = 0;
        while (waitpid(child[i], &status, 0) < 0 && errno == EINTR)
            ;
        if (status)
            fail("%s could not map the ids: %s", map[i].program, length ? text : "it did not say why");
    }
    _exit(0);
}

void new_user_namespace(void)
{
    unsigned long uid = geteuid(), gid = getegid();
    int go[2];
    pid_t child = -1, self = getpid();
    int own = own_only(&map[0], uid) && own_only(&map[1], gid);
    if (!own) {
        /* forked before this process leaves: only who stays outside may write these maps */
        if (pipe2(go, O_CLOEXEC) < 0 || (child = fork()) < 0)
            fail("cannot fork: %s", strerror(errno));
        if (child == 0) {
            char byte;
            close(go[1]);
            if (read(go[0], &byte, 1) != 1)
                _exit(0);
            map_other(self);
        }
        close(go[0]);
    }
    if (unshare(CLONE_NEWUSER) < 0) {
        int error = errno;
        fail("cannot make a user namespace: %s%s", strerror(error),
             error == ENOSPC   ? " (user.max_user_namespaces is reached)"
             : error == EPERM  ? " (forbidden by a sysctl, a security module, a seccomp filter or a chroot)"
             : error == EUSERS ? " (nested too deeply)"
                               : "");
    }
    if (own) {
        map_own(&map[0], &map[1]);
        return;
    }
    int status = 0;
    if (write(go[1], "", 1) != 1)
        fail("the process that maps the ids has died");
    close(go[1]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 125)
        _exit(125); /* it has said why */
    if (status)
        fail("the process that maps the ids has died");
}
