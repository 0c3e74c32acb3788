"""`-v`, `--mount`, `--tmpfs` and the image's VOLUMEs -> OCI mounts and preparations."""

from __future__ import annotations

import os

from rootless.engine.spec import mount_words
from rootless.engine.spec.option_values import truth as option_truth
from rootless.errors import UsageError
from rootless.runtime import operations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NotRequired, TypedDict

    from rootless.documents import Json
    from rootless.engine.spec.options import ContainerOptions
    from rootless.runtime.plan_format import Record
    from rootless.storage.volumes.store import Volumes

    class MountRecord(TypedDict):
        """A mount as container.json keeps it and inspect shows it."""

        Type: str
        Name: NotRequired[str]
        Source: str
        Destination: str
        Driver: NotRequired[str]
        Mode: str
        RW: bool
        Propagation: str
        Layers: NotRequired[list[str]]  # of an image

    class MountsRecord(TypedDict):
        """What the record of a container says of its mounts."""

        mounts: list[MountRecord]


_FLAGS = {
    "ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "private", "rprivate", "shared",
    "rshared", "slave", "rslave", "unbindable", "runbindable", "bind", "rbind",
}  # fmt: skip
_IGNORED = {"z", "Z", "cached", "delegated", "consistent", "copy", "relabel"}


class MountedImage:
    """An image for `--mount type=image`: its id, its layers, and where these are, topmost first."""

    __slots__ = ("directories", "identity", "layers")

    def __init__(self, identity: str, layers: list[str], directories: list[str]) -> None:
        self.identity = identity
        self.layers = layers
        self.directories = directories


