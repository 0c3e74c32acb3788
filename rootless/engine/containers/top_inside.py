"""`top` as podman has it: users, groups and pids as the container's own processes see them.

Scope: podman's descriptors, from /proc; the columns of ps(1) are `top_columns`.
Sources: podman-top(1), proc_pid_status(5), user_namespaces(7), pid_namespaces(7).
A container's /etc/passwd is its own: a name in it is shown as text, and says nothing of the host.
"""

from __future__ import annotations

import os

from rootless.engine.containers import top_columns
from rootless.engine.containers.top_columns import Process
from rootless.errors import RootlessError, UsageError
from rootless.runtime import capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.engine.containers.ref import ContainerRef

    Names = dict[int, str]

USUAL = ("user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args")
_CODES = {
    "%C": "pcpu", "%G": "group", "%P": "ppid", "%U": "user", "%a": "args", "%c": "comm",
    "%g": "rgroup", "%n": "nice", "%p": "pid", "%r": "pgid", "%t": "etime", "%u": "ruser",
    "%x": "time", "%y": "tty", "%z": "vsz",
}  # fmt: skip
_SECCOMP = {"0": "disabled", "1": "strict", "2": "filter"}


def is_asked(arguments: list[str]) -> bool:
    """Whether these are podman's descriptors, and neither options of ps(1) nor nothing."""
    return bool(arguments) and not any(
        word[:1] == "-" or word in ("aux", "axu", "ax", "u", "ux", "ef", "o") for word in arguments
    )


def wanted(arguments: list[str]) -> list[tuple[str, str]]:
    """(descriptor, title) of each.  Raises UsageError."""
    names = [name for word in arguments for name in word.split(",") if name]
    return [_known(name) for name in names or USUAL]


def _known(name: str) -> tuple[str, str]:
    plain = _CODES.get(name, name.lower())
    if plain in _COLUMNS:
        return plain, _COLUMNS[plain][0]
    # what ps(1) has and podman has not
    if plain in top_columns.COLUMNS or plain in top_columns.SAME:
        return top_columns.known(name)
    raise UsageError(
        f'top has no column "{name}"',
        hint="there are " + ", ".join(sorted({*_COLUMNS, *top_columns.COLUMNS})),
    )


class Inside:
    """A container from within: its maps, the names in its account files, the depth of its pids."""

    def __init__(self, container: ContainerRef) -> None:
        self._container = container
        self.maps = container.maps()
        self.depth = len(_status(container.process()[0])["NSpid"].split()) - 1
        self._names: dict[str, Names] = {}

    def name(self, path: str, number: int | None) -> str:
        """The name of an id of the container by /etc/passwd or /etc/group, or the number."""
        if number is None:
            return "?"  # not mapped: somebody of the host
        if path not in self._names:
            self._names[path] = self._read(path)
        return self._names[path].get(number, str(number))

    def _read(self, path: str) -> Names:
        from rootless.engine.containers import exec as container_exec

        try:
            data = container_exec.reader(self._container)(path) or b""
        except (OSError, RootlessError):
            return {}
        found: Names = {}
        for line in data.decode(errors="replace").split("\n"):
            words = line.split(":")
            if len(words) > 2 and words[2].isascii() and words[2].isdigit() and len(words[2]) < 11:
                found.setdefault(int(words[2]), words[0])
        return found


class One(Process):
    """A process, and what its status says.  Raises OSError when it is gone."""

    def __init__(self, pid: int, inside: Inside) -> None:
        super().__init__(pid)
        self.inside = inside
        self.status = _status(pid)

    def number(self, key: str, which: int) -> int:
        """A number of a line of the status."""
        return int(self.status[key].split()[which])

    def own_pid(self) -> str:
        """Its pid in the container."""
        return _at_depth(self.status, self.inside.depth) or self.pid

    def own_parent(self) -> str:
        """Its parent's pid there; 0 where that is outside."""
        try:
            return _at_depth(_status(int(self.fields[1])), self.inside.depth) or "0"
        except OSError:
            return "0"

    def user(self, which: int) -> str:
        """Name or number of a uid: 0 the real one, 1 the effective one."""
        number = self.inside.maps.from_host_uid(self.number("Uid", which))
        return self.inside.name("/etc/passwd", number)

    def group(self, which: int) -> str:
        """Name or number of a gid: 0 the real one, 1 the effective one."""
        number = self.inside.maps.from_host_gid(self.number("Gid", which))
        return self.inside.name("/etc/group", number)

    def groups(self) -> str:
        """All groups."""
        numbers = [int(word) for word in self.status["Groups"].split()]
        own = [self.inside.maps.from_host_gid(number) for number in numbers]
        return ",".join(self.inside.name("/etc/group", number) for number in own)

    def caps(self, key: str) -> str:
        """`full`, `none`, or names without CAP_."""
        mask = int(self.status[key], 16)
        held = [name[4:] for number, name in enumerate(capabilities.ALL) if mask >> number & 1]
        if len(held) == len(capabilities.ALL):
            return "full"
        return ",".join(held) or "none"


