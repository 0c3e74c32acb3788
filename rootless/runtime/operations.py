"""The operations of a launch plan: one table of names and numbers, and a constructor each.

A new one: a line at the end of TABLE, a function here, `packaging/plan_tables.py` for the C header,
and `op_NAME` in helpers/launch (README.md).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rootless.runtime.plan_format import Record

# Name, arguments, what it does where they do not say it; a line that begins with a blank goes on
# with the one before.  The first has number 1.  Plans on disk hold the numbers, so a line is never
# moved or taken away, and a new one comes last.
TABLE = """
root-ids        drop-groups("1"): become root of the user namespace
propagation     path flags
host-chdir      path
host-mount      source target type flags data: before the root is set, trusted paths
host-mkdir      path mode
fuse            mount-point: the monitor starts its next server, then a namespace of our own
root            path bind("1"): where later paths are resolved; first bound over itself
bind            source target kind set recursive("1") propagation set-below clear clear-below
                uid-map gid-map map-below("1"): attributes of mount_setattr(2)
mount           source target type flags data attributes copy-up("1") propagation
devices         node...: of the host, bound to the same path below the root
symlink         target link
mkdir           path mode
copy-up         path-below-the-root host-directory record-of-the-volume keep-owner("1")
chown           host-path uid gid
pivot           -
root-attr       attributes
mask            path...
readonly        path...
sysctl          key value
hostname        name lenient("1"): it stays as it is where that is not permitted
domainname      name lenient("1")
loopback        -
wait-network    -
rlimit          resource soft hard
umask           octal
oom-score       value
tty             rows columns bind("1") owner: bind it to /dev/console
setsid          -
cwd             path create("1")
bounding        mask
user            uid gid set-groups("1") group...
caps            inheritable ambient permitted effective: hexadecimal masks
no-new-privs    -
seccomp         flags program
nest            uid gid ready("1"): a second user namespace for one id, made now and entered later
env             NAME=VALUE...
exec            argument...
join            pid start-time namespaces [uid gid]: with ids as OP_NEST makes a namespace for them
pdeathsig       signal
cgroup-join     path of cgroup.procs
runtime-hooks   -: the maker of the process runs hooks now
hook            path timeout stdin count argument... variable...: run here; "@PID@" in stdin is ours
gate            descriptor: of a listening socket, to wait there for `start`
personality     domain: and flags, hexadecimal
io-priority     class level
scheduler       policy flags nice priority runtime deadline period
affinity        processor...
lookup          command: fails as exec would, and executes nothing
preserve        count: so many descriptors from 3 on are the command's
time-offsets    lines of /proc/PID/timens_offsets: a time namespace of our own
events          directory fields: of the log, of the event that reports how the command ended
label           file text: below /proc/self/attr, written when the command is executed
memory-policy   mode node...: with its flags
fifo            path mode uid gid
file            path text: made where the image has the directory and nothing of that name
enter-pid       -: into the pid namespace that is joined, after the pivot
keyring         needed("1"): a session keyring of the process's own
host-proc       -: OP_NEST writes its map to the procfs of here, not to the container's
unreachable     address/length...: networks that nothing in this one reaches
"""

_NAMES = [line.split(None, 1)[0] for line in TABLE.split("\n") if line[:1] > " "]
NUMBERS = {name: number for number, name in enumerate(_NAMES, 1)}

# ------------------------------------------------------------ the root file system


def propagation(path: str, flags: int) -> Record:
    """Set how mounts at a path travel."""
    return "propagation", (path, str(flags))


def host_chdir(path: str) -> Record:
    """Change the working directory, before the root is set."""
    return "host-chdir", (path,)


def host_mount(source: str, target: str, kind: str, flags: int, data: str) -> Record:
    """Mount at a trusted path of the host."""
    return "host-mount", (source, target, kind, str(flags), data)


def host_mkdir(path: str, mode: int) -> Record:
    """Make a directory at a trusted path of the host."""
    return "host-mkdir", (path, format(mode, "o"))


def fuse(mount_point: str) -> Record:
    """Wait for the monitor's next server of files."""
    return "fuse", (mount_point,)


def root(path: str, *, bind: bool = False) -> Record:
    """Resolve later paths below this one.  `bind`: it is no mount yet."""
    return "root", (path, "1" if bind else "0")


