"""The addresses in a container's own network: who has which, for everything that has to name one.

They are counted from the network's own, as QEMU's user networking has them and what came after it.
Source: slirp4netns(1), --cidr.
"""

from __future__ import annotations

from rootless.errors import UsageError

DEFAULT = "10.0.2.0/24"


class Addresses:
    """`gateway` (the host, where that is allowed), `nameserver` and `container` in a network."""

    __slots__ = ("container", "gateway", "nameserver", "prefix")

    def __init__(self, cidr: str = "") -> None:
        """Raises UsageError for what the program would refuse when the container starts."""
        text, _, prefix = (cidr or DEFAULT).partition("/")
        parts = text.split(".")
        if len(parts) != 4 or not all(_is_number(one, 255) for one in parts):
            raise _wrong(cidr, "it is no network")
        if not _is_number(prefix, 32):
            raise _wrong(cidr, "it has no length")
        self.prefix = int(prefix)
        if not 1 <= self.prefix <= 25:
            raise _wrong(cidr, "its length is not between 1 and 25")
        number = 0
        for part in parts:
            number = number << 8 | int(part)
        if number & (1 << 32 - self.prefix) - 1:
            raise _wrong(cidr, f"it is an address of a network, and not /{prefix} itself")
        self.gateway = _text(number + 2)
        self.nameserver = _text(number + 3)
        self.container = _text(number + 100)


def _is_number(text: str, largest: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= largest


def _text(number: int) -> str:
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def _wrong(cidr: str, why: str) -> UsageError:
    return UsageError(f'the cidr "{cidr}" cannot be used: {why}', hint=f"as in cidr={DEFAULT}")
