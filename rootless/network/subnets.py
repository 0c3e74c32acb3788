"""Addresses and networks of both families, as numbers.

Hot: `import ipaddress` costs a third of a bare interpreter's start.
"""

from __future__ import annotations

import os

from rootless.errors import UsageError

POOL = "10.89.0.0/16"
"""Where networks without a subnet of their own begin; those after it follow."""

_TAKEN = ("10.0.2.0/24",)  # slirp4netns' own


class Subnet:
    """A network: `first` (its own address, a number), `bits` of the prefix, `size` of an address
    in bits (32 or 128)."""

    __slots__ = ("bits", "first", "size")

    def __init__(self, text: str) -> None:
        """Raises UsageError for what is no network; bits behind the prefix are an error."""
        address, slash, bits = text.partition("/")
        self.size = 128 if ":" in address else 32
        self.first = number(address)
        if not slash or not (bits.isascii() and bits.isdigit()) or int(bits) > self.size:
            raise UsageError(f'the subnet "{text}" has no length', hint=f"as in {POOL}")
        self.bits = int(bits)
        if self.first & (1 << self.size - self.bits) - 1:
            raise UsageError(
                f'"{text}" is an address in a subnet, and not the subnet itself',
                hint=f"as in {shown(self.first >> self._host << self._host, self.size)}/{bits}",
            )

    @property
    def _host(self) -> int:
        return self.size - self.bits

    @property
    def last(self) -> int:
        """The highest address: of IPv4 the one for all."""
        return self.first + (1 << self._host) - 1

    def __contains__(self, address: str) -> bool:
        return (":" in address) == (self.size == 128) and self.first <= number(address) <= self.last

    def overlaps(self, other: Subnet) -> bool:
        """Whether the two share an address."""
        return self.size == other.size and self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        return f"{shown(self.first, self.size)}/{self.bits}"


def number(text: str) -> int:
    """The number of an address.  Raises UsageError."""
    import _socket

    family = _socket.AF_INET6 if ":" in text else _socket.AF_INET
    try:
        return int.from_bytes(_socket.inet_pton(family, text))
    except (OSError, ValueError):
        raise UsageError(f'"{text}" is no address', hint="as in 10.89.0.2 or fd00::2") from None


def shown(value: int, size: int) -> str:
    """The text of an address."""
    import _socket

    family = _socket.AF_INET6 if size == 128 else _socket.AF_INET
    return _socket.inet_ntop(family, value.to_bytes(size // 8))


def free(taken: list[Subnet]) -> Subnet:
    """A /24 that none of these and no route of the host touches.  Raises UsageError."""
    avoid = [*taken, *(Subnet(one) for one in _TAKEN), *of_host()]
    for second in range(89, 256):
        for third in range(256):
            made = Subnet(f"10.{second}.{third}.0/24")
            near = [one for one in avoid if made.overlaps(one)]
            if not near:
                return made
            if any(one.bits <= 16 for one in near):
                break
    raise UsageError("no subnet is free", hint="choose one: --subnet")


def free6(taken: list[Subnet]) -> Subnet:
    """A unique local /64 (RFC 4193)."""
    while True:
        text = os.urandom(7).hex()
        made = Subnet(f"fd{text[:2]}:{text[2:6]}:{text[6:10]}:{text[10:14]}::/64")
        if not any(made.overlaps(one) for one in taken):
            return made


def of_host() -> list[Subnet]:
    """The host's own networks: a container would not reach what is in them."""
    found = []
    try:
        with open("/proc/net/route", encoding="ascii") as file:
            for line in file.read().split("\n")[1:]:
                words = line.split()
                if len(words) > 7 and words[7] != "00000000":
                    # in the byte order of the machine, as the kernel keeps them
                    first = int.from_bytes(bytes.fromhex(words[1])[::-1])
                    mask = int.from_bytes(bytes.fromhex(words[7])[::-1])
                    found.append(Subnet(f"{shown(first & mask, 32)}/{mask.bit_count()}"))
    except (OSError, ValueError, UsageError):
        pass
    return found