class Binds:
    """What the mounts of a container come to.

    `mounts`: OCI mounts; `preparations`: plan operations before them, which copy up to `filled`
    (directory and record of volumes) and give `given` to the container's user; `described`: what
    `inspect` shows; `anonymous`: volumes that go with the container; `made`: volumes that were made
    for it.
    """

    __slots__ = (
        "anonymous",
        "described",
        "directory",
        "filled",
        "find_image",
        "given",
        "made",
        "mounts",
        "preparations",
        "volumes",
        "owner",
    )

    def __init__(
        self,
        volumes: Volumes,
        directory: str,
        owner: tuple[int, int],
        find_image: Callable[[str], MountedImage] | None = None,
    ) -> None:
        self.find_image = find_image
        self.volumes = volumes
        self.directory = directory
        self.owner = owner
        self.mounts: list[Json] = []
        self.preparations: list[Record] = []
        self.filled: list[tuple[str, str]] = []
        self.given: list[str] = []
        self.described: list[MountRecord] = []
        self.anonymous: list[str] = []
        self.made: list[str] = []

    def add(self, source: str, target: str, options: list[str]) -> None:
        """One volume or bind mount.  Raises UsageError."""
        target = _place(target)
        flags, own, layered, copy = _sort(options)
        in_memory: list[str] | None = None
        if source.startswith(("/", ".", "~")):
            path = os.path.abspath(os.path.expanduser(source))
            if not os.path.exists(path):
                raise UsageError(
                    f"the path {path} of the mount {target} does not exist on the host",
                    hint=f"make it first: mkdir -p {path}",
                )
            kind, name = "bind", ""
        else:
            kind = "volume"
            name = source
            if not source:
                name = os.urandom(32).hex()
                self.anonymous.append(name)
            if not os.path.isdir(self.volumes.directory(name)):
                self.made.append(name)
            path, asked = self.volumes.ensure(name, anonymous=not source)
            flags = [*asked.flags, *flags]
            if asked.kind == "tmpfs":
                in_memory = flags
            elif copy and asked.copy:
                # docker's rule: an empty volume receives what the image has at that place
                record = self.volumes.fills(name, path)
                if record:
                    keeps = bool(asked.owner)
                    self.filled.append((path, record))
                    self.preparations.append(
                        operations.copy_up(target, path, record, keep_owner=keeps)
                    )
        if own and in_memory is None:
            uid, gid = self.owner
            self.given.append(path)
            self.preparations.append(operations.chown(path, uid, gid))
        if in_memory is not None:
            if own and not any(one.startswith(("uid=", "gid=")) for one in in_memory):
                in_memory += [f"uid={self.owner[0]}", f"gid={self.owner[1]}"]
            self.mounts.append(
                {"type": "tmpfs", "source": "tmpfs", "destination": target, "options": in_memory}
            )
        elif layered:
            self._overlay(path, target)
        else:
            self.mounts.append(
                {
                    "type": "bind",
                    "source": path,
                    "destination": target,
                    "options": ["bind" if "bind" in flags else "rbind", *flags],
                }
            )
        described: MountRecord = {
            "Type": kind,
            "Name": name,
            "Source": path,
            "Destination": target,
            "Driver": "local" if name else "",
            "Mode": ",".join(options),
            "RW": "ro" not in flags,
            "Propagation": "rprivate",
        }
        if not name:
            del described["Name"]
        self.described.append(described)

    def _overlay(self, lower: str, target: str) -> None:
        base = os.path.join(self.directory, "overlays", str(len(self.mounts)))
        for part in ("upper", "work"):
            os.makedirs(os.path.join(base, part), 0o755)
        data = (
            f"lowerdir={_escape(lower)},upperdir={_escape(base)}/upper,workdir={_escape(base)}/work"
        )
        self.mounts.append(
            {
                "type": "overlay",
                "source": "overlay",
                "destination": target,
                "options": [*data.split(","), "userxattr"],
            }
        )

    def image(self, name: str, target: str, options: list[str]) -> None:
        """The files of an image: as they are, or with `rw` changed for this container alone."""
        target = _place(target)
        if self.find_image is None:
            raise UsageError("--mount type=image is offered by run and create alone")
        found = self.find_image(name)
        writable = "rw" in options
        flags = [one for one in options if one != "rw"]
        if len(found.directories) == 1 and not writable:
            mount: Json = {"type": "bind", "source": found.directories[0], "destination": target,
                           "options": ["rbind", *flags]}  # fmt: skip
        else:
            lowers = ":".join(_escape(one) for one in found.directories)
            data = f"lowerdir={lowers}"
            if writable:
                base = os.path.join(self.directory, "overlays", str(len(self.mounts)))
                for part in ("upper", "work"):
                    os.makedirs(os.path.join(base, part), 0o755)
                data += f",upperdir={_escape(base)}/upper,workdir={_escape(base)}/work"
            mount = {"type": "overlay", "source": "overlay", "destination": target,
                     "options": [*data.split(","), "userxattr", *flags]}  # fmt: skip
        self.mounts.append(mount)
        self.described.append(
            {
                "Type": "image",
                "Source": found.identity,
                "Destination": target,
                "Mode": ",".join(options),
                "RW": writable,
                "Propagation": "rprivate",
                "Layers": found.layers,
            }
        )

    def in_memory(self, kind: str, target: str, options: list[str]) -> None:
        """A tmpfs, a ramfs, or terminals of its own (devpts)."""
        if "U" in options:
            options = [one for one in options if one != "U"]
            options += [f"uid={self.owner[0]}", f"gid={self.owner[1]}"]
        if kind == "tmpfs":
            self.tmpfs(target, options)
            return
        target = _place(target)
        if kind == "devpts":
            base = ["nosuid", "noexec", "newinstance", "ptmxmode=0666"]
            options = options if any(one[:5] == "mode=" for one in options) else [
                *options, "mode=0620"]  # fmt: skip
        else:
            base = ["nosuid", "nodev"]
            # it knows no size: nothing is ever thrown out of it
            options = [one for one in options if one[:5] == "mode=" or "=" not in one]
        self.mounts.append(
            {"type": kind, "source": kind, "destination": target, "options": [*base, *options]}
        )
        self._describe_memory(kind, target, options)

    def tmpfs(self, target: str, options: list[str]) -> None:
        """One tmpfs; docker's defaults."""
        if not target.startswith("/"):
            raise UsageError(f'the tmpfs target "{target}" is not an absolute path')
        copied = any(one in ("copyup", "tmpcopyup") for one in options)
        kept = [one for one in options if one not in ("rw", "copyup", "tmpcopyup", "notmpcopyup")]
        known = [one for one in ("exec", "suid", "dev") if one in kept]
        base = [one for one in ("noexec", "nosuid", "nodev") if one[2:] not in known]
        extra = [one for one in kept if one not in known and one not in base]
        if copied:
            # with what the image has there comes its mode, unless another one was given
            extra.append("tmpcopyup")
        elif not any(one.startswith("mode=") for one in extra):
            extra.append("mode=1777")
        self.mounts.append(
            {"type": "tmpfs", "source": "tmpfs", "destination": target, "options": base + extra}
        )
        self._describe_memory("tmpfs", target, options)

    def _describe_memory(self, kind: str, target: str, options: list[str]) -> None:
        self.described.append(
            {
                "Type": kind,
                "Source": "",
                "Destination": target,
                "Mode": ",".join(options),
                "RW": "ro" not in options,
                "Propagation": "",
            }  # fmt: skip
        )


