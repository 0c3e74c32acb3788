"""Which server answers for a name: containers' registries.conf.

Scope: version 2 of the file: `[[registry]]` with prefix, location, insecure, blocked and mirrors.
`unqualified-search-registries` is left alone on purpose: short names mean docker.io here, as they
do for docker, so that a name means one image on every host.
Source: containers-registries.conf(5).
"""

from __future__ import annotations

import os
import tomllib

from rootless import documents, paths
from rootless.errors import HostError, RegistryError
from rootless.images.reference import DEFAULT_REGISTRY, Reference
from rootless.images.transport import is_loopback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


class Endpoint:
    """A server, and the repository on it.

    `registry` is the server's name as people write it, under which passwords are kept; `host` is
    where it answers.
    """

    __slots__ = ("host", "insecure", "mirror", "registry", "repository")

    def __init__(self, host: str, repository: str, *, insecure: bool, mirror: bool = False) -> None:
        self.registry = host
        self.host = "registry-1.docker.io" if host == DEFAULT_REGISTRY else host
        self.repository = repository
        self.insecure = insecure
        self.mirror = mirror


def endpoints(reference: Reference, *, tls_verify: bool | None = None) -> list[Endpoint]:
    """Servers to ask for an image, one after the other; mirrors come before the registry.

    `tls_verify` overrides what the file and docker's rule for loopback addresses say.
    Raises HostError (the file), RegistryError (blocked).
    """
    entry = _match(reference)
    prefix = _string(entry, "prefix") or _string(entry, "location")
    if entry.get("blocked") is True:
        raise RegistryError(
            f"{reference.familiar} is blocked by registries.conf",
            hint=f"see the entry for {prefix} in containers' registries.conf",
        )
    found = []
    for mirror in entry.get("mirror") or []:
        if isinstance(mirror, dict) and _string(mirror, "location"):
            if mirror.get("pull-from-mirror") == "digest-only" and not reference.digest:
                continue
            if mirror.get("pull-from-mirror") == "tag-only" and reference.digest:
                continue
            found.append(_endpoint(mirror, reference, prefix, tls_verify, mirror=True))
    found.append(_endpoint(entry, reference, prefix, tls_verify, mirror=False))
    return found


def certificates(host: str) -> str:
    """The directory with certificates for a server, "" if there is none."""
    config = os.environ.get("XDG_CONFIG_HOME", "") or os.path.join(paths.home(), ".config")
    for base in (
        os.path.join(config, "containers/certs.d"),
        "/etc/containers/certs.d",
        "/etc/docker/certs.d",
    ):
        path = os.path.join(base, host)
        if os.path.isdir(path):
            return path
    return ""


def _endpoint(
    entry: dict[str, Json],
    reference: Reference,
    prefix: str,
    tls_verify: bool | None,
    *,
    mirror: bool,
) -> Endpoint:
    location = _string(entry, "location")
    name = reference.name
    if location and not prefix.startswith("*."):
        name = location + name[len(prefix) :]
    host, _, repository = name.partition("/")
    bare = host.partition("]")[0][1:] if host.startswith("[") else host.partition(":")[0]
    insecure = entry.get("insecure") is True or is_loopback(bare)
    if tls_verify is not None:
        insecure = not tls_verify
    return Endpoint(host, repository, insecure=insecure, mirror=mirror)


def _match(reference: Reference) -> dict[str, Json]:
    """The entry with the longest prefix that fits the name, or an empty one."""
    best: dict[str, Json] = {}
    length = -1
    for entry in _entries():
        prefix = _string(entry, "prefix") or _string(entry, "location")
        if not prefix or len(prefix) <= length:
            continue
        if prefix.startswith("*."):
            fits = reference.registry.endswith(prefix[1:])
        else:
            fits = reference.name == prefix or reference.name.startswith(prefix + "/")
        if fits:
            best, length = entry, len(prefix)
    return best


def _entries() -> list[dict[str, Json]]:
    found: dict[str, dict[str, Json]] = {}
    for path in _files():
        try:
            with open(path, "rb") as file:
                document = tomllib.load(file)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise HostError(
                f"cannot read {path}: {error}",
                hint="mend the file, or name another one in CONTAINERS_REGISTRIES_CONF",
            ) from None
        entries = document.get("registry")
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict):
                # A later file overrides an earlier one entry by entry.
                found[_string(entry, "prefix") or _string(entry, "location")] = entry
    return list(found.values())


def _files() -> list[str]:
    chosen = os.environ.get("CONTAINERS_REGISTRIES_CONF", "")
    if chosen:
        return [chosen]
    config = os.environ.get("XDG_CONFIG_HOME", "") or os.path.join(paths.home(), ".config")
    own = os.path.join(config, "containers/registries.conf")
    found = [own if os.path.exists(own) else "/etc/containers/registries.conf"]
    for directory in (
        "/etc/containers/registries.conf.d",
        os.path.join(config, "containers/registries.conf.d"),
    ):
        found.extend(
            os.path.join(directory, name)
            for name in documents.names_in(directory)
            if name.endswith(".conf")
        )
    return found


def _string(entry: dict[str, Json], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
