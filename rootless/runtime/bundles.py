"""A bundle: its configuration, read and checked, and what it means for the one who calls.

Source: runtime-spec bundle.md, config.md.
"""

from __future__ import annotations

import os
import sys

from rootless import documents
from rootless.errors import HostError, UsageError
from rootless.runtime import launch_plan, mounts, orders, real_root, schema, seccomp
from rootless.userns import helpers
from rootless.userns.idmap import IdMaps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.runtime.plan_format import Record


class Bundle:
    """`config` as written, with `root.path` absolute; `maps` where a user namespace is made.

    `single`: there is one id only, so groups cannot be set.  `told`: sentences about what is left
    out or differs, each with its JSON path, for the caller.
    """

    def __init__(self, directory: str, config_path: str = "") -> None:
        """Raises UsageError that names the file, or the JSON path of what does not fit."""
        self.directory = os.path.realpath(directory)
        path = config_path or os.path.join(self.directory, "config.json")
        try:
            self.config: dict[str, Json] = documents.read(path)
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise UsageError(
                f"cannot read {path}: {reason}", hint="--bundle names the directory of config.json"
            ) from None
        except ValueError as error:
            raise UsageError(f"{path} is not JSON: {error}") from None
        schema.check_config(self.config)
        self.told: list[str] = []
        self.config = _complete(self.config, self.directory, self.told)
        self.maps = self._maps()
        self.single = self._is_single()
        if self.of_host:
            real_root.refuse_sysctls(self.config["linux"])
        if self.single:
            self.told += what_one_id_cannot(self.config["process"])

    def flags(self) -> int:
        """CLONE_NEW* of the namespaces that are made."""
        return launch_plan.clone_flags(self.config)

    def joined(self) -> list[tuple[int, str]]:
        """(CLONE_NEW*, path) of those that are joined, the user namespace first.

        Whoever is in it may enter those that belong to it, so it comes before them.
        """
        found = [
            (launch_plan.CLONE[one["type"]], one["path"])
            for one in self.config["linux"]["namespaces"]
            if one.get("path")
        ]
        found.sort(key=lambda one: one[0] != launch_plan.CLONE["user"])
        return found

    @property
    def of_host(self) -> bool:
        """Whether its root is the host's, whom no user namespace keeps from anything."""
        types = {one["type"] for one in self.config["linux"]["namespaces"]}
        return "user" not in types and real_root.is_host_root()

    def _maps(self) -> IdMaps | None:
        linux = self.config["linux"]
        if not self.flags() & launch_plan.CLONE["user"]:
            if linux.get("uidMappings") or linux.get("gidMappings"):
                if not any(one["type"] == "user" for one in linux["namespaces"]):
                    raise UsageError(
                        "linux.uidMappings: there is no user namespace that they could be for",
                        hint='linux.namespaces needs {"type": "user"}',
                    )
            elif os.geteuid() != 0 and not self.joined():
                raise UsageError(
                    "linux.namespaces: without root a user namespace is needed",
                    hint="rootless-runtime spec --rootless writes such a configuration",
                )
            return None
        extents = []
        for name in ("uidMappings", "gidMappings"):
            found = linux.get(name)
            if not found:
                raise UsageError(f"linux.{name}: a user namespace needs it")
            extents.append(
                tuple(sorted((one["containerID"], one["hostID"], one["size"]) for one in found))
            )
        return IdMaps(extents[0], extents[1], "the configuration")

    def _is_single(self) -> bool:
        if self.maps is not None:
            return self.maps.single
        # joined, or the caller's own
        path = "/proc/self/ns/user"
        for one in self.config["linux"]["namespaces"]:
            if one["type"] == "user":
                path = one["path"]
        from rootless.runtime import devices

        sizes = [[row[2] for row in devices.map_of(path, kind)] for kind in ("uid", "gid")]
        return sizes == [[1], [1]]

    def namespace_orders(self) -> list[Record]:
        """Orders for the clone: flags, namespaces to join, the map."""
        made: list[Record] = [orders.clone(self.flags())]
        made += [orders.join(flag, path) for flag, path in self.joined()]
        if self.maps is not None:
            programs = helpers.needed(self.maps)
            if not self.maps.single and not helpers.privileged() and not all(programs):
                raise HostError(
                    "newuidmap and newgidmap are needed to map more than your own id",
                    hint="as root: apt-get install uidmap; or map one id with size 1",
                )
            uids, gids = self.maps.proc_text("uids"), self.maps.proc_text("gids")
            made.append(orders.map_(uids, gids, programs, drop_groups=not self.maps.single))
        return made

    def filter(self) -> tuple[bytes, int]:
        """The seccomp program and its flags; empty for none."""
        wanted = self.config["linux"].get("seccomp")
        if not wanted:
            return seccomp.default_filter(0, self.single, unconfined=True), 0
        return cached_filter(wanted, self.single), seccomp.flags(wanted)