def _place(target: str) -> str:
    """Where something is to be mounted.  Raises UsageError."""
    if not target.startswith("/"):
        raise UsageError(
            f'the mount target "{target}" is not an absolute path',
            hint="as in -v /on/the/host:/in/the/container",
        )
    target = os.path.normpath(target)
    if target == "/":
        raise UsageError('a mount cannot cover "/"')
    return target


def _escape(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def _sort(options: list[str]) -> tuple[list[str], bool, bool, bool]:
    flags = []
    own = layered = False
    copy = True
    for option in options:
        if option in _FLAGS:
            flags.append(option)
        elif option == "U":
            own = True
        elif option == "O":
            layered = True
        elif option == "nocopy":
            copy = False
        elif option and option not in _IGNORED:
            raise UsageError(
                f'unknown volume option "{option}"',
                hint="ro, rw, U, O, nocopy, nosuid, nodev, noexec",
            )
    return flags, own, layered, copy


def collect(
    options: ContainerOptions, image: Json, binds: Binds, others: list[tuple[MountsRecord, str]]
) -> None:
    """Fill `binds` from the options, the image and the mounts of `others` (--volumes-from: a
    container's record and the mode that was asked for), shallow targets first."""
    wanted: list[tuple[str, str, str, list[str]]] = []
    for word in options.volume:
        parts = word.split(":")
        if len(parts) > 3 or not parts[0]:
            raise UsageError(f'invalid volume "{word}"', hint="[SOURCE:]TARGET[:OPTIONS]")
        if len(parts) == 1:
            wanted.append(("bind", "", parts[0], []))
        elif len(parts) == 2 and parts[1][:1] != "/" and parts[0][:1] == "/":
            wanted.append(("bind", "", parts[0], parts[1].split(",")))
        else:
            wanted.append(
                ("bind", parts[0], parts[1], parts[2].split(",") if len(parts) > 2 else [])
            )
    for word in options.mount:
        wanted += mount_words.parse(word)
    for word in options.tmpfs:
        target, _, rest = word.partition(":")
        wanted.append(("tmpfs", "", target, rest.split(",") if rest else []))
    tmpfs = option_truth("--read-only-tmpfs", options.read_only_tmpfs, True)
    if options.privileged is False and options.read_only and tmpfs:
        # as podman: programs expect to be able to write to these even in a read-only container
        for target in ("/tmp", "/var/tmp", "/run"):
            if not any(one[2] == target for one in wanted):
                wanted.append(("tmpfs", "", target, []))
    covered = {os.path.normpath(one[2]) for one in wanted}
    for record, mode in others:
        for mount in record["mounts"]:
            if mount["Destination"] not in covered and mount["Type"] in ("bind", "volume"):
                covered.add(mount["Destination"])
                had = [one for one in mount["Mode"].split(",") if one not in ("", "U")]
                flags = [one for one in had if one not in ("ro", "rw")] if mode else had
                source = mount.get("Name") or mount["Source"]
                if mount.get("Name"):
                    # its first container may end with --rm: the monitor looks for this sign
                    sign = os.path.join(binds.volumes.directory(source), "shared")
                    os.close(os.open(sign, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
                wanted.append(
                    ("bind", source, mount["Destination"], [*flags, *([mode] if mode else [])])
                )
    how = options.image_volume or "anonymous"
    if how not in ("anonymous", "bind", "tmpfs", "ignore"):
        raise UsageError(f'unknown --image-volume "{how}"', hint="anonymous, tmpfs or ignore")
    for target in () if how == "ignore" else image.get("Volumes") or ():
        if os.path.normpath(target) not in covered:
            wanted.append(("tmpfs" if how == "tmpfs" else "bind", "", target, []))
    if options.device or options.privileged:
        from rootless.engine.spec import devices as spec_devices

        binds.mounts += spec_devices.mounts(options.device, options.privileged)
    seen: dict[str, tuple[str, str, str, list[str]]] = {}
    for one in sorted(wanted, key=lambda one: one[2].count("/")):
        kind, source, target, flags = one
        target = os.path.normpath(target)
        if target in seen:
            # scripts put their arguments together, and name the same mount twice
            if seen[target] == (*one[:2], target, flags) and source:
                continue
            raise UsageError(f"two mounts have the target {target}")
        seen[target] = (kind, source, target, flags)
        if kind in ("tmpfs", "ramfs", "devpts"):
            binds.in_memory(kind, one[2], flags)
        elif kind == "image":
            binds.image(source, one[2], flags)
        else:
            binds.add(source, one[2], flags)
