/* What the operations of a launch plan share. */
#ifndef ROOTLESS_PLAN_H
#define ROOTLESS_PLAN_H
#include "lib/ops.h"
#include "lib/records.h"

enum { PLAN_LABELS = 2 };

struct plan {
    int ctl;          /* SOCK_SEQPACKET to the monitor, or -1 */
    int root;         /* O_PATH of the root file system, AT_FDCWD before OP_ROOT */
    int pivoted;
    int joined;       /* others run in the namespaces that we are in */
    int null_device;  /* O_PATH of the container's /dev/null, verified to be 1:3 */
    int empty;        /* O_PATH of an empty read-only directory, shared by all masked directories */
    int keep_caps;
    int prepared;     /* signals, descriptors and labels are as the command gets them */
    int rows, cols;   /* of a new terminal, where the plan does not say */
    int preserved;    /* descriptors from 3 on that the command keeps */
    int cgroup_procs; /* of the cgroup that the process inside enters, or -1 */
    int nested;       /* a user namespace for OP_NEST, made before others can see it, or -1 */
    int pid_ns;       /* the pid namespace that is joined and not entered yet, or -1 */
    int proc;         /* O_PATH of the host's /proc, where a label or a map has to be set, or -1 */
    int maps_there;   /* the container's own cannot be written to */
    int labels;
    const char *label[PLAN_LABELS][2]; /* file below attr/, text */
    char **environment;
    const char *failing; /* path or value named in the report of a failure */
};

/* One function for each operation, op_NAME; lib/ops.h has the list.  -1 with errno set stops the plan;
 * `failing` is the first argument unless the function says better. */
typedef int operation(struct plan *plan, const struct record *record);
#define OPERATION_DECLARED(number, name) operation op_##name;
#define OPERATION_ENTRY(number, name) [OP_##number] = op_##name,
EACH_OPERATION(OPERATION_DECLARED)
#define UNUSED __attribute__((unused))

int plan_open_in_root(struct plan *plan, const char *path, int flags);
int plan_make_nested(struct plan *plan, const char *uid, const char *gid); /* privileges.c */
int plan_set_labels(struct plan *plan);                             /* process_attributes.c */
#endif
