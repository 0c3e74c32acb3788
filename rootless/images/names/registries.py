"""Servers of a name, by containers' registries.conf.

Scope: reading the files, and the servers for a whole name; `shortnames` makes whole names of short
ones.  Version 2 of the format, and of version 1 the three lists that it had.  Light: `pull` of an
unchanged image loads it.
Source: containers-registries.conf(5), containers-registries.conf.d(5).
"""

from __future__ import annotations

import os

from rootless import documents, paths
from rootless.errors import HostError, RegistryError, UsageError
from rootless.images.names.reference import DEFAULT_REGISTRY, Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


class Endpoint:
    """A server, and the repository on it.

    `registry` is the server's name as users write it, under which passwords are kept; `host` is
    where it answers.
    """

    __slots__ = ("host", "insecure", "mirror", "registry", "repository")

    def __init__(self, host: str, repository: str, *, insecure: bool, mirror: bool = False) -> None:
        self.registry = host
        self.host = "registry-1.docker.io" if host == DEFAULT_REGISTRY else host
        self.repository = repository
        self.insecure = insecure
        self.mirror = mirror


class Configuration:
    """What all files together say."""

    __slots__ = ("aliases", "entries", "helpers", "mode", "search")

    def __init__(self) -> None:
        # by prefix
        self.entries: dict[str, dict[str, Json]] = {}
        self.search: list[str] | None = None
        self.aliases: dict[str, str] = {}
        self.mode = "permissive"
        self.helpers = ["containers-auth.json"]

    def add(self, document: dict[str, Json]) -> None:
        """Add a further file, which takes precedence over those before it."""
        entries = document.get("registry")
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict):
                prefix = _string(entry, "prefix") or _string(entry, "location")
                self.entries[prefix] = entry
        if isinstance(document.get("registries"), dict):
            self._version_1(document["registries"])
        if isinstance(document.get("unqualified-search-registries"), list):
            self.search = [str(one) for one in document["unqualified-search-registries"]]
        if isinstance(document.get("credential-helpers"), list):
            self.helpers = [str(one) for one in document["credential-helpers"]]
        self.mode = _string(document, "short-name-mode") or self.mode
        aliases = document.get("aliases")
        for name, target in aliases.items() if isinstance(aliases, dict) else ():
            # an empty target takes an alias of an earlier file back
            self.aliases[name] = target if isinstance(target, str) else ""

    def _version_1(self, table: dict[str, Json]) -> None:
        def of(key: str) -> list[str]:
            inner = table.get(key)
            found = inner.get("registries") if isinstance(inner, dict) else None
            return [str(one) for one in found] if isinstance(found, list) else []

        if "search" in table:
            self.search = of("search")
        for key, what in (("insecure", "insecure"), ("block", "blocked")):
            for host in of(key):
                known = self.entries.get(host, {})
                self.entries[host] = {**known, "location": host, what: True}

    def entry(self, reference: Reference) -> tuple[dict[str, Json], int]:
        """Return the entry with the longest prefix that fits, and how much of the name it
        covers."""
        best: dict[str, Json] = {}
        length, covered = -1, 0
        for prefix, entry in self.entries.items():
            found = _covers(prefix, reference)
            if prefix and found and len(prefix) > length:
                best, length, covered = entry, len(prefix), found
        return best, covered


_KEPT: Json = {
    "files": list,
    "entries": {"*": dict},
    "search": (None, [str]),
    "aliases": {"*": str},
    "mode": str,
    "helpers": [str],
}


def endpoints(reference: Reference, *, tls_verify: bool | None = None) -> list[Endpoint]:
    """Return the servers to ask for an image, one after the other; mirrors before the registry.

    `tls_verify` overrides what the file and docker's rule for loopback addresses say.
    Raises HostError (the file), RegistryError (blocked).
    """
    entry, covered = configuration().entry(reference)
    prefix = _string(entry, "prefix") or _string(entry, "location")
    if entry.get("blocked") is True:
        raise RegistryError(
            f"{reference.familiar} is blocked by registries.conf",
            hint=f"see the entry for {prefix} in containers' registries.conf",
        )
    found = []
    for mirror in entry.get("mirror") or []:
        if not isinstance(mirror, dict) or not _string(mirror, "location"):
            continue
        which = _string(mirror, "pull-from-mirror") or "all"
        if entry.get("mirror-by-digest-only") is True:
            which = "digest-only"
        if which == ("tag-only" if reference.digest else "digest-only"):
            continue
        found.append(_endpoint(mirror, reference, covered, tls_verify, mirror=True))
    found.append(_endpoint(entry, reference, covered, tls_verify, mirror=False))
    return found


