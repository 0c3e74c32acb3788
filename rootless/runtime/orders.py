"""The orders of a monitor: one table of names and numbers, and a constructor each.

A new one: a line at the end of TABLE, a function here, `packaging/plan_tables.py` for the C header,
and a case in helpers/monitor/orders.c.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rootless.runtime.plan_format import Record

FIRST = 100

# As in operations.TABLE.  The first has number FIRST.
TABLE = """
id              id name
directory       container-directory name-of-the-state-file
socket          directory of the attach socket
clone           flags
map             uid-map gid-map newuidmap newgidmap drop-groups("1"): programs "" to write directly
join            clone-flag path start-time: of a namespace; of the process in /proc/PID/... or ""
executor        program plan
tty             -
stdin           null, once or inherit
log             driver path max-size max-file
field           KEY=VALUE...: of journald
sidecar         argument...: of the network; @NET@, @READY@ and @EXIT@ are replaced
sidecar-socket  path: where the sidecar takes requests
sidecar-request bytes: of one connection
fuse            late("1") argument...: it becomes root by itself; one for each OP_FUSE
go              -: wait for a G frame that names the cgroup
restart         policy maximum
pid-file        path
remove          tree...: to remove at the end
unlink          file...: to unlink at the end
exec-session    -: the plan joins a container, there is nothing to clone
log-errors      path for the standard error of programs beside the container
udp             program HOST-IP:PORT>IP:PORT...
timeout         seconds after which the container is killed
gate            descriptor of a listening socket that the launcher inherits
console         path of a socket that gets the terminal
wait            [mortal]: stay until the process ends, and end as it ends, or as the caller ends
events          directory fields...: of the log; of the container's events, of its volumes'...
stop            signal seconds: how the container is stopped when the monitor is told to end
notify          path of a socket for the container's sd_notify messages, or ""
preserve        count: descriptors from 4 on are the command's, from 3 on
outer           as ORDER_MAP: of a user namespace around the container's, for its servers
shared-network  directory uid-map gid-map newuidmap newgidmap drop-groups("1"): of the namespaces
                that containers on named networks share
companion       program log argument...: of these networks
endpoint        bridge device mac address gateway address6 gateway6 mtu flags alias: on a network
leases          count file...: descriptors to keep, after those that ORDER_PRESERVE names; to unlink
                at the end
ports           program SETTING=VALUE... PROTOCOL/HOST-IP/LOW-HIGH/INSIDE...: published ports
"""

_NAMES = [line.split(None, 1)[0] for line in TABLE.split("\n") if line[:1] > " "]
NUMBERS = {name: number for number, name in enumerate(_NAMES, FIRST)}


def id_(identifier: str, name: str) -> Record:
    """Whose monitor it is."""
    return "id", (identifier, name)


def directory(path: str, state: str) -> Record:
    """Where files are kept, and the name of the file with the state."""
    return "directory", (path, state)


def socket(directory: str) -> Record:
    """Listen for those who attach."""
    return "socket", (directory,)


def clone(flags: int) -> Record:
    """Make these namespaces."""
    return "clone", (str(flags),)


def map_(uids: str, gids: str, programs: tuple[str, str], *, drop_groups: bool) -> Record:
    """Write the maps of ids.  `programs`: newuidmap and newgidmap, or two empty texts."""
    return "map", (uids, gids, *programs, "1" if drop_groups else "0")


def outer(uids: str, gids: str, programs: tuple[str, str], *, drop_groups: bool) -> Record:
    """As `map_`, of a user namespace around the container's."""
    return "outer", (uids, gids, *programs, "1" if drop_groups else "0")


def join(flag: int, path: str) -> Record:
    """Enter somebody's namespace."""
    return "join", (str(flag), path)


def executor(program: str, plan: str) -> Record:
    """What the process executes after the clone."""
    return "executor", (program, plan)


def tty() -> Record:
    """Give it a terminal."""
    return "tty", ()


def stdin(kind: str) -> Record:
    """Choose the standard input: null, once (until the first client has ended) or inherit."""
    return "stdin", (kind,)


