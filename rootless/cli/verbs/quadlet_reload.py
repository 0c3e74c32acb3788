"""`rootless quadlet reload`."""

from __future__ import annotations

from rootless.cli.words import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "quadlet reload",
    "",
    "Let systemd know of unit files that were changed by hand",
    (),
    maximum=0,
    text="Where rootless-generator is installed for all users this is systemctl --user "
    "daemon-reload; elsewhere units are written to ~/.config/systemd/user first.",
)


def run(call: Call) -> int:
    """Write, reload, say what is wrong."""
    from rootless.cli.lean import tell
    from rootless.engine import quadlets

    quadlets.reload()
    wrong = [one.error for one in quadlets.installed() if one.error is not None]
    for error in wrong:
        tell(error)
    return 125 if wrong else 0
