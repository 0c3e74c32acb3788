"""Published ports: docker's words, free ports, ports in use."""

from __future__ import annotations

import time

from rootless.errors import Conflict, HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    from rootless.documents import Json

    class PortRecord(TypedDict):
        """A port as container.json keeps it."""

        host_ip: str
        host_port: int
        container_port: int
        protocol: str


def taken(address: str, reason: str) -> Conflict:
    """The failure of a port that somebody else has."""
    return Conflict(
        f"the port {address} cannot be published: {reason}",
        hint="stop what listens there, or choose another host port",
    )


class Port:
    """`host_ip`:`host_port` on the host leads to `container_port` (tcp or udp) inside."""

    __slots__ = ("container_port", "host_ip", "host_port", "protocol")

    def __init__(self, host_ip: str, host_port: int, container_port: int, protocol: str) -> None:
        self.host_ip = host_ip
        self.host_port = host_port
        self.container_port = container_port
        self.protocol = protocol

    def as_dict(self) -> PortRecord:
        """As kept in container.json."""
        found: Json = {name: getattr(self, name) for name in self.__slots__}
        record: PortRecord = found
        return record

    @classmethod
    def from_dict(cls, table: PortRecord) -> Port:
        """The reverse of as_dict."""
        return cls(**table)


def _range(text: str, spec: str) -> range:
    first, _, last = text.partition("-")
    if not first.isdigit() or (last and not last.isdigit()):
        raise UsageError(
            f'invalid port "{text}" in "{spec}"', hint="[[IP:]HOSTPORT:]PORT[/tcp|/udp]"
        )
    low, high = int(first), int(last or first)
    if not 0 < low <= high < 65536:
        raise UsageError(f'the port "{text}" in "{spec}" is not between 1 and 65535')
    return range(low, high + 1)


def parse_publish(specs: list[str], exposed: list[str]) -> list[Port]:
    """`-p` words (and `exposed`, the image's ports, for -P) -> ports.  Raises UsageError."""
    made: list[Port] = []
    for spec in [*specs, *exposed]:
        address, slash, protocol = spec.partition("/")
        protocol = protocol if slash else "tcp"
        if protocol not in ("tcp", "udp"):
            raise UsageError(f'unknown protocol "{protocol}" in "{spec}"', hint="tcp or udp")
        if "[" in address:
            raise UsageError(f'"{spec}": only IPv4 ports can be published', hint="as in 8080:80")
        parts = address.split(":")
        if len(parts) > 3:
            raise UsageError(f'invalid port "{spec}"', hint="[[IP:]HOSTPORT:]PORT[/tcp|/udp]")
        inner = _range(parts[-1], spec)
        ip = parts[0] if len(parts) == 3 and parts[0] else "0.0.0.0"
        if not all(one.isdigit() and int(one) < 256 for one in ip.split(".")) or ip.count(".") != 3:
            raise UsageError(f'"{ip}" in "{spec}" is not an IPv4 address')
        outer_text = parts[-2] if len(parts) > 1 else ""
        outer = list(_range(outer_text, spec)) if outer_text else [_free(protocol) for _ in inner]
        if len(outer) != len(inner):
            raise UsageError(f'the two ranges of "{spec}" differ in length')
        made += [Port(ip, out, into, protocol) for out, into in zip(outer, inner, strict=True)]
    seen = set()
    for port in made:
        key = (port.host_ip, port.host_port, port.protocol)
        if key in seen:
            raise UsageError(f"the host port {port.host_port}/{port.protocol} is published twice")
        seen.add(key)
    return made


def parse_exposed(word: str) -> list[Port]:
    """`80`, `53/udp`, `8000-8010` -> ports that are not published.  Raises UsageError."""
    text, slash, protocol = word.partition("/")
    protocol = protocol if slash else "tcp"
    if protocol not in ("tcp", "udp"):
        raise UsageError(f'unknown protocol "{protocol}" in "{word}"', hint="tcp or udp")
    return [Port("", 0, port, protocol) for port in _range(text, word)]


def _socket(protocol: str):  # type: ignore[no-untyped-def]
    import _socket

    kind = _socket.SOCK_STREAM if protocol == "tcp" else _socket.SOCK_DGRAM
    one = _socket.socket(_socket.AF_INET, kind)
    if protocol == "tcp":
        one.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    return one


def _free(protocol: str) -> int:
    one = _socket(protocol)
    try:
        one.bind(("0.0.0.0", 0))
        return int(one.getsockname()[1])
    finally:
        one.close()


def check_free(ports: list[Port], *, patience: float = 0) -> None:
    """Raises Conflict for a port in use, HostError for one below the unprivileged limit.

    `patience`: seconds in which whoever has it may let go: what published it for the last run ends
    a moment after its container.
    """
    end = time.monotonic() + patience
    while True:
        try:
            return _check_free(ports)
        except Conflict:
            if time.monotonic() >= end:
                raise
        time.sleep(0.01)


def _check_free(ports: list[Port]) -> None:
    for port in ports:
        one = _socket(port.protocol)
        try:
            one.bind((port.host_ip, port.host_port))
            if port.protocol == "tcp":
                one.listen(1)
        except PermissionError:
            raise HostError(
                f"the port {port.host_port} is below the limit for unprivileged users",
                hint="choose a higher one, or as root: sysctl net.ipv4.ip_unprivileged_port_start="
                f"{port.host_port}",
            ) from None
        except OSError as error:
            raise Conflict(
                f"the port {port.host_port} ({port.protocol}) on {port.host_ip} is refused:"
                f" {(error.strerror or str(error)).lower()}",
                hint="stop what listens there, or choose another host port",
            ) from None
        finally:
            one.close()
