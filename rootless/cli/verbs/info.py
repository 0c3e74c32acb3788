"""`rootless info`."""

from __future__ import annotations

from rootless.cli.words import Verb, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "info",
    "",
    "Show this host and the choices made on it",
    (text("-f --format", "FORMAT", "json, or a template as {{.Driver}}", complete="json"),),
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

    found = call.engine().info()
    if call.options["format"]:
        output.write(output.document(found, call.options["format"]))
        return
    for title, path in _LINES:
        value = found
        for part in path.split("."):
            value = value[part]
        if title == "Memory":
            value = output.human_size(value)
        output.line(f"{title + ':':16} {value}")
