"""The networks of an engine."""

from __future__ import annotations

import os
import time

from rootless import documents, paths
from rootless.errors import Conflict, DamagedDocument, NetworkNotFound, UsageError
from rootless.network import definitions
from rootless.network.backends import registry
from rootless.network.subnets import Subnet, free, free6, number, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootless.documents import Json
    from rootless.engine.context import Context
    from rootless.engine.networks.users import MemberRecord, NetworkUsers
    from rootless.network.definitions import NetworkDocument, SubnetRecord

    Documents = list[Json]
    Strings = list[str]
    Filters = Mapping[str, str | Strings]

_DRIVERS_ELSEWHERE = {
    "macvlan": "it needs a device of the host, which takes root",
    "ipvlan": "it needs a device of the host, which takes root",
    "overlay": "there are no clusters here",
}
# what `-o` takes, podman's names and docker's
_OPTIONS = {
    "mtu": "mtu",
    "com.docker.network.driver.mtu": "mtu",
    "isolate": "isolate",
    "com.docker.network.bridge.name": "interface",
    "metric": "metric",
    "no_default_route": "no_default_route",
}
_RESERVED = ("default", "private", "pasta", "bridge", "podman", "ns", "pod")


class Networks:
    """The networks with names of one engine."""

    def __init__(self, ctx: Context, users: NetworkUsers) -> None:
        self.ctx = ctx
        self._users = users

    def create(
        self,
        name: str,
        driver: str | None = None,
        options: dict[str, str] | None = None,
        *,
        subnets: Strings | None = None,
        gateways: Strings | None = None,
        ip_ranges: Strings | None = None,
        internal: bool = False,
        labels: dict[str, str] | None = None,
        enable_ipv6: bool = False,
        dns: bool = True,
        nameservers: Strings | None = None,
        interface: str = "",
        ignore: bool = False,
    ) -> Json:
        """Make a network.  `ignore`: one that exists is as good.

        Subnets, gateways and ranges belong together by their order.
        Raises UsageError, Conflict.
        """
        definitions.check_name(name)
        if name in _RESERVED or name in registry.NAMES:
            raise UsageError(f'a network cannot be called "{name}": it means something else')
        if driver not in (None, "", "bridge"):
            why = _DRIVERS_ELSEWHERE.get(str(driver), "it is not known")
            raise UsageError(f'the network driver "{driver}" is not offered: {why}', hint="bridge")
        chosen = _options(options or {})
        interface = interface or chosen.pop("interface", "")
        self.ctx.prepare()
        directory = paths.ensure(definitions.directory(self.ctx.data_dir))
        with documents.Lock(os.path.join(directory, ".lock")):
            path = definitions.path(self.ctx.data_dir, name)
            if os.path.exists(path):
                if ignore:
                    return self.get(name)
                raise Conflict(
                    f"the network {name} exists", hint=f"rootless network rm {name}, or --ignore"
                )
            known = list(definitions.all_networks(self.ctx.data_dir))
            made: NetworkDocument = {
                "version": definitions.VERSION,
                "name": name,
                "id": os.urandom(32).hex(),
                "created": time.time(),
                "driver": "bridge",
                "interface": _interface(interface, known),
                "subnets": _subnets(known, subnets or [], gateways or [], ip_ranges or [],
                                    enable_ipv6),
                "internal": internal,
                "dns": dns,
                "nameservers": list(nameservers or ()),
                "labels": dict(labels or {}),
                "options": chosen,
            }  # fmt: skip
            documents.write(path, made)
        self.ctx.emit("network", "create", made["id"], name, {"type": "bridge"})
        return self._shape(made)

    def get(self, name: str) -> Json:
        """The network of this name, or whose id begins so.  Raises NetworkNotFound."""
        return self._shape(self._find(name))

    def _find(self, name: str) -> NetworkDocument:
        try:
            return definitions.read(self.ctx.data_dir, name)
        except (NetworkNotFound, UsageError):
            known = definitions.all_networks(self.ctx.data_dir)
            found = [one for one in known if name and one["id"].startswith(name)]
            if len(found) != 1:
                raise
            return found[0]

    def inspect(self, name: str) -> Json:
        """As `get`, with the containers that run on it."""
        found = self._find(name)
        shape = self._shape(found)
        members = self._users.of_networks().get(found["name"], [])
        shape["containers"] = {one["id"]: _member(found, one) for one in members if one["running"]}
        return shape

    def exists(self, name: str) -> bool:
        """Whether there is a network of this name."""
        try:
            self._find(name)
        except DamagedDocument:
            return True
        except (NetworkNotFound, UsageError):
            return False
        return True

    def list(self, filters: Filters | None = None) -> Documents:
        """All networks that pass the filters.  Raises UsageError."""
        from rootless.engine.common import arguments
        from rootless.engine.networks import filters as network_filters

        known = list(definitions.all_networks(self.ctx.data_dir))
        wanted = arguments.filters(filters)
        passing = network_filters.passing(known, wanted, self._users) if wanted else known
        return [self._shape(one) for one in sorted(passing, key=lambda one: one["name"])]

    def remove(self, name: str, *, force: bool = False) -> str:
        """Remove a network; `force`: and the containers on it.  Its name.

        Raises NetworkNotFound, Conflict, UsageError.
        """
        try:
            name = self._find(name)["name"]
            interface = self._find(name)["interface"]
            identifier = self._find(name)["id"]
        except DamagedDocument:
            interface = identifier = ""
        if name == definitions.BUILT_IN:
            raise UsageError(f"the network {name} is always there", hint="leave it")
        members = self._users.of_networks().get(name, [])
        if members and not force:
            raise Conflict(
                f"the network {name} is used by {', '.join(one['name'] for one in members)}",
                hint=f"remove them first, or: rootless network rm -f {name}",
            )
        for one in members:
            self._users.remove(one["id"])
        try:
            os.unlink(definitions.path(self.ctx.data_dir, name))
        except FileNotFoundError:
            raise NetworkNotFound(f'no such network: "{name}"') from None
        self._forget(interface)
        self.ctx.emit("network", "remove", identifier, name, {"type": "bridge"})
        return name

    def _forget(self, interface: str) -> None:
        """What this machine keeps of it."""
        state = definitions.state_directory(self.ctx.data_dir)
        where = os.path.join(state, "leases", interface)
        if not interface:
            return
        for one in documents.names_in(where):
            os.unlink(os.path.join(where, one))
        try:
            os.rmdir(where)
        except OSError:
            pass

    def prune(self, filters: Filters | None = None) -> Strings:
        """Remove networks that no container is on; their names."""
        from rootless.engine.common import arguments
        from rootless.engine.networks import filters as network_filters

        wanted = arguments.filters(filters)
        unknown = set(wanted) - {"label", "label!", "until"}
        if unknown:
            raise UsageError(f'unknown filter "{sorted(unknown)[0]}"', hint="label, label!, until")
        used = self._users.of_networks()
        known = list(definitions.all_networks(self.ctx.data_dir))
        removed = []
        for one in network_filters.passing(known, wanted, self._users):
            if one["name"] not in used and one["name"] != definitions.BUILT_IN:
                try:
                    removed.append(self.remove(one["name"]))
                except (Conflict, NetworkNotFound):
                    continue
        return removed

    def _shape(self, one: NetworkDocument) -> Json:
        """podman's document of a network."""
        from rootless.engine.common import humanize

        return {
            "name": one["name"],
            "id": one["id"],
            "driver": one["driver"],
            "network_interface": one["interface"],
            "created": humanize.rfc3339(one["created"]),
            "subnets": [_shown_subnet(each) for each in one["subnets"]],
            "ipv6_enabled": any(":" in each["subnet"] for each in one["subnets"]),
            "internal": one["internal"],
            "dns_enabled": one["dns"],
            "network_dns_servers": one["nameservers"],
            "labels": one["labels"],
            "options": one["options"],
            "ipam_options": {"driver": "host-local"},
        }


