"""A container on networks with names: what it asked for, its leases, the monitor's orders.

The definition is read when the container is made, for what is written into its files, and again
when it starts, for its addresses.
"""

from __future__ import annotations

import os

from rootless import documents, paths
from rootless.errors import UsageError
from rootless.network import definitions, leases
from rootless.runtime import orders as to_monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    from rootless.documents import Json
    from rootless.engine.containers.draft import Draft
    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.context import Context
    from rootless.engine.spec.options import ContainerOptions
    from rootless.network.backends.backend import Network, PlaceRecord
    from rootless.network.definitions import NetworkDocument
    from rootless.runtime.plan_format import Record

    class AddressRecord(TypedDict):
        """What a running container has on a network."""

        name: str
        interface: str
        bridge: str
        mac: str
        address: str
        bits: int
        gateway: str
        address6: str
        bits6: int
        gateway6: str
        aliases: list[str]


ADDRESSES = "addresses"
_ADDRESS: Json = {
    "name": str, "interface": str, "bridge": str, "mac": str, "address": str, "bits": int,
    "gateway": str, "address6": str, "bits6": int, "gateway6": str, "aliases": [str],
}  # fmt: skip
"""The document of what a running container has, in its directory."""


def chosen(options: ContainerOptions, network: Network) -> None:
    """Take --ip, --ip6, --mac-address and --network-alias over.  Raises UsageError."""
    for flag, key, value in (
        ("--ip", "ip", options.ip),
        ("--ip6", "ip6", options.ip6),
        ("--mac-address", "mac", options.mac_address),
        ("--network-alias", "aliases", options.network_alias),
    ):
        if not value:
            continue
        if not network.places:
            raise UsageError(f"{flag} needs a network by name", hint="--network NAME")
        if isinstance(value, list):
            for place in network.places:
                place["aliases"] += value
        elif len(network.places) > 1:
            raise UsageError(
                f"{flag} cannot say which of several networks it means",
                hint=f"--network NAME:{key}={value}",
            )
        elif key == "ip":
            network.places[0]["ip"] = value
        elif key == "ip6":
            network.places[0]["ip6"] = value
        else:
            network.places[0]["mac"] = value


def _check_mac(text: str) -> None:
    parts = text.split(":")
    digits = "0123456789abcdefABCDEF"
    good = len(parts) == 6 and all(len(one) == 2 and not one.strip(digits) for one in parts)
    if not good or int(parts[0], 16) & 1:
        raise UsageError(
            f'"{text}" is no address of a network device', hint="as in 02:42:0a:59:00:02"
        )


def resolve(data_dir: str, network: Network) -> bool:
    """Look the networks up, and what is known of them before the start.

    Returns whether one of them can be reached from outside.

    Raises NetworkNotFound, UsageError.
    """
    servers = []
    outside = False
    for place in network.places:
        if place["mac"]:
            _check_mac(place["mac"])
        if place["interface"] and not 0 < len(place["interface"]) < 16:
            raise UsageError(f'"{place["interface"]}" cannot be the name of an interface')
    for place in network.places:
        found = definitions.read(data_dir, place["name"])
        place["name"] = found["name"]
        outside = outside or not found["internal"]
        for key in ("ip", "ip6"):
            wanted = place["ip"] if key == "ip" else place["ip6"]
            if wanted:
                leases.check(_subnet(found, wanted), wanted)
        servers += [one["gateway"] for one in found["subnets"]]
    network.options["nameservers"] = " ".join(servers)
    return outside


def _subnet(found: NetworkDocument, address: str) -> definitions.SubnetRecord:
    for one in found["subnets"]:
        if (":" in one["subnet"]) == (":" in address):
            return one
    family = "IPv6" if ":" in address else "IPv4"
    raise UsageError(f"the network {found['name']} has no {family} addresses")