def bind(
    source: str,
    target: str,
    *,
    attributes: int = 0,
    recursive: bool = False,
    propagation: str = "",
    below: int = 0,
    clear: int = 0,
    clear_below: int = 0,
    maps: tuple[str, str] = ("", ""),
    map_below: bool = False,
) -> Record:
    """Show a file or directory of the host.

    `attributes` and `clear`: of mount_setattr(2), for this mount (with `recursive` for all that
    comes along); `below` and `clear_below`: for this one and all below it.  `maps`: of user and
    group ids, as in /proc/PID/uid_map.
    """
    first = (source, target, "auto", str(attributes), "1" if recursive else "0", propagation)
    if not (below or clear or clear_below or map_below or maps[0] or maps[1]):
        return "bind", first
    rest = [str(one) if one else "" for one in (below, clear, clear_below)]
    return "bind", _short((*first, *rest, *maps, "1" if map_below else ""), 6)


def mount(
    source: str,
    target: str,
    kind: str,
    *,
    flags: int = 0,
    data: str = "",
    attributes: int = 0,
    copy_up: bool = False,
    propagation: str = "",
) -> Record:
    """Mount a file system.  `attributes`: set when `copy_up` has filled it with the image's."""
    first = (source, target, kind, str(flags), data, str(attributes))
    if not copy_up and not propagation:
        return "mount", first
    return "mount", _short((*first, "1" if copy_up else "", propagation), 6)


def _short(arguments: tuple[str, ...], least: int) -> tuple[str, ...]:
    """Without what is empty at the end."""
    kept = len(arguments)
    while kept > least and not arguments[kept - 1]:
        kept -= 1
    return arguments[:kept]


def devices(paths: Iterable[str]) -> Record:
    """Bind nodes of the host to the same paths."""
    return "devices", tuple(paths)


def symlink(target: str, link: str) -> Record:
    """Make a link."""
    return "symlink", (target, link)


def mkdir(path: str) -> Record:
    """Make a directory below the root, and those above it."""
    return "mkdir", (path,)


def fifo(path: str, mode: int, uid: int | None, gid: int | None) -> Record:
    """Make a named pipe."""
    owner = ("" if one is None else str(one) for one in (uid, gid))
    return "fifo", (path, format(mode, "o"), *owner)


def file(path: str, text: str) -> Record:
    """Make a file where the image has its directory and nothing of that name."""
    return "file", (path, text)


def copy_up(target: str, directory: str, record: str, *, keep_owner: bool) -> Record:
    """Fill a volume with what the image has at its place."""
    return "copy-up", (target, directory, record, "1" if keep_owner else "0")


def chown(path: str, uid: int, gid: int) -> Record:
    """Give a tree of the host to ids of the container."""
    return "chown", (path, str(uid), str(gid))


def pivot() -> Record:
    """Make the root the root; nothing of the host's can be reached from here on."""
    return "pivot", ()


def root_attr(attributes: int) -> Record:
    """Set attributes of the root's mount."""
    return "root-attr", (str(attributes),)


def mask(paths: Iterable[str]) -> Record:
    """Cover paths with nothing."""
    return "mask", tuple(paths)


def readonly(paths: Iterable[str]) -> Record:
    """Make paths read-only."""
    return "readonly", tuple(paths)


# ------------------------------------------------------------ namespaces


def sysctl(key: str, value: str) -> Record:
    """Write a file below /proc/sys."""
    return "sysctl", (key, value)


def hostname(name: str, *, lenient: bool = False) -> Record:
    """Set the host name.  `lenient`: it stays as it is where that is not permitted."""
    return "hostname", (name, "1") if lenient else (name,)


def domainname(name: str, *, lenient: bool = False) -> Record:
    """Set the NIS domain name."""
    return "domainname", (name, "1") if lenient else (name,)


def loopback() -> Record:
    """Bring the loopback device up."""
    return "loopback", ()


def wait_network() -> Record:
    """Wait until the sidecar of the network is ready."""
    return "wait-network", ()


def unreachable(networks: Iterable[str]) -> Record:
    """Close the way to these networks, ADDRESS/LENGTH each."""
    return "unreachable", tuple(networks)


def time_offsets(lines: str) -> Record:
    """Make a time namespace with these clocks."""
    return "time-offsets", (lines,)


def join(pid: int, start: int, namespaces: int, ids: tuple[int, int] | None = None) -> Record:
    """Enter the namespaces of a process, which is known by its start time.  `ids`: see nest."""
    return "join", (str(pid), str(start), str(namespaces), *(map(str, ids) if ids else ()))


def enter_pid() -> Record:
    """Enter the pid namespace that is joined."""
    return "enter-pid", ()


def cgroup_join(path: str) -> Record:
    """Enter a cgroup, given its cgroup.procs."""
    return "cgroup-join", (path,)


def host_proc() -> Record:
    """Write the maps of a nested namespace through the /proc around."""
    return "host-proc", ()


