"""The columns of `top`, by the names that ps(1) has for them, from /proc."""

from __future__ import annotations

import os
import time

from rootless.errors import UsageError

DEFAULT = ("uid", "pid", "ppid", "c", "stime", "tty", "time", "cmd")
_AUX = ("user", "pid", "%cpu", "%mem", "vsz", "rss", "tty", "stat", "start", "time", "args")
_FEW = ("pid", "tty", "time", "comm")
SAME = {
    "user": "uid", "euser": "uid", "uname": "uid", "args": "cmd", "command": "cmd",
    "ucmd": "comm", "start": "stime", "start_time": "stime", "bsdstart": "stime",
    "cputime": "time", "bsdtime": "time", "tt": "tty", "tname": "tty", "pcpu": "%cpu",
    "pmem": "%mem", "vsize": "vsz", "rssize": "rss", "state": "stat", "s": "stat", "ni": "nice",
    "thcount": "nlwp", "pgrp": "pgid", "sess": "sid", "session": "sid",
}  # fmt: skip
_TITLES = {
    "args": "COMMAND", "command": "COMMAND", "comm": "COMMAND", "ucmd": "CMD", "nice": "NI",
    "etime": "ELAPSED",
}  # fmt: skip


def wanted(arguments: list[str]) -> list[tuple[str, str]]:
    """(column, title) that words as `pid,comm`, `-eo pid,comm`, `-ef` or `aux` ask for.

    Raises UsageError for a column that is not here and for other options of ps.
    """
    names: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word in ("-o", "o", "--format") or (word[:1] == "-" and word[-1:] == "o"):
            # what is before the o chooses processes: all of the container are shown
            names += rest.pop(0).split(",") if rest else []
        elif word.startswith(("-o", "--format=")):
            names += word.removeprefix("--format=").removeprefix("-o").split(",")
        elif "u" in word and set(word.removeprefix("-")) <= set("auxw"):
            names += _AUX
        elif word in ("-ef", "-f", "ef", "-Af", "-fe"):
            names += DEFAULT
        elif word in ("-e", "-A", "ax", "-a", "-x"):
            names += _FEW
        elif word[:1] == "-":
            raise UsageError(
                f'top knows no option "{word}"', hint="-o COLUMN,... chooses columns, or name them"
            )
        else:
            names += word.split(",")
    return [known(name) for name in names if name] or [known(name) for name in DEFAULT]


def known(name: str) -> tuple[str, str]:
    """The column of a name, and its title.  Raises UsageError."""
    # ps(1): name=HEADER gives a column another title
    name, equals, title = name.partition("=")
    asked = name.lower()
    column = SAME.get(asked, asked)
    if column not in COLUMNS:
        columns = ", ".join(sorted({*COLUMNS, *SAME}))
        raise UsageError(f'top has no column "{name}"', hint=f"there are {columns}")
    return column, title if equals else _TITLES.get(asked, asked.upper())


class Process:
    """What /proc says of one process.  Raises OSError when it is gone."""

    def __init__(self, pid: int) -> None:
        self.pid = str(pid)
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
        end = text.rindex(b")")
        self.comm = text[text.index(b"(") + 1 : end].decode(errors="replace")
        # proc_pid_stat(5): the first of these is field 3, the state
        self.fields = text[end + 2 :].decode().split()
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            self.command = file.read().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        self.uid = os.stat(f"/proc/{pid}").st_uid

    def seconds(self) -> float:
        """Processor time so far."""
        return (int(self.fields[11]) + int(self.fields[12])) / os.sysconf("SC_CLK_TCK")

    def age(self) -> float:
        """Seconds since it began."""
        with open("/proc/uptime") as file:
            up = float(file.read().split()[0])
        return max(0.0, up - int(self.fields[19]) / os.sysconf("SC_CLK_TCK"))


def _user(one: Process) -> str:
    import pwd

    try:
        return pwd.getpwuid(one.uid).pw_name
    except KeyError:
        return str(one.uid)


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def began(one: Process) -> str:
    """When it began, of today."""
    return time.strftime("%H:%M", time.localtime(time.time() - one.age()))


def _resident(one: Process) -> int:
    return int(one.fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1024


def _share(one: Process) -> str:
    return f"{100 * one.seconds() / max(one.age(), 0.01):.1f}"


def _memory(one: Process) -> str:
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    return f"{100 * _resident(one) / whole:.1f}"


COLUMNS = {
    "uid": _user,
    "pid": lambda one: one.pid,
    "ppid": lambda one: one.fields[1],
    "pgid": lambda one: one.fields[2],
    "sid": lambda one: one.fields[3],
    "c": lambda one: str(min(99, int(float(_share(one))))),
    "stime": began,
    "etime": lambda one: _clock(one.age()),
    "tty": lambda one: "?" if one.fields[4] == "0" else "pts",
    "time": lambda one: _clock(one.seconds()),
    "cmd": lambda one: one.command or f"[{one.comm}]",
    "comm": lambda one: one.comm,
    "stat": lambda one: one.fields[0],
    "nice": lambda one: one.fields[16],
    "nlwp": lambda one: one.fields[17],
    "vsz": lambda one: str(int(one.fields[20]) // 1024),
    "rss": lambda one: str(_resident(one)),
    "%cpu": _share,
    "%mem": _memory,
}


def row(pid: int, columns: list[tuple[str, str]]) -> list[str]:
    """One line.  Raises OSError when the process is gone."""
    one = Process(pid)
    return [COLUMNS[name](one) for name, _ in columns]
