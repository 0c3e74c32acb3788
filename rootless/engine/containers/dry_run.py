"""`run --dry-run`: what would be done, in the order in which it would be done."""

from __future__ import annotations

import os

from rootless.runtime import operations, orders, plan_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.collection import Containers
    from rootless.engine.spec.options import ContainerOptions


def describe(containers: Containers, options: ContainerOptions) -> str:
    """Make the container's bundle, read it back, remove it again."""
    container = containers.create(options)
    try:
        parts = []
        for title, name, numbers in (
            ("monitor", "orders", orders.NUMBERS),
            ("launch plan", "plan", operations.NUMBERS),
        ):
            with open(os.path.join(container.directory, name), "rb") as file:
                found = plan_format.decode(file.read(), numbers)
            shown = [(word, tuple(map(_text, arguments))) for word, arguments in found]
            parts.append(f"# {title}\n{plan_format.describe(shown)}")
        return "\n".join(parts)
    finally:
        container.remove(force=True, volumes=True)


def _text(data: bytes) -> str | bytes:
    """Programs of the kernel's filter are not text."""
    if len(data) > 4096 or any(byte < 9 for byte in data):
        return data
    return data.decode("utf-8", "replace")
