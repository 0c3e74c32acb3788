"""The keys that unit files may have, for `quadlet keys`."""

from __future__ import annotations

from rootless.quadlet.keys import SECTIONS, rows

__all__ = ["SECTIONS", "rows"]
