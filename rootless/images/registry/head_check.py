"""Check with one HEAD request whether an image is still what its name stands for.

Scope: one HEAD request to a registry that spoke plain HTTP and wanted no password the last time.
Everything else, and every answer that is not the expected one, is for the long way (`pull`), so
nothing here is an error.  Light: an HTTP library takes longer to load than all of this.
"""

from __future__ import annotations

import os
import time

from rootless import documents, paths
from rootless.errors import RootlessError
from rootless.images.formats import platforms
from rootless.images.names import registries, shortnames
from rootless.images.names.reference import is_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from rootless.images.record import ImageRecord

    class Images(Protocol):
        """What is asked of the image store."""

        def resolve(self, name: str) -> ImageRecord: ...
        def has_blob(self, digest: str, size: int | None = None) -> bool: ...


# as `manifests.ACCEPT`, which a test compares
ACCEPT = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json"
)
_HEAD_MAX = 1 << 16
_PATIENCE = 5.0  # seconds


def look(store: Images, name: str, platform: str | None) -> ImageRecord | None:
    """Return the image, if it is here whole and its name still stands for it; None for "ask
    again"."""
    try:
        wanted = shortnames.candidates(name.removeprefix("docker://"))
        if len(wanted) != 1:
            return None
        reference = wanted[0]
        record = store.resolve(reference.canonical)
        servers = registries.endpoints(reference)
    except RootlessError:
        return None
    suits = platforms.parse(platform) if platform else platforms.host()
    if (
        len(servers) != 1
        or not servers[0].insecure
        or reference.digest
        or reference.canonical not in record.names
        or not suits.runs(platforms.Platform(record.os, record.architecture, record.variant))
        or not store.has_blob(record.config_digest)
        or not all(store.has_blob(layer.digest, layer.size) for layer in record.layers)
    ):
        return None
    digest = _ask(servers[0], reference.tag)
    return record if f"{reference.name}@{digest}" in record.digests else None


def trusted_as_all() -> bool:
    """Return whether the user's policy.json accepts every image without a look at it."""
    for path in (
        os.path.join(paths.config_home(), "containers/policy.json"),
        "/etc/containers/policy.json",
    ):
        try:
            document = documents.read(path)
            scopes = [
                listed for table in document.get("transports", {}).values()
                for listed in table.values()
            ]  # fmt: skip
            kinds = {one["type"] for listed in [document["default"], *scopes] for one in listed}
        except FileNotFoundError:
            continue
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return False
        return kinds == {"insecureAcceptAnything"}
    return True


def remember(host: str, plain: bool) -> None:
    """Note whether a registry speaks plain HTTP and wants no password."""
    known = _known()
    if plain == (host in known):
        return
    known = [one for one in known if one != host] + ([host] if plain else [])
    try:
        os.makedirs(paths.cache_dir(), 0o700, exist_ok=True)
        documents.write(os.path.join(paths.cache_dir(), "plain-registries.json"), known[-100:])
    except OSError:
        pass  # then it is found out again


def _known() -> list[str]:
    try:
        found = documents.read(os.path.join(paths.cache_dir(), "plain-registries.json"))
    except (OSError, ValueError):
        return []
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _ask(server: registries.Endpoint, tag: str) -> str:
    """The digest that the registry names, "" for any other answer."""
    host, colon, port = server.host.rpartition(":")
    if not colon or not port.isdigit() or not registries.is_loopback(host):
        return ""
    if server.host not in _known():
        return ""
    import _socket

    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    address = "127.0.0.1" if host == "localhost" else host.strip("[]")
    request = (
        f"HEAD /v2/{server.repository}/manifests/{tag} HTTP/1.1\r\nHost: {server.host}\r\n"
        f"User-Agent: rootless\r\nAccept: {ACCEPT}\r\nConnection: close\r\n\r\n"
    )
    sock = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        sock.settimeout(_PATIENCE)
        sock.connect((address, int(port)))
        sock.sendall(request.encode())
        head = b""
        end = time.monotonic() + _PATIENCE
        while b"\r\n\r\n" not in head:
            sock.settimeout(max(0.001, end - time.monotonic()))
            piece = sock.recv(1 << 14)
            if not piece or len(head) > _HEAD_MAX:
                return ""
            head += piece
    except OSError:
        return ""
    finally:
        sock.close()
    status, *lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    if not status.startswith("HTTP/1.") or status[8:13] != " 200 ":
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.lower() == "docker-content-digest":
            return value.strip() if is_digest(value.strip()) else ""
    return ""