def namespace_orders(draft: Draft, flags: int) -> list[Record]:
    """Below the user namespace that the containers on such networks share."""
    from rootless.storage.drivers import id_remap
    from rootless.userns import helpers, idmap

    ctx = draft.request.ctx
    outer, inner = ctx.maps, draft.spaces.maps
    relative = idmap.IdMaps(
        id_remap.within(inner.uids, outer.uids),
        id_remap.within(inner.gids, outer.gids),
        inner.why,
        caller=inner.caller,
    )
    directory = definitions.state_directory(ctx.data_dir)
    arguments = (outer.proc_text("uids"), outer.proc_text("gids"), helpers.needed(outer))
    # where its layers have other ids, the servers of its files work in the parent namespace
    choice = draft.root.choice
    around = [to_monitor.outer(*arguments, drop_groups=not outer.single)]
    return [
        to_monitor.clone(flags),
        *(around if choice is not None and choice.nested else ()),
        to_monitor.shared_network(directory, *arguments, drop_groups=not outer.single),
        to_monitor.companion(
            paths.helper("companion"),
            os.path.join(directory, "log"),
            [directory, *_way_out(ctx)],
        ),
        to_monitor.map_(
            relative.proc_text("uids"),
            relative.proc_text("gids"),
            ("", ""),
            drop_groups=not outer.single,
        ),
    ]


def _way_out(ctx: Context) -> list[str]:
    from rootless.network.backends import registry

    argv, missing = registry.way_out()
    if missing:
        ctx.notice("way-out", f"networks lead to each other's containers alone: {missing}")
    return argv


class Started:
    """What a start has taken: descriptors of leases, and the further orders."""

    __slots__ = ("fds", "orders")

    def __init__(self) -> None:
        self.fds: list[int] = []
        self.orders: list[Record] = []

    def close(self) -> None:
        """Let go of the leases; the monitor has its own."""
        for fd in self.fds:
            os.close(fd)
        self.fds = []


def start(container: ContainerRef, places: list[PlaceRecord]) -> Started:
    """Lease addresses for a container that starts, and write them where others look.

    Raises NetworkNotFound, Conflict.
    """
    data_dir = container.ctx.data_dir
    directory = definitions.state_directory(data_dir)
    made = Started()
    addresses: list[AddressRecord] = []
    files: list[str] = []
    try:
        networks = [definitions.read(data_dir, one["name"]) for one in places]
        way_out = _leading(networks)
        for number, (place, found) in enumerate(zip(places, networks, strict=True)):
            held = _lease(directory, found, place)
            made.fds += [one.fd for one in held]
            files += [one.path for one in held]
            _rules(directory, found)
            one = _address(found, place, held, number)
            made.orders.append(_endpoint(container, found, one, leads=found is way_out))
            names = [container.name, container.id[:12], container.record["hostname"]]
            names += place["aliases"]
            each = [text for text in (one["address"], one["address6"]) if text]
            for lease in held:
                leases.publish(lease, container.id, list(dict.fromkeys(names)), one["mac"], each)
            addresses.append(one)
        if container.record["ports"]:
            made.orders.append(_ports(container, addresses))
        made.orders.append(to_monitor.leases(len(made.fds), files))
        documents.write(os.path.join(container.directory, ADDRESSES), addresses)
        _hosts(container, addresses)
    except BaseException:
        made.close()
        raise
    return made


def _leading(networks: list[NetworkDocument]) -> NetworkDocument | None:
    """Which of a container's networks has its default route: the first of the lowest metric."""
    ways = [
        one for one in networks
        if not one["internal"] and any(each["gateway"] for each in one["subnets"])
        and one["options"].get("no_default_route") not in ("true", "1")
    ]  # fmt: skip
    return min(ways, key=_metric, default=None)


def _metric(found: NetworkDocument) -> int:
    text = found["options"].get("metric", "")
    # documents of earlier versions may have any text
    return int(text) if text.isdecimal() and len(text) < 12 else definitions.METRIC


def _ports(container: ContainerRef, addresses: list[AddressRecord]) -> Record:
    """What publishes its ports: on its address in the first network that leads out."""
    from rootless.network import ports

    ways = [
        one for one in addresses
        if not definitions.read(container.ctx.data_dir, one["name"])["internal"]
    ]  # fmt: skip
    chosen = (ways or addresses)[0]
    published = [ports.Port.from_dict(one) for one in container.record["ports"]]
    words = ports.proxy(
        published,
        address=chosen["address"],
        gateway=chosen["gateway"],
        address6=chosen["address6"],
        gateway6=chosen["gateway6"],
    )
    return to_monitor.ports(paths.helper("ports"), words)


