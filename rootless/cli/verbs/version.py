"""`rootless version`."""

from __future__ import annotations

from rootless.cli.words import Verb, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "version",
    "",
    "Show versions",
    (text("-f --format", "FORMAT", "json, or a template as {{.Client.Version}}", complete="json"),),
    maximum=0,
)


def run(call: Call) -> None:
    """Print them."""
    from rootless.cli import output
    from rootless.engine import about

    found = about.version()
    if call.options["format"]:
        output.write(output.document(found, call.options["format"]))
        return
    titles = {"OsArch": "OS/Arch", "KernelVersion": "Kernel", "OciRuntimeSpec": "OCI runtime spec"}
    for name, value in found["Client"].items():
        if name in ("Os", "Arch"):
            continue
        output.line(f"{titles.get(name, name) + ':':18} {value}")
