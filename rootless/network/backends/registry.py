"""The network backends there are, and which of them a container gets.

Source: docker-run(1), podman-run(1).
"""

from __future__ import annotations

from rootless.errors import UsageError
from rootless.network.backends.backend import Backend, Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NotRequired, TypedDict

    class NetworkRecord(TypedDict):
        """What the record of a container says of its network."""

        network: str
        networkOptions: NotRequired[dict[str, str] | None]


# The module of each has its name, with _ for -.
NAMES = (
    "slirp4netns",
    "host",
    "none",
    "container",
    "named-networks",
)

# Tried in this order where nothing is asked for; then the last resort.
_DEFAULTS = ("slirp4netns",)
_LAST_RESORT = "none"
_HOST = "host"

_NAMED = "named-networks"

_KNOWN_ELSEWHERE = ("pasta", "macvlan", "ipvlan", "overlay", "ns", "pod")


def get(name: str) -> Backend:
    """The backend of that name, one of NAMES.  Loads its module and no other."""
    path = "rootless.network.backends." + name.replace("-", "_")
    backend: Backend = __import__(path, fromlist=["BACKEND"]).BACKEND
    return backend


def all_backends() -> Iterator[Backend]:
    """All of them."""
    return map(get, NAMES)


def parse(text: str | list[str] | None) -> Network:
    """`--network`, also several.

    Raises UsageError for what means nothing, HostError for what is not here.  Whether there is a
    network of a name that is no backend's is not known here.
    """
    words = [text] if isinstance(text, str) else text or []
    if len(words) > 1:
        from rootless.network.backends import named_networks

        return named_networks.merged([_parse(one) for one in words])
    return _parse(words[0] if words else "")


def _parse(text: str) -> Network:
    if not text or text in ("default", "private"):
        return default()
    name, _, rest = text.partition(":")
    found = get(name).parse(rest) if name in NAMES else None
    if found is not None:
        return found
    if name not in NAMES and name not in _KNOWN_ELSEWHERE:
        from rootless.network import definitions
        from rootless.network.backends import named_networks

        if definitions.is_name(name):
            return Network(get(_NAMED), places=[named_networks.place(name, rest)])
    usages = [one.usage or one.name for one in all_backends()]
    hint = f"{', '.join(usages[:-1])} or {usages[-1]}"
    if name in _KNOWN_ELSEWHERE:
        raise UsageError(f'the network "{text}" is not offered', hint=hint)
    raise UsageError(f'unknown network "{text}"', hint=hint)


def default(*, shared: bool = False) -> Network:
    """The best that works on this host; where none does, no network, or the host's if `shared`."""
    problems = []
    for name in _DEFAULTS:
        backend = get(name)
        missing, remedy = backend.why_not()
        if not missing:
            return Network(backend, why=backend.works)
        problems.append(f"{missing}; {remedy}")
    return Network(get(_HOST if shared else _LAST_RESORT), why="; ".join(problems))


def way_out() -> tuple[list[str], str]:
    """The program that leads out of the namespace of all networks with names, or why none does."""
    problems = []
    for name in _DEFAULTS:
        backend = get(name)
        missing, remedy = backend.why_not()
        if not missing:
            return backend.shared(), ""
        problems.append(f"{missing}; {remedy}")
    return [], "; ".join(problems)


def of_host() -> Network:
    """The host's own network."""
    return Network(get(_HOST))


def recorded(record: NetworkRecord) -> Network:
    """The network that a container was made with, by its record.

    One that this version does not know does what most do, as where the record is damaged.
    """
    name = record["network"]
    return Network(get(name) if name in NAMES else Backend(), record.get("networkOptions"))


def of_start(sidecar: Sequence[str], *, own_namespace: bool) -> Backend:
    """The backend of a start with this sidecar (its arguments; none without one)."""
    for backend in all_backends():
        if backend.made(sidecar):
            return backend
    return get(_LAST_RESORT if own_namespace else _HOST)
