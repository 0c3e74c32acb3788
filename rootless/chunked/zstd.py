"""The module for zstd: Python has it since 3.14, and a backport gives it to older ones."""

from __future__ import annotations

from rootless.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def module() -> Any:
    """Return `compression.zstd`, or what has its interface.  Raises StorageError."""
    import importlib

    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise StorageError(
        "the data is compressed by zstd, and no module for it is installed",
        hint="pip install backports.zstd, or use Python 3.14 or newer",
    )
