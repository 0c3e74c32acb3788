"""Records: the encoding of launch plans and monitor orders (docs/dev/formats.md).

A plan is a list of `(operation, arguments)`; plain data that can be printed, compared and tested
without any privilege.  Names and numbers are in `operations` and `orders`.
"""

from __future__ import annotations

import os

from rootless import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Record = tuple[str, Sequence[str | bytes]]

MAGIC = b"RLP1"


def encode(records: Iterable[Record], numbers: dict[str, int]) -> bytes:
    """The bytes of a plan (`numbers`: operations.NUMBERS) or of orders (orders.NUMBERS).

    Raises ValueError when an argument holds a NUL byte where the C side expects text.
    """
    parts = [MAGIC]
    for name, arguments in records:
        body = bytearray()
        for argument in arguments:
            if isinstance(argument, bytes):
                data = argument
            else:
                data = argument.encode("utf-8", "surrogateescape")
                if 0 in data:
                    raise ValueError(f"{argument!r} holds a NUL byte")
            body += len(data).to_bytes(4, "little") + data
            body += bytes(4 - len(data) % 4)
        head = (12 + len(body), numbers[name], len(arguments))
        parts.append(b"".join(number.to_bytes(4, "little") for number in head))
        parts.append(bytes(body))
    return b"".join(parts)


def describe(records: Iterable[Record]) -> str:
    """A plan as a person reads it, one operation per line."""
    lines = []
    for number, (name, arguments) in enumerate(records):
        words = []
        for argument in arguments:
            if isinstance(argument, bytes):
                words.append(f"<{len(argument)} bytes>")
            elif argument and not any(c in argument for c in " \t\n\"'\\"):
                words.append(argument)
            else:
                words.append(repr(argument))
        lines.append(f"{number:3} {name:13} {' '.join(words)}".rstrip())
    return "\n".join(lines) + "\n"


def decode(data: bytes, numbers: dict[str, int]) -> list[tuple[str, tuple[bytes, ...]]]:
    """The records in these bytes.  Raises ValueError when they are not records."""
    if data[:4] != MAGIC:
        raise ValueError("not a plan")
    names = {number: name for name, number in numbers.items()}
    found = []
    at = 4
    while at < len(data):
        length, code, count = (
            int.from_bytes(data[at + i : at + i + 4], "little") for i in (0, 4, 8)
        )
        inner, arguments = at + 12, []
        for _ in range(count):
            if inner + 4 > len(data):
                raise ValueError(f"malformed record at byte {at}")
            size = int.from_bytes(data[inner : inner + 4], "little")
            arguments.append(data[inner + 4 : inner + 4 + size])
            inner += 4 + size + 4 - size % 4
        if length < 12 or inner != at + length or code not in names:
            raise ValueError(f"malformed record at byte {at}")
        found.append((names[code], tuple(arguments)))
        at += length
    return found


def write(directory: str, name: str, items: list[Record], numbers: dict[str, int]) -> str:
    """Write a plan or orders into a container's directory; returns the path."""
    path = os.path.join(directory, name)
    documents.write_bytes(path, encode(items, numbers))
    return path
