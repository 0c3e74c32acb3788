"""Whether systemd lets what a user runs go on after logging out.

Source: loginctl(1), enable-linger; it keeps a file for each user.
"""

from __future__ import annotations

import os

DIRECTORY = "/var/lib/systemd/linger"


def missing() -> str:
    """The user's name if systemd ends what they run when they log out, empty otherwise."""
    from rootless.userns import subids

    who = subids.user_name(os.getuid())
    return "" if os.path.exists(f"{DIRECTORY}/{who}") else who