def _rules(directory: str, found: NetworkDocument) -> None:
    """What the network allows, for the resolver (helpers/lib/lease_table.h)."""
    path = os.path.join(directory, "leases", found["interface"], ".network")
    flags = ("n" if found["dns"] else "") + ("i" if found["internal"] else "")
    text = f"{flags}\n{' '.join(found['nameservers'])}\n".encode()
    try:
        with open(path, "rb") as file:
            if file.read() == text:
                return
    except FileNotFoundError:
        pass
    documents.write_bytes(path, text)


def _lease(directory: str, found: NetworkDocument, place: PlaceRecord) -> list[leases.Lease]:
    where = os.path.join(directory, "leases", found["interface"])
    held = []
    for one in found["subnets"]:
        wanted = place["ip6"] if ":" in one["subnet"] else place["ip"]
        try:
            held.append(leases.lease(where, one, wanted=wanted))
        except FileNotFoundError:
            paths.ensure(paths.runtime_dir())
            os.makedirs(os.path.join(directory, "members"), 0o700, exist_ok=True)
            os.makedirs(where, 0o700, exist_ok=True)
            held.append(leases.lease(where, one, wanted=wanted))
    return held


def _address(
    found: NetworkDocument, place: PlaceRecord, held: list[leases.Lease], number: int
) -> AddressRecord:
    made: AddressRecord = {
        "name": found["name"], "interface": place["interface"] or f"eth{number}",
        "bridge": found["interface"], "mac": place["mac"], "address": "", "bits": 0, "gateway": "",
        "address6": "", "bits6": 0, "gateway6": "", "aliases": place["aliases"],
    }  # fmt: skip
    for lease, record in zip(held, found["subnets"], strict=True):
        bits = int(record["subnet"].partition("/")[2])
        if ":" in lease.address:
            made["address6"], made["bits6"] = lease.address, bits
            made["gateway6"] = record["gateway"]
        else:
            made["address"], made["bits"] = lease.address, bits
            made["gateway"] = record["gateway"]
    if not made["mac"]:
        # the same for the same address, so that what neighbours remember stays true
        from rootless.network.subnets import number as of

        value = of(made["address"] or made["address6"]) & 0xFFFFFFFF
        made["mac"] = "02:42:" + ":".join(f"{value >> shift & 255:02x}" for shift in (24, 16, 8, 0))
    return made


def _endpoint(
    container: ContainerRef, found: NetworkDocument, one: AddressRecord, *, leads: bool
) -> Record:
    flags = ("d" if leads else "") + ("i" if found["internal"] else "")
    return to_monitor.endpoint(
        (
            one["bridge"],
            one["interface"],
            one["mac"],
            f"{one['address']}/{one['bits']}" if one["address"] else "",
            one["gateway"],
            f"{one['address6']}/{one['bits6']}" if one["address6"] else "",
            one["gateway6"],
            found["options"].get("mtu", ""),
            flags,
            container.id,
        )
    )


def _hosts(container: ContainerRef, addresses: list[AddressRecord]) -> None:
    """Give the container's own names in /etc/hosts the address that it has now."""
    path = os.path.join(container.directory, "hosts")
    own = " ".join(dict.fromkeys((container.record["hostname"], container.name)))
    address = addresses[0]["address"] or addresses[0]["address6"]
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().split("\n")
    except OSError:
        return
    changed = [f"{address}\t{own}" if one.partition("\t")[2] == own else one for one in lines]
    if changed != lines:
        data = "\n".join(changed).encode("utf-8", "surrogateescape")
        documents.write_bytes(path, data)


def addresses(directory: str) -> list[AddressRecord]:
    """What a running container has; nothing if it never ran."""
    try:
        found: list[AddressRecord] = documents.read(os.path.join(directory, ADDRESSES))
    except (OSError, ValueError):
        return []
    return found if documents.fits(found, [_ADDRESS]) else []


def shown(one: AddressRecord) -> Json:
    """As `inspect` has it."""
    return {
        "IPAddress": one["address"],
        "IPPrefixLen": one["bits"],
        "Gateway": one["gateway"],
        "GlobalIPv6Address": one["address6"],
        "GlobalIPv6PrefixLen": one["bits6"],
        "IPv6Gateway": one["gateway6"],
        "MacAddress": one["mac"],
    }
