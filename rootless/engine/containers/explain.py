"""`explain`: a container is a process beside other processes, shown."""

from __future__ import annotations

import os

from rootless.network.backends import registry as networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_NAMESPACES = {
    "user": "which ids exist and what root means",
    "mnt": "which files are seen",
    "pid": "which processes are seen",
    "net": "which network devices, addresses and ports there are",
    "ipc": "shared memory and message queues",
    "uts": "the host name",
    "cgroup": "which part of the cgroup tree looks like its root",
    "time": "what the clocks of uptime show",
}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def explain(attrs: Json, pid: int, monitor: int | None) -> Json:
    """The picture as data: Process, Namespaces, Ids, Cgroup, Mounts, Network (JSON-ready)."""
    return {
        "Name": attrs["Name"].lstrip("/"),
        "Id": attrs["Id"],
        "Image": attrs["ImageName"],
        "Pid": pid,
        "MonitorPid": monitor or 0,
        "Processes": _tree(pid, monitor),
        "Namespaces": _namespaces(pid),
        "Ids": {
            "Uids": _extents(f"/proc/{pid}/uid_map"),
            "Gids": _extents(f"/proc/{pid}/gid_map"),
            "Why": attrs["IDMappings"].get("why", ""),
            "InsideToHost": _inside(f"/proc/{pid}/uid_map"),
            "HostToInside": _outside(f"/proc/{pid}/uid_map"),
        },
        "Cgroup": _cgroup(attrs, pid),
        "Mounts": _mounts(pid),
        "Driver": attrs["Driver"],
        "Network": _network(attrs, pid),
        "Rights": _rights(pid),
    }


# ------------------------------------------------------------ processes


def _process(pid: int) -> Json | None:
    text = _read(f"/proc/{pid}/stat")
    if not text:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    command = _read(f"/proc/{pid}/cmdline").rstrip("\0").replace("\0", " ")
    inside = ""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith("NSpid:"):
            numbers = line.split()[1:]
            inside = numbers[-1] if len(numbers) > 1 else ""
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        uid = -1
    return {
        "Pid": pid,
        "PidInside": int(inside) if inside else 0,
        "Parent": int(fields[1]),
        "Uid": uid,
        "Command": command or text[text.index("(") + 1 : text.rindex(")")],
    }