def nest(uid: int, gid: int, *, ready: bool = False) -> Record:
    """Enter a user namespace in which the one id is this.  `ready`: only make it, for later."""
    return "nest", (str(uid), str(gid), "1") if ready else (str(uid), str(gid))


# ------------------------------------------------------------ the process


def root_ids(*, drop_groups: bool) -> Record:
    """Become root of the user namespace."""
    return "root-ids", ("1" if drop_groups else "0",)


def rlimit(resource: int, soft: int, hard: int) -> Record:
    """Set a resource limit."""
    return "rlimit", (str(resource), str(soft), str(hard))


def umask(mask: int) -> Record:
    """Set the umask."""
    return "umask", (format(mask, "o"),)


def oom_score(value: int) -> Record:
    """Set the OOM killer preference."""
    return "oom-score", (str(value),)


def tty(rows: int, columns: int, *, bind_console: bool, owner: str) -> Record:
    """Make a terminal and take it as the controlling one.  `owner`: a uid, or empty."""
    return "tty", (str(rows), str(columns), "1" if bind_console else "0", owner)


def setsid() -> Record:
    """Begin a session."""
    return "setsid", ()


def cwd(path: str, *, create: bool) -> Record:
    """Change the working directory."""
    return "cwd", (path, "1" if create else "0")


def bounding(mask: int) -> Record:
    """Reduce the bounding set of capabilities."""
    return "bounding", (format(mask, "x"),)


def user(uid: int, gid: int, *, set_groups: bool, groups: Iterable[int] = ()) -> Record:
    """Become a user."""
    return "user", (str(uid), str(gid), "1" if set_groups else "0", *map(str, groups))


def caps(inheritable: int, ambient: int, permitted: int, effective: int) -> Record:
    """Set the other sets of capabilities."""
    masks = (inheritable, ambient, permitted, effective)
    return "caps", tuple([format(one, "x") for one in masks])


def no_new_privs() -> Record:
    """Let no exec give anything."""
    return "no-new-privs", ()


def seccomp(flags: int, program: bytes) -> Record:
    """Load a filter."""
    return "seccomp", (str(flags), program)


def keyring(*, needed: bool) -> Record:
    """Begin a session keyring.  `needed`: to have none is a failure."""
    return "keyring", ("1" if needed else "0",)


def pdeathsig(signal: int) -> Record:
    """Ask for a signal when the monitor ends."""
    return "pdeathsig", (str(signal),)


def personality(domain: int) -> Record:
    """Set the execution domain."""
    return "personality", (format(domain, "x"),)


def io_priority(kind: int, level: int) -> Record:
    """Set the I/O class and priority."""
    return "io-priority", (str(kind), str(level))


def scheduler(policy: int, flags: int, *numbers: int) -> Record:
    """Set the scheduling policy.  `numbers`: nice, priority, runtime, deadline, period."""
    return "scheduler", tuple([str(one) for one in (policy, flags, *numbers)])


def affinity(processors: Iterable[int]) -> Record:
    """Choose processors."""
    return "affinity", tuple([str(one) for one in processors])


def memory_policy(mode: int, nodes: Iterable[int]) -> Record:
    """Set the memory policy, its mode with flags."""
    return "memory-policy", (str(mode), *map(str, nodes))


def label(file: str, text: str) -> Record:
    """Write to a file below /proc/self/attr when the command is executed."""
    return "label", (file, text)


# ------------------------------------------------------------ the command


def env(variables: Iterable[str]) -> Record:
    """Set the environment."""
    return "env", tuple(variables)


def preserve(count: int) -> Record:
    """Keep descriptors from 3 on open."""
    return "preserve", (str(count),)


def events(directory: str, fields: str) -> Record:
    """Log an event with these fields when the command has ended."""
    return "events", (directory, fields)


def runtime_hooks() -> Record:
    """Wait for the hooks of the runtime's namespaces."""
    return "runtime-hooks", ()


def hook(path: str, timeout: int, state: str, words: Sequence[str], env: Iterable[str]) -> Record:
    """Run a hook.  `state`: its standard input, with @PID@ for the container's pid."""
    return "hook", (path, str(timeout), state, str(len(words)), *words, *env)


def gate(listener: int) -> Record:
    """Wait for `start` at a listening socket."""
    return "gate", (str(listener),)


def lookup(command: str) -> Record:
    """Fail as exec would."""
    return "lookup", (command,)


def exec_(arguments: Iterable[str]) -> Record:
    """Execute the command: the last operation."""
    return "exec", tuple(arguments)
