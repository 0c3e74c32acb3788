"""Published ports: docker's words, free ports, ports in use, words for the monitor."""

from __future__ import annotations

import errno
import os
import time

from rootless.errors import Conflict, HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypedDict

    from rootless.documents import Json
    from rootless.errors import RootlessError

    class PortRecord(TypedDict):
        """A port as container.json keeps it."""

        host_ip: str
        host_port: int
        container_port: int
        protocol: str


def taken(address: str, reason: str) -> RootlessError:
    """The failure of a port that somebody else has.  `reason`: the kernel's."""
    if reason == os.strerror(errno.EACCES).lower():
        return below_the_limit(int(address.rpartition("/")[0].rpartition(":")[2]))
    return Conflict(
        f"the port {address} cannot be published: {reason}",
        hint="stop what listens there, or choose another host port",
    )


def below_the_limit(number: int) -> HostError:
    """The failure of a port that only root may bind (ip(7), ip_unprivileged_port_start)."""
    return HostError(
        f"the port {number} is below the limit for unprivileged users",
        hint="choose a higher one, or as root: sysctl net.ipv4.ip_unprivileged_port_start="
        f"{number}",
    )


class Port:
    """`host_ip`:`host_port` on the host leads to `container_port` (tcp or udp) inside.

    `host_ip`: "" for all addresses, of IPv4 and of IPv6.
    """

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


def _split(text: str, spec: str) -> tuple[str, str, str]:
    """`[IP:][HOST:]PORT` -> address ("" for all), host port or "", port.  Raises UsageError."""
    if text.startswith("["):
        # an IPv6 address, as in a URL
        ip, bracket, rest = text[1:].partition("]")
        parts = rest.split(":")
        if not bracket or len(parts) != 3 or parts[0]:
            raise UsageError(f'invalid port "{spec}"', hint="as in [::1]:8080:80")
        if ":" not in ip or not _is_address(ip):
            raise UsageError(f'"{ip}" in "{spec}" is not an IPv6 address')
        return ip, parts[1], parts[2]
    parts = text.split(":")
    if len(parts) > 3:
        raise UsageError(f'invalid port "{spec}"', hint="[[IP:]HOSTPORT:]PORT[/tcp|/udp]")
    ip = parts[0] if len(parts) == 3 else ""
    if ip and (":" in ip or not _is_address(ip)):
        raise UsageError(f'"{ip}" in "{spec}" is not an IPv4 address')
    return ip, parts[-2] if len(parts) > 1 else "", parts[-1]


def _is_address(text: str) -> bool:
    import _socket

    try:
        _socket.inet_pton(_socket.AF_INET6 if ":" in text else _socket.AF_INET, text)
    except OSError:
        return False
    return True


def parse_publish(specs: list[str], exposed: list[str]) -> list[Port]:
    """`-p` words (and `exposed`, the image's ports, for -P) -> ports.  Raises UsageError."""
    made: list[Port] = []
    for spec in [*specs, *exposed]:
        address, slash, protocol = spec.partition("/")
        protocol = protocol if slash else "tcp"
        if protocol not in ("tcp", "udp"):
            raise UsageError(f'unknown protocol "{protocol}" in "{spec}"', hint="tcp or udp")
        ip, outer_text, inner_text = _split(address, spec)
        inner = _range(inner_text, spec)
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


# Where clients of IPv6 are led to in a container that has no address of it, and what is seen of
# those on the host's loopback: of slirp4netns' network, where nobody has the first.
_ADDRESS6, _GATEWAY6 = "fd00::100", "fd00::2"
_GATEWAY = "10.0.2.2"  # of a network without one
_RETRY = "10"  # seconds


def proxy(
    ports: list[Port],
    *,
    address: str,
    gateway: str,
    address6: str = "",
    gateway6: str = "",
    retry: str = "",
    header: str = "",
) -> list[str]:
    """The words of helpers/programs/ports.c.

    `address`: the container's; `gateway`: what it sees of clients on the host's loopback; `retry`:
    seconds for which a port that does not listen is tried; `header`: version of the PROXY protocol.
    """
    words = [f"gateway={gateway or _GATEWAY}"]
    if address:
        words.append(f"address={address}")
    own = bool(address6 and gateway6)
    words += [
        f"address6={address6 if own else _ADDRESS6}",
        f"gateway6={gateway6 if own else _GATEWAY6}",
        f"retry={retry or _RETRY}",
    ]
    if header:
        words.append(f"header={header}")
    return words + told(ports)


def told(ports: list[Port]) -> list[str]:
    """The ports as helpers/programs/ports.c is told them, with ranges in one word."""
    words: list[str] = []
    last: Port | None = None
    count = 0
    for port in [*ports, None]:
        if (
            last is not None
            and port is not None
            and (port.host_ip, port.protocol) == (last.host_ip, last.protocol)
            and port.host_port == last.host_port + count
            and port.container_port == last.container_port + count
        ):
            count += 1
            continue
        if last is not None:
            numbers = f"{last.host_port}-{last.host_port + count - 1}"
            words.append(f"{last.protocol}/{last.host_ip}/{numbers}/{last.container_port}")
        last, count = port, 1
    return words


def heard(words: Sequence[str]) -> list[PortRecord]:
    """The reverse of `told`, as kept in container.json."""
    found = []
    for word in words:
        protocol, ip, numbers, inner = word.split("/")
        low, _, high = numbers.partition("-")
        for step in range(int(high) - int(low) + 1):
            found.append(Port(ip, int(low) + step, int(inner) + step, protocol).as_dict())
    return found


def _bind(protocol: str, ip: str, number: int, *, listen: bool) -> int:
    """Bind a port for a moment, on all addresses for ""; its number.  Raises OSError."""
    import _socket

    kind = _socket.SOCK_STREAM if protocol == "tcp" else _socket.SOCK_DGRAM
    families = [_socket.AF_INET6] if ":" in ip else [_socket.AF_INET]
    if not ip:
        families.append(_socket.AF_INET6)
    for family in families:
        try:
            one = _socket.socket(family, kind)
        except OSError:
            if len(families) > 1 and family == _socket.AF_INET6:
                continue  # a host without IPv6
            raise
        try:
            if family == _socket.AF_INET6:
                one.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
            if protocol == "tcp":
                one.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            one.bind((ip or ("::" if family == _socket.AF_INET6 else "0.0.0.0"), number))
            if listen and protocol == "tcp":
                one.listen(1)
            number = int(one.getsockname()[1])
        except OSError as error:
            if not (error.errno == errno.EADDRNOTAVAIL and len(families) > 1):
                raise
        finally:
            one.close()
    return number


def _free(protocol: str) -> int:
    for _ in range(100):
        try:
            return _bind(protocol, "", 0, listen=False)
        except OSError:
            continue  # free for IPv4 and not for IPv6
    raise Conflict("no host port is free", hint="name one, as in 8080:80")


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
        try:
            _bind(port.protocol, port.host_ip, port.host_port, listen=True)
        except PermissionError:
            raise below_the_limit(port.host_port) from None
        except OSError as error:
            raise Conflict(
                f"the port {port.host_port} ({port.protocol}) on {port.host_ip or '0.0.0.0'} is"
                f" refused: {(error.strerror or str(error)).lower()}",
                hint="stop what listens there, or choose another host port",
            ) from None
