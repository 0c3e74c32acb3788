"""What containers use: figures of a cgroup, or of processes where there is no cgroup.

Sources: cgroup-v2.rst (cpu.stat, memory.stat, io.stat, PSI), proc(5).
"""

from __future__ import annotations

import os

from rootless.cgroups import tree


class Figures:
    """One look.  Microseconds, bytes, counts; None if that is not counted here.

    `source` is "cgroup" or "proc"; from /proc, memory that processes share counts for each part of
    it once (PSS), and processes that have ended are not counted.
    """

    __slots__ = ("cpu", "memory", "memory_limit", "pids", "pids_limit", "pressure", "read",
                 "source", "written")  # fmt: skip

    def __init__(self, source: str) -> None:
        self.source = source
        self.cpu = 0
        self.memory: int | None = None
        self.memory_limit: int | None = None
        self.pids: int | None = None
        self.pids_limit: int | None = None
        self.read: int | None = None
        self.written: int | None = None
        self.pressure: dict[str, float] = {}


def _table(path: str) -> dict[str, int]:
    found = {}
    for line in tree.get(path).splitlines():
        name, _, value = line.partition(" ")
        if value.isdigit():
            found[name] = int(value)
    return found


def _number(path: str) -> int | None:
    text = tree.get(path).strip()
    return int(text) if text.isdigit() else None


def of_cgroup(path: str) -> Figures:
    """Return figures of the cgroup at `path`; those whose controller is not there come from
    /proc."""
    found = Figures("cgroup")
    found.cpu = _table(path + "/cpu.stat").get("usage_usec", 0)
    current = _number(path + "/memory.current")
    if current is not None:
        # pages of files that could be dropped at once are not counted, as docker does
        inactive = _table(path + "/memory.stat").get("inactive_file", 0)
        found.memory = max(0, current - inactive)
        found.memory_limit = _number(path + "/memory.max")
    found.pids = _number(path + "/pids.current")
    found.pids_limit = _number(path + "/pids.max")
    if os.path.exists(path + "/io.stat"):
        found.read = found.written = 0
        for line in tree.get(path + "/io.stat").splitlines():
            for word in line.split()[1:]:
                name, _, value = word.partition("=")
                if name == "rbytes":
                    found.read += int(value)
                elif name == "wbytes":
                    found.written += int(value)
    for kind in ("cpu", "memory", "io"):
        for line in tree.get(f"{path}/{kind}.pressure").splitlines():
            if line.startswith("some avg10="):
                found.pressure[kind] = float(line.split()[1].partition("=")[2])
    return found


def of_processes(pids: list[int]) -> Figures:
    """Return the same from /proc, as far as it goes."""
    found = Figures("proc")
    ticks = os.sysconf("SC_CLK_TCK")
    found.memory, found.pids = 0, 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                text = file.read()
        except OSError:
            continue
        fields = text[text.rindex(b")") + 2 :].split()
        found.pids += int(fields[17])
        found.cpu += (int(fields[11]) + int(fields[12])) * 1000000 // ticks
        found.memory += _pss(pid, int(fields[21]))
        for line in tree.get(f"/proc/{pid}/io").splitlines():
            name, _, value = line.partition(": ")
            if name == "read_bytes":
                found.read = (found.read or 0) + int(value)
            elif name == "write_bytes":
                found.written = (found.written or 0) + int(value)
    return found


def _pss(pid: int, resident: int) -> int:
    for line in tree.get(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    # a process whose memory we may not look at: what is resident
    return resident * os.sysconf("SC_PAGE_SIZE")


def network(pid: int) -> tuple[int, int]:
    """Return bytes received and sent by the interfaces of a process's network, without the
    loopback."""
    received = sent = 0
    for line in tree.get(f"/proc/{pid}/net/dev").splitlines()[2:]:
        name, _, rest = line.partition(":")
        fields = rest.split()
        if name.strip() != "lo" and len(fields) > 8:
            received += int(fields[0])
            sent += int(fields[8])
    return received, sent
