"""`rootless version`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "version",
    "",
    "Show the version information",
    (output_format("{{.Client.Version}}", short=True),),
    maximum=0,
)


def run(call: Call) -> None:
    """Print them."""
    from rootless.cli import output
    from rootless.engine.system import info as system_info

    found = system_info.version()
    if call.options["format"]:
        from rootless.engine.system import podman_info

        podmans = podman_info.version(found["Client"])
        found = {**found, "Client": {**podmans, **found["Client"]}}
        output.write(output.document(found, call.options["format"]))
        return
    titles = {"OsArch": "OS/Arch", "KernelVersion": "Kernel", "OciRuntimeSpec": "OCI runtime spec"}
    for name, value in found["Client"].items():
        if name in ("Os", "Arch"):
            continue
        output.line(f"{titles.get(name, name) + ':':18} {value}")
