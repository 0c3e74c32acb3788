/* How the kernel treats the process: limits, priorities, processors, memory nodes, labels. */
#define _GNU_SOURCE
#include "launch/plan.h"

#include "lib/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned long number(const char *text)
{
    return strtoul(text, NULL, 10);
}

int op_rlimit(struct plan *plan UNUSED, const struct record *r)
{
    struct rlimit limit = {strtoull(r->argv[1], NULL, 10), strtoull(r->argv[2], NULL, 10)};
    return setrlimit((int)number(r->argv[0]), &limit);
}

/* sched_setattr(2), which C libraries do not wrap */
int op_scheduler(struct plan *plan UNUSED, const struct record *r)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } wanted = {48, (uint32_t)number(r->argv[0]), number(r->argv[1]), (int32_t)atoi(r->argv[2]),
                (uint32_t)number(r->argv[3]), strtoull(r->argv[4], NULL, 10), strtoull(r->argv[5], NULL, 10),
                strtoull(r->argv[6], NULL, 10)};
    return syscall(SYS_sched_setattr, 0, &wanted, 0) < 0 ? -1 : 0;
}

int op_affinity(struct plan *plan UNUSED, const struct record *r)
{
    static unsigned long mask[128];
    memset(mask, 0, sizeof mask); /* there may be one for before and one for after */
    for (uint32_t i = 0; i < r->argc; i++) {
        unsigned long cpu = number(r->argv[i]);
        if (cpu < sizeof mask * 8)
            mask[cpu / (8 * sizeof *mask)] |= 1UL << cpu % (8 * sizeof *mask);
    }
    return syscall(SYS_sched_setaffinity, 0, sizeof mask, mask) < 0 ? -1 : 0;
}

/* The kernel counts maxnode one further than there are bits.  Source: set_mempolicy(2). */
int op_memory_policy(struct plan *plan UNUSED, const struct record *r)
{
    static unsigned long mask[128];
    for (uint32_t i = 1; i < r->argc; i++) {
        unsigned long node = number(r->argv[i]);
        if (node < sizeof mask * 8)
            mask[node / (8 * sizeof *mask)] |= 1UL << node % (8 * sizeof *mask);
    }
    unsigned long bits = 1024 + 1; /* the most that every kernel takes */
    return syscall(SYS_set_mempolicy, number(r->argv[0]), r->argc > 1 ? mask : NULL, r->argc > 1 ? bits : 0) < 0 ? -1 : 0;
}

static int keep_proc(struct plan *plan)
{
    if (plan->proc < 0)
        plan->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return plan->proc < 0 ? -1 : 0;
}

/* Kept until the command is executed.  The host's procfs is opened now, while it has a name that
 * no process in a container decides (CVE-2019-16884). */
int op_label(struct plan *plan, const struct record *r)
{
    if (plan->labels == PLAN_LABELS) {
        errno = E2BIG;
        return -1;
    }
    plan->label[plan->labels][0] = r->argv[0];
    plan->label[plan->labels++][1] = r->argv[1];
    return keep_proc(plan);
}

int plan_set_labels(struct plan *plan)
{
    for (int i = 0; i < plan->labels; i++) {
        char path[64];
        plan->failing = plan->label[i][1];
        snprintf(path, sizeof path, "self/attr/%s", plan->label[i][0]);
        int failed = proc_write(plan->proc, path, plan->label[i][1]);
        if (failed && errno == ENOENT && strchr(plan->label[i][0], '/')) {
            /* before Linux 5.1 the only security module had the directory to itself */
            if (faccessat(plan->proc, path, F_OK, 0) < 0)
                failed = proc_write(plan->proc, "self/attr/exec", plan->label[i][1]);
            else
                errno = ENOENT;
        }
        if (failed)
            return -1;
    }
    return 0;
}

int op_oom_score(struct plan *plan UNUSED, const struct record *r)
{
    /* before the pivot; a plan of an earlier version has it after, where /proc may be the image's */
    return proc_write(AT_FDCWD, "/proc/self/oom_score_adj", r->argv[0]);
}

int op_personality(struct plan *plan UNUSED, const struct record *r)
{
    return personality(strtoul(r->argv[0], NULL, 16)) < 0 ? -1 : 0;
}

int op_io_priority(struct plan *plan UNUSED, const struct record *r)
{
    /* who: 1 is IOPRIO_WHO_PROCESS, 0 ourselves */
    return syscall(SYS_ioprio_set, 1, 0, (int)(number(r->argv[0]) << 13 | number(r->argv[1]))) < 0 ? -1 : 0;
}

int op_host_proc(struct plan *plan, const struct record *r UNUSED)
{
    plan->maps_there = 1;
    return keep_proc(plan);
}
