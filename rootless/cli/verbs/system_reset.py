"""`rootless system reset`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "system reset",
    "",
    "Remove everything: containers, images, volumes",
    (flag("-f --force", "do not ask"),),
    maximum=0,
    text="Running containers are stopped. Settings (config.toml, registries.conf, passwords) stay, "
    "and so does what somebody else has put into the data directory.",
)


def run(call: Call) -> int:
    """Say what goes, ask, remove."""
    from rootless.cli import asking, output
    from rootless.engine import system

    engine = call.engine()
    if not call.options["force"]:
        found = system.everything(engine)
        running = f" ({len(found['Running'])} of them running)" if found["Running"] else ""
        what = [
            f"all containers: {len(found['Containers'])}{running}",
            f"all images: {found['Images']}",
            f"all volumes and what they hold: {len(found['Volumes'])}",
            *[f"the directory {one}" for one in found["Directories"]],
        ]
        if not asking.sure(what):
            return 0
    done = system.reset(engine)
    for path in done["Removed"]:
        output.line(f"Removed {path}")
    for path in done["Kept"]:
        output.line(f"Kept {path}, which is not of rootless")
    return 0
