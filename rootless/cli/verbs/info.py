"""`rootless info`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.documents import Json

VERB = Verb(
    "info",
    "",
    "Display information about the host and the configuration",
    (output_format("{{.Driver}}", short=True),),
    maximum=0,
)

_LINES = (
    ("Version", "Client.Version"),
    ("Python", "Client.Python"),
    ("Kernel", "Client.KernelVersion"),
    ("Containers", "Containers"),
    (" running", "ContainersRunning"),
    (" paused", "ContainersPaused"),
    (" stopped", "ContainersStopped"),
    ("Images", "Images"),
    ("Ids", "Ids"),
    ("Storage driver", "Driver"),
    (" because", "DriverReason"),
    (" others", "Drivers"),
    ("Network", "Network"),
    (" because", "NetworkReason"),
    ("Cgroups", "CgroupManager"),
    (" because", "CgroupReason"),
    ("Runtime", "Runtime"),
    ("Data", "DataDir"),
    ("Sockets", "RuntimeDir"),
    ("Settings", "ConfigDir"),
    ("Cache", "CacheDir"),
    ("Processors", "NCPU"),
    ("Memory", "MemTotal"),
)


def run(call: Call) -> None:
    """Print it."""
    from rootless.cli import output

    engine = call.engine()
    found = engine.info()
    if call.options["format"]:
        from rootless.engine.system import podman_info

        # docker's fields and podman's tree
        found |= podman_info.tree(engine.context, found)
        output.write(output.document(found, call.options["format"]))
        return
    for title, path in _LINES:
        value = found
        for part in path.split("."):
            value = value[part]
        if title == "Memory":
            value = output.human_size(value)
        if title == " others":
            _drivers(value, found["Driver"])
            continue
        output.line(f"{title + ':':16} {value}")


def _drivers(found: list[Json], chosen: str) -> None:
    """One line for each driver that was not taken."""
    from rootless.cli import output

    for one in found:
        if one["Name"] != chosen:
            word = "usable" if one["Usable"] else "not usable"
            output.line(f"{' ' + one['Name'] + ':':16} {word}: {one['Reason']}")
