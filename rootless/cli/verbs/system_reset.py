"""`rootless system reset`."""

from __future__ import annotations

from rootless.cli.options import Verb
from rootless.cli.verbs._shared_options import FORCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "system reset",
    "",
    "Remove all containers, images and volumes",
    (FORCE,),
    maximum=0,
    text="Stops running containers. Configuration files (config.toml, registries.conf, "
    "credentials) and files of others in the data directory are not removed.",
)


def run(call: Call) -> int:
    """Say what goes, ask, remove."""
    from rootless.cli import confirm, output
    from rootless.engine.system import reset as system_reset

    engine = call.engine()
    if not call.options["force"]:
        found = system_reset.everything(engine)
        running = f" ({len(found['Running'])} of them running)" if found["Running"] else ""
        what = [
            f"all containers: {len(found['Containers'])}{running}",
            f"all images: {found['Images']}",
            f"all volumes and what they hold: {len(found['Volumes'])}",
            *[f"the directory {one}" for one in found["Directories"]],
        ]
        if not confirm.sure(what):
            return 0
    done = system_reset.reset(engine)
    for path in done["Removed"]:
        output.line(f"Removed {path}")
    for path in done["Kept"]:
        output.line(f"Kept {path}, which is not of rootless")
    return 0
