"""Networks with names: a bridge for each, in a network namespace that the user's containers share.

The way out of that namespace is one program for all of them (`shared` of the backend that has it),
which the companion keeps running (helpers/programs/companion.c).
"""

from __future__ import annotations

from rootless.errors import HostError, UsageError
from rootless.network.backends.backend import Backend, Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.errors import RootlessError
    from rootless.network.backends.backend import PlaceRecord

_KEYS = ("ip", "ip6", "mac", "alias", "interface_name")


class NamedNetworks(Backend):
    """See the module."""

    name = "named-networks"
    usage = "NAME[:ip=,mac=,alias=,interface_name=]"
    named = True
    waits = True
    picture = (
        "eth0 in the container - a bridge that the containers of the network share - one way out "
        "of all networks - sockets of yours - the host's network"
    )
    publishes = True
    noise = ("Support for seccomp is experimental",)

    def parse(self, rest: str) -> Network | None:
        """Nothing: networks have names of their own, which registry.parse knows."""
        return None

    def name_servers(self, host: list[str], options: dict[str, str]) -> list[str]:
        """The gateways, at which our resolver answers."""
        return options.get("nameservers", "").split()

    def did_not_start(self, reason: str) -> RootlessError | None:
        """The failure of the way out."""
        return HostError(
            f"the way out of the named networks did not start: {reason}",
            hint="see rootless doctor",
        )


def place(name: str, rest: str) -> PlaceRecord:
    """`--network NAME:rest`.  Raises UsageError."""
    made: PlaceRecord = {
        "name": name, "ip": "", "ip6": "", "mac": "", "interface": "", "aliases": [],
    }  # fmt: skip
    for word in filter(None, rest.split(",")):
        key, _, value = word.partition("=")
        if key not in _KEYS or not value:
            raise UsageError(
                f'unknown option "{word}" of the network {name}', hint=", ".join(_KEYS)
            )
        if key == "alias":
            made["aliases"].append(value)
        elif key == "ip" and ":" in value:
            made["ip6"] = value
        elif key == "interface_name":
            made["interface"] = value
        elif key == "ip":
            made["ip"] = value
        elif key == "ip6":
            made["ip6"] = value
        else:
            made["mac"] = value
    return made


def merged(found: list[Network]) -> Network:
    """One network of several `--network`: each a network with a name.  Raises UsageError."""
    places = []
    for one in found:
        if not one.backend.named:
            raise UsageError(
                f"--network {one.name} cannot be combined with another network",
                hint="several networks: those of `rootless network ls`",
            )
        places += one.places
    names = [one["name"] for one in places]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"the network {name} is named twice")
    return Network(BACKEND, places=places)


BACKEND = NamedNetworks()
