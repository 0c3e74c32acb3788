/* Op codes of launch plans (1..) and of monitor orders (100..), with their arguments.
 * Made by packaging/plan_tables.py from rootless/runtime/{operations,orders}.py: change those. */
#ifndef ROOTLESS_OPS_H
#define ROOTLESS_OPS_H
enum op {
    OP_ROOT_IDS = 1,             /* drop-groups("1"): become root of the user namespace */
    OP_PROPAGATION = 2,          /* path flags */
    OP_HOST_CHDIR = 3,           /* path */
    OP_HOST_MOUNT = 4,           /* source target type flags data: before the root is set, trusted paths */
    OP_HOST_MKDIR = 5,           /* path mode */
    OP_FUSE = 6,                 /* mount-point: the monitor starts its next server, then a namespace of our
                                  * own */
    OP_ROOT = 7,                 /* path bind("1"): where later paths are resolved; first bound over itself */
    OP_BIND = 8,                 /* source target kind set recursive("1") propagation set-below clear
                                  * clear-below uid-map gid-map map-below("1"): attributes of mount_setattr(2) */
    OP_MOUNT = 9,                /* source target type flags data attributes copy-up("1") propagation */
    OP_DEVICES = 10,             /* node...: of the host, bound to the same path below the root */
    OP_SYMLINK = 11,             /* target link */
    OP_MKDIR = 12,               /* path mode */
    OP_COPY_UP = 13,             /* path-below-the-root host-directory record-of-the-volume keep-owner("1") */
    OP_CHOWN = 14,               /* host-path uid gid */
    OP_PIVOT = 15,               /* - */
    OP_ROOT_ATTR = 16,           /* attributes */
    OP_MASK = 17,                /* path... */
    OP_READONLY = 18,            /* path... */
    OP_SYSCTL = 19,              /* key value */
    OP_HOSTNAME = 20,            /* name lenient("1"): it stays as it is where that is not permitted */
    OP_DOMAINNAME = 21,          /* name lenient("1") */
    OP_LOOPBACK = 22,            /* - */
    OP_WAIT_NETWORK = 23,        /* - */
    OP_RLIMIT = 24,              /* resource soft hard */
    OP_UMASK = 25,               /* octal */
    OP_OOM_SCORE = 26,           /* value */
    OP_TTY = 27,                 /* rows columns bind("1") owner: bind it to /dev/console */
    OP_SETSID = 28,              /* - */
    OP_CWD = 29,                 /* path create("1") */
    OP_BOUNDING = 30,            /* mask */
    OP_USER = 31,                /* uid gid set-groups("1") group... */
    OP_CAPS = 32,                /* inheritable ambient permitted effective: hexadecimal masks */
    OP_NO_NEW_PRIVS = 33,        /* - */
    OP_SECCOMP = 34,             /* flags program */
    OP_NEST = 35,                /* uid gid ready("1"): a second user namespace for one id, made now and
                                  * entered later */
    OP_ENV = 36,                 /* NAME=VALUE... */
    OP_EXEC = 37,                /* argument... */
    OP_JOIN = 38,                /* pid start-time namespaces [uid gid]: with ids as OP_NEST makes a namespace
                                  * for them */
    OP_PDEATHSIG = 39,           /* signal */
    OP_CGROUP_JOIN = 40,         /* path of cgroup.procs */
    OP_RUNTIME_HOOKS = 41,       /* -: the maker of the process runs hooks now */
    OP_HOOK = 42,                /* path timeout stdin count argument... variable...: run here; "@PID@" in
                                  * stdin is ours */
    OP_GATE = 43,                /* descriptor: of a listening socket, to wait there for `start` */
    OP_PERSONALITY = 44,         /* domain: and flags, hexadecimal */
    OP_IO_PRIORITY = 45,         /* class level */
    OP_SCHEDULER = 46,           /* policy flags nice priority runtime deadline period */
    OP_AFFINITY = 47,            /* processor... */
    OP_LOOKUP = 48,              /* command: fails as exec would, and executes nothing */
    OP_PRESERVE = 49,            /* count: so many descriptors from 3 on are the command's */
    OP_TIME_OFFSETS = 50,        /* lines of /proc/PID/timens_offsets: a time namespace of our own */
    OP_EVENTS = 51,              /* directory fields: of the log, of the event that reports how the command
                                  * ended */
    OP_LABEL = 52,               /* file text: below /proc/self/attr, written when the command is executed */
    OP_MEMORY_POLICY = 53,       /* mode node...: with its flags */
    OP_FIFO = 54,                /* path mode uid gid */
    OP_FILE = 55,                /* path text: made where the image has the directory and nothing of that name */
    OP_ENTER_PID = 56,           /* -: into the pid namespace that is joined, after the pivot */
    OP_KEYRING = 57,             /* needed("1"): a session keyring of the process's own */
    OP_HOST_PROC = 58,           /* -: OP_NEST writes its map to the procfs of here, not to the container's */
    OP_UNREACHABLE = 59,         /* address/length...: networks that nothing in this one reaches */
    OP_LAST,