def server(host: str, *, tls_verify: bool | None = None) -> Endpoint:
    """Return a registry as such, without a repository: to log in, to search.  Raises UsageError."""
    from rootless.images.names import reference as name_reference

    parsed = name_reference.parse(f"{host}/x/x")
    if parsed.registry != host and host != "index.docker.io":
        raise UsageError(
            f"{host!r} is not the name of a registry", hint="write HOST[:PORT], as in quay.io"
        )
    entry, _ = configuration().entry(parsed)
    return Endpoint(parsed.registry, "", insecure=_insecure(entry, parsed.registry, tls_verify))


def certificates(host: str) -> str:
    """Return the directory with certificates for a server, "" if there is none."""
    for base in (
        os.path.join(paths.config_home(), "containers/certs.d"),
        "/etc/containers/certs.d",
        "/etc/docker/certs.d",
    ):
        path = os.path.join(base, host)
        if os.path.isdir(path):
            return path
    return ""


def configuration() -> Configuration:
    """Return what the files of this host say now.  Raises HostError.

    Reading TOML takes longer than asking a registry whether an image is unchanged, so what the
    files came to is kept in the cache until one of them changes.
    """
    stamps: list[Json] = []
    for path in _files():
        try:
            status = os.stat(path)
        except OSError:
            continue
        stamps.append([path, status.st_mtime_ns, status.st_size, status.st_ino])
    found = Configuration()
    if not stamps:
        return found
    cache = os.path.join(paths.cache_dir(), "registries.json")
    try:
        kept = documents.read(cache)
        if documents.fits(kept, _KEPT) and kept["files"] == stamps:
            for name in Configuration.__slots__:
                setattr(found, name, kept[name])
            return found
    except (OSError, ValueError):
        pass
    for path, *_ in stamps:
        found.add(_load(path))
    value = {name: getattr(found, name) for name in Configuration.__slots__}
    try:
        os.makedirs(paths.cache_dir(), 0o700, exist_ok=True)
        documents.write(cache, {**value, "files": stamps})
    except (OSError, ValueError):
        pass  # a cache that cannot be written is none
    return found


def _load(path: str) -> dict[str, Json]:
    import tomllib

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise HostError(
            f"cannot read {path}: {error}",
            hint="correct the file, or name another one in CONTAINERS_REGISTRIES_CONF",
        ) from None


def _files() -> list[str]:
    """The main file, the user's own before the system's; then all drop-in files, the system's
    before the user's, because a later one wins."""
    own = os.path.join(paths.config_home(), "containers/registries.conf")
    main = own if os.path.exists(own) else "/etc/containers/registries.conf"
    found = [os.environ.get("CONTAINERS_REGISTRIES_CONF", "") or main]
    chosen = os.environ.get("CONTAINERS_REGISTRIES_CONF_DIR", "")
    directories = [chosen] if chosen else ["/etc/containers/registries.conf.d", own + ".d"]
    for directory in directories:
        found.extend(
            os.path.join(directory, name)
            for name in documents.names_in(directory)
            if name.endswith(".conf")
        )
    return found


def _covers(prefix: str, reference: Reference) -> int:
    """How many characters of the whole name a prefix stands for, 0 if it does not fit."""
    if prefix.startswith("*."):
        return len(reference.registry) if reference.registry.endswith(prefix[1:]) else 0
    whole = reference.canonical
    if not whole.startswith(prefix):
        return 0
    # A prefix ends where a part ends; after the repository that may be a tag or a digest.
    ends = "/" if len(prefix) < len(reference.name) else "/:@"
    following = whole[len(prefix) : len(prefix) + 1]
    return len(prefix) if not following or following in ends else 0


def _endpoint(
    entry: dict[str, Json],
    reference: Reference,
    covered: int,
    tls_verify: bool | None,
    *,
    mirror: bool,
) -> Endpoint:
    location = _string(entry, "location")
    name = location + reference.name[covered:] if location else reference.name
    host, _, repository = name.partition("/")
    insecure = _insecure(entry, host, tls_verify)
    return Endpoint(host, repository, insecure=insecure, mirror=mirror)


def _insecure(entry: dict[str, Json], host: str, tls_verify: bool | None) -> bool:
    if tls_verify is not None:
        return not tls_verify
    bare = host.partition("]")[0][1:] if host.startswith("[") else host.partition(":")[0]
    return entry.get("insecure") is True or is_loopback(bare)


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this host."""
    host = host.strip("[]")
    if host in ("localhost", "::1"):
        return True
    numbers = host.split(".")
    return len(numbers) == 4 and numbers[0] == "127" and all(part.isdigit() for part in numbers)


def _string(entry: dict[str, Json], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
