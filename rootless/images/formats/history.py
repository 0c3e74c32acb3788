"""How an image came about, step by step.

Scope: a pure function over the record.  Source: OCI image specification, config.md, "history".
"""

from __future__ import annotations

from rootless.images.record import ImageRecord, Layer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


class Step:
    """One step: `layer` is None where only the configuration changed."""

    __slots__ = ("author", "comment", "created", "created_by", "layer")

    def __init__(self, entry: dict[str, Json], layer: Layer | None) -> None:
        self.created = _text(entry, "created")
        self.created_by = _text(entry, "created_by")
        self.comment = _text(entry, "comment")
        self.author = _text(entry, "author")
        self.layer = layer


def steps(record: ImageRecord) -> list[Step]:
    """Return the steps, newest first.

    An image need not have a history, and the one it has may not fit its layers: layers that no
    entry speaks of come first, as the oldest steps.
    """
    entries = record.history
    filled = [entry for entry in entries if not entry.get("empty_layer")]
    surplus = max(0, len(record.layers) - len(filled))
    found = [Step({}, layer) for layer in record.layers[:surplus]]
    rest = iter(record.layers[surplus:])
    for entry in entries:
        found.append(Step(entry, None if entry.get("empty_layer") else next(rest, None)))
    return found[::-1]


def _text(entry: dict[str, Json], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
