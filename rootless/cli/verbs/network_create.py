"""`rootless network create`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "network create",
    "[NAME]",
    "Create a network",
    (
        several("--subnet", "CIDR", "Set a subnet, as in 10.89.7.0/24 or fd00:7::/64"),
        several("--gateway", "ADDRESS", "Set the gateway of the subnet of the same place"),
        several("--ip-range", "RANGE", "Give addresses from a range of the subnet only"),
        flag("--internal", "Let the network reach nothing outside of itself"),
        flag("--ipv6", "Give IPv6 addresses as well"),
        flag("--disable-dns", "Answer no names of containers"),
        several("--dns", "ADDRESS", "Ask this name server for names outside"),
        several("--label", "NAME=VALUE", "Set metadata for the network"),
        several(
            "-o --opt",
            "NAME=VALUE",
            "Set driver options: mtu=, metric=, no_default_route=, isolate=true",
        ),
        text("-d --driver", "NAME", "Network driver: bridge", complete="bridge"),
        text("--interface-name", "NAME", "Set the name of the bridge"),
        flag("--ignore", "Do not fail if the network exists"),
    ),
    maximum=1,
    text="Containers on a network reach each other, by address and by name; two networks do not "
    "reach each other. Without a name the network gets one.",
    examples="rootless network create web\n"
    "rootless run -d --network web --name db postgres\n"
    "rootless network create --internal --subnet 10.90.0.0/24 back",
)


def run(call: Call) -> None:
    """Make it and print its name."""
    from rootless.cli import output

    given = call.options

    def pairs(words: list[str]) -> dict[str, str]:
        return {name: value for name, _, value in (one.partition("=") for one in words)}

    networks = call.engine().networks
    free = (f"network{at}" for at in range(1, 1 << 20))
    name = call.words[0] if call.words else next(one for one in free if not networks.exists(one))
    made = networks.create(
        name,
        given["driver"],
        pairs(given["opt"]),
        subnets=given["subnet"],
        gateways=given["gateway"],
        ip_ranges=given["ip_range"],
        internal=given["internal"],
        labels=pairs(given["label"]),
        enable_ipv6=given["ipv6"],
        dns=not given["disable_dns"],
        nameservers=given["dns"],
        interface=given["interface_name"] or "",
        ignore=given["ignore"],
    )
    output.line(made["name"])
