"""The mounts and device nodes of an OCI configuration, as operations of a launch plan."""

from __future__ import annotations

from rootless.errors import UsageError
from rootless.runtime import operations as plan_operations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.runtime.plan_format import Record

MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
ATTR_RDONLY = 1

# word: (mount(2) flag, mount_setattr(2) attribute).  What has no attribute belongs to a file system
# and not to a mount: it holds for a new one, and a bind shares what the file system has.
_FLAGS = {
    "ro": (1, 1),
    "nosuid": (2, 2),
    "nodev": (4, 4),
    "noexec": (8, 8),
    "sync": (16, 0),
    "remount": (32, 0),
    "mand": (64, 0),
    "dirsync": (128, 0),
    "nosymfollow": (256, 0x200000),
    "noatime": (1024, 0x10),
    "nodiratime": (2048, 0x80),
    "silent": (1 << 15, 0),
    "relatime": (1 << 21, 0),
    "iversion": (1 << 23, 0),
    "strictatime": (1 << 24, 0x20),
    "lazytime": (1 << 25, 0),
}
# word: what it takes back
_CLEARED = {
    "rw": "ro", "suid": "nosuid", "dev": "nodev", "exec": "noexec", "async": "sync",
    "nomand": "mand", "symfollow": "nosymfollow", "atime": "noatime", "diratime": "nodiratime",
    "loud": "silent", "norelatime": "relatime", "noiversion": "iversion",
    "nostrictatime": "strictatime", "nolazytime": "lazytime",
}  # fmt: skip
_ATIME = 0x70
"""MOUNT_ATTR__ATIME: the way of access times is one of several values."""
# the same for everything below as well: `rro`, `rnosuid`, ...
_RECURSIVE = {"r" + name: bits for name, (_, bits) in _FLAGS.items() if bits} | {"rrelatime": 0}
_RECURSIVE_CLEARED = {"r" + word for word, of in _CLEARED.items() if "r" + of in _RECURSIVE}
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
_BINDS = ("bind", "rbind")


class _Options:
    """Options of one mount, read from the first to the last: a later word takes back an earlier.

    `flags` are mount(2)'s; the others attributes of mount_setattr(2), for this mount alone and for
    all below; `data` is what the file system may know.
    """

    def __init__(self, words: list[str]) -> None:
        self.flags = 0
        self.set, self.clear = 0, 0
        self.below, self.clear_below = 0, 0
        self.propagation = ""
        self.recursive = False
        self.copied = False
        self.idmap = ""
        self.data: list[str] = []
        for word in words:
            self._take(word)

    def _take(self, word: str) -> None:
        if word in _FLAGS:
            flag, bits = _FLAGS[word]
            self.flags |= flag
            times = bits & _ATIME or word == "relatime"
            self.set = self.set & ~(_ATIME if times else 0) | bits
            self.clear = self.clear & ~bits | (_ATIME if word == "relatime" else 0)
        elif word in _CLEARED:
            flag, bits = _FLAGS[_CLEARED[word]]
            self.flags &= ~flag
            self.set &= ~bits
            self.clear |= bits
        elif word in _RECURSIVE:
            self.below |= _RECURSIVE[word]
            self.clear_below |= _ATIME if word == "rrelatime" else 0
        elif word in _RECURSIVE_CLEARED:
            bits = _FLAGS[_CLEARED[word[1:]]][1]
            self.below &= ~bits
            self.clear_below |= bits
        elif word in _PROPAGATION:
            self.propagation = str(propagation(word))
        elif word in _BINDS:
            self.recursive = self.recursive or word == "rbind"
        elif word == "tmpcopyup":
            self.copied = True
        elif word in ("idmap", "ridmap"):
            self.idmap = word
        elif word != "defaults":
            self.data.append(word)


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


def target(mount: Json) -> str:
    """Where it goes.  The specification takes a relative path for one below the root."""
    destination: str = mount["destination"]
    return destination if destination.startswith("/") else "/" + destination


def is_bind(mount: Json) -> bool:
    """Whether it shows a file or directory of the host."""
    options = mount.get("options") or ()
    return (mount.get("type") or "bind") == "bind" or any(word in options for word in _BINDS)


def operations(
    config: Json, *, own_pid: bool, own_net: bool, covered_proc: bool = False
) -> list[Record]:
    """Operations for `mounts`.  Raises UsageError for a mount that lacks what it needs.

    `own_pid`, `own_net`: these namespaces are not the host's; new, or another container's.
    `covered_proc`: a new procfs is refused here (host.covered_in).
    """
    made: list[Record] = []
    linux = config["linux"]
    for number, mount in enumerate(config.get("mounts") or ()):
        if covered_proc and own_pid and mount.get("type") == "proc":
            made.append(_covered_proc(mount, number, linux))
            continue
        made.append(_operation(mount, number, linux, own_pid=own_pid, own_net=own_net))
    return made


