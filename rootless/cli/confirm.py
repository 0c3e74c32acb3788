"""Questions before something is removed, in docker's words."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def sure(what: Sequence[str], more: str = "") -> bool:
    """Say what would be removed (one thing, or a list) and ask; no answer is no."""
    from rootless.cli import output

    if len(what) == 1:
        warning = f"WARNING! This will remove {what[0]}.\n"
    else:
        warning = "WARNING! This will remove:\n" + "".join(f"  - {one}\n" for one in what)
        warning += "\n"
    output.remark(warning + more)
    return output.confirm("Are you sure you want to continue?")
