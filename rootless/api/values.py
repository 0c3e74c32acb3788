"""Values of docker's bodies: texts, tables and mounts, checked."""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

DOCKER_SOCKET = ("/var/run/docker.sock", "/run/docker.sock")


def texts(value: Json, key: str) -> list[str]:
    """A list of texts; null is an empty one.  Raises UsageError."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageError(f"{key} is a list of texts")
    return value


def table(value: Json, key: str) -> dict[str, str]:
    """A table of texts; null is an empty one.  Raises UsageError."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{key} is a table of texts")
    made = {}
    for name, one in value.items():
        if one is not None and not isinstance(one, str):
            raise UsageError(f"{key}.{name} is a text, not {one!r}")
        made[name] = one or ""
    return made


def shared_socket(source: str, own: str) -> str:
    """The source of a bind of docker's socket is this service's own socket."""
    return own if own and source in DOCKER_SOCKET else source


def mount(one: Json, own_socket: str) -> str:
    """An entry of HostConfig.Mounts as the argument of --mount.  Raises UsageError."""
    kind = one.get("Type") or "volume"
    if kind not in ("bind", "volume", "tmpfs"):
        raise UsageError(f'invalid mount config for type "{kind}": mount type unknown')
    target, source = str(one.get("Target") or ""), str(one.get("Source") or "")
    if not target:
        raise UsageError(f'invalid mount config for type "{kind}": field Target must not be empty')
    made = [f"type={kind}"]
    if kind == "bind":
        source = shared_socket(source, own_socket)
        if not source:
            raise UsageError('invalid mount config for type "bind": field Source must not be empty')
        if not source.startswith("/"):
            raise UsageError(
                f"invalid mount config for type \"bind\": invalid mount path: '{source}' "
                "mount path must be absolute"
            )
    if any("," in text for text in (source, target)):
        raise UsageError(f'the mount of "{source}" has a comma in its name')
    if source:
        made.append(f"source={source}")
    made.append(f"target={target}")
    if one.get("ReadOnly"):
        made.append("ro")
    _bind_options(made, one.get("BindOptions") or {}, source)
    _volume_options(made, one.get("VolumeOptions") or {})
    _tmpfs_options(made, one.get("TmpfsOptions") or {})
    for key in ("ImageOptions", "ClusterOptions"):
        if one.get(key):
            raise UsageError(f"Mounts.{key} is not supported")
    return ",".join(made)


def _bind_options(made: list[str], given: Json, source: str) -> None:
    import os

    if given.get("Propagation"):
        made.append(f"bind-propagation={given['Propagation']}")
    if given.get("CreateMountpoint") and not os.path.lexists(source):
        os.makedirs(source)
    for key in ("NonRecursive", "ReadOnlyNonRecursive", "ReadOnlyForceRecursive"):
        if given.get(key):
            raise UsageError(f"Mounts.BindOptions.{key} is not supported")


def _volume_options(made: list[str], given: Json) -> None:
    if given.get("NoCopy"):
        made.append("volume-nocopy")
    driver = given.get("DriverConfig") or {}
    if driver.get("Name") not in (None, "", "local"):
        raise UsageError("Mounts.VolumeOptions.DriverConfig: there is only the driver local")
    if given.get("Subpath"):
        raise UsageError("Mounts.VolumeOptions.Subpath is not supported")


def _tmpfs_options(made: list[str], given: Json) -> None:
    if given.get("SizeBytes"):
        made.append(f"tmpfs-size={given['SizeBytes']}")
    if given.get("Mode"):
        made.append(f"tmpfs-mode={int(given['Mode']):o}")
    if given.get("Options"):
        raise UsageError("Mounts.TmpfsOptions.Options is not supported; use HostConfig.Tmpfs")