def _tree(pid: int, monitor: int | None) -> list[Json]:
    """The container's processes with what surrounds them, parents first, each with its depth."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            found = _process(int(name))
            if found:
                children.setdefault(found["Parent"], []).append(int(name))
    rows: list[Json] = []

    def add(one: int, depth: int) -> None:
        found = _process(one)
        if found:
            role = "monitor" if one == monitor else "container" if one == pid else ""
            rows.append({**found, "Depth": depth, "Role": role})
            for child in sorted(children.get(one, ())):
                add(child, depth + 1)

    add(monitor or pid, 0)
    return rows


# ------------------------------------------------------------ namespaces and ids


def _namespaces(pid: int) -> list[Json]:
    rows = []
    for name, meaning in _NAMESPACES.items():
        try:
            theirs = os.readlink(f"/proc/{pid}/ns/{name}")
            ours = os.readlink(f"/proc/self/ns/{name}")
        except OSError:
            continue
        rows.append(
            {"Type": name, "Id": theirs, "Yours": ours, "Shared": theirs == ours, "Means": meaning}
        )
    return rows


def _extents(path: str) -> list[list[int]]:
    return [[int(word) for word in line.split()] for line in _read(path).splitlines()]


def _inside(path: str) -> list[Json]:
    """Telling ids of the container and what they are on the host."""
    extents = _extents(path)
    made: list[Json] = []
    for number in (0, 1, 33, 1000, os.getuid()):
        for first, outside, size in extents:
            if first <= number < first + size and not any(one["Inside"] == number for one in made):
                made.append({"Inside": number, "Host": outside + number - first})
    return made


def _outside(path: str) -> list[Json]:
    """Ids of the host and what the container calls them; -1: nobody there."""
    made: list[Json] = []
    for number in (os.getuid(), 0):
        inside = -1
        for first, outside, size in _extents(path):
            if outside <= number < outside + size:
                inside = first + number - outside
        made.append({"Host": number, "Inside": inside})
    return made


# ------------------------------------------------------------ the rest


def _cgroup(attrs: Json, pid: int) -> Json:
    path = attrs["State"]["CgroupPath"]
    limits = {}
    for name in ("memory.max", "memory.current", "cpu.max", "pids.max", "pids.current"):
        text = _read(f"{path}/{name}").strip() if path else ""
        if text:
            limits[name] = text
    seen = [line for line in _read(f"/proc/{pid}/cgroup").splitlines() if line.startswith("0::")]
    return {"Path": path or (seen[0][3:] if seen else ""), "Own": bool(path), "Limits": limits}


def _mounts(pid: int) -> list[Json]:
    rows = []
    for line in _read(f"/proc/{pid}/mountinfo").splitlines():
        fields = line.split(" ")
        at = fields.index("-")
        rows.append(
            {
                "Target": fields[4],
                "Type": fields[at + 1],
                "Source": fields[at + 2] if fields[3] == "/" else fields[3],
                "ReadOnly": "ro" in fields[5].split(","),
            }
        )
    return rows


def _network(attrs: Json, pid: int) -> Json:
    from rootless.engine.common import humanize

    mode = attrs["HostConfig"]["NetworkMode"]
    ports = [
        f"{humanize.published(one)} -> {inner}"
        for inner, outer in attrs["NetworkSettings"]["Ports"].items()
        for one in outer
    ]
    devices = [
        line.split(":")[0].strip() for line in _read(f"/proc/{pid}/net/dev").splitlines()[2:]
    ]
    path = networks.recorded({"network": mode}).backend.picture
    return {"Mode": mode, "Path": path, "Ports": ports, "Devices": devices}


def _rights(pid: int) -> Json:
    table = dict(
        line.split(":\t", 1) for line in _read(f"/proc/{pid}/status").splitlines() if ":\t" in line
    )
    return {
        "Capabilities": table.get("CapBnd", ""),
        "Seccomp": {"0": "none", "1": "strict", "2": "filter"}.get(table.get("Seccomp", ""), ""),
        "NoNewPrivileges": table.get("NoNewPrivs", "") == "1",
    }


# ------------------------------------------------------------ as text


def render(picture: Json) -> str:
    """Return the picture as text."""
    parts = [
        f"{picture['Name']} ({picture['Id'][:12]}), image {picture['Image']}",
        "",
        "PROCESSES: on this host, beside yours; in brackets what the container calls them",
        *map(_process_line, picture["Processes"]),
        "",
        "NAMESPACES: what the container has of its own, and what it shares with this shell",
    ]
    for row in picture["Namespaces"]:
        shared = "shared" if row["Shared"] else "own   "
        parts.append(f"  {row['Type']:7} {shared}  {row['Means']}")
    parts += ["", f"IDS: {picture['Ids']['Why']}"]
    for one in picture["Ids"]["InsideToHost"]:
        parts.append(f"  inside {one['Inside']:<10} is  {one['Host']} on the host")
    for one in picture["Ids"]["HostToInside"]:
        inside = one["Inside"] if one["Inside"] >= 0 else "nobody (65534)"
        parts.append(f"  host   {one['Host']:<10} is  {inside} inside")
    group = picture["Cgroup"]
    own = "its own" if group["Own"] else "none of its own: no limits; it is counted in"
    parts += ["", f"CGROUP: {own} {group['Path']}"]
    parts += [f"  {name} = {value}" for name, value in group["Limits"].items()]
    parts += ["", f"FILES: driver {picture['Driver']}"]
    for row in picture["Mounts"]:
        if not row["Target"].startswith(("/dev/", "/proc/", "/sys/")):
            ro = " (read-only)" if row["ReadOnly"] else ""
            parts.append(f"  {row['Target']:20} {row['Type']:10} {row['Source'][:90]}{ro}")
    network = picture["Network"]
    parts += ["", f"NETWORK: {network['Mode']}: {network['Path']}"]
    parts.append(f"  devices: {' '.join(network['Devices'])}")
    parts += [f"  port {one}" for one in network["Ports"]]
    rights = picture["Rights"]
    parts += [
        "",
        f"RIGHTS: capabilities {rights['Capabilities']} (inside), seccomp {rights['Seccomp']}, "
        f"no_new_privs {'on' if rights['NoNewPrivileges'] else 'off'}",
    ]
    return "\n".join(parts) + "\n"


def _process_line(row: Json) -> str:
    inside = f" [{row['PidInside']}]" if row["PidInside"] else ""
    role = f"   <- the {row['Role']}" if row["Role"] else ""
    command = row["Command"] if len(row["Command"]) < 60 else row["Command"][:57] + "..."
    return f"  {'  ' * row['Depth']}{row['Pid']}{inside} uid {row['Uid']}  {command}{role}"
