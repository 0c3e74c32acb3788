"""`rootless service enable`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "service enable",
    "NAME...",
    "Enable a service of rootless, at boot or every day",
    (),
    minimum=1,
    complete=("auto-update restart",),
    text="Units are written to ~/.config/systemd/user. restart: start containers with "
    "--restart always or unless-stopped at boot. auto-update: see `rootless "
    "auto-update`. Without lingering, boot means your first login; loginctl "
    "enable-linger changes that.",
    examples="rootless service enable restart auto-update",
)


def run(call: Call) -> int:
    """Enable each."""
    from rootless.cli import output
    from rootless.engine.common import linger
    from rootless.engine.systemd import builtin_units

    code = output.each(call.words, builtin_units.enable)
    who = linger.missing()
    if who and not code:
        call.engine().progress.message(
            "note: your services start at your first login and end after your last logout; "
            f"loginctl enable-linger {who} makes that the boot and the shutdown"
        )
    return code