def _status(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        lines = [line.partition(":") for line in file]
    return {name: value.strip() for name, _, value in lines}


def _at_depth(status: dict[str, str], depth: int) -> str:
    pids = status.get("NSpid", "").split()
    return pids[depth] if depth < len(pids) else ""


def _host_name(database: str, number: int) -> str:
    try:
        if database == "passwd":
            import pwd

            return pwd.getpwuid(number).pw_name
        import grp

        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _tty(one: One) -> str:
    number = int(one.fields[4])
    # Unix98 terminals are majors 136 to 143, Documentation/admin-guide/devices.txt
    major, minor = os.major(number), os.minor(number)
    return f"pts/{minor + 256 * (major - 136)}" if 136 <= major <= 143 else "?"


def _label(one: One) -> str:
    try:
        with open(f"/proc/{one.pid}/attr/current", encoding="utf-8") as file:
            return file.read().strip("\0\n") or "?"
    except (OSError, ValueError):
        return "?"


def _duration(seconds: float) -> str:
    hours, minutes, rest = int(seconds) // 3600, int(seconds) // 60 % 60, seconds % 60
    if hours:
        return f"{hours}h{minutes}m{int(rest)}s"
    return f"{minutes}m{int(rest)}s" if minutes else f"{rest:.3f}s"


_COLUMNS: dict[str, tuple[str, Callable[[One], str]]] = {
    "args": ("COMMAND", lambda one: one.command or f"[{one.comm}]"),
    "capamb": ("AMBIENT CAPS", lambda one: one.caps("CapAmb")),
    "capbnd": ("BOUNDING CAPS", lambda one: one.caps("CapBnd")),
    "capeff": ("EFFECTIVE CAPS", lambda one: one.caps("CapEff")),
    "capinh": ("INHERITED CAPS", lambda one: one.caps("CapInh")),
    "capprm": ("PERMITTED CAPS", lambda one: one.caps("CapPrm")),
    "comm": ("COMMAND", lambda one: one.comm),
    "etime": ("ELAPSED", lambda one: _duration(one.age())),
    "group": ("GROUP", lambda one: one.group(1)),
    "groups": ("GROUPS", One.groups),
    "hgroup": ("HGROUP", lambda one: _host_name("group", one.number("Gid", 1))),
    "hgroups": (
        "HGROUPS",
        lambda one: ",".join(_host_name("group", int(gid)) for gid in one.status["Groups"].split()),
    ),
    "hpid": ("HPID", lambda one: one.pid),
    "huser": ("HUSER", lambda one: _host_name("passwd", one.number("Uid", 1))),
    "label": ("LABEL", _label),
    "nice": ("NI", lambda one: one.fields[16]),
    "pcpu": ("%CPU", lambda one: f"{100 * one.seconds() / max(one.age(), 0.01):.3f}"),
    "pgid": ("PGID", lambda one: one.fields[2]),
    "pid": ("PID", One.own_pid),
    "ppid": ("PPID", One.own_parent),
    "rgroup": ("RGROUP", lambda one: one.group(0)),
    "rss": ("RSS", lambda one: str(int(one.fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1024)),
    "ruser": ("RUSER", lambda one: one.user(0)),
    "seccomp": ("SECCOMP", lambda one: _SECCOMP.get(one.status.get("Seccomp", ""), "?")),
    "state": ("STATE", lambda one: one.fields[0]),
    "stime": ("STIME", top_columns.began),
    "time": ("TIME", lambda one: _duration(one.seconds())),
    "tty": ("TTY", _tty),
    "user": ("USER", lambda one: one.user(1)),
    "vsz": ("VSZ", lambda one: str(int(one.fields[20]) // 1024)),
}


def row(pid: int, columns: list[tuple[str, str]], inside: Inside) -> list[str]:
    """One line.  Raises OSError when the process is gone."""
    one = One(pid, inside)
    return [
        _COLUMNS[name][1](one) if name in _COLUMNS else top_columns.COLUMNS[name](one)
        for name, _ in columns
    ]
