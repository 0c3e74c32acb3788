"""What `volume create -o` says, by the words of mount(8) as docker and podman take them.

    type=tmpfs|none|bind   device=PATH|tmpfs   o=bind,ro,size=64m,uid=1000,mode=0750,...

Source: docker-volume-create(1), podman-volume-create(1), tmpfs(5).
"""

from __future__ import annotations

import os

from rootless.errors import HostError, UsageError

_FLAGS = (
    "ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "private", "rprivate", "shared",
    "rshared", "slave", "rslave",
)  # fmt: skip
_TMPFS = ("size", "mode", "nr_inodes", "uid", "gid")


class VolumeOptions:
    """`kind`: directory, bind or tmpfs; `device`: the directory of the host that is bound;
    `flags`: for the mount; `owner`: container ids that get a new directory, or None; `copy`: an
    empty volume receives what the image has at its place."""

    __slots__ = ("copy", "device", "flags", "kind", "owner")

    def __init__(self) -> None:
        self.kind = "directory"
        self.device = ""
        self.flags: list[str] = []
        self.owner: tuple[int, int] | None = None
        self.copy = True


def parse(options: dict[str, str]) -> VolumeOptions:
    """Raises UsageError for what is not understood, HostError for what needs an administrator."""
    made = VolumeOptions()
    for name in options:
        if name not in ("type", "device", "o", "copy", "nocopy", "size"):
            raise UsageError(f'unknown volume option "{name}"', hint="type=, device= and o=")
    kind = options.get("type", "none" if "device" in options else "")
    device = options.get("device", "")
    words = [one for one in options.get("o", "").split(",") if one]
    made.copy = "nocopy" not in options
    if "size" in options:
        words.append(f"size={options['size']}")
    if kind == "tmpfs":
        made.kind = "tmpfs"
        made.copy = False
    elif kind in ("none", "bind") or "bind" in words or "rbind" in words:
        made.kind = "bind"
        made.device = _directory(device)
    elif kind:
        raise HostError(
            f"a volume of type={kind} cannot be had: users may not mount that file system",
            hint="let the administrator mount it, then: -o type=none -o o=bind -o device=DIRECTORY",
        )
    ids: dict[str, int] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if word in ("bind", "rbind") and made.kind == "bind":
            continue
        if word in _FLAGS:
            made.flags.append(word)
        elif name in ("uid", "gid") and value.isdigit() and made.kind == "directory":
            ids[name] = int(value)
        elif made.kind == "tmpfs" and name in _TMPFS and equals and value:
            made.flags.append(word)
        elif name == "size":
            raise HostError(
                f"a volume of {value} cannot be had: a quota is the administrator's to set",
                hint="-o type=tmpfs -o o=size=64m has a size, and is empty in each container",
            )
        else:
            raise UsageError(
                f'unknown volume option "o={word}"',
                hint="ro, nosuid, nodev, noexec, uid=, gid=; size= and mode= with type=tmpfs",
            )
    if ids:
        made.owner = (ids.get("uid", 0), ids.get("gid", 0))
    return made


def _directory(device: str) -> str:
    if not device:
        raise UsageError("the volume is bound to nothing", hint="-o device=/a/directory")
    if not device.startswith("/"):
        raise UsageError(
            f'the device "{device}" is not an absolute path', hint="-o device=/a/directory"
        )
    if not os.path.isdir(device):
        raise UsageError(
            f"the directory {device} of the volume does not exist",
            hint=f"make it first: mkdir -p {device}",
        )
    # without links from now on: see `Root` of storage.transfer
    return os.path.realpath(device)
