"""The mounts and device nodes of an OCI configuration, as operations of a launch plan."""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.runtime.records import Record

MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
ATTR_RDONLY = 1

# mount(2) flags, and the same as mount_setattr(2) attributes for binds
_FLAGS = {
    "ro": (1, 1),
    "nosuid": (2, 2),
    "nodev": (4, 4),
    "noexec": (8, 8),
    "sync": (16, 0),
    "dirsync": (128, 0),
    "noatime": (1024, 0x10),
    "nodiratime": (2048, 0x80),
    "relatime": (1 << 21, 0),
    "strictatime": (1 << 24, 0x20),
}
_CLEARED = {"rw", "suid", "dev", "exec", "async", "atime", "diratime", "norelatime", "defaults"}
_PROPAGATION = {
    "private": 1 << 18,
    "rprivate": 1 << 18,
    "slave": 1 << 19,
    "rslave": 1 << 19,
    "shared": 1 << 20,
    "rshared": 1 << 20,
    "unbindable": 1 << 17,
    "runbindable": 1 << 17,
}
_LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/core"),
    ("pts/ptmx", "/dev/ptmx"),
)
NODES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")


def operations(config: Json, *, new_pid: bool, new_net: bool) -> list[Record]:
    """Operations for `mounts`.  Raises UsageError for a mount that lacks what it needs."""
    made: list[Record] = []
    for number, mount in enumerate(config.get("mounts", ())):
        if not mount.get("destination", "").startswith("/"):
            raise UsageError(
                f'mounts[{number}].destination: "{mount.get("destination", "")}" is not absolute'
            )
        made.append(_operation(mount, number, new_pid=new_pid, new_net=new_net))
    return made


def _operation(mount: Json, number: int, *, new_pid: bool, new_net: bool) -> Record:
    kind = mount.get("type") or "bind"
    options = list(mount.get("options", ()))
    # a kernel file system can only be mounted by who owns the namespace that it shows; where that
    # is the host's, what the host shows is bound instead
    if (kind == "proc" and not new_pid) or (kind == "sysfs" and not new_net):
        source = "/proc" if kind == "proc" else "/sys"
        kept = [one for one in options if one in _FLAGS]
        return _bind(
            {"source": source, "destination": mount["destination"]}, ["rbind", *kept], number
        )
    if kind == "bind" or "bind" in options or "rbind" in options:
        return _bind(mount, options, number)
    flags = 0
    attributes = 0
    data = []
    for option in options:
        if option in _FLAGS:
            flags |= _FLAGS[option][0]
        elif option not in _CLEARED and option not in _PROPAGATION and option != "tmpcopyup":
            data.append(option)
    if kind == "cgroup":
        kind = "cgroup2"
        data = []
    source = mount.get("source") or kind
    return (
        "mount",
        (source, mount["destination"], kind, str(flags), ",".join(data), str(attributes)),
    )


def _bind(mount: Json, options: list[str], number: int) -> Record:
    if not mount.get("source"):
        raise UsageError(f"mounts[{number}].source: a bind mount needs one")
    attributes = 0
    propagation = ""
    recursive = "0"
    for option in options:
        if option in _FLAGS:
            attributes |= _FLAGS[option][1]
        elif option in _PROPAGATION:
            propagation = str(_PROPAGATION[option])
        elif option == "rbind":
            recursive = "1"
        elif option not in _CLEARED and option != "bind":
            raise UsageError(f'mounts[{number}].options: unknown option "{option}" of a bind mount')
    return (
        "bind",
        (mount["source"], mount["destination"], "auto", str(attributes), recursive, propagation),
    )


def devices(config: Json) -> list[Record]:
    """Operations for the standard device nodes and links, and for `linux.devices`.

    In a user namespace nodes cannot be made: the host's are bound.
    """
    if not any(mount["destination"] == "/dev" for mount in config.get("mounts", ())):
        return []
    extra = [device["path"] for device in config["linux"].get("devices", ())]
    made: list[Record] = [("devices", NODES)]
    for path in extra:
        if path not in NODES:
            made.append(("bind", (path, path, "auto", "0", "0", "")))
    made += [("symlink", link) for link in _LINKS]
    if config["process"].get("terminal"):
        made.append(("bind", ("/dev/null", "/dev/console", "auto", "0", "0", "")))
    return made
