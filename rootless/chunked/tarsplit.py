"""tar-split: what containers/storage needs to make a layer's tar again from its files.

Scope: writing.  One JSON object for each run of bytes that are no file's content (`type` 2) and for
each member (`type` 1, with the CRC of its content).  Source: vbatts/tar-split, README and package
tar/storage; the CRC is CRC-64/GO-ISO (ISO 3309).
"""

from __future__ import annotations

import base64

from rootless import documents

_ONES = (1 << 64) - 1


class Writer:
    """Collects lines; `data` gives them all."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def segment(self, data: bytes) -> None:
        """Add headers, padding, or the end of the archive."""
        if data:
            self._line({"type": 2, "payload": base64.b64encode(data).decode()})

    def member(self, name: str, size: int, crc: int) -> None:
        """Add a member, whose content has `size` bytes."""
        payload = base64.b64encode(crc.to_bytes(8, "big")).decode() if size else None
        value: dict[str, documents.Json] = {"type": 1, "name": name}
        if size:
            value["size"] = size
        self._line({**value, "payload": payload})

    def _line(self, value: dict[str, documents.Json]) -> None:
        self._lines.append(documents.dumps({**value, "position": len(self._lines)}))

    def data(self) -> bytes:
        """Return all lines."""
        return "".join(line + "\n" for line in self._lines).encode()


def crc64(data: bytes, before: int = 0) -> int:
    """Return CRC-64/GO-ISO of `data` after what gave `before`."""
    for at in range(0, len(data), _STEP):
        before = _crc64(data[at : at + _STEP], before)
    return before


_STEP = 1 << 16  # what the processor's cache holds a few times


def _crc64(data: bytes, before: int) -> int:
    """The polynomial is x^64 + x^4 + x^3 + x + 1, and squaring one over GF(2) squares every term,
    so x^(64 s) = x^(4 s) + x^(3 s) + x^s + 1 for every power of two s: half of a long number is
    folded into the other half by three shifts, without a table and a loop over bytes.
    """
    # reflected: the lowest bit is the highest power; 64 zeros after it make room for the remainder
    value = int.from_bytes(data, "little") ^ before ^ _ONES
    bits = 8 * len(data) + 64
    while bits > 64:
        scale = 1
        while 4 * scale * 62 <= bits:
            scale *= 2
        # near the end the fold must not reach beyond the last bit
        head = max(min(60 * scale, bits - 64 * scale), 1)
        part = value & ((1 << head) - 1)
        folded = part << 60 * scale ^ part << 61 * scale ^ part << 63 * scale ^ part << 64 * scale
        value = (value ^ part ^ folded) >> head
        bits -= head
    return value ^ _ONES