def _shown_subnet(one: SubnetRecord) -> Json:
    made: Json = {"subnet": one["subnet"], "gateway": one["gateway"]}
    if one.get("first"):
        made["lease_range"] = {"start_ip": one["first"], "end_ip": one["last"]}
    return made


def _member(found: NetworkDocument, one: MemberRecord) -> Json:
    addresses = []
    for each in found["subnets"]:
        address = one["address6"] if ":" in each["subnet"] else one["address"]
        bits = each["subnet"].partition("/")[2]
        if address:
            addresses.append({"ipnet": f"{address}/{bits}", "gateway": each["gateway"]})
    return {
        "name": one["name"],
        "interfaces": {"eth0": {"subnets": addresses, "mac_address": one["mac"]}},
    }


def _options(given: dict[str, str]) -> dict[str, str]:
    made = {}
    for key, value in given.items():
        if key not in _OPTIONS:
            raise UsageError(
                f'unknown option "{key}" of a network', hint=", ".join(sorted(_OPTIONS))
            )
        name = _OPTIONS[key]
        if name == "mtu" and not (_is_number(value) and 68 <= int(value) <= 65535):
            raise UsageError(f'the mtu "{value}" is no number between 68 and 65535')
        if name == "metric" and not (_is_number(value) and 0 < int(value) < 1 << 32):
            raise UsageError(f'the metric "{value}" is no number between 1 and 4294967295')
        if name == "no_default_route" and value not in ("true", "false", "1", "0"):
            raise UsageError(f'the option {key} is true or false, not "{value}"')
        if name == "isolate" and value not in ("true", "1", "strict"):
            raise UsageError(
                f'the option isolate cannot be "{value}": networks never reach each other here',
                hint="isolate=true, or a container that is on both networks",
            )
        made[name] = value
    return made


