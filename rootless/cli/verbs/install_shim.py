"""`rootless install-shim`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "install-shim",
    "docker|podman...",
    "Install a command docker or podman that is rootless under that name",
    (
        flag("--remove", "Take the command away again"),
        text("--dir", "DIR", "Directory of the command (default ~/.local/bin)",
             complete="directory"),
    ),
    minimum=1,
    complete=("docker podman",),
    text="Called by one of these names rootless does what that tool does where the two exclude "
    "each other: the form of lists in --format json, the names of images that are made here, "
    "--until of logs, -it without a terminal. A file that this command did not make is never "
    "replaced or removed.",
    examples="rootless install-shim docker\nrootless install-shim --remove docker",
)  # fmt: skip


def run(call: Call) -> int:
    """Make or remove each, and say what is in its way."""
    from rootless.cli import output
    from rootless.engine.system import shim

    place = call.options["dir"] or ""
    if call.options["remove"]:
        return output.each(call.words, lambda name: shim.remove(name, place))

    def work(name: str) -> str:
        made = shim.install(name, place)
        if made.hidden_by:
            output.remark(
                f"rootless: {made.hidden_by} comes first on the search path, so {name} means that\n"
            )
        elif made.off_path:
            output.remark(f"rootless: {shim.directory(place)} is not on the search path (PATH)\n")
        return made.path

    return output.each(call.words, work)
