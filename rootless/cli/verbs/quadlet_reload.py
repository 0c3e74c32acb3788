"""`rootless quadlet reload`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "quadlet reload",
    "",
    "Reload systemd after a manual change of unit files",
    (),
    maximum=0,
    text="If rootless-generator is installed for all users, this is the same as systemctl "
    "--user daemon-reload; otherwise units are generated in ~/.config/systemd/user first.",
)


def run(call: Call) -> int:
    """Write, reload, say what is wrong."""
    from rootless.cli import output
    from rootless.engine.systemd import quadlet as systemd_quadlet

    systemd_quadlet.reload()
    wrong = [one.error for one in systemd_quadlet.installed() if one.error is not None]
    for error in wrong:
        output.tell(error)
    return 125 if wrong else 0
