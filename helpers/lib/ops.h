/* Op codes of launch plans (1..) and of monitor orders (100..).  rootless/runtime/plan_format.py holds
 * the same numbers; a test reads both. */
#ifndef ROOTLESS_OPS_H
#define ROOTLESS_OPS_H
enum op {
    OP_ROOT_IDS = 1,   /* [drop groups "1"]: become root of the user namespace */
    OP_PROPAGATION,    /* path flags */
    OP_HOST_CHDIR,     /* path */
    OP_HOST_MOUNT,     /* source target type flags data: before the root is set, trusted paths */
    OP_HOST_MKDIR,     /* path mode */
    OP_FUSE,           /* mount point: the monitor starts its next server, then a namespace of our own */
    OP_ROOT,           /* path: where later paths are resolved */
    OP_BIND,           /* source target kind set recursive propagation set-below clear clear-below
                        * uid-map gid-map map-below("1"): attributes of mount_setattr(2) */
    OP_MOUNT,          /* source target type flags data attributes copy-up("1") propagation */
    OP_DEVICES,        /* host device nodes, bound to the same path below the root */
    OP_SYMLINK,        /* target link */
    OP_MKDIR,          /* path mode */
    OP_COPY_UP,        /* path below the root, host directory, record of the volume, keep owner("1") */
    OP_CHOWN,          /* host path uid gid */
    OP_PIVOT,          /* - */
    OP_ROOT_ATTR,      /* attributes */
    OP_MASK,           /* paths */
    OP_READONLY,       /* paths */
    OP_SYSCTL,         /* key value */
    OP_HOSTNAME,       /* name lenient("1": it stays as it is where that is not permitted) */
    OP_DOMAINNAME,     /* as OP_HOSTNAME */
    OP_LOOPBACK,       /* - */
    OP_WAIT_NETWORK,   /* - */
    OP_RLIMIT,         /* resource soft hard */
    OP_UMASK,          /* octal */
    OP_OOM_SCORE,      /* value */
    OP_TTY,            /* rows cols bind("1" if /dev/console is to be bound) */
    OP_SETSID,         /* - */
    OP_CWD,            /* path create("1") */
    OP_BOUNDING,       /* mask */
    OP_USER,           /* uid gid group... */
    OP_CAPS,           /* inheritable ambient permitted effective: hexadecimal masks */
    OP_NO_NEW_PRIVS,   /* - */
    OP_SECCOMP,        /* flags program */
    OP_NEST,           /* uid gid ready("1"): a second user namespace for one id, made now and entered later */
    OP_ENV,            /* NAME=VALUE... */
    OP_EXEC,           /* argv... */
    OP_JOIN,           /* pid starttime namespaces [uid gid]: with ids as OP_NEST makes a namespace for them */
    OP_PDEATHSIG,      /* signal */
    OP_CGROUP_JOIN,    /* path of cgroup.procs */
    OP_RUNTIME_HOOKS,  /* -: the maker of the process runs hooks now */
    OP_HOOK,           /* path timeout stdin count arg... env...: run here; "@PID@" in stdin is ours */
    OP_GATE,           /* descriptor of a listening socket: wait there for `start` */
    OP_PERSONALITY,    /* domain flags, hexadecimal */
    OP_IO_PRIORITY,    /* class level */
    OP_SCHEDULER,      /* policy flags nice priority runtime deadline period */
    OP_AFFINITY,       /* processor... */
    OP_LOOKUP,         /* command: fails as exec would, and executes nothing */
    OP_PRESERVE,       /* count: so many descriptors from 3 on are the command's */
    OP_TIME_OFFSETS,   /* lines of /proc/PID/timens_offsets: a time namespace of our own */
    OP_EVENTS,         /* directory of the log, fields of the event that reports how the command ended */
    OP_LABEL,          /* file below /proc/self/attr, text: written when the command is executed */
    OP_MEMORY_POLICY,  /* mode and flags, node... */
    OP_FIFO,           /* path mode */
    OP_FILE,           /* path text: made where the image has the directory and nothing of that name */
    OP_ENTER_PID,      /* -: into the pid namespace that is joined, after the pivot */
    OP_KEYRING,        /* "1" if there must be one: a session keyring of the process's own */
    OP_HOST_PROC,      /* -: OP_NEST writes its map to the procfs of here, not to the container's */
    OP_LAST,

    ORDER_ID = 100,    /* id name */
    ORDER_DIRECTORY,   /* container directory, name of the state file */
    ORDER_SOCKET,      /* directory of the attach socket */
    ORDER_CLONE,       /* flags */
    ORDER_MAP,         /* uid map, gid map, newuidmap, newgidmap ("" : write directly) */
    ORDER_JOIN,        /* clone flag, path of a namespace, start time of the process in /proc/PID/... or "" */
    ORDER_EXECUTOR,    /* program, plan */
    ORDER_TTY,         /* - */
    ORDER_STDIN,       /* null | open | once */
    ORDER_LOG,         /* driver path max-size max-file */
    ORDER_FIELD,       /* journald KEY=VALUE... */
    ORDER_SLIRP,       /* argv... */
    ORDER_SLIRP_SOCKET,/* path */
    ORDER_SLIRP_REQUEST,/* bytes */
    ORDER_FUSE,        /* late("1": it becomes root by itself) argv...: one for each OP_FUSE, in their order */
    ORDER_GO,          /* wait for a G frame that names the cgroup */
    ORDER_RESTART,     /* policy maximum */
    ORDER_PID_FILE,    /* path */
    ORDER_REMOVE,      /* trees to remove at the end */
    ORDER_UNLINK,      /* files to unlink at the end */
    ORDER_EXEC_SESSION,/* -: the plan joins a container, there is nothing to clone */
    ORDER_LOG_ERRORS,  /* path for the standard error of slirp4netns and fuse-overlayfs */
    ORDER_UDP,         /* program, ports HOST-IP:PORT>IP:PORT... */
    ORDER_TIMEOUT,     /* seconds after which the container is killed */
    ORDER_GATE,        /* descriptor of a listening socket that the launcher inherits */
    ORDER_CONSOLE,     /* path of a socket that gets the terminal */
    ORDER_WAIT,        /* [mortal]: stay until the process ends, and end as it ends, or as the caller ends */
    ORDER_EVENTS,      /* directory of the log, fields of the container's events, of its volumes'... */
    ORDER_STOP,        /* signal, seconds: how the container is stopped when the monitor is told to end */
    ORDER_NOTIFY,      /* path of a socket for the container's sd_notify messages, or "" */
    ORDER_PRESERVE,    /* count: descriptors from 4 on are the command's, from 3 on */
    ORDER_OUTER,       /* as ORDER_MAP: of a user namespace around the container's, for its servers */
    ORDER_LAST
};
#endif