def _is_number(text: str) -> bool:
    # int() refuses texts of thousands of digits
    return text.isascii() and text.isdigit() and len(text) < 12


def _interface(wanted: str, known: list[NetworkDocument]) -> str:
    taken = {one["interface"] for one in known}
    if not wanted:
        return next(f"rl{at}" for at in range(1, 1 << 20) if f"rl{at}" not in taken)
    if not 0 < len(wanted) < 16 or not definitions.is_name(wanted) or wanted in ("lo", "tap0"):
        raise UsageError(f'"{wanted}" cannot be the name of an interface')
    if wanted in taken:
        raise Conflict(f"the interface {wanted} is another network's")
    return wanted


def _subnets(
    known: list[NetworkDocument],
    wanted: Strings,
    gateways: Strings,
    ranges: Strings,
    ipv6: bool,
) -> list[SubnetRecord]:
    taken = [Subnet(each["subnet"]) for one in known for each in one["subnets"]]
    chosen = [Subnet(one) for one in wanted]
    if len(gateways) > len(chosen) or len(ranges) > len(chosen):
        raise UsageError("a gateway or a range needs its subnet", hint="--subnet")
    if not any(one.size == 32 for one in chosen):
        chosen.append(free([*taken, *chosen]))
    if ipv6 and not any(one.size == 128 for one in chosen):
        chosen.append(free6([*taken, *chosen]))
    if len({one.size for one in chosen}) != len(chosen):
        raise UsageError("a network has one subnet of each family")
    made: list[SubnetRecord] = []
    for at, one in enumerate(chosen):
        for other in taken:
            if one.overlaps(other):
                raise Conflict(f"the subnet {one} overlaps with {other} of another network")
        if one.size - one.bits < 2:
            raise UsageError(f"the subnet {one} has no room for a gateway and a container")
        gateway = gateways[at] if at < len(gateways) else shown(one.first + 1, one.size)
        if gateway not in one:
            raise UsageError(f"the gateway {gateway} is not in {one}")
        record: SubnetRecord = {"subnet": str(one), "gateway": gateway}
        if at < len(ranges):
            record["first"], record["last"] = _range(ranges[at], one)
        made.append(record)
    # IPv4 first, whatever the order of the words
    return sorted(made, key=lambda one: ":" in one["subnet"])


def _range(text: str, subnet: Subnet) -> tuple[str, str]:
    """`10.89.0.128/25`, or `10.89.0.10-10.89.0.20`."""
    if "-" in text:
        first, _, last = text.partition("-")
    else:
        inner = Subnet(text)
        first, last = shown(inner.first, inner.size), shown(inner.last, inner.size)
    if first not in subnet or last not in subnet or number(first) > number(last):
        raise UsageError(f"the range {text} is not in {subnet}")
    # the first and the last address of a subnet are nobody's
    low = max(number(first), subnet.first + 1)
    high = min(number(last), subnet.last - (subnet.size == 32))
    return shown(low, subnet.size), shown(high, subnet.size)
