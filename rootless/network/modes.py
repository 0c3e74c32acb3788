"""`--network`: what was asked for, or what this host can give.

Source: docker-run(1), podman-run(1).
"""

from __future__ import annotations

import os

from rootless import host
from rootless.errors import HostError, UsageError
from rootless.network.addresses import Addresses

_FLAGS = ("allow_host_loopback", "enable_ipv6")
_VALUES = ("mtu", "cidr", "outbound_addr", "outbound_addr6", "port_handler")


class NetworkMode:
    """`kind`: none, host, slirp4netns or container; `options` of slirp4netns; `target`: whose
    namespace is shared; `why`: how the kind was chosen, empty if it was asked for."""

    __slots__ = ("kind", "options", "target", "why")

    def __init__(
        self, kind: str, options: dict[str, str] | None = None, target: str = "", why: str = ""
    ) -> None:
        self.kind = kind
        self.options = options or {}
        self.target = target
        self.why = why

    def addresses(self) -> Addresses:
        """Those of slirp4netns' network."""
        return Addresses(self.options.get("cidr", ""))


def parse_network(text: str | None) -> NetworkMode:
    """Raises UsageError for words that mean nothing, HostError for what is not installed."""
    if not text or text in ("default", "private"):
        return _default()
    kind, _, rest = text.partition(":")
    if kind in ("none", "host") and not rest:
        return NetworkMode(kind)
    if kind == "container" and rest:
        return NetworkMode(kind, target=rest)
    if kind == "slirp4netns":
        missing = obstacle()
        if missing:
            raise HostError(f"--network slirp4netns: {missing}", hint=remedy())
        return NetworkMode(kind, _options(rest))
    if kind in ("bridge", "pasta"):
        raise UsageError(
            f'the network "{text}" is not offered', hint="slirp4netns, host, none or container:NAME"
        )
    raise UsageError(f'unknown network "{text}"', hint="slirp4netns, host, none or container:NAME")


def _options(text: str) -> dict[str, str]:
    table = {}
    for word in filter(None, text.split(",")):
        name, _, value = word.partition("=")
        if name not in _FLAGS + _VALUES:
            raise UsageError(
                f'unknown option "{word}" of slirp4netns', hint=", ".join(_FLAGS + _VALUES)
            )
        if name in _FLAGS and value not in ("true", "false", ""):
            raise UsageError(f'the option {name} of slirp4netns is true or false, not "{value}"')
        if name == "port_handler" and value != "slirp4netns":
            raise UsageError(
                f'the port handler "{value}" is not offered', hint="port_handler=slirp4netns"
            )
        if name == "cidr":
            Addresses(value)
        if name == "mtu" and not value.isdigit():
            raise UsageError(f'the mtu "{value}" is not a number')
        table[name] = value or "true"
    return table


def obstacle() -> str:
    """Why slirp4netns cannot work here, empty if it can."""
    if not host.current().slirp4netns:
        return "slirp4netns is not installed"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun cannot be opened"
    return ""


def remedy() -> str:
    """What the administrator can do about `obstacle`."""
    if not host.current().slirp4netns:
        return "as root: apt-get install slirp4netns"
    return "as root: modprobe tun; chmod 666 /dev/net/tun"


def _default() -> NetworkMode:
    missing = obstacle()
    if missing:
        return NetworkMode("none", why=f"{missing}; {remedy()}")
    return NetworkMode("slirp4netns", why="slirp4netns and /dev/net/tun are there")
