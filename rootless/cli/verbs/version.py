"""`rootless version`."""

from __future__ import annotations

from rootless.cli.options import Verb, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "version",
    "",
    "Show the version information",
    (
        text(
            "-f --format",
            "FORMAT",
            "Output format: json, or a Go template as in {{.Client.Version}}",
            complete="json",
        ),
    ),
    maximum=0,
)


def run(call: Call) -> None:
    """Print them."""
    from rootless.cli import output
    from rootless.engine.system import info as system_info

    found = system_info.version()
    if call.options["format"]:
        output.write(output.document(found, call.options["format"]))
        return
    titles = {"OsArch": "OS/Arch", "KernelVersion": "Kernel", "OciRuntimeSpec": "OCI runtime spec"}
    for name, value in found["Client"].items():
        if name in ("Os", "Arch"):
            continue
        output.line(f"{titles.get(name, name) + ':':18} {value}")