def cached_filter(wanted: Json, single: bool) -> bytes:
    """The program for a `linux.seccomp` object, kept by the object's content."""
    from rootless import paths

    if sys.version_info >= (3, 12):
        from _sha2 import sha256  # type: ignore[import-not-found,unused-ignore]
    else:
        from _sha256 import sha256  # type: ignore[import-not-found,unused-ignore]
    text = f"{seccomp.VERSION} {os.uname().machine} {single} {documents.dumps(wanted)}"
    directory = os.path.join(paths.cache_dir(), "seccomp")
    path = os.path.join(directory, f"oci-{sha256(text.encode()).hexdigest()}.bpf")
    kept = seccomp.read(path)
    if kept is not None:
        return kept
    made = seccomp.program((), single=single, oci=wanted)
    try:
        paths.ensure(directory)
        documents.write_bytes(path, made, mode=0o600)
    except (OSError, HostError):
        pass
    return made


def without_unknown_capabilities(process: Json, told: list[str]) -> Json:
    """The process with the capabilities that there are; sentences about the others go to `told`.

    Source: runtime-spec config.md, "Linux Process": a runtime should not fail for those.
    """
    from rootless.runtime import capabilities

    sets: Json = {}
    given = process.get("capabilities") or {}
    for kind in ("bounding", "effective", "permitted", "inheritable", "ambient"):
        names = given.get(kind)
        sets[kind] = [name for name in names or () if name in capabilities.NUMBERS]
        for number, name in enumerate(names or ()):
            if name not in capabilities.NUMBERS:
                where = f"process.capabilities.{kind}[{number}]"
                told.append(f'{where}: unknown capability "{name}" is left out')
    return {**process, "capabilities": sets} if given else process


def _complete(config: dict[str, Json], directory: str, told: list[str]) -> dict[str, Json]:
    """What is left out or null gets its default; what cannot be done is refused or told by name."""
    config = dict(config)
    linux = dict(config.get("linux") or {})
    linux["namespaces"] = list(linux.get("namespaces") or ())
    types = {one["type"] for one in linux["namespaces"]}
    if "mount" not in types:
        raise UsageError("linux.namespaces: a mount namespace is needed")
    for name in ("hostname", "domainname"):
        if config.get(name) and "uts" not in types:
            raise UsageError(
                f"{name}: without a UTS namespace it would be the host's",
                hint='add {"type": "uts"} to linux.namespaces',
            )
    root = dict(config.get("root") or {})
    if not root:
        raise UsageError("root: is missing")
    root["path"] = os.path.join(directory, root["path"])
    if not os.path.isdir(root["path"]):
        raise UsageError(f'root.path: "{root["path"]}" is not a directory')
    if config.get("process") is None:
        raise UsageError("process: is missing")
    refuse_labels(config["process"])
    _refuse(linux)
    config["process"] = without_unknown_capabilities(config["process"], told)
    if linux.get("devices"):
        linux["devices"] = _devices(linux, told)
    config.update(root=root, linux=linux, mounts=_sources(config.get("mounts") or (), directory))
    config["hooks"] = dict(config.get("hooks") or {})
    return config


def _sources(listed: Json, directory: str) -> Json:
    """Mounts whose sources are absolute.  Source: config.md, "Mounts": relative to the bundle."""
    made = []
    for mount in listed:
        source = mount.get("source") or "/"
        if source[:1] != "/" and mounts.is_bind(mount):
            mount = {**mount, "source": os.path.join(directory, source)}
        made.append(mount)
    return made


_LABELS = {
    "apparmorProfile": "/sys/kernel/security/apparmor",
    "selinuxLabel": "/sys/fs/selinux/enforce",
}


def refuse_labels(process: Json) -> None:
    """Raises UsageError for a label of a security module that this kernel does not have."""
    for name, probe in _LABELS.items():
        wanted = process.get(name)
        if wanted and wanted != "unconfined" and not os.path.exists(probe):
            raise UsageError(f"process.{name}: this host's kernel has no such labels")


def _refuse(linux: Json) -> None:
    if linux.get("mountLabel") and not os.path.exists(_LABELS["selinuxLabel"]):
        raise UsageError("linux.mountLabel: this host's kernel has no such labels")
    if linux.get("netDevices"):
        raise UsageError("linux.netDevices: only root of the host can move its devices")
    if linux.get("intelRdt"):
        raise UsageError("linux.intelRdt: only root can set it")
    if (linux.get("resources") or {}).get("network"):
        raise UsageError("linux.resources.network: cgroup version 2 has no such controller")


def what_one_id_cannot(process: Json) -> list[str]:
    """Of groups that one mapped id cannot have; no error, as engines always list some."""
    user = process.get("user") or {}
    groups = [one for one in user.get("additionalGids") or () if one != (user.get("gid") or 0)]
    if not groups:
        return []
    listed = ", ".join(map(str, groups[:8]))
    return [f"process.user.additionalGids: {listed}: with one mapped id there are no other groups"]


def _devices(linux: Json, told: list[str]) -> list[Json]:
    from rootless.runtime import devices

    made = []
    for number, one in enumerate(linux["devices"]):
        device, differences = devices.found(one, number, linux)
        made.append(device)
        told += differences
    return made