def _operation(mount: Json, number: int, linux: Json, *, own_pid: bool, own_net: bool) -> Record:
    kind = mount.get("type") or "bind"
    words = list(mount.get("options") or ())
    # a kernel file system can only be mounted by who owns the namespace that it shows; where that
    # is the host's, what the host shows is bound instead
    if (kind == "proc" and not own_pid) or (kind == "sysfs" and not own_net):
        source = "/proc" if kind == "proc" else "/sys"
        shown = {"source": source, "destination": mount["destination"]}
        return _bind(shown, _Options(["rbind", *words]), number, linux)
    found = _Options(words)
    if is_bind(mount) and not found.flags & _FLAGS["remount"][0]:
        return _bind(mount, found, number, linux)
    if found.idmap or mount.get("uidMappings") or mount.get("gidMappings"):
        where = f"mounts[{number}].{'options' if found.idmap else 'uidMappings'}"
        raise UsageError(f"{where}: only a bind mount can have mappings of its own")
    if found.copied and kind != "tmpfs":
        raise UsageError(f"mounts[{number}].options: tmpcopyup is for a tmpfs, not for {kind}")
    if kind == "cgroup":
        kind = "cgroup2"
        for word in found.data:
            raise UsageError(f'mounts[{number}].options: "{word}" is an option of cgroup version 1')
    data = list(found.data)
    if linux.get("mountLabel") and kind not in ("proc", "sysfs", "cgroup2"):
        data.append(f'context="{linux["mountLabel"]}"')
    flags = found.flags | (MS_BIND if is_bind(mount) else 0)
    below = found.below
    if found.copied and flags & ATTR_RDONLY:
        # only after what is copied up has been written
        flags, below = flags & ~ATTR_RDONLY, below | ATTR_RDONLY
    return plan_operations.mount(
        mount.get("source") or kind,
        target(mount),
        kind,
        flags=flags,
        data=",".join(data),
        attributes=below,
        copy_up=found.copied,
        propagation=found.propagation,
    )


def _covered_proc(mount: Json, number: int, linux: Json) -> Record:
    """The /proc around, with what is covered there.

    It shows processes that are not the container's, and some of these are of the same user of the
    host: /proc/PID/oom_score_adj and its like would be theirs.  So it is read-only, with all that
    is mounted below.  Their memory, environment and files are guarded by the kernel, for which a
    process of another user namespace is nobody's to trace.
    """
    shown = {"source": "/proc", "destination": mount["destination"]}
    return _bind(shown, _Options(["rbind", *(mount.get("options") or ()), "ro"]), number, linux)


def _bind(mount: Json, found: _Options, number: int, linux: Json) -> Record:
    if not mount.get("source"):
        raise UsageError(f"mounts[{number}].source: a bind mount needs one")
    for word in found.data:
        raise UsageError(f'mounts[{number}].options: unknown option "{word}" of a bind mount')
    if found.copied:
        raise UsageError(f"mounts[{number}].options: tmpcopyup is for a tmpfs, not for a bind")
    maps = ("", "")
    if found.idmap or mount.get("uidMappings") or mount.get("gidMappings"):
        maps = (
            _mapping(mount, "uidMappings", number, linux),
            _mapping(mount, "gidMappings", number, linux),
        )
    return plan_operations.bind(
        mount["source"],
        target(mount),
        attributes=found.set,
        recursive=found.recursive,
        propagation=found.propagation,
        below=found.below,
        clear=found.clear,
        clear_below=found.clear_below,
        maps=maps,
        map_below=found.idmap == "ridmap",
    )


def _mapping(mount: Json, name: str, number: int, linux: Json) -> str:
    """A map as /proc/PID/uid_map takes it: the mount's own, or the container's."""
    found = mount.get(name) or linux.get(name)
    if not found:
        raise UsageError(
            f"mounts[{number}].{name}: is missing, and the container has none to take them from"
        )
    return "".join(f"{one['containerID']} {one['hostID']} {one['size']}\n" for one in found)


def devices(config: Json) -> list[Record]:
    """Operations for the standard device nodes and links, and for `linux.devices`.

    In a user namespace nodes cannot be made: the host's are bound.  A /dev of the host's has its
    own.  Source: runtime-spec config-linux.md, "Devices", "Default Devices".
    """
    wanted: list[Record] = []
    for device in config["linux"].get("devices") or ():
        path = device["path"]
        if device["type"] == "p":
            wanted.append(_fifo(device))
        elif path not in NODES or device.get("source"):
            wanted.append(plan_operations.bind(device.get("source") or path, path))
    dev = [mount for mount in config.get("mounts") or () if target(mount).rstrip("/") == "/dev"]
    if any(is_bind(mount) for mount in dev):
        return wanted
    made: list[Record] = [plan_operations.devices(NODES), *wanted]
    made += [plan_operations.symlink(*link) for link in _LINKS]
    if config["process"].get("terminal"):
        made.append(plan_operations.bind("/dev/null", "/dev/console"))
    return made


def _fifo(device: Json) -> Record:
    mode = device.get("fileMode")
    mode = 0o666 if mode is None else mode & 0o7777
    return plan_operations.fifo(device["path"], mode, device.get("uid"), device.get("gid"))


def known_options() -> list[str]:
    """Every option of a mount that means something here."""
    others = ("defaults", "tmpcopyup", "idmap", "ridmap")
    return sorted(
        {*_FLAGS, *_CLEARED, *_RECURSIVE, *_RECURSIVE_CLEARED, *_PROPAGATION, *_BINDS, *others}
    )
