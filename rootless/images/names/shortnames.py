"""Whole names for short ones: `fedora` may be `registry.fedoraproject.org/fedora` on some host.

Scope: aliases and the registries to search, as registries.conf says.  Where it says nothing a
short name means docker.io, as it does for docker.
Source: containers-registries.conf(5), "Remapping and mirroring registries", "Short-Name Aliasing".
"""

from __future__ import annotations

import os

from rootless import paths
from rootless.errors import RootlessError, UsageError
from rootless.images.names import reference, registries
from rootless.images.names.reference import DEFAULT_REGISTRY, Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.images.record import ImageRecord


def is_short(name: str) -> bool:
    """Return whether a name says nothing of a registry: `debian:12`, `team/tool`."""
    first, slash, _ = name.partition("@")[0].partition("/")
    return not slash or not (
        "." in first or ":" in first or first == "localhost" or first != first.lower()
    )


def candidates(name: str) -> list[Reference]:
    """Return what a name may mean, the likeliest first.  Raises UsageError (malformed, or ambiguous
    where `short-name-mode` is `enforcing`), HostError (registries.conf)."""
    parsed = reference.parse(name)
    if not is_short(name):
        return [parsed]
    configuration = registries.configuration()
    bare = _bare(name)
    alias = _cached_alias(bare)
    if alias is None:
        alias = configuration.aliases.get(bare)
    if alias:
        return [_like(reference.parse(alias), parsed)]
    found = [
        _like(reference.parse(f"{registry}/{bare}"), parsed)
        for registry in configuration.search or [DEFAULT_REGISTRY]
    ]
    if len(found) > 1 and configuration.mode == "enforcing":
        raise UsageError(
            f"{name} may be {' or '.join(one.familiar_name for one in found)}",
            hint="write the whole name, or give it an alias in containers' registries.conf",
        )
    return found


def find(name: str, look: Callable[[Reference], ImageRecord | None]) -> ImageRecord | None:
    """Return the image that is here under what registries.conf makes of a short name."""
    try:
        wanted = candidates(name)
    except RootlessError:
        return None
    for candidate in wanted:
        record = look(candidate)
        if record is not None:
            return record
    return None


def _bare(name: str) -> str:
    """A short name without tag and digest, as it was written."""
    rest = name.partition("@")[0]
    slash = rest.rfind("/")
    colon = rest.find(":", slash + 1)
    return rest[:colon] if colon >= 0 else rest


def _like(target: Reference, given: Reference) -> Reference:
    return Reference(target.registry, target.repository, given.tag, given.digest)


def _cached_alias(bare: str) -> str | None:
    """What podman remembers of an earlier choice."""
    path = os.path.join(paths.cache_home(), "containers/short-name-aliases.conf")
    if not os.path.exists(path):
        return None
    import tomllib

    try:
        with open(path, "rb") as file:
            aliases = tomllib.load(file).get("aliases")
    except (OSError, ValueError):
        # It is another program's cache; a damaged one is as good as none.
        return None
    found = aliases.get(bare) if isinstance(aliases, dict) else None
    return found if isinstance(found, str) and found else None
