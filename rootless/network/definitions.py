"""Networks with names: their documents, one file each, in `networks` below the data directory.

A definition may be shared by machines that share a home; who has which address at the moment is a
machine's own (leases.py).
"""

from __future__ import annotations

import os

from rootless import documents, paths
from rootless.errors import DamagedDocument, NetworkNotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NotRequired, TypedDict

    from rootless.documents import Json

    class SubnetRecord(TypedDict):
        """A subnet of a network; `first` and `last`: where addresses are given from."""

        subnet: str
        gateway: str
        first: NotRequired[str]
        last: NotRequired[str]

    class NetworkDocument(TypedDict):
        """A network: the document."""

        version: int
        name: str
        id: str
        created: float
        driver: str
        interface: str
        subnets: list[SubnetRecord]
        internal: bool
        dns: bool
        nameservers: list[str]
        labels: dict[str, str]
        options: dict[str, str]


VERSION = 1
BUILT_IN = "bridge"
ALIASES = {"podman": BUILT_IN}
"""Other names of the network that is always there."""
METRIC = 100
"""Of a network that was made without one, as netavark's."""

SHAPE: Json = {
    "version": int,
    "name": str,
    "id": str,
    "created": float,
    "driver": str,
    "interface": str,
    "subnets": [{"subnet": str, "gateway": str, "first?": str, "last?": str}],
    "internal": bool,
    "dns": bool,
    "nameservers": documents.words,
    "labels": documents.texts,
    "options": documents.texts,
}
_FIRST = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def is_name(text: str) -> bool:
    """Whether a network can be called so: as containers."""
    return (
        0 < len(text) < 129
        and text[0] in _FIRST
        and all(one in _FIRST or one in "_.-" for one in text)
    )


def check_name(text: str) -> None:
    """Raises UsageError."""
    if not is_name(text):
        raise UsageError(
            f'invalid network name "{text}"', hint="letters, digits, and _ . - behind the first"
        )


def directory(data_dir: str) -> str:
    """Where the documents are."""
    return os.path.join(data_dir, "networks")


def path(data_dir: str, name: str) -> str:
    """Where the document of one is."""
    return os.path.join(directory(data_dir), name + ".json")


def built_in() -> NetworkDocument:
    """The network that is always there, by address alone."""
    return {
        "version": VERSION,
        "name": BUILT_IN,
        "id": "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9",
        "created": 0.0,
        "driver": "bridge",
        "interface": "rl0",
        "subnets": [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}],
        "internal": False,
        "dns": False,
        "nameservers": [],
        "labels": {},
        "options": {},
    }


def read(data_dir: str, name: str) -> NetworkDocument:
    """The network of this name.  Raises NetworkNotFound, DamagedDocument."""
    name = ALIASES.get(name, name)
    if name == BUILT_IN:
        return built_in()
    check_name(name)
    try:
        remedy = f"rootless network rm -f {name}"
        found: NetworkDocument = documents.read_as(
            path(data_dir, name), SHAPE, remedy, newest=VERSION
        )
    except (FileNotFoundError, NotADirectoryError):
        raise NetworkNotFound(
            f'no such network: "{name}"', hint=f"rootless network create {name}"
        ) from None
    return found


def names(data_dir: str) -> list[str]:
    """Of all networks."""
    listed = documents.names_in(directory(data_dir))
    made = [one[:-5] for one in listed if one.endswith(".json") and is_name(one[:-5])]
    return [BUILT_IN, *made]


def all_networks(data_dir: str) -> Iterator[NetworkDocument]:
    """Those that can be read."""
    for name in names(data_dir):
        try:
            yield read(data_dir, name)
        except (NetworkNotFound, DamagedDocument):
            continue


def state_directory(data_dir: str) -> str:
    """Where this machine keeps what a reboot may forget of the networks in this data directory.

    The namespaces, their members and leases are of one data directory: two do not meet.
    """
    from zlib import crc32

    real = os.path.realpath(data_dir).encode("utf-8", "surrogateescape")
    return os.path.join(paths.runtime_dir(), "n", f"{crc32(real):08x}")
