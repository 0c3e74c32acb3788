"""The headings of the list of all commands, in help and in the manual page."""

from __future__ import annotations

from rootless.cli.table import GROUPS

# headings of `rootless --help`, in this order; a verb that is not named here is one of the system
HEADINGS: dict[str, tuple[str, ...]] = {
    "Commands": (),
    "Container commands": tuple(
        """attach commit cp create diff exec explain export kill logs pause port ps rename restart
        rm run start stats stop top unpause update wait""".split()
    ),
    "Image commands": tuple(
        "bake bud build copy history images import load pull push rmi save search tag untag".split()
    ),
    "Registry commands": ("login", "logout"),
    "System commands": (),
    "Management commands": (),
}


def heading(name: str) -> str:
    """Under which heading a command or group without a group above it belongs."""
    if name in GROUPS:
        return "Management commands"
    found = [title for title, names in HEADINGS.items() if name in names]
    return found[0] if found else "System commands"