def log(driver: str, path: str, limit: int, files: int) -> Record:
    """Log the output."""
    return "log", (driver, path, str(limit), str(files))


def field(fields: Iterable[str]) -> Record:
    """Name the journal's fields."""
    return "field", tuple(fields)


def sidecar(argv: Iterable[str]) -> Record:
    """Start the network's program: it writes to @READY@ when it is ready, ends when @EXIT@ does."""
    return "sidecar", tuple(argv)


def sidecar_socket(path: str) -> Record:
    """Where the sidecar takes requests."""
    return "sidecar-socket", (path,)


def sidecar_request(request: bytes) -> Record:
    """What the sidecar is asked when it is ready; an answer with an error is a failure."""
    return "sidecar-request", (request,)


def udp(program: str, ports: Iterable[str]) -> Record:
    """Start the forwarder of UDP ports, HOST-IP:PORT>IP:PORT each."""
    return "udp", (program, *ports)


def ports(program: str, words: Iterable[str]) -> Record:
    """Start what serves published ports.  `words`: helpers/programs/ports.c says which."""
    return "ports", (program, *words)


def fuse(late: bool, argv: Iterable[str]) -> Record:
    """Start a server of files when the plan asks for it."""
    return "fuse", ("1" if late else "0", *argv)


def go() -> Record:
    """Wait to be put into a cgroup."""
    return "go", ()


def restart(policy: str, maximum: int) -> Record:
    """What follows the end."""
    return "restart", (policy, str(maximum))


def pid_file(path: str) -> Record:
    """Write the pid there."""
    return "pid-file", (path,)


def remove(trees: Iterable[str]) -> Record:
    """Remove trees at the end."""
    return "remove", tuple(trees)


def unlink(files: Iterable[str]) -> Record:
    """Remove files at the end.  A link is a container's name, and goes only if it is its own."""
    return "unlink", tuple(files)


def exec_session() -> Record:
    """Clone nothing: the plan joins a container."""
    return "exec-session", ()


def log_errors(path: str) -> Record:
    """Where programs beside the container complain."""
    return "log-errors", (path,)


def timeout(seconds: int) -> Record:
    """Kill the container after a time."""
    return "timeout", (str(seconds),)


def gate(descriptor: int) -> Record:
    """Let the launcher inherit a listening socket."""
    return "gate", (str(descriptor),)


def console(path: str) -> Record:
    """Hand the terminal to whoever listens there."""
    return "console", (path,)


def wait(*, mortal: bool = False) -> Record:
    """Stay until the process ends.  `mortal`: or until the caller does, and end it then."""
    return "wait", ("mortal",) if mortal else ()


def events(directory: str, *fields: str) -> Record:
    """Log events: the container's fields, then those of each volume."""
    return "events", (directory, *fields)


def stop(signal: int, seconds: int) -> Record:
    """How the container is stopped when the monitor is told to end."""
    return "stop", (str(signal), str(seconds))


def notify(path: str) -> Record:
    """Pass sd_notify(3) messages on.  An empty path: only the watchdog's."""
    return "notify", (path,)


def preserve(count: int) -> Record:
    """Hand on descriptors from 4 on."""
    return "preserve", (str(count),)


def shared_network(
    directory: str, uids: str, gids: str, programs: tuple[str, str], *, drop_groups: bool
) -> Record:
    """Live below the namespaces that containers on named networks share."""
    return "shared-network", (directory, uids, gids, *programs, "1" if drop_groups else "0")


def companion(program: str, log: str, arguments: Iterable[str]) -> Record:
    """Start the program that all these networks need, if nobody has."""
    return "companion", (program, log, *arguments)


def endpoint(words: Iterable[str]) -> Record:
    """Be on a network (helpers/lib/named_network.h)."""
    return "endpoint", tuple(words)


def leases(count: int, files: Iterable[str]) -> Record:
    """Keep locked files open, by which addresses are leased, and unlink them at the end."""
    return "leases", (str(count), *files)