    ORDER_ID = 100,              /* id name */
    ORDER_DIRECTORY = 101,       /* container-directory name-of-the-state-file */
    ORDER_SOCKET = 102,          /* directory of the attach socket */
    ORDER_CLONE = 103,           /* flags */
    ORDER_MAP = 104,             /* uid-map gid-map newuidmap newgidmap drop-groups("1"): programs "" to write
                                  * directly */
    ORDER_JOIN = 105,            /* clone-flag path start-time: of a namespace; of the process in
                                  * /proc/PID/... or "" */
    ORDER_EXECUTOR = 106,        /* program plan */
    ORDER_TTY = 107,             /* - */
    ORDER_STDIN = 108,           /* null, once or inherit */
    ORDER_LOG = 109,             /* driver path max-size max-file */
    ORDER_FIELD = 110,           /* KEY=VALUE...: of journald */
    ORDER_SIDECAR = 111,         /* argument...: of the network; @NET@, @READY@ and @EXIT@ are replaced */
    ORDER_SIDECAR_SOCKET = 112,  /* path: where the sidecar takes requests */
    ORDER_SIDECAR_REQUEST = 113, /* bytes: of one connection */
    ORDER_FUSE = 114,            /* late("1") argument...: it becomes root by itself; one for each OP_FUSE */
    ORDER_GO = 115,              /* -: wait for a G frame that names the cgroup */
    ORDER_RESTART = 116,         /* policy maximum */
    ORDER_PID_FILE = 117,        /* path */
    ORDER_REMOVE = 118,          /* tree...: to remove at the end */
    ORDER_UNLINK = 119,          /* file...: to unlink at the end */
    ORDER_EXEC_SESSION = 120,    /* -: the plan joins a container, there is nothing to clone */
    ORDER_LOG_ERRORS = 121,      /* path for the standard error of programs beside the container */
    ORDER_UDP = 122,             /* program HOST-IP:PORT>IP:PORT... */
    ORDER_TIMEOUT = 123,         /* seconds after which the container is killed */
    ORDER_GATE = 124,            /* descriptor of a listening socket that the launcher inherits */
    ORDER_CONSOLE = 125,         /* path of a socket that gets the terminal */
    ORDER_WAIT = 126,            /* [mortal]: stay until the process ends, and end as it ends, or as the
                                  * caller ends */
    ORDER_EVENTS = 127,          /* directory fields...: of the log; of the container's events, of its
                                  * volumes'... */
    ORDER_STOP = 128,            /* signal seconds: how the container is stopped when the monitor is told to
                                  * end */
    ORDER_NOTIFY = 129,          /* path of a socket for the container's sd_notify messages, or "" */
    ORDER_PRESERVE = 130,        /* count: descriptors from 4 on are the command's, from 3 on */
    ORDER_OUTER = 131,           /* as ORDER_MAP: of a user namespace around the container's, for its servers */
    ORDER_SHARED_NETWORK = 132,  /* directory uid-map gid-map newuidmap newgidmap drop-groups("1"): of the
                                  * namespaces that containers on named networks share */
    ORDER_COMPANION = 133,       /* program log argument...: of these networks */
    ORDER_ENDPOINT = 134,        /* bridge device mac address gateway address6 gateway6 mtu flags alias: on a
                                  * network */
    ORDER_LEASES = 135,          /* count file...: descriptors to keep, after those that ORDER_PRESERVE names;
                                  * to unlink at the end */
    ORDER_PORTS = 136,           /* program SETTING=VALUE... PROTOCOL/HOST-IP/LOW-HIGH/INSIDE...: published
                                  * ports */
    ORDER_LAST,
};

/* X(NUMBER, function): each operation is carried out by op_FUNCTION */
#define EACH_OPERATION(X) \
    X(ROOT_IDS, root_ids) \
    X(PROPAGATION, propagation) \
    X(HOST_CHDIR, host_chdir) \
    X(HOST_MOUNT, host_mount) \
    X(HOST_MKDIR, host_mkdir) \
    X(FUSE, fuse) \
    X(ROOT, root) \
    X(BIND, bind) \
    X(MOUNT, mount) \
    X(DEVICES, devices) \
    X(SYMLINK, symlink) \
    X(MKDIR, mkdir) \
    X(COPY_UP, copy_up) \
    X(CHOWN, chown) \
    X(PIVOT, pivot) \
    X(ROOT_ATTR, root_attr) \
    X(MASK, mask) \
    X(READONLY, readonly) \
    X(SYSCTL, sysctl) \
    X(HOSTNAME, hostname) \
    X(DOMAINNAME, domainname) \
    X(LOOPBACK, loopback) \
    X(WAIT_NETWORK, wait_network) \
    X(RLIMIT, rlimit) \
    X(UMASK, umask) \
    X(OOM_SCORE, oom_score) \
    X(TTY, tty) \
    X(SETSID, setsid) \
    X(CWD, cwd) \
    X(BOUNDING, bounding) \
    X(USER, user) \
    X(CAPS, caps) \
    X(NO_NEW_PRIVS, no_new_privs) \
    X(SECCOMP, seccomp) \
    X(NEST, nest) \
    X(ENV, env) \
    X(EXEC, exec) \
    X(JOIN, join) \
    X(PDEATHSIG, pdeathsig) \
    X(CGROUP_JOIN, cgroup_join) \
    X(RUNTIME_HOOKS, runtime_hooks) \
    X(HOOK, hook) \
    X(GATE, gate) \
    X(PERSONALITY, personality) \
    X(IO_PRIORITY, io_priority) \
    X(SCHEDULER, scheduler) \
    X(AFFINITY, affinity) \
    X(LOOKUP, lookup) \
    X(PRESERVE, preserve) \
    X(TIME_OFFSETS, time_offsets) \
    X(EVENTS, events) \
    X(LABEL, label) \
    X(MEMORY_POLICY, memory_policy) \
    X(FIFO, fifo) \
    X(FILE, file) \
    X(ENTER_PID, enter_pid) \
    X(KEYRING, keyring) \
    X(HOST_PROC, host_proc) \
    X(UNREACHABLE, unreachable)
#endif
