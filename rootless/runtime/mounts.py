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
MS_SLAVE = 1 << 19
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
# the same for everything below as well: `rro`, `rnosuid`, ...
_RECURSIVE = {"r" + name: bits for name, (_, bits) in _FLAGS.items() if bits}
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
# what a new mount is anyway, or, for a bind, what a mount of another user namespace may not lose
_IGNORABLE = _CLEARED | {"r" + name for name in _CLEARED} | set(_PROPAGATION)
_NO_IDMAP = (
    "mounts[{}]: an idmapped mount of a file system of the host is root's; the kernel refuses it"
)
_LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/core"),
    ("pts/ptmx", "/dev/ptmx"),
)
NODES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")


def propagation(word: str) -> int:
    """mount(2) flags of `rshared` and kin."""
    return _PROPAGATION[word] | (MS_REC if word.startswith("r") else 0)


def operations(config: Json, *, new_pid: bool, own_net: bool) -> list[Record]:
    """Operations for `mounts`.  Raises UsageError for a mount that lacks what it needs."""
    made: list[Record] = []
    for number, mount in enumerate(config.get("mounts") or ()):
        if not mount.get("destination", "").startswith("/"):
            raise UsageError(
                f'mounts[{number}].destination: "{mount.get("destination", "")}" is not absolute'
            )
        made.append(_operation(mount, number, new_pid=new_pid, own_net=own_net))
    return made


def _operation(mount: Json, number: int, *, new_pid: bool, own_net: bool) -> Record:
    kind = mount.get("type") or "bind"
    options = list(mount.get("options") or ())
    # a kernel file system can only be mounted by who owns the namespace that it shows; where that
    # is the host's, what the host shows is bound instead
    if (kind == "proc" and not new_pid) or (kind == "sysfs" and not own_net):
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
    copied = "tmpcopyup" in options
    if copied and kind != "tmpfs":
        raise UsageError(f"mounts[{number}].options: tmpcopyup is for a tmpfs, not for {kind}")
    for option in options:
        if option in _FLAGS:
            flags |= _FLAGS[option][0]
        elif option in _RECURSIVE:
            attributes |= _RECURSIVE[option]
        elif option in ("idmap", "ridmap"):
            raise UsageError(_NO_IDMAP.format(number))
        elif option not in _IGNORABLE and option != "tmpcopyup":
            data.append(option)
    if kind == "cgroup":
        kind = "cgroup2"
        data = []
    source = mount.get("source") or kind
    return (
        "mount",
        (source, mount["destination"], kind, str(flags), ",".join(data), str(attributes))
        + (("1",) if copied else ()),
    )


def _bind(mount: Json, options: list[str], number: int) -> Record:
    if not mount.get("source"):
        raise UsageError(f"mounts[{number}].source: a bind mount needs one")
    attributes = 0
    below = 0
    propagation = ""
    recursive = "0"
    if mount.get("uidMappings") or mount.get("gidMappings"):
        raise UsageError(_NO_IDMAP.format(number))
    for option in options:
        if option in _FLAGS:
            attributes |= _FLAGS[option][1]
        elif option in _RECURSIVE:
            below |= _RECURSIVE[option]
        elif option in ("idmap", "ridmap"):
            raise UsageError(_NO_IDMAP.format(number))
        elif option in _PROPAGATION:
            propagation = str(_PROPAGATION[option])
        elif option == "rbind":
            recursive = "1"
        elif option not in _IGNORABLE and option != "bind":
            raise UsageError(f'mounts[{number}].options: unknown option "{option}" of a bind mount')
    return (
        "bind",
        (mount["source"], mount["destination"], "auto", str(attributes), recursive, propagation)
        + ((str(below),) if below else ()),
    )


def devices(config: Json) -> list[Record]:
    """Operations for the standard device nodes and links, and for `linux.devices`.

    In a user namespace nodes cannot be made: the host's are bound.
    """
    if not any(mount["destination"] == "/dev" for mount in config.get("mounts") or ()):
        return []
    extra = [device["path"] for device in config["linux"].get("devices") or ()]
    made: list[Record] = [("devices", NODES)]
    for path in extra:
        if path not in NODES:
            made.append(("bind", (path, path, "auto", "0", "0", "")))
    made += [("symlink", link) for link in _LINKS]
    if config["process"].get("terminal"):
        made.append(("bind", ("/dev/null", "/dev/console", "auto", "0", "0", "")))
    return made


def known_options() -> list[str]:
    """Every option of a mount that means something here."""
    return sorted({*_FLAGS, *_RECURSIVE, *_IGNORABLE, "bind", "rbind", "tmpcopyup"})
